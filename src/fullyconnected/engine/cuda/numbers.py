"""The numbers of a step that change from step to step, in memory of the card, so that one graph does for all steps."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import ConfigError

__all__ = ["CHUNK", "Namespace", "Number", "Numbers"]

CHUNK = 1024  # steps whose numbers are brought to the card at once
PAGE = 32  # numbers that one copy on the card sets in a step


class Number:
    """A number that each step has its own value of, such as its learning rate, in arithmetic that is done later.

    A graph has the Python numbers of its recording for ever. So the rule of an optimizer is called with one of these,
    whose arithmetic says how to compute it from the numbers of any step; a function of the namespace finds its value of
    the step in memory of the card.

    >>> rate = Number("lr") / (1 - 0.5 ** Number("step"))
    >>> rate.of({"lr": np.array([0.1, 0.1]), "step": np.array([1.0, 2.0])}).round(3).tolist()
    [0.2, 0.133]
    """

    __array_ufunc__ = None

    def __init__(self, name: Any, of: Callable[[Mapping[str, Array]], Any] | None = None) -> None:
        self.name = name  # what it is computed from; the same for the same number
        self.of = (lambda values: values[name]) if of is None else of

    def __add__(self, other: Any) -> "Number":
        return _made(operator.add, self, other)

    def __sub__(self, other: Any) -> "Number":
        return _made(operator.sub, self, other)

    def __rsub__(self, other: Any) -> "Number":
        return _made(operator.sub, other, self)

    def __mul__(self, other: Any) -> "Number":
        return _made(operator.mul, self, other)

    def __truediv__(self, other: Any) -> "Number":
        return _made(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> "Number":
        return _made(operator.truediv, other, self)

    def __pow__(self, other: Any) -> "Number":
        return _made(operator.pow, self, other)

    def __rpow__(self, other: Any) -> "Number":
        return _made(operator.pow, other, self)

    def __neg__(self) -> "Number":
        return _made(operator.mul, self, -1.0)

    __radd__, __rmul__ = __add__, __mul__

    def _refused(self, *others: object) -> NoReturn:
        raise ConfigError(
            "on a GPU a step is recorded, when its learning rate and its number are not known: an optimizer may add, "
            "subtract, multiply and divide them, take powers of them, and hand them to functions of c.xp; it may not "
            "compare them, or turn them into numbers, as float() and functions of math do. Or use engine='numpy'"
        )

    __bool__ = __float__ = __int__ = __index__ = _refused
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refused
    __hash__ = object.__hash__


def _made(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Number:
    """Return the number that a function of two numbers gives, of which one at least is later."""
    if not all(isinstance(each, Number | int | float | np.number) for each in (a, b)):
        return NotImplemented

    def of(values: Mapping[str, Array]) -> Any:
        return function(*(each.of(values) if isinstance(each, Number) else each for each in (a, b)))

    return Number((function.__name__, *(each.name if isinstance(each, Number) else float(each) for each in (a, b))), of)


class Page:
    """Some numbers of one dtype: on the card a row for each step of a chunk, and where those of the step are."""

    def __init__(self, xp: Any, dtype: np.dtype[Any], columns: int) -> None:
        self.host = np.zeros((CHUNK, columns), dtype)
        self.table = xp.zeros((CHUNK, columns), dtype)
        self.now = xp.zeros(columns, dtype)
        self.slots: list[Any] = [self.now[i] for i in range(columns)]  # arrays of no dimensions, which keep their place


class Numbers:
    """The numbers of all steps of a chunk, in memory of the card, and those of the step that is next.

    ``INTEGERS`` are read by the loading of rows and by random numbers. All others are a :class:`Number`; they are found
    when a step is run for the first time, and given a place in a page.
    """

    INTEGERS = ("start", "row", "place", "step")

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.at = xp.zeros((), np.int64)  # the step of the chunk
        self.integers = Page(xp, np.dtype(np.int64), len(self.INTEGERS))
        self.start, self.row, self.place, self.step = self.integers.slots
        self.pages: list[Page] = []
        self.found: dict[tuple[Any, str], tuple[Page, int]] = {}
        self.made: list[tuple[Number, Page, int]] = []
        self.values: Mapping[str, Array] = {}
        self.current: int | None = None  # the step of the chunk that is run for the first time, not recorded

    def begin(self, values: Mapping[str, Array]) -> None:
        """Bring the numbers of the steps of a chunk to the card, of which ``values`` has vectors by name."""
        self.values = values
        self.at.fill(0)
        for column, name in enumerate(self.INTEGERS):
            self.integers.host[: len(values[name]), column] = values[name]
        steps = len(values["step"])
        self.integers.table[:steps].set(self.integers.host[:steps])
        with np.errstate(all="ignore"):  # what is not finite makes a step that diverges
            for made in self.made:
                self._write(*made)
        for page in self.pages:
            page.table[:steps].set(page.host[:steps])

    def next(self) -> None:
        """Let the numbers be those of the next step."""
        for page in (self.integers, *self.pages):
            page.table.take(self.at, axis=0, out=page.now)
        self.xp.add(self.at, 1, out=self.at)

    def slot(self, number: Number, dtype: np.dtype[Any]) -> Any:
        """Return the array of no dimensions in which a number is found."""
        key = number.name, dtype.str
        if key not in self.found:
            if self.current is None:
                raise ConfigError(
                    f"a number is computed from {number.name} that was not needed when the step was run for the first "
                    f"time: what an optimizer does with the rate and the number of a step is the same in every step"
                )
            self.found[key] = page, column = self._place(dtype)
            self.made.append((number, page, column))
            with np.errstate(all="ignore"):
                self._write(number, page, column)
            page.table.set(page.host)
            page.slots[column].fill(float(page.host[self.current, column]))
        page, column = self.found[key]
        return page.slots[column]

    def _place(self, dtype: np.dtype[Any]) -> tuple[Page, int]:
        """Return a free place for a number."""
        taken = [page for _, page, _ in self.made if page.host.dtype == dtype]
        if not taken or taken.count(taken[-1]) == PAGE:
            self.pages.append(Page(self.xp, dtype, PAGE))
            return self.pages[-1], 0
        return taken[-1], taken.count(taken[-1])

    def _write(self, number: Number, page: Page, column: int) -> None:
        value = np.asarray(number.of(self.values))
        page.host[: len(self.values["step"]), column] = value


class Namespace:
    """The array functions of CuPy, which also take a :class:`Number`, in the dtype of the array beside it.

    The arrays that it makes are of the class ``kind``.
    """

    def __init__(self, xp: Any, kind: type, numbers: Numbers | None = None) -> None:
        self._xp, self._kind, self._numbers = xp, kind, numbers

    def __getattr__(self, name: str) -> Any:
        made = getattr(self._xp, name)
        if name in MAKING:
            made = _making(made, self._kind)
        elif self._numbers is not None:
            made = Function(made, self._xp, self._numbers)
        setattr(self, name, made)
        return made

    def matmul(self, a: Any, b: Any, out: Any) -> Any:
        """Write the products of the matrices of two stacks into ``out``."""
        return a.matmul(b, out)


MAKING = ("array", "asarray", "empty", "full", "zeros")


def _making(function: Callable[..., Any], kind: type) -> Callable[..., Any]:
    """Return a function that makes arrays of a class."""
    return lambda *args, **named: function(*args, **named).view(kind)


class Function:
    """An array function that takes a :class:`Number` where it takes a number."""

    def __init__(self, function: Any, xp: Any, numbers: Numbers) -> None:
        self._function, self._array, self._numbers = function, xp.ndarray, numbers

    def __call__(self, *args: Any, **named: Any) -> Any:
        if any(isinstance(each, Number) for each in args):
            dtype = next((a.dtype for a in args if isinstance(a, self._array)), np.dtype(np.float64))
            args = tuple(self._numbers.slot(a, dtype) if isinstance(a, Number) else a for a in args)
        return self._function(*args, **named)

    def __getattr__(self, name: str) -> Any:  # such as add.at
        return getattr(self._function, name)
