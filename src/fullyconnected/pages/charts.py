"""Small charts as SVG: points, histograms and lines beside the truth, drawn to be read on a telephone.

Their colours are those of the page that they stand in, by the classes of its style sheet, so that they suit light and
dark. What cannot be drawn, since it is not finite, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.pages.svg import Element, add, drawing, number, render, tip, write

__all__ = ["Curve", "against_truth", "bar", "calibration", "calibration_of", "finite", "histogram", "matrix", "said"]

WIDE, HIGH = 360, 280  # units of a chart, which are pixels on a telephone
LEFT, RIGHT, TOP, BOTTOM = 56, 18, 26, 40  # the margins with the axes
SIZE = 11  # of words
POINTS = 600  # rows up to which each is a point; from there on, a grid is shaded by their density
GRID, BINS, SHADES = 40, 30, 8
SPREAD = (
    200.0  # how many times as large the largest of positive numbers is as the smallest, to be on a logarithmic scale
)
CENTRAL = 0.005, 0.995  # the quantiles between which a histogram is drawn


class Curve(NamedTuple):
    """Bins of predicted probabilities: their mean, the share of rows in which it came true, and the rows."""

    predicted: Array
    true: Array
    rows: Array


class _Axis(NamedTuple):
    """A scale from a lowest to a highest value, linear or logarithmic."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, values: Array | float) -> Array:
        """Return where values lie, from 0 to 1; halves do not overflow."""
        low, high, values = self.low, self.high, np.asarray(values, np.float64)
        if self.logarithmic:
            low, high, values = log10(low), log10(high), np.log10(values)
        return np.asarray((values / 2 - low / 2) / (high / 2 - low / 2))

    def ticks(self) -> list[float]:
        """Return a few round values."""
        if self.logarithmic:
            powers = range(ceil(log10(self.low)), floor(log10(self.high)) + 1)
            return [10.0**power for power in powers[:: -(-len(powers) // 5)]]
        half = self.high / 2 - self.low / 2
        step = 10.0 ** floor(log10(half / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if half / (step * factor) <= 2.6)
        first = ceil(self.low / step - 1e-9)
        found = [step * (first + i) for i in range(8)]
        return [value for value in found if isfinite(value) and value <= self.high + abs(step) * 1e-9]


def said(value: float) -> str:
    """Return a number in few characters."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def finite(*columns: Array) -> list[Array]:
    """Return columns without the rows in which one is not finite."""
    kept = np.all([np.isfinite(column) for column in columns], axis=0)
    return [np.asarray(column, np.float64)[kept] for column in columns]


def bar(share: float, kind: str = "one") -> str:
    """Return a bar of a share of the room, for a cell of a table; the cell has the number."""
    part = min(max(share, 0.0), 1.0) if share == share else 0.0
    return (
        f'<svg class="bar" width="100%" height="6" aria-hidden="true"><rect class="track" width="100%" height="6" '
        f'rx="3"/><rect class="{kind}" width="{number(100 * part)}%" height="6" rx="3"/></svg>'
    )


def against_truth(t: Array, p: Array, name: str, prefix: str) -> str:
    """Return predictions (across) and what is true (up), with the line on which both are equal."""
    t, p = finite(t, p)
    axis = _common(t, p)
    svg = _frame(f"Predictions of {name} and the truth", _told(t, p), prefix)
    _axes(svg, axis, axis, "predicted", "true")
    x, y = axis.share(p), axis.share(t)
    if len(t) > POINTS:
        counts = np.histogram2d(x, y, GRID, ((0, 1), (0, 1)))[0]
        _shades(svg, np.log1p(counts) / np.log1p(counts.max()))
    else:
        points = add(svg, "g", **{"class": "points"})
        for across, up in zip(_across(x), _up(y), strict=True):
            add(points, "circle", cx=across, cy=up, r=2.6)
    add(svg, "path", d=_line([0, 1], [0, 1]), **{"class": "ideal"})
    return render(svg)


def histogram(values: Array, across: str, prefix: str, *, zero: bool = False) -> str:
    """Return how many rows have which values; those that are far out are in the outermost bars.

    ``zero`` marks where values are zero.
    """
    (values,) = finite(values)
    low, middle, high = _quantiles(values, 0.5)
    axis = _scale(min(low, 0.0) if zero else low, max(high, 0.0) if zero else high, values)
    bins = np.clip(np.floor(axis.share(np.clip(values, axis.low, axis.high)) * BINS), 0, BINS - 1)
    counts = np.bincount(bins.astype(np.intp), minlength=BINS)
    desc = f"{len(values):,} rows from {said(values.min())} to {said(values.max())}, with the median {said(middle)}."
    svg = _frame(f"Histogram: {across}", desc, prefix)
    up = _Axis(0.0, float(counts.max()) * 1.05)
    _axes(svg, axis, up, across, "rows", whole=True)
    bars = add(svg, "g", **{"class": "bars"})
    floor_ = HIGH - BOTTOM
    for i, (count, top) in enumerate(zip(counts.tolist(), _up(up.share(counts)), strict=True)):
        if count:
            left, right = _across(np.array([i, i + 1]) / BINS)
            rect = add(bars, "rect", x=left + 0.5, y=top, width=right - left - 1, height=floor_ - top)
            tip(rect, f"{count:,} rows")
    if zero:
        place = float(axis.share(0.0))
        add(svg, "path", d=_line([place, place], [0, 1]), **{"class": "ideal"})
    return render(svg)


def calibration_of(true: Array, p: Array, bins: int = 10) -> Curve:
    """Return bins of probabilities (rows,) of what came true or did not (rows,); those without rows are left out."""
    place = np.clip((p * bins).astype(np.intp), 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    there = rows > 0
    mean, share = (np.bincount(place, values, bins)[there] / rows[there] for values in (p, true))
    return Curve(mean, share, rows[there])


def calibration(curve: Curve, name: str, prefix: str) -> str:
    """Return predicted probabilities (across) and how often they came true (up); large points have many rows."""
    axis = _Axis(0.0, 1.0)
    off = float(np.average(np.abs(curve.predicted - curve.true), weights=curve.rows))
    desc = f"Of {int(curve.rows.sum()):,} rows; on average the two are {off:.2f} apart."
    svg = _frame(f"Calibration of {name}", desc, prefix)
    _axes(svg, axis, axis, "predicted probability", "share that came true", percent=True)
    add(svg, "path", d=_line([0, 1], [0, 1]), **{"class": "ideal"})
    add(svg, "path", d=_line(curve.predicted, curve.true), **{"class": "curve"})
    points = add(svg, "g", **{"class": "points"})
    size = 3 + 6 * np.sqrt(curve.rows / curve.rows.max())
    for across, up, r, *told in zip(_across(curve.predicted), _up(curve.true), size.tolist(), *curve, strict=True):
        point = add(points, "circle", cx=across, cy=up, r=r)
        tip(point, f"{told[2]:,} rows: {told[0]:.0%} predicted, {told[1]:.0%} came true")
    return render(svg)


def matrix(shares: Array, title: str, desc: str, prefix: str) -> str:
    """Return a matrix of shares from 0 to 1 as shades, the diagonal in another colour; row 0 is at the top."""
    n = len(shares)
    svg = drawing(WIDE, WIDE, title, desc, prefix)
    add(svg, "rect", x=0.5, y=0.5, width=WIDE - 1, height=WIDE - 1, **{"class": "box"})
    side = (WIDE - 2) / n
    shade = np.ceil(np.clip(shares, 0, 1) * SHADES).astype(int)
    for on_diagonal, kind in ((False, "two"), (True, "one")):
        for level in range(1, SHADES + 1):
            places = np.argwhere((shade == level) & (np.eye(n, dtype=bool) == on_diagonal))
            _squares(svg, places[:, 1], places[:, 0], side, side, f"{kind} s{level}", 1, 1)
    return render(svg)


def _common(*columns: Array) -> _Axis:
    values = np.concatenate(columns)
    return _scale(values.min(), values.max(), values)


def _scale(low: float, high: float, values: Array) -> _Axis:
    """Return an axis; it is logarithmic for positive numbers of very different sizes."""
    low, high = float(low), float(high)
    if low > 0 and values.min() > 0:
        first, last = map(log10, _quantiles(values))
        if last - first > log10(SPREAD):
            return _Axis(low / 1.1, high * 1.1 if isfinite(high * 1.1) else high, logarithmic=True)
    if not high / 2 - low / 2 > 1e-12 * max(abs(low), abs(high), 1e-290):
        return _Axis(low - max(abs(low) / 2, 0.5), high + max(abs(high) / 2, 0.5))
    return _Axis(low, high)


def _quantiles(values: Array, *between: float) -> list[float]:
    """Return those between which most of the values lie; each is one of the values, so that none overflows."""
    shares = CENTRAL[0], *between, CENTRAL[1]
    return [float(value) for value in np.quantile(values, shares, method="nearest")]


def _told(t: Array, p: Array) -> str:
    spread = (
        f"true ones from {said(t.min())} to {said(t.max())}, predicted ones from {said(p.min())} to {said(p.max())}"
    )
    return f"{len(t):,} rows: {spread}. Where both are equal, a point is on the diagonal."


def _frame(title: str, desc: str, prefix: str) -> Element:
    return drawing(WIDE, HIGH, title, desc, prefix)


def _across(shares: Array | Sequence[float]) -> list[float]:
    return (LEFT + np.asarray(shares) * (WIDE - LEFT - RIGHT)).tolist()


def _up(shares: Array | Sequence[float]) -> list[float]:
    return (HIGH - BOTTOM - np.asarray(shares) * (HIGH - TOP - BOTTOM)).tolist()


def _line(x: Array | Sequence[float], y: Array | Sequence[float]) -> str:
    points = zip(_across(x), _up(y), strict=True)
    return "M" + " ".join(f"{number(across)} {number(up)}" for across, up in points)


def _axes(
    svg: Element, x: _Axis, y: _Axis, across: str, up: str, *, percent: bool = False, whole: bool = False
) -> None:
    """Draw both axes with ticks and names; in percent, or with whole numbers alone upwards."""
    grid = add(svg, "g", **{"class": "grid"})
    words = add(svg, "g", **{"class": "words"})
    for axis, is_x in ((x, True), (y, False)):
        for value in axis.ticks():
            if whole and not is_x and value % 1:
                continue
            share = float(axis.share(value))
            told = f"{value:.0%}" if percent else said(value)
            if is_x:
                (place,) = _across([share])
                add(grid, "path", d=_line([share, share], [0, 1]))
                write(words, min(place, WIDE - 3.2 * len(told)), HIGH - BOTTOM + 13, told, SIZE)
            else:
                (place,) = _up([share])
                add(grid, "path", d=_line([0, 1], [share, share]))
                write(words, LEFT - 6, place, told, SIZE, "end")
    write(words, (LEFT + WIDE - RIGHT) / 2, HIGH - 8, across, SIZE + 1)
    write(words, 2, 8, up, SIZE + 1, "start")


def _shades(svg: Element, levels: Array) -> None:
    """Draw a grid (across, up) of levels from 0 to 1."""
    wide, high = (WIDE - LEFT - RIGHT) / len(levels), (HIGH - TOP - BOTTOM) / len(levels)
    shade = np.ceil(levels * SHADES).astype(int)
    for level in range(1, SHADES + 1):
        places = np.argwhere(shade == level)
        _squares(svg, places[:, 0], len(levels) - 1 - places[:, 1], wide, high, f"one s{level}", LEFT, TOP)


def _squares(svg: Element, x: Array, y: Array, wide: float, high: float, kind: str, left: float, top: float) -> None:
    """Draw cells of a grid, all of one shade, as one shape."""
    if len(x):
        cells = _cells((left + x * wide).tolist(), (top + y * high).tolist(), number(wide), number(high))
        add(svg, "path", d="".join(cells), **{"class": kind})


def _cells(lefts: Sequence[float], tops: Sequence[float], wide: str, high: str) -> Iterator[str]:
    for left, top in zip(lefts, tops, strict=True):
        yield f"M{number(left)} {number(top)}h{wide}v{high}h-{wide}z"
