"""Checks of classes that a user has written, with messages that say what is wrong with one.

Tests hold the library's own classes to the same rules, so that nothing is checked for them at run time.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Buffer
from fullyconnected.errors import ConfigError, InputTypeError

__all__ = ["IN_CACHES", "check_call", "check_class", "check_shapes", "guarded", "is_foreign", "read_only"]

TUPLES = {"activation": ("kinks",), "optimizer": ("slots", "scratch")}
FLAGS = {"metric": ("greater_is_better",)}
# what the library adds to the buffers of a layer and its activation
IN_CACHES = ("xp", "uniforms", "across", "skip", "d_skip", "parts", "d_parts")


def is_foreign(thing: Any) -> bool:
    """Whether a class, or the class of an object, is a user's own, such as a subclass of one of the library's."""
    cls = thing if isinstance(thing, type) else type(thing)
    return not cls.__module__.startswith("fullyconnected.")


def check_call(function: Any, what: str, *names: str) -> None:
    """Raise if a user's function does not take these arguments, or is a class instead of an object."""
    if isinstance(function, type):
        raise InputTypeError(f"{what} {function.__name__} is a class; call it: {function.__name__}(...)")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function written in C may have none
        return
    try:
        signature.bind(*names)
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        raise InputTypeError(
            f"{what} {name!a} is called with ({', '.join(names)}), but takes {signature}: {error}"
        ) from None


def read_only(a: Any) -> Any:
    """Return a read-only view of a NumPy array; return anything else unchanged."""
    if not isinstance(a, np.ndarray):
        return a
    view = a.view()
    view.flags.writeable = False
    return view


def check_class(cls: type, kind: str) -> None:
    """Raise if a class lacks its name or a flag, or has a method or a tuple that the library cannot use."""
    if not isinstance(name := getattr(cls, "name", None), str) or (kind == "layer" and "." in name):
        dot = f"; in {name!a:.80} the dot stands between a block and its layers" if isinstance(name, str) else ""
        raise ConfigError(
            f'{cls.__name__} needs a class attribute name, a string, such as name = "{cls.__name__.lower()}"{dot}'
        )
    promised: dict[str, Any] = {}  # the methods of the base class, which the library calls as they are defined there
    for base in cls.__mro__:
        promised |= {} if is_foreign(base) else vars(base)
    for method, promise in promised.items():
        written = inspect.getattr_static(cls, method, None)
        if not (inspect.isfunction(promise) and inspect.isfunction(written)):
            continue
        # code that was run by exec may be in no module
        if str(written.__module__).startswith("fullyconnected.") or (method[0] == "_" and method != "__call__"):
            continue
        wanted = [*inspect.signature(promise).parameters.values()][1:]
        places = [
            each.name for each in wanted if each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty
        ]
        names = [each.name for each in wanted if each.kind is each.KEYWORD_ONLY]
        signature = inspect.signature(written)
        try:
            signature.bind(None, *places, **dict.fromkeys(names))
        except TypeError as error:
            called = ", ".join([*places, *(f"{each}=" for each in names)])
            raise ConfigError(
                f"{cls.__name__}.{method} takes {signature}, but is called as {method}({called}): {error}"
            ) from None
    for attribute in TUPLES.get(kind, ()):
        value = getattr(cls, attribute, ())
        if isinstance(value, str) or not isinstance(value, tuple | list | property):
            raise ConfigError(
                f"{cls.__name__}.{attribute} is a tuple; got {value!a}"
                + (f", which would be ({value!a},)" if isinstance(value, str) else "")
            )
    for attribute in FLAGS.get(kind, ()):
        if not isinstance(value := getattr(cls, attribute, None), bool):
            raise ConfigError(f"{cls.__name__} needs a class attribute {attribute}, True or False; it is {value!a:.80}")


def check_shapes(
    owner: str, found: Any, what: str, each: type | None = None, *, least: int = 1, taken: tuple[str, ...] = ()
) -> None:
    """Raise if ``params`` or the like returned no shapes by name: tuples of whole numbers, or objects of ``each``.

    For ``cache``, ``least`` is 0, since buffers may be empty, and ``taken`` are the names that the library uses itself.
    """
    if not isinstance(found, Mapping):
        raise ConfigError(f"{owner}.{what}() returns a dict of shapes by name; got {found!a:.80}")
    for name, value in found.items():
        if not isinstance(name, str) or name in taken or name[:2] == "__":
            why = "a name that the library sets itself" if name in taken else "not a name, such as 'W'"
            raise ConfigError(f"{owner}.{what}(): {name!a:.80} is {why}")
        if each is not None and not isinstance(value, each):
            shape = f"{value!a}" if isinstance(value, tuple) else "(n_in, n_out)"
            raise ConfigError(
                f"{owner}.{what}() returns {value!a:.80} for {name}; a {each.__name__} is wanted: "
                f"fc.{each.__name__}({shape}, decays=True) for weights, fc.{each.__name__}({shape}) for others"
            )
        shape = value.shape if each or (not least and isinstance(value, Buffer | np.ndarray)) else value
        whole = isinstance(shape, tuple) and all(isinstance(n, int | np.integer) and n >= least for n in shape)
        if not whole or (each and not shape):
            raise ConfigError(
                f"{owner}.{what}(): the shape of {name} is {shape!a:.80}; a tuple of whole numbers of {least} or more "
                f"is wanted, such as (3,), or (1,) for a single number"
            )


def guarded(
    method: Callable[..., Any], what: str, reads: str, writes: str = "", *, value: bool = False
) -> Callable[..., Any]:
    """Return a method that explains its error when it writes to a read-only argument, or returns its result.

    ``what`` names the method in messages, ``reads`` and ``writes`` the arguments that it may read and has to write; one
    that writes nothing returns its result. With ``value``, it has to return a number.
    """
    instead = f"it may write to {writes} and to buffers of its cache" if writes else "copy it first"

    def run(*given: Any, **settings: Any) -> Any:
        try:
            result = method(*given, **settings)
        except ValueError as error:
            if "read-only" in str(error):
                raise ConfigError(
                    f"{what} writes to an array that it may only read ({reads}), because others read it too; {instead}"
                ) from error
            raise
        if writes and isinstance(result, np.ndarray | tuple | list) and not any(result is each for each in given):
            raise ConfigError(f"{what} returns {type(result).__name__}, which is not used: write to {writes} instead")
        if value and not hasattr(result, "__float__"):
            raise ConfigError(f"{what} returns {result!a:.80}; its value_and_gradient has to return a number")
        return result

    return run
