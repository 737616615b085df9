"""Old names, which still work: each use gives one FutureWarning for the line that uses it, with the new name.

The tables in this module list all of them.
"""

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial, wraps
from operator import attrgetter
from typing import Any, TypeVar

__all__ = [
    "Old",
    "accept_old_names",
    "accept_old_settings",
    "accept_old_values",
    "in_old_names",
    "old_arguments",
    "present_name",
    "warn",
]

Names = Mapping[str, str]  # old: new

# fc.X
PUBLIC: Names = {"SquaredError": "HalfSquaredError", "LogisticLoss": "BinaryCrossEntropy"}
# fc.errors.X
ERRORS: Names = {"KindError": "InputTypeError"}
# registered names, by kind
REGISTERED: Mapping[str, Names] = {
    "loss": {"squared_error": "half_squared_error", "logistic": "binary_cross_entropy"},
}
# settings and other attributes of the library's classes, which a user's subclass may define
ATTRIBUTES: Mapping[str, Names] = {
    "Momentum": {"decay": "momentum"},
    "RMSProp": {"decay": "rho"},
    "Report": {"h": "step"},
    "Layer": {"start": "initialize", "sized": "with_input_width"},
    "ActivationFunction": {"keeps_input": "needs_input"},
    "Loss": {
        "into": "value_and_gradient",
        "weigh": "set_weights",
        "encode": "encode_targets",
        "least_outputs": "min_outputs",
        "own_output": "link.refuses",
        "takes": "link.takes",
        "several_labels": "link.tells_labels",
    },
}
# arguments of functions
ARGUMENTS: Names = {"h": "step"}
# parameters and running statistics of layers
PARAMETERS: Names = {"gain": "gamma", "shift": "beta", "mean": "running_mean", "variance": "running_var"}

# What a user's class has under several old names is computed by a function of this class and the object.
CONVERSIONS: dict[str, Callable[[Any, Any], Any]] = {}

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
        return attrgetter(self.new)(owner if thing is None else thing)

    def __set__(self, thing: Any, value: Any) -> None:
        if "." in self.new:
            raise AttributeError(f"{type(thing).__name__}.{self.old} cannot be set; set {self.new.partition('.')[0]}")
        warn(f"{type(thing).__name__}.{self.old}", self.new)
        object.__setattr__(thing, self.new, value)  # as a frozen dataclass sets its attributes


def present_name(cls: type, name: str) -> str:
    """Return the present name of an attribute, for the objects of a class."""
    found = next((vars(each)[name] for each in cls.__mro__ if name in vars(each)), None)
    return found.new if isinstance(found, Old) else name


def accept_old_names(cls: C) -> C:
    """Let a class have attributes under their old names: they get the new ones, and can be used by the old ones."""
    for old, new in _old_names(cls).items():
        name = new.partition(".")[0]
        owner = next((each for each in cls.__mro__ if _defines(each, name) or _defines(each, old)), cls)
        if not _defines(owner, name) and _defines(owner, old):
            warn(f"{owner.__name__}.{old}", new)
            if name != new:
                setattr(cls, name, property(partial(CONVERSIONS[name], cls)))
                break
            if old in vars(owner):
                setattr(cls, name, vars(owner)[old])
            annotations = vars(cls).get("__annotations__", {})
            for each in [*annotations]:  # renamed in place, in the order of the fields of a dataclass
                annotations[name if each == old else each] = annotations.pop(each)
        elif _defines(cls, old) or not _defines(cls, name):
            continue
        setattr(cls, old, Old(cls, old, new))
    return cls


def accept_old_values(thing: Any) -> None:
    """Let an object and its class have attributes under old names that were set past the class, or after its making."""
    accept_old_names(type(thing))
    for old in [*vars(thing)]:
        if present_name(type(thing), old) != old:
            object.__setattr__(thing, old, vars(thing).pop(old))


def accept_old_settings(cls: C) -> C:
    """Let the settings of a class be given by their old names."""
    taken = getattr(getattr(cls.__init__, "__code__", None), "co_varnames", ())
    names = {old: new for old, new in _old_names(cls).items() if new in taken and old not in taken}
    if names:
        cls.__init__ = _renaming(cls.__init__, cls.__name__, names)
    return cls


def in_old_names(text: str) -> str:
    """Return a text about settings, such as ``"Momentum(lr=0.1, momentum=0.9)"``, with the old names in it.

    Thus texts of two versions can be compared. It does not matter whether a name in them is the library's: both texts
    have it, and keep it apart from others.
    """
    names = {new: old for table in (PUBLIC, *ATTRIBUTES.values()) for old, new in table.items()}
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), text)


def _old_names(cls: type) -> Names:
    """Return the names of a class that are renamed in the library, by their old names."""
    bases = (each for each in cls.__mro__ if each.__module__.startswith("fullyconnected."))
    return {old: new for each in bases for old, new in ATTRIBUTES.get(each.__name__, {}).items()}


def _defines(cls: type, name: str) -> bool:
    """Whether a class itself has an attribute or a field of this name, other than by :class:`Old`."""
    own = vars(cls)
    if name in own:
        return not isinstance(own[name], Old)
    return name in own.get("__annotations__", ()) or name in own.get("__dataclass_fields__", ())


def old_arguments(function: F) -> F:
    """Let a function be called with old names of its arguments."""
    return _renaming(function, function.__name__, ARGUMENTS)


def _renaming(function: F, name: str, names: Names) -> F:
    @wraps(function)
    def run(*given: Any, **named: Any) -> Any:
        for old, new in names.items():
            if old in named and new not in named:
                warn(f"{old}= of {name}", f"{new}=")
                named[new] = named.pop(old)
        return function(*given, **named)

    return run  # type: ignore[return-value]
