"""The base of layers, activations, losses and optimizers: frozen dataclasses, equal if their settings are equal."""

from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Self, TypeVar, dataclass_transform

from fullyconnected.core import deprecation
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import InputTypeError, nearest

__all__ = ["LATER", "Settings", "names_of", "settings", "untold"]

LATER = {"later": True}  # the metadata of a field that a class got after it was released

C = TypeVar("C", bound=type[Any])


class Settings:
    """An object that equals another of its class with the same settings, and is printed as the call that makes it."""

    def __init_subclass__(cls) -> None:
        deprecation.accept_old_names(cls)

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Raise for a setting that the class does not have, such as another library's name for one."""
        if (given or named) and cls.__init__ is object.__init__:
            listed = ", ".join([*map(ascii, given), *(f"{name}={value!a}" for name, value in named.items())])
            raise InputTypeError(f"{cls.__name__} has no settings; got {listed:.200}")
        if named and is_dataclass(cls):
            deprecation.accept_old_settings(cls)  # that of a user's dataclass is known only now
            known = names_of(cls)
            unknown = (each for each in named if each not in known)
            wrong = min((each for each in unknown if deprecation.present_name(cls, each) in named), default=None)
            if wrong is not None and cls.__module__.startswith("fullyconnected."):
                raise InputTypeError(f"{cls.__name__}: {nearest('setting', wrong, known)}")
        return super().__new__(cls)

    def __setstate__(self, saved: Any) -> None:
        """Set what a pickle holds, by present names: an earlier version may have written it."""
        for part in saved if isinstance(saved, tuple) else (saved,):  # of __slots__, there is a second part
            for name, value in (part or {}).items():
                object.__setattr__(self, deprecation.present_name(type(self), name), value)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        kind: Any = type(self)
        later = _later(kind)  # which a pickle of before lacks
        return {**later, **vars(self)} == {**later, **vars(other)}

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        told = (f"{name}={value!r}" for name, value in vars(self).items() if not untold(type(self), name, value))
        return in_ascii(f"{type(self).__name__}({', '.join(told)})")


@cache
def names_of(cls: Any) -> tuple[str, ...]:
    """Return the names of a class's settings."""
    return tuple(each.name for each in fields(cls))


@cache
def _later(cls: Any) -> dict[str, Any]:
    return {each.name: each.default for each in fields(cls) if each.metadata.get("later")} if is_dataclass(cls) else {}


def untold(cls: type, name: str, value: Any) -> bool:
    """Whether texts leave out a setting: its field is marked LATER, and it has its default.

    So the texts, which checkpoints compare, are those of before the class had the setting.
    """
    later = _later(cls)
    return name in later and bool(value == later[name])


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def settings(cls: C) -> C:
    """Make a frozen dataclass that keeps the methods of :class:`Settings`.

    Generating other methods for each class would make the import slower.
    """
    made: Any = dataclass(frozen=True, eq=False, repr=False)(cls)
    return deprecation.accept_old_settings(made)
