"""The slope of a function along one of its numbers, by differences, with a bound on its error.

A central difference over a step s has two errors. The truncation error, by the curvature of the function within the
step, grows with s^2; the rounding error, by the noise of its values, grows with 1 / s. Neither is known beforehand:
they depend on the scale of the input, and on cancellation. So both are measured. The steps go from large to small by
factors of four, each pair of slopes is extrapolated (Richardson), and an extrapolated slope is compared with its
neighbours to bound its error. The one with the smallest bound is taken.

Sources: Richardson, "The approximate arithmetical solution by finite differences", 1911; Ridders, "Accurate computation
of F'(x) and F'(x) F''(x)", 1982; Moré and Wild, "Estimating computational noise", SIAM J. Sci. Comput. 2011.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Points", "Slope", "measure", "noise_of", "resolve"]

RATIO = 4.0  # of a step to the next smaller one
UP, DOWN = 7, 8  # number of steps above and below the first: from 16,000 times as large to 1 / 65,000
NEAR = 4.0  # slopes whose bounds are within this factor of the smallest one count as plausible
GROWTH = 30.0  # most growth of noise under a step ten times as large; that of curvature is a hundredfold or more
FAR = 1e-3  # change within the smallest step, relative to that within the largest, above which steps are too large
ORDER = 4  # order of differences in which only the noise of a smooth function is left
EPS = float(np.finfo(np.float64).eps)


class Points(NamedTuple):
    """The values a step above and a step below a point, and the distance between the two."""

    above: float
    below: float
    distance: float

    @property
    def slope(self) -> float:
        """The central difference."""
        return (self.above - self.below) / self.distance


class Slope(NamedTuple):
    """A slope and a bound on its error; ``others`` are all plausible slopes, with their bounds."""

    value: float
    bound: float
    others: tuple[tuple[float, float], ...] = ()
    kink: bool = False  # whether the slopes on both sides differ for the smallest steps, too
    sides: tuple[float, float] = (math.nan, math.nan)  # the slopes on the left and on the right

    def miss(self, claimed: float) -> float:
        """Return how far a claimed slope is outside the bounds of each plausible slope, at least."""
        return min(abs(claimed - value) - bound for value, bound in self.others)


def measure(at: Callable[[float], Points | None], step: float) -> list[Points]:
    """Return the values on both sides of a point for steps of many sizes, from the largest on.

    Parameters
    ----------
    at : callable
        Returns the values for a step, or None if the step cannot be used (it crosses a kink).
    step : float
        The middle one of the steps, positive.
    """
    found = [points for k in range(UP, -DOWN - 1, -1) if (points := at(step * RATIO**k)) is not None]
    return [points for points in found if points.distance > 0 and math.isfinite(points.above + points.below)]


def resolve(measured: list[Points], center: float, noise: float, still: float) -> Slope:
    """Return the slope at a point, from the values on both sides.

    Parameters
    ----------
    measured : list of Points
        From the largest step on, as :func:`measure` returns them.
    center : float
        The value at the point itself.
    noise : float
        The rounding error of each value.
    still : float
        The same for values that a step does not change at all, which may be too coarse to show it.
    """
    if not measured or _is_far(measured, center):
        return Slope(math.nan, math.inf, ((math.nan, math.inf),))
    first = measured[-1]
    if first.above == first.below:  # the step is lost in rounding: take the smallest change that a step causes
        noise = max(noise, next((abs(p.above - p.below) for p in reversed(measured) if p.above != p.below), still))
    else:  # the noise was measured where all arrays change, and may include curvature that is absent here
        noise = min(noise, max(EPS * abs(center), 4 * abs(first.above - 2 * center + first.below)))
    found = [
        (points.distance / 2, points.slope, max(noise, still) if points.above == points.below else noise, points)
        for points in measured
    ]
    richer = [  # from the largest step on
        (s, slope + (slope - larger) / (RATIO**2 - 1), rough, points)
        for (_, larger, _, _), (s, slope, rough, points) in itertools.pairwise(found)
    ]
    candidates: list[tuple[float, float, int]] = []
    seen = 0.0  # the noise that smaller steps have shown
    for i in range(len(richer) - 2, 0, -1):
        s, slope, rough, _ = richer[i]
        (_, larger, _, _), (least, smaller, _, _) = richer[i - 1], richer[i + 1]
        seen = max(seen, least * abs(slope - smaller))
        # smaller steps have less truncation: a slope that differs from theirs by more than noise has a larger error
        apart = max(abs(slope - other) - 4 * unsure / tiny for tiny, other, unsure, _ in richer[i + 1 :])
        bound = max(abs(slope - larger), abs(slope - smaller), apart) + 2 * max(rough, seen) / s
        candidates.append((bound, slope, i))
    if not candidates:
        return Slope(math.nan, math.inf, ((math.nan, math.inf),))
    bound, value, i = min(candidates)
    others = tuple((slope, other) for other, slope, _ in candidates if other <= NEAR * bound)
    kink, sides = _kink([(s, points) for s, _, _, points in richer[i:]], center, noise)
    return Slope(value, bound, others, kink, sides)


def _is_far(measured: list[Points], center: float) -> bool:
    """Whether even the smallest step is too large: it changes the function nearly as much as the largest.

    On a straight line, the change is in proportion to the step, of which kinks may leave but a few.
    """
    most = max(abs(value - center) for points in measured for value in points[:2])
    part = max(FAR, 16 * measured[-1].distance / measured[0].distance)
    return max(abs(value - center) for value in measured[-1][:2]) > part * most


def _kink(steps: list[tuple[float, Points]], center: float, noise: float) -> tuple[bool, tuple[float, float]]:
    """Return whether the slopes on the left and the right stay different as steps become smaller, and the two slopes.

    Those of a smooth function approach each other; at a kink, they do not.
    """
    gaps = []
    for s, points in steps:
        right, left = (points.above - center) / s, (center - points.below) / s
        if abs(right - left) < 20 * noise / s:
            break
        gaps.append((abs(right - left), left, right))
    if len(gaps) < 4 or gaps[-1][0] < 0.9 * gaps[0][0]:  # over a step 64 times smaller, or more
        return False, (math.nan, math.nan)
    return True, gaps[-1][1:]


def noise_of(along: Callable[[float], tuple[float, bool]]) -> tuple[float, float]:
    """Return a lower and an upper estimate of the noise of a function's values along a line.

    In differences of fourth order over small steps, only the rounding of a smooth function is left. Several step sizes
    are used: with the smallest, values rounded to few digits may not change at all; with the largest, sharp curvature
    shows. Noise is the same for all steps that show it, and the effect of curvature grows with the step, which is how
    the two are told apart. ``along`` returns a value, and whether it is on the same side of every kink as the center.
    If all lines cross kinks, the effect of kinks counts as noise.

    >>> least, most = noise_of(lambda s: (float(np.float32(0.3 + s)), True))
    >>> bool(1e-9 < least <= most < 1e-7)
    True
    """
    seen: list[tuple[float, bool]] = []
    for spacing in (1e-10, 1e-9, 1e-8, 1e-7, 1e-6):
        values, same_side = zip(*(along(spacing * i) for i in range(-8, 9)), strict=True)
        with np.errstate(all="ignore"):
            left = np.diff(np.array(values), ORDER)
            noise = math.sqrt(float(np.square(left).mean()) / math.comb(2 * ORDER, ORDER))
        seen.append((noise if math.isfinite(noise) else 0.0, all(same_side)))
    usable = sum(same_side for _, same_side in seen) > 1
    found = [noise if same_side or not usable else 0.0 for noise, same_side in seen]
    steady = [large for small, large in itertools.pairwise(found) if large < GROWTH * small]
    least = sorted(found[:-1])[-2]  # at least two steps show this much
    return least, max([least, *steady])
