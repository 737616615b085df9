"""From and to Keras: models, and files of them, which are read without Keras."""

from __future__ import annotations

import os
import random
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fullyconnected.errors import InputTypeError, MissingPackageError, missing
from fullyconnected.exchange import arriving
from fullyconnected.exchange.keras.file import read
from fullyconnected.exchange.keras.reader import Reader, array_of, described
from fullyconnected.exchange.vector import require_reproduced
from fullyconnected.network import Network

if TYPE_CHECKING:
    from keras import Model

    from fullyconnected.annotations import PathLike

__all__ = ["from_keras", "to_keras"]


def from_keras(model: PathLike | object) -> Network:
    """Return the network that a model of Keras is: a Sequential or functional one of the layers of an MLP.

    Parameters
    ----------
    model : keras.Model, str or path
        The model, of Keras 3 or 2; or a file of it: ``.keras``, or ``.h5`` with the whole model, as ``model.save``
        writes them. A file is read without Keras, and nothing in it is executed.

    Returns
    -------
    Network
        It is in float64 if a weight is, else in float32. BatchNormalization keeps its epsilon, and its momentum m is
        1 - m here. Rows of several axes, such as pictures before a Flatten, are one row of numbers in their order.

    Raises
    ------
    ConfigError
        For a layer, activation or setting that has no counterpart here, such as a Lambda or a class of your own; or if
        the network does not give what the model gives, with where they first differ.
    FileFormatError
        The same in a file; or for a file that is damaged, or has weights alone.
    InputTypeError
        For what is neither a model of Keras nor a path.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.exchange.from_keras("model.keras")  # doctest: +SKIP
    >>> net.predict(x)  # doctest: +SKIP

    Source: the format, and the formula of each layer: Keras 3, https://keras.io/api.
    """
    if isinstance(model, str | os.PathLike):
        with arriving.reading(model, "a model of Keras"):
            return Reader(read(model)).network("the model")
    live: Any = model
    if not all(hasattr(live, name) for name in ("get_config", "layers", "get_weights")):
        raise InputTypeError(
            f"from_keras takes a model of Keras, or the path of its file, a str or a pathlib.Path; got a "
            f"{type(model).__name__}"
        )
    found = Reader(described(live))
    net = found.network("the model")
    arriving.require_same(net, lambda x: array_of(live(found.given(x), training=False)), "the model", found.rows(net))
    return net


def to_keras(net: Network) -> Model:
    """Return a network as a functional model of Keras 3, with copies of its weights.

    It is made of Keras's own layers alone: Dense, its activations, BatchNormalization with the epsilon, the momentum
    and the running statistics, LayerNormalization, Dropout, Normalization, Rescaling, PReLU, and Add of residual
    blocks. What Keras has no layer for is computed by ``keras.ops``, with constants that are not trained there. So
    ``model.save("model.keras")`` writes a file that loads anywhere without this library. The model has to reproduce a
    test vector before it is returned.

    Parameters
    ----------
    net : Network
        The model takes rows (rows, n_in) of its dtype, or float64 where the first layer reads raw columns, such as
        Standardize. The predictions of an ensemble are those of all members together.

    Returns
    -------
    keras.Model
        With the backend that Keras has. On JAX without ``jax_enable_x64``, float64 is float32.

    Raises
    ------
    InputTypeError
        For anything but a network.
    ConfigError
        For a layer or an activation of your own without a formula, a network that is not ready to predict, or results
        that differ from the network's.
    MissingPackageError
        If Keras is not installed, the extra ``keras``; or if its backend is not, which the environment variable
        ``KERAS_BACKEND`` names.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.mlp([4, 8, 1], activation="gelu", seed=0)
    >>> model = fc.exchange.to_keras(net)  # doctest: +SKIP
    >>> model.save("model.keras")  # doctest: +SKIP

    Source: the layers of Keras 3, https://keras.io/api/layers.
    """
    if not isinstance(net, Network):
        raise InputTypeError(f"to_keras takes a Network; got a {type(net).__name__}: an estimator has one as network_")
    net.require_set()
    try:
        import keras
    except ImportError as error:
        backend = str(error.name).partition(".")[0]
        if backend == "keras" or find_spec("keras") is None:
            raise missing("keras", "keras", "a model of Keras") from error
        raise MissingPackageError(
            f"Keras is installed, but not its backend {backend}: set the environment variable KERAS_BACKEND to torch, "
            f"jax or tensorflow before Keras is imported, and install the one that it names"
        ) from error
    from fullyconnected.exchange.keras.writer import model_of

    drawn = random.getstate()  # from which Keras takes seeds
    try:
        model = model_of(net)
    finally:
        random.setstate(drawn)
    require_reproduced(net, lambda x: keras.ops.convert_to_numpy(model(x, training=False)), "the model")
    return model
