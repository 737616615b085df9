"""Checks of classes that a user has written, with messages that say what is wrong with one.

Tests hold the library's own classes to the same rules, so that nothing is checked for them at run time.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fullyconnected.errors import ConfigError, InputTypeError

__all__ = ["check_call", "check_class", "check_shapes", "guarded", "is_foreign", "read_only"]

# how the library calls each method: its positional arguments, and its keyword arguments
CALLS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "layer": {
        "forward": (("p", "x", "c", "y"), ("train",)),
        "backward": (("p", "x", "c", "y", "dy", "g", "dx"), ()),
        "params": ((), ()),
        "state": ((), ()),
        "cache": (("rows",), ()),
        "initialize": (("p", "rng"), ()),
        "with_input_width": (("n_in",), ()),
    },
    "activation": {
        "forward": (("z", "c", "y"), ()),
        "backward": (("z", "c", "y", "dy"), ()),
        "cache": (("rows", "n"), ()),
    },
    "loss": {
        "terms": (("z", "t", "c", "dz"), ()),
        "value_and_gradient": (("z", "t", "c", "dz"), ()),
        "encode_targets": (("t", "n_out"), ()),
        "cache": (("rows", "n_out"), ()),
        "set_weights": (("c", "w"), ()),
    },
    "metric": {
        "__call__": (("z", "t", "w"), ()),
        "for_targets": (("t", "loss", "n_out"), ("w", "trained")),
    },
    "optimizer": {
        "update": (("theta", "g", "s", "c"), ("lr", "step", "decays")),
        "update_tensor": (("theta", "g", "s", "c"), ("lr", "step", "param", "name")),
        "slot_shapes": (("param", "name"), ()),
        "scratch_shapes": (("param", "name"), ()),
        "minimize": (("loss", "theta", "iterations", "after"), ()),  # of a solver
    },
    "engine": {
        "about": ((), ()),
        "supports": (("program",), ("loss", "optimizer", "source")),
        "trainer": (("task", "state"), ()),
        "gradient": (("program", "theta", "state", "data"), ("l2", "train", "seed")),
        "predictor": (("program", "theta", "state"), ()),
    },
    "format": {
        "recognises": (("head",), ()),
        "write": (("description", "tensors"), ()),
        "read": (("data",), ()),
    },
}
TUPLES = {"activation": ("kinks",), "optimizer": ("slots", "scratch")}
FLAGS = {"metric": ("greater_is_better",)}


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
    if not isinstance(getattr(cls, "name", None), str):
        raise ConfigError(
            f'{cls.__name__} needs a class attribute name, a string, such as name = "{cls.__name__.lower()}"'
        )
    for method, (places, names) in CALLS.get(kind, {}).items():
        written = inspect.getattr_static(cls, method, None)
        if not inspect.isfunction(written) or written.__module__.startswith("fullyconnected."):
            continue
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


def check_shapes(owner: str, found: Any, what: str, each: type | None = None) -> None:
    """Raise if ``params`` or ``state`` returned no shapes by name: tuples of whole numbers, or objects of ``each``."""
    if not isinstance(found, Mapping):
        raise ConfigError(f"{owner}.{what}() returns a dict of shapes by name; got {found!a:.80}")
    for name, value in found.items():
        if not isinstance(name, str):
            raise ConfigError(f"{owner}.{what}(): {name!a} is not a name, such as 'W'")
        if each is not None and not isinstance(value, each):
            shape = f"{value!a}" if isinstance(value, tuple) else "(n_in, n_out)"
            raise ConfigError(
                f"{owner}.{what}() returns {value!a:.80} for {name}; a {each.__name__} is wanted: "
                f"fc.{each.__name__}({shape}, decays=True) for weights, fc.{each.__name__}({shape}) for others"
            )
        shape = value if each is None else value.shape
        if not isinstance(shape, tuple) or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            raise ConfigError(
                f"{owner}.{what}(): the shape of {name} is {shape!a:.80}; a tuple of whole numbers of 1 or more is "
                f"wanted, such as (3,)"
            )


def guarded(method: Callable[..., Any], what: str, reads: str, writes: str = "") -> Callable[..., Any]:
    """Return a method that explains its error when it writes to a read-only argument, or returns its result.

    ``what`` names the method in messages, ``reads`` and ``writes`` the arguments that it may read and has to write; one
    that writes nothing returns its result.
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
        return result

    return run
