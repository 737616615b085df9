"""``fullyconnected explain``: a worked example of one training step."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.cli.console import STANDARD_OUTPUT, check_output, comparison_status, print_result, report, write
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser, with an option for each form of output."""
    from fullyconnected.explanation.catalogue import LANGUAGES
    from fullyconnected.explanation.columns import CONVENTIONS
    from fullyconnected.explanation.forms import FORMS

    add = parser.add_argument
    add("what", metavar="xor | seed | MODEL", help="an example, or a model file saved by 'fullyconnected train'")
    add("--data", metavar="TABLE.csv", help="for a model: the table with the rows to explain, and with their targets")
    add("--target", metavar="COLUMN", help="for a model: the column of the targets (default: as in training)")
    row = "for a model: number of the row to explain, counted from 0 (default: 0); can be repeated"
    add("--row", type=int, action="append", metavar="N", help=row)
    add("--optimizer", metavar="NAME", help="optimizer whose update is shown, such as adam (default: sgd)")
    add("--step", type=float, metavar="SIZE", help="step of the central differences (default: 0.001; 0.01 for seed)")
    add("--h", type=float, help=argparse.SUPPRESS)  # its old name
    add("--focus", metavar="NUMBER", help="one number, such as 'dense_1.W[0,1]', whose paths to the loss are shown")
    add("--lang", choices=LANGUAGES, default="en", help="language of the text: en or zh, Chinese (default: en)")
    convention = "xW: samples are rows, z = x W + b; Wx: they are columns, z = W x + b (default: xW)"
    add("--notation", choices=CONVENTIONS, default="xW", help=convention)
    for name, form in FORMS.items():
        add(f"--{name}", metavar="FILE", help=f"write {form.what} (- for standard output)")
    add("--open", action="store_true", help="show the HTML page in a browser")


def run(options: argparse.Namespace) -> int:
    """Explain a step, and write or show it in the chosen forms."""
    from fullyconnected.explanation import explain
    from fullyconnected.explanation.catalogue import say
    from fullyconnected.explanation.forms import FORMS
    from fullyconnected.explanation.render.document import verdict
    from fullyconnected.explanation.render.plaintext import to_text
    from fullyconnected.explanation.samples import SAMPLES, TASKS

    inputs = [options.what, *([options.data] if options.data else [])]
    wanted = {form: path for form in FORMS if (path := getattr(options, form))}
    for form, path in wanted.items():
        check_output(path, *inputs, option=f"--{form}")
    if len({os.path.realpath(path) for path in wanted.values()}) < len(wanted):
        raise ConfigError(f"{' and '.join(f'--{form}' for form in wanted)} need different files")
    names: dict[str, Any] = {}
    if options.what in SAMPLES:
        if options.data or options.row:
            raise ConfigError(f"{options.what} is an example with its own data; --data and --row are for a model")
        net, x, t, settings = SAMPLES[options.what]()
        about: dict[str, str] = {"task": TASKS[options.what]}
    else:
        net, x, t, settings, about, names = _row_of_table(options)
    if options.h is not None:
        report("--h is an old name, which a later version will not know; write --step", 0)
        options.step = options.h if options.step is None else options.step
    settings |= {key: value for key in ("optimizer", "step", "focus") if (value := getattr(options, key)) is not None}
    explanation = explain(net, x, t, **settings, lang=options.lang, notation=options.notation)
    explanation = explanation.about(about).named(**names)
    trace = explanation.trace

    def text() -> str:  # names keep their letters; those that the encoding of the output lacks become escapes
        return to_text(trace, explanation.focus, options.lang, letters=True)

    for form, path in wanted.items():
        write(path, text() if form == "text" else explanation.to(form))
    if options.open:
        page = wanted.get("html")
        _show(explanation.to_html().encode(), None if page == STANDARD_OUTPUT else page)
    if not (wanted or options.open):
        print_result(text())
    status = comparison_status(wrong=trace.wrong, ok=trace.resolved)
    return report(say(verdict(trace), options.lang), status) if status else 0


class _Given(NamedTuple):
    """What is explained of a model: its network, the rows as it reads them, their targets, and what these are."""

    net: Any
    x: Any
    t: Any
    inputs: str
    target: str
    names: dict[str, Sequence[str]]  # of inputs and outputs


def _row_of_table(options: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any], dict[str, str], dict[str, Any]]:
    """Return a model's network, its inputs and targets for rows of a table, settings for explain, notes and names."""
    from fullyconnected.assessment.evaluation import target_in
    from fullyconnected.cli.tables import placing, read
    from fullyconnected.files import read_model
    from fullyconnected.tabular.stored import TABULAR

    if not os.path.exists(options.what) and os.sep not in options.what and "." not in options.what:
        raise ConfigError(f"there is no example and no file {options.what!r}; the examples are xor and seed")
    model = read_model(options.what)
    given = _of_ensemble if TABULAR in model.extras else _of_table_model
    if options.data is None:
        raise ConfigError(f"{options.what} is a model: name the table and the row to explain, --data TABLE.csv --row 0")
    target = target_in(model, options.target) if given is _of_ensemble else model.extras.get("table", {}).get("target")
    table = argparse.Namespace(table=options.data, name=None, query=None)
    frame = read(table, verbatim=[target] if target else [])
    rows = options.row or [0]
    for row in rows:
        if not 0 <= row < frame.rows:
            raise ConfigError(
                f"--row {row}: {options.data} has {frame.rows:,} rows below its header, 0 to {frame.rows - 1:,}"
            )
    some = frame.at(np.array(rows))
    with placing(some):
        what = given(model, options.what, some, target)
    about = {
        "data": f"{options.data}, row{'s' * (len(rows) > 1)} {', '.join(map(str, rows))}, counted from 0",
        "inputs": what.inputs,
        "target": what.target,
    }
    return what.net, what.x, what.t, {"loss": what.net.loss, "optimizer": "sgd"}, about, what.names


def _of_table_model(file: Any, path: str, frame: Any, target: str) -> _Given:
    """Return what is explained of a model that version 0.1.0 has trained on a table of numbers."""
    from fullyconnected.tables.model import table_model

    model = table_model(file, path)
    return _Given(
        model.net,
        model.inputs(frame),
        model.targets(frame),
        f"{_named(model.features)}; each minus its mean, over its deviation",
        f"{target}{UNIT if model.classes is None else _classes(model.classes)}",
        {"inputs": model.features, "outputs": (target,) if model.classes is None else model.classes},
    )


def _of_ensemble(file: Any, path: str, frame: Any, target: str) -> _Given:
    """Return what is explained of an estimator for tables: a network of it without bins, if there is one."""
    from fullyconnected.assessment.evaluation import codes_of
    from fullyconnected.assessment.problem import Roles, problem_of
    from fullyconnected.layers import PiecewiseLinearEncoding
    from fullyconnected.tabular.stored import TABULAR, read_ensemble

    ensemble, vocabulary, labels = read_ensemble(file, file.extras[TABULAR])
    # the edges of bins are at numbers of training rows, where the slopes on both sides differ
    layers = [[each.layer for each in net.program.operations] for net in ensemble.networks]
    bent = [any(isinstance(layer, PiecewiseLinearEncoding) for layer in each) for each in layers]
    i = max(range(len(bent)), key=lambda i: (not bent[i], ensemble.shares[i]))
    net, share, log = ensemble.networks[i], ensemble.shares[i], (*ensemble.logarithms, *[None] * len(bent))[i]
    task = "regression" if labels is None else "classification"
    known = () if labels is None else {str(each) for each in labels.classes.tolist()}
    problem = problem_of(frame, Roles(target), task=task, labels=known, learned=False)
    if problem.lacking:
        raise DataError(f"a row to explain has no {target!r:.80}")
    said = f"; the network counts {share:.0%} in an ensemble of {len(ensemble.networks)}"
    x = np.where(np.isnan(x := vocabulary.encode(problem.frame)), ensemble.fill, x)
    if labels is None:
        assert ensemble.unit is not None
        numbers = np.asarray(problem.y, np.float64)[:, None]
        t = ensemble.unit.standard(numbers) if log is None else log.standard(numbers, ensemble.unit)
        of = UNIT if log is None else f", its logarithm{UNIT}"
    else:
        t, of = codes_of(problem.y, labels.classes), _classes([str(each) for each in labels.classes.tolist()])
        if (t < 0).any():
            listed = ", ".join(str(each) for each in labels.classes.tolist()[:12])
            raise DataError(f"{problem.y[t < 0][0]!r:.80} is no class of the model, which knows {listed}")
    inputs = [each.name for each in vocabulary.features]
    outputs = [target] if labels is None else [str(each) for each in labels.classes.tolist()]
    return _Given(net, x, t, f"{_named(inputs)}{said}", f"{target}{of}", {"inputs": inputs, "outputs": outputs})


UNIT = ", minus its mean, over its deviation"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"x[{i}] is {name}" for i, name in enumerate(names[:50])) + ", ..." * (len(names) > 50)


def _classes(classes: Sequence[str]) -> str:
    return ": " + ", ".join(f"{i} is {label}" for i, label in enumerate(classes[:50]))


def _show(page: bytes, path: str | None) -> None:
    """Open a page in the browser: the file at ``path``, or a new one in the folder for temporary files."""
    import tempfile
    import webbrowser

    if path is None:
        path = os.path.join(tempfile.mkdtemp(prefix="fullyconnected-"), "page.html")
        Path(path).write_bytes(page)
    address = Path(os.path.realpath(path)).as_uri()
    if not webbrowser.open(address):
        Stream(sys.stdout).write(f"no browser could be started; open {address}\n")
