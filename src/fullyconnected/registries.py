"""The registries, and ``register``, which adds a class of your own to them."""

from typing import TYPE_CHECKING, Any, TypeVar

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.core.registry import Registry
from fullyconnected.engine.choice import ENGINES
from fullyconnected.errors import InputTypeError
from fullyconnected.files import FORMATS
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.metrics import METRICS
from fullyconnected.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from fullyconnected.base import ActivationFunction, Layer, Loss, Metric, Optimizer, Solver
    from fullyconnected.engine.base import Engine
    from fullyconnected.files.format import Format

__all__ = ["REGISTRIES", "register"]

REGISTRIES: tuple[Registry[Any], ...] = (LAYERS, ACTIVATIONS, LOSSES, METRICS, OPTIMIZERS, ENGINES, FORMATS)

C = TypeVar(
    "C",
    bound="type[Layer] | type[ActivationFunction] | type[Loss] | type[Metric] | type[Optimizer] | type[Solver] "
    "| type[Engine] | type[Format]",
)


def register(cls: C) -> C:
    """Register a class of your own under its ``name``; can be used as a decorator.

    From then on its name can be used as a string, files can hold networks that use it, and
    :func:`fullyconnected.check_gradients` and the command ``fullyconnected check`` cover it.

    Parameters
    ----------
    cls : type
        A Layer, ActivationFunction, Loss, Metric, Optimizer, Solver, Engine or Format with a class attribute ``name``,
        a string that no other class of its kind has.

    Returns
    -------
    type
        ``cls`` itself.

    Raises
    ------
    InputTypeError
        If ``cls`` is no such class.
    ConfigError
        Where the name is missing or taken.

    Examples
    --------
    >>> from fullyconnected import ActivationFunction, Dense
    >>> @register
    ... class Square(ActivationFunction):
    ...     name = "square"
    ...     needs_input = True
    ...     def forward(self, z, c, y):
    ...         c.xp.multiply(z, z, out=y)
    ...     def backward(self, z, c, y, dy):
    ...         dy *= z
    ...         dy *= 2
    >>> Dense(2, 3, "square").activation.name
    'square'
    """
    for registry in REGISTRIES:
        if isinstance(cls, type) and issubclass(cls, registry.bases):
            registry.add(cls)
            return cls
    *kinds, last = (base.__name__ for registry in REGISTRIES for base in registry.bases)
    raise InputTypeError(f"register takes a class of {', '.join(kinds)} or {last}; got {cls!r}")
