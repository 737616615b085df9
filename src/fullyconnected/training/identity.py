"""The identity of a setting as text, which is the same in each process, on each machine, under each Python.

The identity of a number is its value, and that of an object its settings. The identity of a function is its code: its
parsed source, in which layout, comments and annotations do not matter; its defaults; and the outer variables that it
reads, such as a constant of its module or an attribute of its object, through all functions that it calls. Variables
that it changes, such as a counter, do not belong to its identity.

Some things are not seen: code of installed packages and in C, files, the environment, imports within a function, names
that are computed, and the content of objects that have no settings and are not read one attribute at a time.
"""

import dataclasses
import dis
import enum
import functools
import inspect
import numbers
import os
import re
import sys
import types
import zlib
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

import numpy as np

from fullyconnected.core.deprecation import Old
from fullyconnected.core.settings import Settings, untold
from fullyconnected.training.sourcecode import SELF, Chain, Files, Step, find

__all__ = ["alike", "own_code", "stable_repr"]

DEEPEST = 12  # levels of settings within settings, and of functions that call functions
LONGEST = 60  # most entries and array elements that are written out
MOST = 10_000  # most entries of a list that are looked at
EXACT = 2**53  # whole numbers up to this are written as floats, so that 1 and 1.0 are the same
FIXED = (bool, int, float, complex, str, bytes, np.generic, np.ndarray, types.FunctionType, functools.partial)
WRITTEN = (numbers.Number, np.generic, np.dtype, range, slice, re.Pattern, date, time, timedelta)
CODE = re.compile(r" of (code|Python \d+\.\d+) [0-9a-f]{8}")
INSTALLED = {"site-packages", "dist-packages"}

Reads = dict[str, str]


def stable_repr(thing: Any) -> str:
    """Return the identity of a setting."""
    return _Describer().describe(thing)


def own_code(thing: Any) -> str | None:
    """Return the identity of the code of an object's class; None for classes of the library."""
    kind = type(thing)
    return kind.__qualname__ + _Describer().describe_code(kind, thing) if _is_own(kind) else None


def alike(one: str, other: str) -> bool:
    """Whether two identities are the same, as far as they can be compared.

    The identity of code without source is its bytecode, which differs between versions of Python: across these, only
    the text up to the first function's name is compared.
    """
    kinds, others = set(CODE.findall(one)), set(CODE.findall(other))
    if kinds != others and kinds | others != {"code"}:
        return CODE.split(one)[0] == CODE.split(other)[0]
    return one == other


class _Describer:
    """Writes the identity of one thing; a function or class that occurs again is written as its name."""

    def __init__(self) -> None:
        self.path: set[int] = set()
        self.known: dict[tuple[int, int], object] = {}
        self.files: Files = {}

    def describe(self, thing: Any) -> str:
        if isinstance(thing, enum.Enum):
            return f"{type(thing).__qualname__}.{thing.name}"
        if isinstance(thing, int | np.integer) and not isinstance(thing, bool) and abs(int(thing)) > EXACT:
            return repr(int(thing))
        if isinstance(thing, int | float | np.integer | np.floating) and not isinstance(thing, bool):
            return repr(float(thing))
        if thing is None or isinstance(thing, bool | str | bytes | complex | np.bool_ | np.complexfloating):
            return _short(repr(thing.item() if isinstance(thing, np.generic) else thing))
        if isinstance(thing, os.PathLike):
            return repr(os.fspath(thing))
        if isinstance(thing, WRITTEN):
            return repr(thing.item() if isinstance(thing, np.generic) else thing)
        if id(thing) in self.path or len(self.path) > DEEPEST:
            return "..."
        self.path.add(id(thing))
        try:
            return self._describe(thing)
        except Exception:  # attributes of other libraries' objects may raise anything
            return f"{type(thing).__qualname__}()"
        finally:
            self.path.discard(id(thing))

    def _describe(self, thing: Any) -> str:
        if isinstance(thing, np.ndarray):
            if thing.dtype == object or thing.size <= LONGEST:
                return self.describe(thing.tolist())
            data = np.ascontiguousarray(thing).astype(thing.dtype.newbyteorder("<"))
            return f"array of {thing.dtype.name} {thing.shape} {zlib.crc32(data.tobytes()):08x}"
        if isinstance(thing, list | tuple) and len(thing) > MOST:
            if all(type(each) in (int, float) for each in thing) and (array := np.asarray(thing)).dtype != object:
                return self.describe(array)
            return f"{len(thing)} entries, {self.describe(thing[:MOST])}"
        if isinstance(thing, list | tuple):
            return f"[{_short(', '.join(map(self.describe, thing)), len(thing))}]"
        if isinstance(thing, set | frozenset):
            return f"{{{_short(', '.join(sorted(map(self.describe, thing))), len(thing))}}}"
        if isinstance(thing, dict):
            entries = sorted(f"{self.describe(key)}: {self.describe(value)}" for key, value in thing.items())
            return f"{{{_short(', '.join(entries), len(thing))}}}"
        if isinstance(thing, functools.partial):
            return f"partial({self.describe(thing.func)}, {self.describe(thing.args)}, {self.describe(thing.keywords)})"
        if isinstance(thing, types.MethodType):
            function, owner = thing.__func__, thing.__self__
            return self.describe_function(function, owner) if isinstance(function, types.FunctionType) else "..."
        if isinstance(thing, types.FunctionType):
            return self.describe_function(thing)
        if isinstance(thing, type):
            return f"{thing.__qualname__}{self.describe_code(thing) if _is_own(thing) else ''}"
        if callable(wrapped := getattr(thing, "__wrapped__", None)):  # as functools.lru_cache sets it
            return self.describe(wrapped)
        name = getattr(thing, "__qualname__", getattr(thing, "__name__", None))
        if isinstance(name, str) and "__name__" not in getattr(thing, "__dict__", ()):
            return name  # a function in C
        if isinstance(thing, Settings) or dataclasses.is_dataclass(thing):
            return self.describe_settings(thing)
        call: Any = type(thing).__call__ if callable(thing) else None
        if isinstance(call, types.FunctionType) and _is_own(type(thing)):
            return self.describe_function(call, thing, type(thing).__qualname__)
        held = {name: value for name, value in _held(thing).items() if call is not None and _is_fixed(value)}
        return f"{type(thing).__qualname__}({self._listed(held)})"

    def describe_settings(self, thing: Any) -> str:
        kind = type(thing)
        changed = self._changed_by(kind)
        held = {
            name: value
            for name, value in _held(thing).items()
            if (SELF, ((".", name),)) not in changed and not untold(kind, name, value)
        }
        return f"{kind.__qualname__}({self._listed(held)}){self.describe_code(kind, thing) if _is_own(kind) else ''}"

    def describe_function(self, function: types.FunctionType, owner: Any = None, name: str | None = None) -> str:
        name = name or function.__qualname__
        if self._is_known(function, owner):
            return name
        if not _is_own(function):
            wrapped = getattr(function, "__wrapped__", None)
            return name if wrapped is None else f"{name}({self.describe(wrapped)})"
        reads: Reads = {}
        return name + _checksum([self._look(function, owner, reads)]) + _within(reads)

    def describe_code(self, kind: type, owner: Any = None) -> str:
        """Return the identity of the code of a user's class, without what it inherits from the library."""
        if self._is_known(kind, owner):
            return ""
        reads: Reads = {}
        codes = [self._look(method, owner, reads, f"{name}.") for name, method in _methods(kind).items()]
        for base in filter(_is_own, kind.__mro__):
            for name, value in vars(base).items():
                if name.startswith("__") or name in _held(owner):
                    continue
                if _is_fixed(value) and not callable(value):
                    reads.setdefault(_as_written(base, name), self.describe(value))
        return _checksum(codes) + _within(reads)

    def _is_known(self, thing: object, owner: object) -> bool:
        known = (id(thing), id(owner)) in self.known
        self.known[id(thing), id(owner)] = thing, owner  # keeps the objects alive, so that no other gets the same id
        return known

    def _listed(self, values: dict[str, Any]) -> str:
        return ", ".join(f"{name}={self.describe(value)}" for name, value in values.items())

    def _look(self, function: types.FunctionType, owner: Any, reads: Reads, within: str = "") -> tuple[str, str]:
        """Return the kind of a function's code, and the code; add the values of its outer variables to ``reads``."""
        code = function.__code__
        given = code.co_varnames[: code.co_argcount]
        defaults = function.__defaults__ or ()
        for name, value in [
            *zip(given[len(given) - len(defaults) :], defaults, strict=True),
            *(function.__kwdefaults__ or {}).items(),
        ]:
            reads[within + name] = self.describe(value)
        source = find(code, self.files)
        changed = self._changed_by(type(owner)) | (frozenset() if source is None else source.changes)
        for root, steps in _read_by(code) if source is None else source.reads:
            if any((root, steps[:i]) in changed for i in range(len(steps) + 1)):
                continue
            found, value = _resolve(function, owner, root, steps)
            if found and not (isinstance(value, types.ModuleType) or (source is None and not _is_fixed(value))):
                name, text = _name_of(root, steps), self.describe(value)
                while reads.setdefault(name, text) != text:  # a variable of the same name in another module
                    name += "'"
        if source is None:
            return f"Python {sys.version_info[0]}.{sys.version_info[1]}", _bytecode(code)
        return "code", source.written

    def _changed_by(self, kind: type) -> frozenset[Chain]:
        """Return the attributes that the methods of a class change, which are not settings."""
        sources = (find(method.__code__, self.files) for method in _methods(kind).values())
        return frozenset(
            chain for source in sources if source is not None for chain in source.changes if chain[0] == SELF
        )


def _is_own(thing: type | types.FunctionType) -> bool:
    """Whether a class or function is the user's, and not of the library, of Python or of an installed package."""
    module = getattr(thing, "__module__", None) or ""
    if isinstance(thing, types.FunctionType):
        return not _is_installed(module, thing.__code__.co_filename)
    return not _is_installed(module, getattr(sys.modules.get(module), "__file__", None) or "")


def _is_installed(module: str, file: str) -> bool:
    root = module.partition(".")[0]
    if root == "fullyconnected" or root in sys.stdlib_module_names or file.startswith("<frozen"):
        return True
    return not INSTALLED.isdisjoint(re.split(r"[/\\]", file))


def _methods(kind: type) -> dict[str, types.FunctionType]:
    """Return the methods of a user's class by name, without special methods other than ``__call__``."""
    found: dict[str, types.FunctionType] = {}
    for base in filter(_is_own, kind.__mro__):
        for name, value in vars(base).items():
            function = getattr(value, "__func__", getattr(value, "fget", getattr(value, "func", value)))
            called = name == "__call__" or not name.startswith("__")
            if called and isinstance(function, types.FunctionType) and _is_own(function):
                found.setdefault(_as_written(base, name), function)
    return dict(sorted(found.items()))


def _as_written(cls: type, name: str) -> str:
    """Return the name of an attribute in the code of a class, which may be an old one."""
    return next((each.old for each in vars(cls).values() if isinstance(each, Old) and each.new == name), name)


def _held(thing: object) -> dict[str, Any]:
    """Return an object's attributes by name, in the order in which they were set."""
    held = dict(getattr(thing, "__dict__", {}))
    for base in reversed(type(thing).__mro__):
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, name) and name != "__dict__":
                held[name] = getattr(thing, name)
    return held


def _is_fixed(value: object) -> bool:
    """Whether a value is a constant and not state of a run: numbers, text, arrays, functions, and tuples of them."""
    if isinstance(value, tuple | frozenset):
        return all(map(_is_fixed, value))
    return value is None or isinstance(value, FIXED)


def _resolve(function: types.FunctionType, owner: Any, root: str, steps: tuple[Step, ...]) -> tuple[bool, Any]:
    """Return whether an outer variable of a function exists and can be read without side effects, and its value."""
    nothing = False, None
    code = function.__code__
    if root == SELF:
        if owner is None or not steps:
            return nothing
        value = owner
    elif root in code.co_freevars:
        try:
            value = (function.__closure__ or ())[code.co_freevars.index(root)].cell_contents
        except ValueError:  # the variable has no value yet
            return nothing
        if root == "__class__":
            return nothing
    elif root in function.__globals__:
        value = function.__globals__[root]
    else:
        return nothing
    for kind, key in steps:
        if kind == "[":
            try:
                value = value[key]
            except Exception:
                return nothing
        elif isinstance(value, types.ModuleType):
            file = getattr(value, "__file__", None) or ""
            if _is_installed(value.__name__, file) or key not in vars(value):
                return nothing
            value = vars(value)[key]
        elif isinstance(value, np.ndarray | str | list | tuple | dict | set | frozenset | int | float):
            return True, value  # the attribute is a method; its object is what matters
        else:
            static = inspect.getattr_static(value, str(key), None)
            computed = getattr(static, "fget", getattr(static, "func", None))  # a property's, or cached_property's
            if isinstance(computed, types.FunctionType):
                return True, types.MethodType(computed, value)
            try:
                value = getattr(value, str(key))
            except Exception:
                return nothing
    return True, value


def _name_of(root: str, steps: tuple[Step, ...]) -> str:
    return (root + "".join(f".{key}" if kind == "." else f"[{key!r}]" for kind, key in steps)).removeprefix(".")


def _within(reads: Reads) -> str:
    return f" ({', '.join(f'{name}={text}' for name, text in sorted(reads.items()))})" if reads else ""


def _checksum(codes: list[tuple[str, str]]) -> str:
    kind = min((kind for kind, _ in codes), default="code")  # "Python ..." if any function has no source
    return f" of {kind} {zlib.crc32(repr([written for _, written in codes]).encode()):08x}"


def _short(text: str, entries: int = 0) -> str:
    """Return the text, or its beginning and a checksum if it is long."""
    if entries <= LONGEST and len(text) <= 2000:
        return text
    return f"{text[:60]}... {zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _read_by(code: types.CodeType) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Yield the outer variables that a function without source reads and does not write."""
    names: dict[str, set[str]] = {"LOAD": set(), "STORE": set()}
    for each in dis.get_instructions(code):
        what, _, where = each.opname.partition("_")
        if what in names and where in ("GLOBAL", "DEREF", "NAME", "CLOSURE"):
            names[what].add(str(each.argval))
    return ((name, ()) for name in sorted(names["LOAD"] - names["STORE"]))


def _bytecode(code: types.CodeType) -> str:
    """Return the bytecode of a function and of the functions within it."""
    constants: list[object] = []
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            constants.append(_bytecode(each))
        else:  # the order of a set differs between processes
            constants.append(sorted(map(repr, each)) if isinstance(each, frozenset) else repr(each))
    return repr((code.co_code, code.co_names, constants))
