"""Registries: the classes of one kind by name, the library's own and a user's."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from fullyconnected.core import deprecation
from fullyconnected.core.contracts import check_class, is_foreign
from fullyconnected.errors import ConfigError, InputTypeError, nearest

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of one kind by name, for strings in arguments and for names in files.

    Parameters
    ----------
    kind : str
        The word for one of them in messages and in files: ``"loss"``.
    base : type or tuple of type
        Their base class; or several, where each has one of these.
    classes : iterable of type
        The library's own classes.
    check : callable, optional
        Called with an object of a user's own class; raises if the object cannot be used.
    hint : callable, optional
        Called with something that is neither an object of this kind nor a name; returns what to write instead, or "".
    reserved : sequence of str, optional
        Names that mean something else where such a name is given: none can be called so.
    """

    def __init__(
        self,
        kind: str,
        base: type[T] | tuple[type[T], ...],
        classes: Iterable[type[T]] = (),
        *,
        check: Callable[[Any], None] | None = None,
        hint: Callable[[Any], str] | None = None,
        reserved: Sequence[str] = (),
    ) -> None:
        self.kind, self.check, self.hint, self.reserved = kind, check, hint, reserved
        self.bases = base if isinstance(base, tuple) else (base,)
        self.classes: dict[str, type[T]] = {}
        for each in classes:
            self.add(each)
        self._own = dict(self.classes)

    def owns(self, thing: T) -> bool:
        """Whether an object's class is exactly the one that the library registers under its name.

        A user's class is not, even if it is a subclass with that name, or is registered in place of the library's.
        """
        return self._own.get(thing.name) is type(thing)  # type: ignore[attr-defined]

    def add(self, cls: type[T]) -> type[T]:
        """Register ``cls`` under its name, and return it; a class that is defined again replaces the old one."""
        if is_foreign(cls) or cls in self.bases:
            check_class(cls, self.kind)
        name = cls.name  # type: ignore[attr-defined]
        if not name:
            raise ConfigError(f"{cls.__name__} needs a class attribute name, a string; it is empty")
        self.check_name(name)
        known = self.classes.get(name)
        if known is not None and not _is_redefinition(known, cls):
            raise ConfigError(
                f"the {self.kind} name {name!r} is taken by {known.__module__}.{known.__qualname__}; choose another"
            )
        self.classes[name] = cls
        return cls

    def check_name(self, name: str) -> None:
        """Raise for a name that means something else."""
        if name in self.reserved:
            raise ConfigError(f"no {self.kind} can be called {name!r}, which has a meaning of its own; choose another")

    def build(self, name: object, **settings: Any) -> T:
        """Return the class registered under ``name``, called with ``settings``."""
        new = deprecation.REGISTERED.get(self.kind, {}).get(name) if isinstance(name, str) else None
        if new is not None and name not in self.classes:
            deprecation.warn(repr(name), repr(new))
            name = new
        if not isinstance(name, str) or name not in self.classes:
            raise nearest(self.kind, name, self.classes)
        try:
            return self.classes[name](**settings)
        except TypeError as error:
            raise ConfigError(f"{self.kind} {name!r} does not take {settings}: {error}") from None

    def get(self, given: Any) -> T:
        """Return ``given`` if it is an object of this kind, or an object of the class that it names."""
        if isinstance(given, self.bases):
            if is_foreign(given):
                deprecation.accept_old_values(given)
                check_class(type(given), self.kind)
                if self.check is not None:
                    self.check(given)
            return given
        if isinstance(given, str):
            return self.build(given)
        if isinstance(given, type) and issubclass(given, self.bases):
            raise InputTypeError(f"{given.__name__} is a class; call it: {given.__name__}()")
        if (name := getattr(given, "__name__", "").lower()) in self.classes:
            hint = f"give its name instead: {name!r}"
        else:
            hint = "" if self.hint is None else self.hint(given)
        article = "an" if self.kind[0] in "aeiou" else "a"
        raise InputTypeError(
            f"expected {article} {self.kind} or the name of one ({', '.join(self.classes)}); got {given!r:.200}"
            + (f"; {hint}" if hint else "")
        )


def _is_redefinition(known: type, cls: type) -> bool:
    """Whether ``cls`` defines ``known`` again: under the same name in the same module.

    This happens when a notebook runs a cell again, when a module is reloaded, and when a module imports the script
    that is running: the script's classes are in ``__main__``, and those of the import in a module of the same file.
    """
    if known.__qualname__ != cls.__qualname__:
        return False
    one, other = (getattr(sys.modules.get(each.__module__), "__file__", None) for each in (known, cls))
    return known.__module__ == cls.__module__ or (one is not None and one == other)
