"""Layers that read the code of a category: OneHot has a column for each level, Embedding a vector that is learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fullyconnected import initializers
from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache, Views, take
from fullyconnected.core.checks import count
from fullyconnected.core.settings import settings
from fullyconnected.errors import DataError

if TYPE_CHECKING:
    from fullyconnected.annotations import InitializerLike

__all__ = ["Embedding", "OneHot"]

UNKNOWN = -1  # the code of a level that is not known


@settings
class Categories(Layer):
    """A layer that reads one column of codes: the levels of a category, counted from 0, or -1 for an unknown one."""

    levels: int
    n_in: ClassVar[int] = 1
    reads_raw: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", count(f"levels of {type(self).__name__}", self.levels))

    def check_rows(self, x: Array, what: str, first: int) -> None:
        codes = x[:, 0]
        with np.errstate(invalid="ignore"):
            known = (codes >= UNKNOWN) & (codes < self.levels)
            if codes.dtype.kind == "f":
                known &= np.floor(codes) == codes
        if known.all():
            return
        row = int(np.argmin(known))
        said = "is missing, NaN" if codes[row] != codes[row] else f"is {codes[row]}"
        raise DataError(
            f"{what}[{first + row}, 0] {said}; {type(self).__name__} takes the code of a level, a whole number from 0 "
            f"to {self.levels - 1}, or {UNKNOWN} for a level that is unknown or missing"
        )

    def example_rows(self, rng: np.random.Generator, rows: int) -> Array:
        return rng.integers(UNKNOWN, self.levels, (rows, 1)).astype(np.float64)

    def input_units(self, x: Array) -> Array:
        return np.zeros(x.shape)


@settings
class OneHot(Categories):
    """Turn the code of a level into a column for each level: ``y[j] = 1`` where ``x = j``, and 0 elsewhere.

    An unknown level, of the code -1, is 0 in all columns. A code has no gradient: dx = 0.

    A network can begin with it; it can stand nowhere else. It has no parameters: what follows learns a weight for each
    level. For many levels, :class:`Embedding` needs fewer of them.

    Parameters
    ----------
    levels : int
        The number of levels, 1 or more; their codes are 0 to levels - 1.

    Shapes
    ------
    x (rows, 1), of whole numbers in any dtype; y (rows, levels).

    Raises
    ------
    ConfigError, InputTypeError
        For a number of levels below 1 or not whole.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.OneHot(3), fc.Dense(3, 1, init="ones", bias_init="ones")])
    >>> net.predict([[2], [-1]]).tolist()
    [[2.0], [1.0]]

    Source: Suits, "Use of dummy variables in regression equations", 1957.
    """

    name: ClassVar[str] = "one_hot"

    @property
    def n_out(self) -> int:
        """The number of outputs, one for each level."""
        return self.levels

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n)

    def cache(self, rows: int) -> BufferSpecs:
        codes = np.arange(self.levels, dtype=np.float64)
        return {"codes": Buffer((), np.float64, codes), "hit": Buffer((rows, self.levels), np.bool_)}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.equal(x, c.codes, out=c.hit)  # (rows, 1) and (levels,)
        c.xp.copyto(y, c.hit)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            dx.fill(0)


@settings
class Embedding(Categories):
    """Turn the code of a level into a vector that is learned: ``y = W[x]``, a row of W for each level.

    With O, the matrix that has a 1 in each row where the code is, y = O W, and so dW = O' dy: the gradient of a
    level's row is the sum of dy over the rows of this level, added in their order. A code has no gradient: dx = 0.

    A network can begin with it; it can stand nowhere else. An unknown level, of the code -1, has the last row of W,
    which is 0 at first, and is trained where the training rows have such codes.

    Parameters
    ----------
    levels : int
        The number of levels, 1 or more; their codes are 0 to levels - 1.
    size : int
        The length of the vector of a level, 1 or more.
    init : str, float or callable
        Initial values, as for :class:`Dense`; a level is one input that is 1, so that ``"lecun_normal"`` is N(0, 1).

    Shapes
    ------
    x (rows, 1), of whole numbers in any dtype; W (levels + 1, size), y (rows, size).

    Raises
    ------
    ConfigError, InputTypeError, UnknownNameError
        For sizes below 1 or not whole, or an unknown initializer.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Embedding(3, 2, init="ones"), fc.Dense(2, 1, init="ones")])
    >>> net.predict([[2], [-1]]).tolist()
    [[2.0], [0.0]]
    >>> net.params[0].W.shape
    (4, 2)

    Source: Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", 2003; for the columns of a
    table: Guo and Berkhahn, "Entity embeddings of categorical variables", 2016.
    """

    size: int
    init: InitializerLike = "lecun_normal"

    name: ClassVar[str] = "embedding"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "size", count("size of Embedding", self.size))
        initializers.check(self.init, "init")

    @property
    def n_out(self) -> int:
        """The number of outputs, the length of a level's vector."""
        return self.size

    @classmethod
    def example(cls, n: int) -> Layer:
        return cls(n, n)

    def params(self) -> Mapping[str, Param]:
        return {"W": Param((self.levels + 1, self.size), decays=True, roles=("embedding",))}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        known: Any = initializers.draw(self.init, rng, (self.levels, self.size), 1, self.size)
        p.W = np.concatenate([known, np.zeros((1, self.size))])

    def cache(self, rows: int) -> BufferSpecs:
        return {"row": Buffer((rows, 1), np.int64), "unknown": Buffer((rows, 1), np.bool_)}

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        xp = c.xp
        xp.less(x, 0, out=c.unknown)
        xp.copyto(c.row, x, casting="unsafe")
        xp.copyto(c.row, self.levels, where=c.unknown)
        take(p.W, c.row[:, 0], y, axis=0)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        g.W.fill(0)
        c.xp.add.at(g.W, c.row[:, 0], dy)  # in the order of the rows
        if dx is not None:
            dx.fill(0)
