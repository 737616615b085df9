"""A layer of Keras as it stands in a model: its class, settings and weights, checked where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fullyconnected.core.arrays import Array, Shape
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.arriving import Part

__all__ = ["Given", "Made", "is_sum", "refuse_foreign"]

OWN = "keras", "tensorflow.keras", "tf_keras", "tensorflow.python.keras"  # whose classes are Keras's own


class Given(NamedTuple):
    """A layer as it stands in a model."""

    kind: str
    config: Mapping[str, Any]
    weights: Sequence[Array]
    shape: Shape
    where: str
    first: bool  # whether nothing is computed before it

    def number(self, name: str, default: float) -> float:
        """Return a setting that is a number."""
        value = self.config.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{name} of {self.where} is {value!a:.80}; a number belongs there")
        return float(value)

    def flag(self, name: str) -> bool:
        """Return a setting that is true or false, and true if it is not there."""
        value = self.config.get(name, True)
        if not isinstance(value, bool):
            raise ConfigError(f"{name} of {self.where} is {value!a:.80}; true or false belongs there")
        return value

    def plain(self, **usual: Any) -> None:
        """Raise if a setting that has no counterpart here is another than the usual one."""
        for name, value in usual.items():
            if (given := self.config.get(name, value)) != value and not (not given and not value):
                raise ConfigError(
                    f"{self.where} has {name}={given!a:.80}, which has no counterpart here; {value!r} has"
                )

    def arrays(self, *names: str) -> list[Array]:
        """Return the weights, which are those of these names."""
        if len(self.weights) != len(names):
            raise ConfigError(
                f"{self.where} has {len(self.weights)} arrays of weights; {len(names)} belong there: {', '.join(names)}"
            )
        return list(self.weights)

    def units(self) -> int:
        """Return the length of a row, which has one axis."""
        if len(self.shape) != 1:
            raise ConfigError(f"{self.where} is given rows of the shape {self.shape}; put a Flatten before it")
        return self.shape[0]

    def last_axis(self) -> None:
        """Raise if the axis of a norm or a softmax is not the last one."""
        axis = self.config.get("axis", -1)
        axes = axis if isinstance(axis, list) else [axis]
        if self.units() and axes not in ([-1], [1]):
            raise ConfigError(f"{self.where} works along the axis {axis!a:.80}; here it is the last one, -1")


Made = tuple[list[Part], Shape]


def refuse_foreign(layer: Mapping[str, Any], where: str) -> None:
    """Raise for a class that is not one of Keras's own, whose code is in no file."""
    module, registered = layer.get("module"), layer.get("registered_name")
    kind = layer.get("class_name")
    own = module is None or any(f"{module}.".startswith(f"{each}.") for each in OWN)
    if not own or registered not in (None, kind) or ">" in str(kind):
        name = registered or kind
        raise ConfigError(
            f"{where} is of the class {name!a:.80}{f' of {module!a:.80}' * (not own)}, which is not Keras's own: its "
            f"computation is code, which is not executed. Only Keras's own layers can be read"
        )


def is_sum(layer: Mapping[str, Any]) -> bool:
    """Whether a layer, or an operation of TensorFlow in a model of Keras 2, adds what it reads."""
    by_name = layer["class_name"] == "TFOpLambda" and layer["config"].get("function") in (
        "__operators__.add",
        "math.add",
    )
    return by_name or layer["class_name"] == "Add"
