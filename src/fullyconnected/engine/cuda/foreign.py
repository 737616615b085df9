"""A user's own code on a card: what it may not do there is said by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fullyconnected.core.contracts import is_foreign
from fullyconnected.errors import ConfigError
from fullyconnected.program.program import Program

__all__ = ["as_explained"]


@contextmanager
def as_explained(program: Program, *others: Any) -> Iterator[None]:
    """Return a context in which an error of a user's own code says what it may use on a card."""
    try:
        yield
    except ConfigError:
        raise
    except (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "captur" not in str(error).lower():
            raise  # it is the card's
        layers = [op.layer for op in program.operations]
        things = [*layers, *filter(None, (getattr(layer, "activation", None) for layer in layers)), *others]
        names = ", ".join(dict.fromkeys(type(thing).__name__ for thing in things if is_foreign(thing)))
        if not names:
            raise
        raise ConfigError(
            f"on a GPU, {names} is given arrays of CuPy, and uses something that is not for them: {error}. Use "
            f"functions of c.xp in place of NumPy's, write with out=, and turn no array into a number; or use "
            f"engine='numpy'"
        ) from error
