"""Things made of settings: layers, activations, losses, rules. Frozen once made, and equal where the settings are."""

from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, dataclass_transform

from fullyconnected.errors import KindError, nearest
from fullyconnected.wording import in_ascii

__all__ = ["Settings", "settings"]

C = TypeVar("C", bound=type[Any])


class Settings:
    """Equal to another of its class with the same settings, and printed as it is written."""

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Raise for a setting that one of the library's own classes does not have, as another library names it."""
        known = getattr(cls, "__dataclass_fields__", {})
        if not named.keys() <= known.keys() and cls.__module__.startswith("fullyconnected."):
            wrong = min(named.keys() - known.keys())
            raise KindError(f"{cls.__name__}: {nearest('setting', wrong, known)}")
        return super().__new__(cls)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return in_ascii(
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def settings(cls: C) -> C:
    """Make a frozen dataclass that keeps the methods of :class:`Settings`.

    Generating them anew would take half as long again for each class, in an import that is to take little.
    """
    made: Any = dataclass(frozen=True, eq=False, repr=False)(cls)
    return made
