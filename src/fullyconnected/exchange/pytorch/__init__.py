"""From and to PyTorch: modules, and weights by name. No file is ever unpickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, InputTypeError, missing
from fullyconnected.exchange.arriving import network_of, reading, require_same
from fullyconnected.exchange.pytorch.weights import as_array, parts_of_weights, weights_in
from fullyconnected.exchange.vector import require_reproduced
from fullyconnected.network import Network

if TYPE_CHECKING:
    from torch.nn import Module

    from fullyconnected.annotations import ActivationLike, ArrayLike, PathLike

__all__ = ["from_torch", "to_torch"]

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
UNPICKLED = "safetensors.torch.save_file(module.state_dict(), 'NAME.safetensors')"


def from_torch(
    source: Module | Mapping[str, ArrayLike] | PathLike, *, activation: ActivationLike | None = None
) -> Network:
    """Return the network of a module of PyTorch, of its state_dict, or of a file of safetensors.

    A module may be an ``nn.Sequential`` of layers and further ones, or have a ``forward`` of its own, which is
    traced: layers, activations, and sums ``x + F(x)``, which become :class:`fullyconnected.Residual`. It is taken as it
    predicts, in evaluation mode, and has to give the same results for a few rows. Known are Linear, BatchNorm1d,
    LayerNorm, RMSNorm, Embedding (of codes, with a Flatten behind it), Dropout, Flatten, PReLU and the activations of
    this library. float16 and bfloat16 become float32.

    A state_dict or a file has names and weights alone. So ``activation`` says what stands between its layers: where a
    number is left out if they are numbered, as in an ``nn.Sequential``, else behind each matrix and its norm, but not
    behind the last matrix. The epsilon of norms is then PyTorch's own, 1e-5.

    Parameters
    ----------
    source : torch.nn.Module, mapping of str to tensor or array, or path
        A path is that of a file of safetensors; files of pickles, which can run code, are refused.
    activation : str, ActivationFunction or pair of functions, optional
        Between the layers of a state_dict or a file; ``"identity"`` for none.

    Returns
    -------
    Network
        In float64 if the weights are, else in float32. The last activation of the module is one of the network, too:
        a loss with a link, such as softmax cross-entropy, wants the outputs before it.

    Raises
    ------
    ConfigError
        For a layer that a network cannot have, weights that do not fit, or other results.
    FileFormatError
        For a file that is no safetensors, or whose weights do not form a network.
    MissingPackageError
        For a module, if the package torch is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> weights = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3))}
    >>> net = from_torch(weights, activation="relu")
    >>> [(layer.n_in, layer.n_out, layer.bias) for layer in net.layers]
    [(2, 3, True), (3, 1, False)]
    >>> net.predict([[1.0, 2.0], [-1.0, 0.0]]).tolist()
    [[9.0], [0.0]]

    Source: the classes of torch.nn; Paszke et al., "PyTorch: an imperative style, high-performance deep learning
    library", NeurIPS 2019.
    """
    if isinstance(source, str | os.PathLike):
        name = printable(os.fsdecode(source))
        if os.path.splitext(name)[1].lower() in PICKLED:
            raise ConfigError(
                f"{name} is a pickle, which can run any code when it is read: write the weights with {UNPICKLED}, and "
                f"give that file"
            )
        with reading(source, "a file of safetensors"):
            return network_of(parts_of_weights(weights_in(source), _given(activation), in_order=False), "the file")
    if isinstance(source, Mapping):
        weights = {str(key): as_array(value, printable(str(key)), wanted=True) for key, value in source.items()}
        return network_of(parts_of_weights(weights, _given(activation), in_order=True), "the state_dict")
    if not hasattr(source, "state_dict"):
        raise InputTypeError(
            f"from_torch takes a module, its state_dict, or the path of a file of safetensors; got a "
            f"{type(source).__name__}"
        )
    if activation is not None:
        raise ConfigError("activation is for a state_dict or a file; a module has its own activations")
    _require_torch("a module of PyTorch")
    from fullyconnected.exchange.pytorch.reader import loss_of, parts_of, predicting, results_of

    with predicting(source):
        parts = parts_of(source)
        net = network_of(parts, type(source).__name__)
        net.loss = loss_of(source)
        require_same(net, results_of(source), "the module")
    return net


def to_torch(net: Network) -> Module:
    """Return a network as a module of PyTorch with copies of its weights, in evaluation mode; it can be trained there.

    Layers that PyTorch has are its own: Linear, with (out, in) weights, BatchNorm1d with the epsilon, the momentum and
    the running statistics, LayerNorm, RMSNorm, Dropout, and activations. Others are modules that compute their
    formulas, with parameters of the same names; an ensemble ends with one that pools its members. They belong to this
    library, so that a pickle of the module needs it; its ``state_dict`` does not. The module has to reproduce a test
    vector before it is returned. :func:`from_torch` takes it back, with the same bits.

    Parameters
    ----------
    net : Network
        It takes rows (rows, n_in) of its dtype; where the first layer reads raw columns, such as Standardize, in any.

    Raises
    ------
    InputTypeError
        For anything but a network.
    ConfigError
        For a layer or an activation of your own without a formula, or a network that is not ready to predict.
    MissingPackageError
        If the package torch is not installed.
    """
    if not isinstance(net, Network):
        raise InputTypeError(f"to_torch takes a Network; got a {type(net).__name__}: an estimator has one as network_")
    net.require_set()
    _require_torch("a module of PyTorch")
    import torch

    from fullyconnected.exchange.pytorch.writer import module_of

    module = module_of(net)
    with torch.no_grad():
        require_reproduced(net, lambda x: module(torch.from_numpy(x.astype(net.dtype))).numpy(), "the module")
    return module


def _given(activation: ActivationLike | None) -> ActivationLike:
    if activation is None:
        raise ConfigError(
            'weights alone do not say which activation stands between the layers: activation="relu", or "identity"'
        )
    return activation


def _require_torch(what: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise missing("torch", "torch", what) from error
