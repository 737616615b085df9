"""Factors on the learning rate and the weight decay of single parameters, by their names and roles."""

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from fullyconnected.base import PLACES, Param
from fullyconnected.core.checks import number
from fullyconnected.core.settings import Settings, settings
from fullyconnected.errors import InputTypeError

__all__ = ["Factors", "names_of_parameter"]


@settings
class Factors(Settings):
    """Factors on the learning rate and on the weight decay of single parameters; a factor of 0 freezes them.

    Each factor has a key, which says what it is for: a parameter by its full name, ``"dense_1.W"``; a layer, or a block
    with all its layers, ``"dense_1"`` or ``"residual_1"``; or a role:

    =============== ================================================================================
    ``"weight"``    matrices of weights
    ``"bias"``      biases
    ``"gain"``      the gamma of LayerNorm, RMSNorm and BatchNorm
    ``"scale"``     the factors of Scale
    ``"embedding"`` the vectors of Embedding
    ``"first"``     the parameters of the first layer with a matrix of weights
    ``"last"``      those of the last layer with such a matrix
    ``"hidden"``    those of the layers with such a matrix between them
    ``"rest"``      the parameters that no other key is for
    =============== ================================================================================

    A parameter has the factor of its longest name among the keys: ``"dense_1.W"`` before ``"dense_1"``, and names
    before roles. If there are several of its roles, their factors are multiplied.

    Parameters
    ----------
    lr : mapping of str to float
        Factors on the learning rate, 0 or more. With 0 a parameter keeps its bits: neither the optimizer, l2 nor weight
        decay changes it, the optimizer remembers nothing of it, and ``max_grad_norm`` leaves its gradient out. Layers
        before the first that learns have no backward pass. Dropout and running statistics go on as before.
    weight_decay : mapping of str to float
        Factors on l2, alpha and the weight decay of the optimizer, 0 or more. A role such as ``"bias"``, or a full
        name, makes parameters decay that otherwise do not.

    Raises
    ------
    ConfigError, InputTypeError
        For factors that are negative or no numbers.
    UnknownNameError
        By ``fit``, for a key that names nothing in the network.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.mlp([2, 3, 1], seed=0)
    >>> before = net.copy()
    >>> history = fc.fit(net, [[1.0, 2.0]], [3.0], "half_squared_error", epochs=1, progress=False,
    ...                  factors=Factors(lr={"dense_1": 0, "bias": 0.1}))
    >>> [bool((new == old).all()) for new, old in zip(net.get_weights(), before.get_weights())]
    [True, True, False, False]

    Source: as the groups of parameters of PyTorch's optimizers; for factors by role, Holzmueller, Grinsztajn and
    Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024.
    """

    lr: Mapping[str, float] = field(default_factory=dict)
    weight_decay: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("lr", "weight_decay"):
            given: Any = getattr(self, name)
            if not isinstance(given, Mapping):
                raise InputTypeError(
                    f'{name} of Factors has a factor for each key, such as {{"bias": 0.1, "dense_1": 0}}; '
                    f"got {given!a:.80}"
                )
            for key in given:
                if not isinstance(key, str):
                    raise InputTypeError(f"{name} of Factors has names and roles as keys, texts; got {key!a:.80}")
            vars(self)[name] = {key: number(f"the factor on {name} of {key!a:.80}", f) for key, f in given.items()}

    def of(self, name: str, param: Param) -> tuple[float, float]:
        """Return the factors on the learning rate and on the weight decay of a parameter, by its full name."""
        decay = _found(self.weight_decay, name, param.roles)
        own = name in self.weight_decay or any(role in self.weight_decay for role in param.roles if role not in PLACES)
        if not (param.decays or own):
            decay = 0.0
        return _found(self.lr, name, param.roles), decay


def names_of_parameter(name: str) -> list[str]:
    """Return the names by which a parameter can be addressed, the longest first: its own, its layer's, its blocks'."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _found(factors: Mapping[str, float], name: str, roles: tuple[str, ...]) -> float:
    for each in names_of_parameter(name):
        if each in factors:
            return factors[each]
    if any(role in factors for role in roles):
        return math.prod(factors[role] for role in roles if role in factors)
    return factors.get("rest", 1.0)
