"""The formats in which a model leaves: files of C, JavaScript, Python or ONNX, which have a test vector inside."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, InputTypeError, missing
from fullyconnected.exchange.leaving import Leaving, leaving
from fullyconnected.exchange.programs.c import c_source
from fullyconnected.exchange.programs.javascript import javascript_source
from fullyconnected.exchange.programs.numpy_script import numpy_source
from fullyconnected.exchange.programs.report import Quantisation, in_int8
from fullyconnected.exchange.programs.rows import row_program
from fullyconnected.files.atomic import write_atomically

if TYPE_CHECKING:
    from fullyconnected.annotations import ModelLike, PathLike, RowsLike, TableLike

__all__ = ["FORMATS", "Format", "export", "format_of", "to_c", "to_js", "to_onnx", "to_python"]


class Format(NamedTuple):
    """A format of files that leave: what it is, and what makes the content of a file of this name."""

    what: str
    source: Callable[[Leaving, str], str | bytes]


def _c(model: Leaving, name: str) -> str:
    return c_source(row_program(model.graph), model.vector, model.about(reads_float32=True), name)


def _js(model: Leaving, name: str) -> str:
    wide = model.graph.computed_of(model.graph.x) == np.float64
    return javascript_source(
        row_program(model.graph),
        model.vector,
        model.about(),
        name,
        gaps=model.gaps,
        classes=model.classes,
        wide=wide,
    )


def _python(model: Leaving, name: str) -> str:
    text = numpy_source(model.graph, model.vector, model.about(), model.classes)
    found: dict[str, Any] = {}
    with suppress(AssertionError):  # that of its test vector, of which the next line says more
        exec(compile(text, name, "exec", dont_inherit=True), found)  # what was just written here, and nothing else
    model.vector.require(np.asarray(found["predict"](model.vector.x)), "the script")
    return text


def _onnx(model: Leaving, name: str, opset: int = 17) -> bytes:
    try:
        from fullyconnected.exchange.onnx.writer import onnx_model
    except ImportError as error:
        raise missing("onnx", "onnx", "a file of ONNX") from error
    return onnx_model(model, opset)


FORMATS = {
    ".onnx": Format("ONNX", _onnx),
    ".c": Format("C99", _c),
    ".js": Format("a module of JavaScript", _js),
    ".mjs": Format("a module of JavaScript", _js),
    ".py": Format("a Python script", _python),
}


def export(model: ModelLike, path: PathLike) -> None:
    """Write a model to a file in the format that its suffix says: ``.onnx``, ``.c``, ``.js`` or ``.mjs``, or ``.py``.

    Parameters
    ----------
    model, path
        As :func:`to_onnx`, :func:`to_c`, :func:`to_js` and :func:`to_python` take them.

    Raises
    ------
    ConfigError
        For another suffix; and as these.
    """
    _write(model, path, format_of(path))


def format_of(path: PathLike) -> Format:
    """Return the format that the suffix of a path says; raise for another one."""
    suffix = os.path.splitext(_name_of(path))[1].lower()
    if suffix not in FORMATS:
        raise ConfigError(
            f"{printable(os.fsdecode(path))}: the suffix says in which format a model is written; there are "
            f"{', '.join(FORMATS)}"
        )
    return FORMATS[suffix]


@overload
def to_c(model: ModelLike, path: PathLike, dtype: Literal["float32"] = "float32", data: None = None) -> None: ...


@overload
def to_c(model: ModelLike, path: PathLike, dtype: Literal["int8"], data: RowsLike | TableLike) -> Quantisation: ...


def to_c(
    model: ModelLike,
    path: PathLike,
    dtype: Literal["float32", "int8"] = "float32",
    data: RowsLike | TableLike | None = None,
) -> Quantisation | None:
    """Write a model as one file of C99 that needs nothing but ``math.h``: weights that can stay in flash, no malloc.

    ``void fc_predict(const float *x, float *y)`` writes the ``FC_N_OUT`` results for a row of ``FC_N_IN`` numbers, in
    float32; operations on raw columns, such as standardising, are in double. ``int fc_self_test(void)`` returns 0 if
    the results for the test vector inside are right: each to 1e-5 of its largest number, or, where float32 itself
    loses more, as in a network that is saturated, to ten times that, and at most 1% of the largest of all. A comment
    says what each column and result is, and how much flash and memory it takes. With ``-DFC_MAIN`` the file is a
    program whose exit status is that of the test. No two threads may predict at once, since all memory is static. For
    several models in one program, compile each file with names of its own: ``-Dfc_predict=door_predict
    -Dfc_self_test=door_self_test``.

    With ``dtype="int8"``, products with weights are products of integers: int8, added up in int32. All else, such as
    standardising and softmax, stays in floating-point numbers. A report says what this saves, what it loses on the rows
    of ``data``, and what is in int8; it stands in the file's comment, too. A number beyond the range that ``data`` has
    becomes the end of that range, and NaN the least. The self test then allows no difference, if all that follows the
    products is in integers, or else what float32 loses; if all rows of ``data`` lie so near a step of an integer that
    functions of ``math.h`` decide about it, it allows 10% of the largest result.

    Parameters
    ----------
    model : Network, estimator, Predictor or path
        A network, whose results are ``net.predict(x)``; or an estimator of this library that is fitted or saved, whose
        results are ``predict_proba`` of a classifier (outputs, if its loss has no probabilities) and ``predict`` of a
        regressor. Of an estimator for tables, x is a row as its vocabulary encodes it: numbers, codes of levels and
        parts of dates, which the comment lists.
    path : path
        The file to write, which is replaced if it exists.
    dtype : str
        ``"float32"`` or ``"int8"``.
    data : rows or table, optional
        For int8: what the model predicts from, such as the rows of its training, by which the ranges of activations are
        set. At most 4,096 of them set the ranges, and all are in the report.

    Returns
    -------
    Quantisation or None
        For int8, what it makes of the model; its ``str`` is the report.

    Raises
    ------
    ConfigError
        For a layer or an activation without a formula, such as one of your own; for a network that is not ready to
        predict; if the formulas do not reproduce its test vector; for another dtype, for int8 without data, data
        without int8, or a model without products that int8 would be for. Then nothing is written.
    InputTypeError
        For a model of another kind.
    ShapeError, InputTypeError, DataError
        For data that the model does not predict from, or that has no rows.

    Examples
    --------
    >>> import fullyconnected as fc, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "xor.c")
    >>> fc.exchange.to_c(fc.mlp([2, 8, 1], seed=0), path)
    >>> print([line for line in path.read_text("utf-8").splitlines() if line.startswith("#define")])
    ['#define FC_N_IN 2', '#define FC_N_OUT 1']
    """
    if dtype not in ("float32", "int8"):
        raise ConfigError(f"dtype is 'float32' or 'int8'; got {dtype!r:.80}")
    if (data is not None) != (dtype == "int8"):
        raise ConfigError(
            "int8 needs data, such as the rows of the training, by which the ranges of its integers are set"
            if data is None
            else "data sets the ranges of int8, and float32 has no use for it: add dtype='int8'"
        )
    if data is None:
        _write(model, path, FORMATS[".c"])
        return None
    found: list[Quantisation] = []

    def source(leaves: Leaving, name: str) -> str:
        program, vector, report = in_int8(leaves, data)
        found.append(report)
        return c_source(program, vector, [*leaves.about(reads_float32=True), *str(report).splitlines(), ""], name)

    _write(model, path, FORMATS[".c"]._replace(source=source))
    return found[0]


def to_onnx(model: ModelLike, path: PathLike, *, opset: int = 17) -> None:
    """Write a model as ONNX, for ONNX Runtime and all that reads ONNX; it needs the extra ``onnx``.

    The input is ``x``, (rows, columns) in float32, or in double where a column is so far from 0 that float32 cannot
    tell its numbers apart, for any number of rows; the output ``y`` has the results. Of an
    estimator for tables, each column of the table that is used is an input of its own name, (rows, 1): text with ""
    for a missing cell, int64 seconds since 1970 for a date with the least int64 for a missing one, and float32 with
    NaN for all else, or double where float32 cannot tell the numbers of the training apart. A classifier also has the
    output ``label``. Where a column has one of these two names, the output has ``_1`` behind it. The metadata have what
    it is, the columns, the classes and the test vector as JSON.

    The file is checked by ONNX's own checker; where ONNX Runtime is installed, it has to reproduce the test vector.

    Parameters
    ----------
    model, path
        As in :func:`to_c`.
    opset : int
        The version of ONNX's operators, from 13 to 23. The file has the first version of the format with that opset,
        8 for 17, so that older programs read it, too.

    Raises
    ------
    ConfigError, InputTypeError
        As :func:`to_c`; and for another opset.
    MissingPackageError
        If the package onnx is not installed.
    """
    _write(model, path, FORMATS[".onnx"]._replace(source=lambda model, name: _onnx(model, name, opset)))


def to_js(model: ModelLike, path: PathLike) -> None:
    """Write a model as one ES module without dependencies, for browsers and Node.

    ``predict(row)`` returns an array of the results for a row of numbers; ``selfTest()`` throws an error if the
    results for the test vector inside are wrong. ``nIn``, ``nOut`` and, of a classifier, ``classes`` are exported, too.

    Parameters
    ----------
    model, path
        As in :func:`to_c`. Node takes a file for a module if its name ends with ``.mjs``.

    Raises
    ------
    ConfigError, InputTypeError
        As :func:`to_c`.
    """
    _write(model, path, FORMATS[".mjs"])


def to_python(model: ModelLike, path: PathLike) -> None:
    """Write a model as a Python script that needs NumPy alone; ``predict(x)`` computes what the formulas say.

    It asserts its test vector when it is run or imported, and is run once before it is written.

    Parameters
    ----------
    model, path
        As in :func:`to_c`.

    Raises
    ------
    ConfigError, InputTypeError
        As :func:`to_c`.

    Examples
    --------
    >>> import fullyconnected as fc, os, runpy, tempfile
    >>> net, path = fc.mlp([2, 8, 1], seed=0), os.path.join(tempfile.mkdtemp(), "xor.py")
    >>> fc.exchange.to_python(net, path)
    >>> x = [[0.0, 1.0], [1.0, 1.0]]
    >>> bool(abs(runpy.run_path(path)["predict"](x) - net.predict(x)).max() < 1e-6)
    True
    """
    _write(model, path, FORMATS[".py"])


def _name_of(path: PathLike) -> str:
    if not isinstance(path, str | os.PathLike):
        raise InputTypeError(
            f"the file to write is given by its path, a str or a pathlib.Path; got a {type(path).__name__}"
        )
    return os.fsdecode(path)


def _write(model: ModelLike, path: PathLike, by: Format) -> None:
    target = _name_of(path)
    leaves = leaving(model)
    if isinstance(model, str | os.PathLike) and os.path.exists(target) and os.path.samefile(model, target):
        raise ConfigError(f"{printable(target)} would replace the model itself; choose another name")
    content = by.source(leaves, os.path.basename(target))
    write_atomically(target, content.encode() if isinstance(content, str) else content)
