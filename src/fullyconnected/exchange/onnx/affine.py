"""Factors and shifts of columns, such as a norm that was computed beforehand, as part of the layers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.exchange.arriving import Part, dense, numbers
from fullyconnected.layers import BatchNorm, Dense, LayerNorm, Rescale, RMSNorm, Scale, Standardize

__all__ = ["Affine", "Piece", "settled"]


class Affine(NamedTuple):
    """``y = (x - mean) * factor / divisor + shift`` for n columns, in float64; ``where`` it stood in the source.

    It is kept so, since the constants of a layer that standardises are then those of the source, to the last bit.
    """

    mean: Array
    factor: Array
    divisor: Array
    shift: Array
    where: str
    dtype: np.dtype[Any]  # of the source

    @classmethod
    def of(cls, n: int, where: str, dtype: np.dtype[Any]) -> Affine:
        """Return what leaves n columns as they are."""
        return cls(np.zeros(n), np.ones(n), np.ones(n), np.zeros(n), where, dtype)

    def times(self, by: Array) -> Affine:
        return self._replace(factor=self.factor * by, shift=self.shift * by)

    def over(self, by: Array) -> Affine:
        return self._replace(divisor=self.divisor * by, shift=self.shift / by)

    def plus(self, by: Array) -> Affine:
        if (self.scale == 1).all() and not self.shift.any():
            return self._replace(mean=self.mean - by)
        return self._replace(shift=self.shift + by)

    def then(self, after: Affine) -> Affine:
        """Return both, one after the other."""
        both = self.plus(-after.mean) if after.mean.any() else self
        both = both.times(after.factor) if (after.factor != 1).any() else both
        both = both.over(after.divisor) if (after.divisor != 1).any() else both
        both = both.plus(after.shift) if after.shift.any() else both
        return both._replace(dtype=np.promote_types(self.dtype, after.dtype))

    @property
    def scale(self) -> Array:
        return self.factor / self.divisor

    @property
    def offset(self) -> Array:
        """What y is where x is 0."""
        return self.shift - self.mean * self.scale


Piece = Part | Affine


@np.errstate(all="ignore")  # what comes of it is checked where a layer is made of it
def settled(pieces: Sequence[Piece], *, begins: bool) -> list[Part]:
    """Return layers of what may have factors and shifts among it: these become part of the layer before or behind.

    At the beginning of a network (``begins``), they are a layer that standardises, or one of factors; where no layer
    beside them can take them in, they are layers of their own.
    """
    joined: list[Piece] = []
    for each in pieces:
        last = joined[-1] if joined else None
        if isinstance(each, Affine) and isinstance(last, Affine):
            joined[-1] = last.then(each)
        else:
            joined.append(each)
    found: list[Part] = []
    taken: Affine | None = None  # what the next layer takes in
    for i, each in enumerate(joined):
        after = joined[i + 1] if i + 1 < len(joined) else None
        if isinstance(each, Part):
            found.append(each if taken is None else _behind(taken, each))
            taken = None
        elif begins and not found and (part := _first(each)) is not None:
            found.append(part)
        elif found and (part := _before(found[-1], each)) is not None:
            found[-1] = part
        elif isinstance(after, Part) and isinstance(after.layer, Dense):
            taken = each
        else:
            found += _alone(each)
    return found


def _first(a: Affine) -> Part | None:
    """Return the layer that a network begins with: factors alone, or what standardises its columns."""
    if not a.offset.any():
        return _factors(a)
    if not (a.scale > 0).all():
        return None
    mean, scale = (a.mean, a.divisor / a.factor) if not a.shift.any() else (-a.offset / a.scale, 1 / a.scale)
    numbers(np.stack([mean, scale]), f"what {a.where} says")
    return Part(Standardize(None, tuple(mean.tolist()), tuple(scale.tolist())), (), a.where)


def _before(part: Part, a: Affine) -> Part | None:
    """Return a layer with the factors and shifts behind it, if it can take them in."""
    values: dict[str, Any] = dict(part.values[0]) if part.values else {}
    if isinstance(part.layer, Dense):
        W, b = values["W"], values.get("b")
        shift = a.offset if b is None else b * a.scale + a.offset
        return dense(_like(W, W * a.scale), None if b is None and not shift.any() else _like(W, shift), part.where)
    if isinstance(part.layer, LayerNorm | BatchNorm):
        gamma, beta = values["gamma"], values["beta"]
        values |= {"gamma": _like(gamma, gamma * a.scale), "beta": _like(gamma, beta * a.scale + a.offset)}
        numbers(np.stack([values["gamma"], values["beta"]]), f"what {part.where} says")
        return part._replace(values=(values,))
    if isinstance(part.layer, RMSNorm) and not a.offset.any():
        gamma = values["gamma"]
        return part._replace(values=({"gamma": numbers(_like(gamma, gamma * a.scale), f"the gain of {part.where}")},))
    return None


def _behind(a: Affine, part: Part) -> Part:
    """Return a Dense layer with the factors and shifts before it."""
    W, b = part.values[0]["W"].astype(np.float64), part.values[0].get("b")
    shift = a.offset @ W
    b = shift if b is None else b + shift
    own = part.values[0]["W"]
    return dense(_like(own, W * a.scale[:, None]), _like(own, b) if b.any() or shift.any() else None, part.where)


def _alone(a: Affine) -> list[Part]:
    """Return layers of factors and shifts, which stand for themselves."""
    if not a.offset.any():
        return [_factors(a)]
    numbers(np.stack([a.offset, a.scale]), f"what {a.where} says")
    if (a.scale > 0).all():
        return [Part(Rescale(None, tuple(a.offset.tolist()), tuple(a.scale.tolist())), (), a.where)]
    return [_factors(a), Part(Rescale(None, tuple(a.offset.tolist()), 1.0), (), a.where)]


def _factors(a: Affine) -> Part:
    return Part(Scale(len(a.scale)), ({"s": numbers(a.scale.astype(a.dtype), a.where)},), a.where)


def _like(a: Array, value: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(a.dtype)
