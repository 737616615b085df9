"""The slope of a function along one of its numbers, by differences, and how far that slope may be off.

A central difference over a step s is wrong in two ways. Truncation, what the function bends within the step, grows
with s^2; rounding, the noise of its values, grows with 1 / s. Neither is known beforehand: an input of 1e-3 bends
where one of 1 does not, and a value that comes from numbers that cancel is as noisy as those. So both are measured.
Steps go from large to small by factors of four, each pair is extrapolated (Richardson), and the neighbours of an
extrapolated slope tell how far it may be off. The one with the smallest bound is taken.

Sources: Richardson, "The approximate arithmetical solution by finite differences", 1911; Ridders, "Accurate computation
of F'(x) and F'(x) F''(x)", 1982; Moré and Wild, "Estimating computational noise", SIAM J. Sci. Comput. 2011.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Points", "Slope", "measure", "noise_of", "resolve"]

RATIO = 4.0  # of one step to the next
UP, DOWN = 7, 8  # so many larger and smaller steps than the first: from 16,000 times as large to 1 / 65,000
NEAR = 4.0  # slopes whose bounds are within this factor of the smallest one are all taken seriously
GROWTH = 30.0  # over a step ten times as large; of a bend the differences grow a hundredfold or more
FAR = 1e-3  # of the way that a function goes within the largest step: too far for the smallest
ORDER = 4  # of the differences that are left of a smooth function when only its noise is
EPS = float(np.finfo(np.float64).eps)


class Points(NamedTuple):
    """The values a step to the right and a step to the left of a point, and the way between the two."""

    above: float
    below: float
    way: float

    @property
    def slope(self) -> float:
        """The central difference."""
        return (self.above - self.below) / self.way


class Slope(NamedTuple):
    """A slope and how far it may be off; ``others`` are slopes that are hardly less certain, with their bounds."""

    value: float
    bound: float
    others: tuple[tuple[float, float], ...] = ()
    kink: bool = False  # left and right have slopes of their own, however small the step
    sides: tuple[float, float] = (math.nan, math.nan)  # those two slopes

    def miss(self, claimed: float) -> float:
        """Return by how much a claimed slope is out of reach of every slope that is to be taken seriously."""
        return min(abs(claimed - value) - bound for value, bound in self.others)


def measure(at: Callable[[float], Points | None], step: float) -> list[Points]:
    """Return the values beside a point over steps of many sizes, from the largest on.

    Parameters
    ----------
    at : callable
        Gives the values a step to both sides, or None where a step is of no use (it crosses a kink).
    step : float
        The middle one of the steps, positive.
    """
    found = [points for k in range(UP, -DOWN - 1, -1) if (points := at(step * RATIO**k)) is not None]
    return [points for points in found if points.way > 0 and math.isfinite(points.above + points.below)]


def resolve(measured: list[Points], center: float, noise: float, still: float) -> Slope:
    """Return the slope that the values beside a point tell.

    Parameters
    ----------
    measured : list of Points
        From the largest step on, as :func:`measure` returns them.
    center : float
        The value at the point itself.
    noise : float
        How far each value may be off by rounding.
    still : float
        The same, where a value does not move at all under a step: it may be too coarse to.
    """
    if not measured or _is_far(measured, center):
        return Slope(math.nan, math.inf, ((math.nan, math.inf),))
    first = measured[-1]
    if first.above == first.below:  # values are as coarse as what the first step moves
        noise = max(noise, next((abs(p.above - p.below) for p in reversed(measured) if p.above != p.below), still))
    else:  # lines along which all parameters move may bend where this one does not
        noise = min(noise, max(EPS * abs(center), 4 * abs(first.above - 2 * center + first.below)))
    found = [
        (points.way / 2, points.slope, max(noise, still) if points.above == points.below else noise, points)
        for points in measured
    ]
    richer = [  # from the largest step on
        (s, slope + (slope - larger) / (RATIO**2 - 1), rough, points)
        for (_, larger, _, _), (s, slope, rough, points) in itertools.pairwise(found)
    ]
    candidates: list[tuple[float, float, int]] = []
    seen = 0.0  # the roughness that smaller steps have shown
    for i in range(len(richer) - 2, 0, -1):
        s, slope, rough, _ = richer[i]
        (_, larger, _, _), (least, smaller, _, _) = richer[i - 1], richer[i + 1]
        seen = max(seen, least * abs(slope - smaller))
        # a smaller step knows better, but for its noise: what is apart from it has overlooked something
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
    """Whether the smallest step is too large: it takes the function much of the way that the largest does.

    A straight line goes as far as the steps are long, where kinks leave but a few.
    """
    way = max(abs(value - center) for points in measured for value in points[:2])
    part = max(FAR, 16 * measured[-1].way / measured[0].way)
    return max(abs(value - center) for value in measured[-1][:2]) > part * way


def _kink(steps: list[tuple[float, Points]], center: float, noise: float) -> tuple[bool, tuple[float, float]]:
    """Tell whether left and right keep slopes of their own as steps become smaller, and which.

    Of a smooth function the two come together as the step does; beside a kink, they do not.
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
    """Return the noise of a function's values along a line, at least and at most.

    Of a smooth function nothing is left in differences of fourth order but its rounding. The steps between are so small
    that it hardly bends, and of several sizes: a value that is rounded to few digits does not show that under the
    smallest, and where the function bends sharply, that shows under the largest. Noise is the same under all that show
    it, and what a sharp bend leaves grows with the step: that is how the two are told apart. ``along`` gives a value,
    and whether it was taken on the same side of every kink; what kinks leave is taken for noise where all lines cross
    some.

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
    least = sorted(found[:-1])[-2]  # what two of them show at least
    return least, max([least, *steady])
