"""The input stage for tables: layers side by side, each for some columns of the rows, and their outputs joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar
from unicodedata import normalize

import numpy as np

from fullyconnected.base import Layer
from fullyconnected.core.arrays import Array, Cache, Views
from fullyconnected.core.checks import count
from fullyconnected.core.settings import settings
from fullyconnected.errors import ConfigError, InputTypeError, ShapeError
from fullyconnected.layers.categories import Categories, Embedding
from fullyconnected.layers.residual import chain
from fullyconnected.layers.scaling import Standardize

if TYPE_CHECKING:
    from collections.abc import Mapping

    ColumnsLike = int | str | Sequence[int] | Sequence[str]
    PartLike = tuple[ColumnsLike, Layer | Sequence[Layer]]

__all__ = ["Columns", "Concatenate", "Select"]


@settings
class Columns(Layer):
    """Give each group of columns layers of its own, and join what they give: ``y = [F1(x1) | F2(x2) | ...]``.

    x1 has the columns of the first part in the order that the part lists them, x2 those of the second, and so on; y has
    their outputs in the order of the parts. The gradient with respect to a part's output is that of its columns of y.

    A network can begin with it; it can stand nowhere else. The first layer of a part reads its columns as they are
    given: :class:`Standardize` in float64, :class:`OneHot` and :class:`Embedding` as codes; any other, such as
    :class:`Dense`, in the network's dtype. Each says for its own columns whether NaN or only codes are allowed. Columns
    that no part names are not read.

    Parameters
    ----------
    parts : sequence of (columns, layer) or (columns, [layer, ...])
        The columns of a part are their numbers, counted from 0, or their names: one, or a sequence of them. Where
        columns have names, tables are read by them; in an array, the columns are in the order of ``names``.
    n_in : int, optional
        The number of columns of x; None takes it from ``names``, or up to the last one that a part reads.
    names : sequence of str, optional
        The names of all columns of x in their order; if parts have names, None takes theirs, in the order of the parts.

    Shapes
    ------
    x (rows, n_in), y (rows, n_out): n_out is the sum of the outputs of the parts.

    Raises
    ------
    ConfigError, ShapeError, InputTypeError
        For columns that do not exist, names beside numbers, a column of codes that another part reads as numbers, or
        layers that do not fit the columns or each other.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> first = fc.Columns([(["age", "income"], fc.Standardize(scale=[10.0, 1e4])), ("city", fc.OneHot(3))])
    >>> first.names, first.n_in, first.n_out
    (('age', 'income', 'city'), 3, 5)
    >>> net = fc.Network([first, fc.Dense(5, 1, init="ones")])
    >>> net.predict([[30.0, 2e4, 1], [40.0, 0.0, -1]]).tolist()  # the code -1 is an unknown city
    [[6.0], [4.0]]
    """

    parts: Sequence[tuple[tuple[int, ...], tuple[Layer, ...]]]
    n_in: int | None = None
    names: Sequence[str] | None = None

    name: ClassVar[str] = "columns"
    reads_raw: ClassVar[bool] = True

    if TYPE_CHECKING:  # what may be given for the parts

        def __init__(
            self, parts: Sequence[PartLike], n_in: int | None = None, names: Sequence[str] | None = None
        ) -> None: ...

    def __post_init__(self) -> None:
        given = [_pair(part, i) for i, part in enumerate(_listed(self.parts, "parts of Columns"))]
        names = None if self.names is None else _names(self.names)
        named = {isinstance(key, str) for keys, _ in given for key in keys}
        if len(named) > 1:
            raise ConfigError("the columns of parts are names, or numbers; these parts have both")
        if named == {True} and names is None:
            names = tuple(dict.fromkeys(key for keys, _ in given for key in keys))
        n_in = None if self.n_in is None else count("n_in of Columns", self.n_in)
        if names is not None and n_in not in (None, len(names)):
            raise ShapeError(f"Columns has n_in {n_in} and {len(names)} names")
        if n_in is None:
            n_in = 1 + max(key for keys, _ in given for key in keys) if names is None else len(names)
        place = {} if names is None else {name: i for i, name in enumerate(names)}
        parts = tuple(
            (_numbers(keys, n_in, place, i), _sized(layers, len(keys), i)) for i, (keys, layers) in enumerate(given)
        )
        _one_meaning(parts)
        for name, value in {"parts": parts, "n_in": n_in, "names": names}.items():
            object.__setattr__(self, name, value)

    @property
    def n_out(self) -> int:
        """The number of outputs: those of all parts."""
        return sum(int(layers[-1].n_out or 0) for _, layers in self.parts)

    @classmethod
    def example(cls, n: int) -> Layer:
        if n < 2:
            return cls([(0, Embedding(2, 2))])
        return cls([(0, Embedding(2, 2)), (range(1, n), Standardize.example(n - 1))])

    def branches(self) -> Iterable[Sequence[Layer]]:
        n_in = int(self.n_in or 0)
        return [(Select(columns, n_in, layers[0].reads_raw), *layers) for columns, layers in self.parts]

    def with_branches(self, branches: Iterable[Sequence[Layer]]) -> Columns:
        pairs = zip(self.parts, branches, strict=True)
        return replace(self, parts=tuple((columns, tuple(branch[1:])) for (columns, _), branch in pairs))

    def example_rows(self, rng: np.random.Generator, rows: int) -> Array:
        x = rng.normal(size=(rows, int(self.n_in or 0)))
        for columns, layers in self.parts:
            x[:, list(columns)] = layers[0].example_rows(rng, rows)
        return x


def _listed(given: Any, what: str) -> list[Any]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputTypeError(f"{what} are a sequence; got {given!a:.80}")
    found = list(given)
    if not found:
        raise ConfigError(f"{what} are one or more; got none")
    return found


def _pair(part: Any, i: int) -> tuple[list[Any], list[Layer]]:
    """Return the columns of a part, each a name or a number, and its layers; or raise."""
    if not isinstance(part, Sequence) or isinstance(part, str) or len(part) != 2:
        raise InputTypeError(f'part {i} of Columns is a pair such as ("age", fc.Standardize()); got {part!a:.200}')
    keys, layers = part
    keys = [keys] if isinstance(keys, str | Integral) else _listed(keys, f"the columns of part {i}")
    for key in keys:
        if isinstance(key, bool | np.bool_) or not isinstance(key, str | Integral):
            raise InputTypeError(f"the columns of part {i} are names or whole numbers; got {key!a:.80}")
    keys = [normalize("NFC", key) if isinstance(key, str) else int(key) for key in keys]
    if least := [key for key in keys if not isinstance(key, str) and key < 0]:
        raise ConfigError(f"the columns of part {i} are counted from 0; got {least[0]}")
    if len({*keys}) < len(keys):
        raise ConfigError(f"part {i} of Columns names a column twice: {keys!a:.200}")
    return keys, [layers] if isinstance(layers, Layer) else _listed(layers, f"the layers of part {i}")


def _names(given: Any) -> tuple[str, ...]:
    names = tuple(_listed(given, "names of Columns"))
    for name in names:
        if not isinstance(name, str):
            raise InputTypeError(f"names of Columns are texts; got {name!a:.80}")
    names = tuple(normalize("NFC", name) for name in names)
    if len({*names}) < len(names):
        raise ConfigError(f"names of Columns has a name twice: {names!a:.200}")
    return names


def _numbers(keys: list[Any], n_in: int, place: Mapping[str, int], i: int) -> tuple[int, ...]:
    """Return the numbers of the columns of a part, or raise."""
    for key in keys:
        if isinstance(key, str) and key not in place:
            raise ConfigError(f"part {i} reads the column {key!a:.80}, and names has only {', '.join(place):.200}")
        if not isinstance(key, str) and key >= n_in:
            raise ShapeError(f"part {i} reads column {key}, and there are {n_in} columns, counted from 0")
    return tuple(place.get(key, key) for key in keys)


def _sized(layers: list[Any], width: int, i: int) -> tuple[Layer, ...]:
    """Return the layers of a part with all widths, or raise."""
    if any(isinstance(layer, Columns) for layer in layers):
        raise ConfigError(f"part {i} of Columns is another Columns: list its parts beside the others")
    return chain(layers, width, None, f"part {i} of Columns: ")


def _one_meaning(parts: Iterable[tuple[tuple[int, ...], tuple[Layer, ...]]]) -> None:
    """Raise if a column is a code for one part and a number for another."""
    codes = {column for columns, layers in parts if isinstance(layers[0], Categories) for column in columns}
    for i, (columns, layers) in enumerate(parts):
        if both := codes.intersection(() if isinstance(layers[0], Categories) else columns):
            raise ConfigError(f"part {i} reads column {min(both)} as a number, and another part reads it as a code")


@settings
class Select(Layer):
    """Some columns of the rows as they are given: ``y = x[:, columns]``; dx is dy there, and 0 elsewhere.

    y is float64 if it is ``raw``, for a layer that reads raw columns; else it is in the network's dtype.
    """

    columns: Sequence[int]
    n_in: int
    raw: bool = False
    name: ClassVar[str] = "select"
    reads_raw: ClassVar[bool] = True

    @property
    def n_out(self) -> int:
        """The number of columns."""
        return len(self.columns)

    def _runs(self) -> Iterable[tuple[slice, slice]]:
        """Yield the places in y and in x of columns that follow one another."""
        start = 0
        for j in range(1, len(self.columns) + 1):
            if j == len(self.columns) or self.columns[j] != self.columns[j - 1] + 1:
                first = self.columns[start]
                yield slice(start, j), slice(first, first + j - start)
                start = j

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        for to, of in self._runs():
            c.xp.copyto(y[:, to], x[:, of], casting="unsafe")

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            dx.fill(0)
            for to, of in self._runs():
                c.xp.copyto(dx[:, of], dy[:, to])


@settings
class Concatenate(Layer):
    """The end of Columns: the outputs of the parts side by side; the gradient of each is its columns of dy."""

    widths: Sequence[int]
    name: ClassVar[str] = "concatenate"
    joins: ClassVar[bool] = True

    @property
    def n_in(self) -> int:
        """The number of columns of all parts."""
        return sum(self.widths)

    @property
    def n_out(self) -> int:
        """The number of columns of all parts."""
        return sum(self.widths)

    def places(self) -> Iterable[slice]:
        """Yield the columns of each part in y."""
        start = 0
        for width in self.widths:
            yield slice(start, start + width)
            start += width

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        for part, to in zip(c.parts, self.places(), strict=True):
            c.xp.copyto(y[:, to], part)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        for d_part, of in zip(c.d_parts, self.places(), strict=True):
            c.xp.copyto(d_part, dy[:, of])
