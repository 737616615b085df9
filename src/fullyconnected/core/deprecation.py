"""Old names, which still work: each use gives one FutureWarning for the line that uses it, with the new name.

The tables in this module list all of them.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

__all__ = ["Old", "accept_old_names", "accept_old_settings", "old_arguments", "warn"]

Names = Mapping[str, str]  # old: new

# fc.X
PUBLIC: Names = {"SquaredError": "HalfSquaredError", "LogisticLoss": "BinaryCrossEntropy"}
# fc.errors.X
ERRORS: Names = {"KindError": "InputTypeError"}
# registered names, by kind
REGISTERED: Mapping[str, Names] = {
    "loss": {"squared_error": "half_squared_error", "logistic": "binary_cross_entropy"},
}
# settings and attributes of the library's classes
SETTINGS: Mapping[str, Names] = {
    "Momentum": {"decay": "momentum"},
    "Nesterov": {"decay": "momentum"},
    "RMSProp": {"decay": "rho"},
    "Report": {"h": "step"},
}
# arguments of functions
ARGUMENTS: Mapping[str, Names] = {
    "check_gradients": {"h": "step"},
    "explain": {"h": "step"},
    "trace": {"h": "step"},
}
# members that a user's class defines, by its base class
MEMBERS: Mapping[str, Names] = {
    "Layer": {"start": "initialize", "sized": "with_input_width"},
    "ActivationFunction": {"keeps_input": "needs_input"},
    "Loss": {
        "into": "value_and_gradient",
        "weigh": "set_weights",
        "encode": "encode_targets",
        "least_outputs": "min_outputs",
    },
}
# parameters and running statistics of layers
PARAMETERS: Names = {"gain": "gamma", "shift": "beta", "mean": "running_mean", "variance": "running_var"}

# These modules only look at attributes, which is not a use.
_LOOKING = ("importlib._bootstrap", "inspect", "pydoc")

C = TypeVar("C", bound=type[Any])
F = TypeVar("F", bound=Callable[..., Any])


def warn(old: str, new: str) -> None:
    """Give the warning, for the innermost line outside the library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "fullyconnected":
        frame = frame.f_back
    module = frame.f_globals.get("__name__", "")
    if module not in _LOOKING:
        message = f"{old} is an old name, which a later version will not know; write {new}"
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        warnings.warn_explicit(message, FutureWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


class Old:
    """A descriptor for the old name of an attribute."""

    def __init__(self, cls: type, old: str, new: str) -> None:
        self.cls, self.old, self.new, self.__doc__ = cls, old, new, f"The old name of {new}."

    def __get__(self, thing: Any, owner: type) -> Any:
        warn(f"{owner.__name__}.{self.old}", self.new)
        # an override that calls super() by the old name needs this class's own member, not itself again
        value: Any = vars(self.cls).get(self.new)
        if hasattr(value, "__get__"):
            return value.__get__(thing, owner)
        return getattr(owner if thing is None else thing, self.new)

    def __set__(self, thing: Any, value: Any) -> None:
        warn(f"{type(thing).__name__}.{self.old}", self.new)
        setattr(thing, self.new, value)


def accept_old_names(cls: type) -> None:
    """Let a class define a member under its old name, and let a member be used by its old name."""
    own, is_ours = vars(cls), cls.__module__.startswith("fullyconnected.")
    for base in cls.__mro__:
        for old, new in MEMBERS.get(base.__name__, {}).items() if base.__module__ == "fullyconnected.base" else ():
            if new in own:
                if old not in own:
                    setattr(cls, old, Old(cls, old, new))
            elif not is_ours:
                owner = next(each for each in cls.__mro__ if old in vars(each) or new in vars(each))
                if new not in vars(owner):
                    warn(f"{owner.__name__}.{old}", new)
                    setattr(cls, new, vars(owner)[old])
                    cls.__renamed__ = (*getattr(cls, "__renamed__", ()), new)  # type: ignore[attr-defined]


def accept_old_settings(cls: C) -> C:
    """Let the settings of a class be given and read by their old names."""
    if (names := SETTINGS.get(cls.__name__)) is not None:
        cls.__init__ = _renaming(cls.__init__, cls.__name__, names)
        for old, new in names.items():
            setattr(cls, old, Old(cls, old, new))
    return cls


def old_arguments(function: F) -> F:
    """Let a function be called with old names of its arguments."""
    return _renaming(function, function.__name__, ARGUMENTS[function.__name__])


def _renaming(function: F, name: str, names: Names) -> F:
    @wraps(function)
    def run(*given: Any, **named: Any) -> Any:
        for old, new in names.items():
            if old in named and new not in named:
                warn(f"{old}= of {name}", f"{new}=")
                named[new] = named.pop(old)
        return function(*given, **named)

    return run  # type: ignore[return-value]
