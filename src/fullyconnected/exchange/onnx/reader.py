"""A file of ONNX as a network, which gives the results that the file gives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fullyconnected.errors import InputTypeError, missing
from fullyconnected.exchange.arriving import network_of, reading, require_same
from fullyconnected.network import Network

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["from_onnx"]


def from_onnx(path: PathLike) -> Network:
    """Return the network that a file of ONNX holds, if it is a fully connected one; it needs the extra ``onnx``.

    Read are ``Gemm``, ``MatMul`` and ``Add``, the activations of this library, LayerNorm and BatchNorm, ``Dropout``,
    sums of a result and an earlier one (:class:`Residual`), factors and shifts of columns, and ``Scaler``, as
    torch.onnx, tf2onnx, Keras and skl2onnx write them, also where they write a layer as several nodes. Factors and
    shifts become part of the Dense layer or the norm beside them. Labels and dicts of probabilities are left out: the
    network ends with the probabilities, (rows, 1) for two classes. Weights in float64 make a network in float64, all
    others one in float32.

    The network has to give the results that ONNX's reference computes for the graph, and those of a test vector that
    :func:`to_onnx` has written. Nothing in the file is run, and no other file is read, whatever it names.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Network
        The rows that it takes are those of the one input, flattened if they have more axes.

    Raises
    ------
    InputTypeError
        For what is no path, such as the bytes of a file or a model that onnx has loaded.
    FileFormatError
        For what is no file of ONNX or is damaged; for tensors in another file; for a graph with several inputs or
        results; for the first node that is not known, by its name, its operator and what feeds it; and if the network
        does not give the results of the file, with the first that differs.
    OSError
        If the file cannot be read.
    MissingPackageError
        If the package onnx is not installed.

    Examples
    --------
    >>> import fullyconnected as fc, pathlib, tempfile
    >>> net, path = fc.mlp([2, 8, 1], seed=0), pathlib.Path(tempfile.mkdtemp(), "xor.onnx")
    >>> fc.exchange.to_onnx(net, path)
    >>> bool((fc.exchange.from_onnx(path).theta == net.theta).all())
    True
    """
    if not isinstance(path, str | os.PathLike):
        raise InputTypeError(
            f"from_onnx takes the path of a file, a str or a pathlib.Path; got a {type(path).__name__}: write a model "
            f"of onnx by onnx.save(model, path), and bytes to a file"
        )
    try:
        import onnx  # noqa: F401

        from fullyconnected.exchange.onnx.file import read_model
        from fullyconnected.exchange.onnx.graph import OnnxGraph
        from fullyconnected.exchange.onnx.layers import KNOWN, Layers
        from fullyconnected.exchange.onnx.proof import require_test_vector, results_of
    except ImportError as error:
        raise missing("onnx", "onnx", "a file of ONNX") from error
    with reading(path, "a file of ONNX"):
        model = read_model(path)
        graph = OnnxGraph(model, KNOWN)
        net = network_of(Layers(graph).parts(), "the graph")
        require_same(net, lambda x: results_of(graph, x), "the graph, as ONNX's reference computes it,")
        require_test_vector(net, model, graph)
        return net
