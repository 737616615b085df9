"""The comparison of claimed gradients with central differences, and the verdict: right, wrong or unresolved."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fullyconnected.checking.differences import Points, Slope, measure, noise_of, resolve
from fullyconnected.checking.hints import hint
from fullyconnected.checking.report import Report, TensorReport
from fullyconnected.core.arrays import Array

__all__ = ["Kinks", "Subject"]

Kinks = Iterator[tuple[str, Array | None]]  # each layer and the loss, and the signed distances from its kinks, if any

RESOLVED = 5e-4  # error bound, relative to the largest entry, up to which a mistake of a thousandth is seen
TOGETHER = 64  # entries that are examined before the check for a wrong one
LINES = 3  # number of lines along which the noise of the loss is measured
PLAUSIBLE = {np.dtype(np.float64): 2e-10, np.dtype(np.float32): 2.5e-4}  # most rounding, relative to the largest entry
UNITS = 16  # most rounding, in units in the last place
DRAWS = 6  # how often a gradient is computed anew to measure its rounding
EPS = float(np.finfo(np.float64).eps)


@dataclass
class Subject:
    """A function of arrays that can be changed in place, and the gradients that are claimed for it."""

    arrays: dict[str, Array]  # float64; changed in place, and restored
    claimed: dict[str, Array]
    value: Callable[[], float]
    kinks: Callable[[], Kinks]  # after value()
    own: Callable[[], Mapping[str, Array]]  # the gradients by the layers' NumPy code, in the network's dtype
    again: Callable[[np.random.Generator | None], Mapping[str, Array]]  # the same in float64, with random rounding
    rows: int
    n_out: int
    dtype: np.dtype[Any]
    size: float  # largest output
    claimed_loss: float  # in the network's dtype
    l2: float = 0.0
    culprit: Callable[[], str] = field(default=lambda: "the loss")  # the place of the first values that are not finite
    # the size of each entry of an array, of which steps are a share; of others, the entry's own size, 1 at least. An
    # entry whose unit is 0 has no gradient: it is a missing value or a code.
    units: Mapping[str, Array] = field(default_factory=dict)

    def still(self, name: str) -> Array:
        """Return which entries of an array have no gradient."""
        units = self.units.get(name)
        return np.zeros(self.arrays[name].shape, bool) if units is None else units == 0

    def step_at(self, name: str, entry: tuple[int, ...], step: float) -> float:
        """Return the step for an entry: ``step``, times its unit."""
        array, units = self.arrays[name], self.units.get(name)
        return step * (max(1.0, abs(float(array[entry]))) if units is None else float(units[entry]))

    def report(self, step: float, tolerance: float, entries: int | None, rng: np.random.Generator) -> Report:
        loss = self.center if math.isfinite(self.claimed_loss) else self.claimed_loss
        culprit = "" if self.finite else self.culprit()
        tensors = tuple(
            self.tensor(name, step, tolerance, _choose(np.flatnonzero(~self.still(name)), entries, rng))
            for name, a in self.arrays.items()
            if a.size
        )
        return Report(tensors, loss, self.rows, step, self.dtype.name, culprit)

    @property
    def finite(self) -> bool:
        """Whether the loss is finite, both in float64 and in the network's dtype."""
        return math.isfinite(self.center) and math.isfinite(self.claimed_loss)

    @cached_property
    def center(self) -> float:
        """The loss of the unchanged arrays."""
        return self.value()

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Lower and upper estimate of the rounding error of the loss, from lines along which all arrays change."""
        rng, kept = np.random.default_rng(0), {name: array.copy() for name, array in self.arrays.items()}
        least = most = EPS * abs(self.value())
        here = self._signs()
        for _ in range(LINES):
            units = {name: np.maximum(1, abs(a)) for name, a in kept.items()} | dict(self.units)
            ways = {name: rng.normal(size=a.shape) * units[name] for name, a in kept.items()}

            def along(distance: float, ways: Mapping[str, Array] = ways) -> tuple[float, bool]:
                for name, array in self.arrays.items():
                    array[...] = kept[name] + distance * ways[name]
                return self.value(), not _between(here, self._signs())

            found = noise_of(along)
            least, most = max(least, found[0]), max(most, found[1])
        for name, array in self.arrays.items():
            array[...] = kept[name]
        return least, most

    @cached_property
    def rounding(self) -> dict[str, float]:
        """The rounding error that each tensor's claimed gradient may have in its dtype.

        It is measured in float64: the same code computes the gradient without rounding, and with each result rounded
        up or down at random. The error has a limit, so that a gradient that differs in each run, or in float32, does
        not pass as rounded.
        """
        rng = np.random.default_rng(0)
        drawn = [self.claimed, self.own(), *(self.again(rng) for _ in range(DRAWS))]
        largest = max(map(_largest, self.exact.values()), default=0.0)
        # a derivative of the loss may be a difference of numbers of about 1, which backward multiplies by the arrays
        sizes = [_largest(a) for name, a in self.arrays.items() if name not in self.units]
        least = UNITS * float(np.finfo(self.dtype).eps) * max(1.0, *sizes, self.reach)
        most = (PLAUSIBLE[self.dtype] * largest + least) * self.reach
        return {
            name: min(most, 2 * max(_farthest(other[name], g) for other in drawn)) for name, g in self.exact.items()
        }

    @cached_property
    def reach(self) -> float:
        """The largest input, 1 at least: gradients and their rounding errors are multiplied by inputs."""
        inputs = (_largest(a) for name, a in self.arrays.items() if name in ("x", "z") and name not in self.units)
        return max([1.0, *inputs])

    @cached_property
    def repeats(self) -> bool:
        """Whether the same code gives the same gradients again."""
        again = self.again(None)
        return not any(_farthest(again[name], g) > 1e-9 * _largest(g) for name, g in self.exact.items())

    @cached_property
    def exact(self) -> Mapping[str, Array]:
        """The gradients that the same code computes in float64."""
        return self.again(None)

    def tensor(self, name: str, step: float, tolerance: float, chosen: Array) -> TensorReport:
        """Compare one tensor's gradient with differences, at the chosen entries of the flattened tensor."""
        comparison = Comparison(self, name, self.claimed[name].astype(np.float64), step, tolerance, chosen)
        if self.finite:
            comparison.run()
        return comparison.report()

    def sides(self, array: Array, entry: tuple[int, ...], step: float) -> Points:
        """Return the loss with an entry increased and decreased by a step, and the distance between the two."""
        return self._beside(array, entry, step, lambda: None)[0]

    def sides_and_kink(self, array: Array, entry: tuple[int, ...], step: float) -> tuple[Points, str]:
        """Return the same, and the name of a kink between the two points, or an empty string."""
        points, (right, left) = self._beside(array, entry, step, self._signs)
        return points, _between(right, left)

    def _signs(self) -> list[tuple[str, Array]]:
        """Return the side of each kink on which the last value was computed."""
        return [(name, np.sign(distances)) for name, distances in self.kinks() if distances is not None]

    def _beside(
        self, array: Array, entry: tuple[int, ...], step: float, look: Callable[[], Any]
    ) -> tuple[Points, tuple[Any, Any]]:
        kept = array[entry]
        right, left = kept + step, kept - step
        array[entry] = right
        above, seen_right = self.value(), look()
        array[entry] = left
        below, seen_left = self.value(), look()
        array[entry] = kept
        return Points(above, below, float(right - left)), (seen_right, seen_left)


class Comparison:
    """One tensor's gradient and its differences: first with one step, then with many steps for entries that differ."""

    def __init__(
        self, subject: Subject, name: str, claimed: Array, step: float, tolerance: float, chosen: Array
    ) -> None:
        self.subject, self.name, self.array, self.claimed = subject, name, subject.arrays[name], claimed
        self.step, self.tolerance, self.chosen = step, tolerance, chosen
        self.still = subject.still(name)
        self.slopes = claimed.copy()  # entries that are not chosen, or lie on a kink, count as equal
        self.slopes[self.still] = 0
        self.bounds = np.zeros(self.array.shape)
        self.examined: dict[tuple[int, ...], Slope] = {}
        self.wrong: list[tuple[int, ...]] = []
        self.unresolved: list[tuple[int, ...]] = []
        self.kinks: list[str] = []

    @property
    def scale(self) -> float:
        """The largest entry of gradient and differences."""
        sizes = np.abs([self.claimed.ravel()[self.chosen], self.slopes.ravel()[self.chosen]])
        return float(sizes[np.isfinite(sizes)].max(initial=0))

    def run(self) -> None:
        array, name, subject = self.array, self.name, self.subject
        self.wrong = [tuple(map(int, entry)) for entry in np.argwhere(self.still & (self.claimed != 0))]
        if self.wrong:
            return
        for entry in zip(*np.unravel_index(self.chosen, array.shape), strict=True):
            self.slopes[entry] = subject.sides(array, entry, subject.step_at(name, entry, self.step)).slope
        while off := self._off():
            for entry in off[:TOGETHER]:
                self._examine(entry)
            self._judge(subject.rounding[name], subject.exact[name])
            if self.wrong:  # the other entries would not change the verdict
                return

    def _off(self) -> list[tuple[int, ...]]:
        """Return the entries that are out of tolerance and have not been examined, the farthest first."""
        with np.errstate(invalid="ignore"):  # infinite entries of a gradient
            apart = np.nan_to_num(np.abs(self.claimed - self.slopes), nan=np.inf)
        off = [tuple(map(int, entry)) for entry in np.argwhere(apart > self.tolerance * self.scale)]
        return sorted((entry for entry in off if entry not in self.examined), key=lambda entry: -apart[entry])

    def _examine(self, entry: tuple[int, ...]) -> None:
        """Measure the entry's slope with steps of many sizes."""
        subject, array = self.subject, self.array
        step, where = subject.step_at(self.name, entry, self.step), ""

        def at(step: float) -> Points | None:
            nonlocal where
            points, where = subject.sides_and_kink(array, entry, step)
            return None if where else points

        measured, still = measure(at, step), EPS * subject.size
        # of both estimates of the noise, the one that fits the gradient better: wrong means wrong under both
        slopes = [resolve(measured, subject.center, noise, still) for noise in subject.noise]
        slope = min(slopes, key=lambda slope: slope.miss(float(self.claimed[entry])))
        self.examined[entry] = slope._replace(others=tuple(other for each in slopes for other in each.others))
        self.slopes[entry] = slope.value
        place = f"[{','.join(map(str, entry))}]"
        if not math.isfinite(self.claimed[entry]):
            return
        if where:  # even the smallest step crosses a kink, so no step can tell the slope
            self._leave_out(entry, f"{place} moves {where} across its kink, and is left out")
        elif slope.kink and min(slope.sides) - slope.bound <= self.claimed[entry] <= max(slope.sides) + slope.bound:
            left, right = slope.sides
            self._leave_out(
                entry,
                f"{place} lies on a kink that no layer or loss names (kink_distances): the slope is {left:.6g} to the "
                f"left and {right:.6g} to the right. It is left out",
            )

    def _leave_out(self, entry: tuple[int, ...], why: str) -> None:
        self.slopes[entry] = self.claimed[entry]
        self.kinks.append(why)

    def _judge(self, rounding: float, exact: Array) -> None:
        """Sort examined entries that are out of tolerance into wrong and unresolved ones.

        Even if the gradient's dtype is too coarse to decide, the same code may prove wrong in float64.
        """
        scale, finer = self.scale, rounding * EPS / float(np.finfo(self.subject.dtype).eps)
        self.wrong, self.unresolved = [], []
        for entry, slope in self.examined.items():
            claimed = float(self.claimed[entry])
            if abs(claimed - self.slopes[entry]) <= self.tolerance * scale:
                continue
            self.bounds[entry] = slope.bound + rounding
            far = slope.miss(claimed) > rounding + self.tolerance * scale
            if (
                far
                or not math.isfinite(claimed)
                or slope.miss(float(exact[entry])) > finer + self.tolerance * scale
                or not self.subject.repeats
            ):
                self.wrong.append(entry)
            elif not self.bounds[entry] <= RESOLVED * scale:
                self.unresolved.append(entry)

    @np.errstate(invalid="ignore")  # infinite entries of a gradient
    def report(self) -> TensorReport:
        """Return the report on the tensor, with the numbers of its worst entry."""
        count, finite = len(self.chosen), self.subject.finite
        unresolved = len(self.unresolved) if finite else count
        compared = count - len(self.kinks) - unresolved
        verdict = "wrong" if self.wrong else "ok" if compared or not count else "unresolved"
        apart = np.nan_to_num(np.abs(self.claimed - self.slopes), nan=np.inf)
        of = self.wrong or (self.unresolved if verdict == "unresolved" and finite else None)
        if of:
            worst = max(of, key=lambda entry: float(apart[entry]))
        else:
            for entry in self.unresolved:
                apart[entry] = -1
            worst = tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
        allowed = max(self.scale, float(self.bounds[worst]) / self.tolerance)
        error = float(self.claimed[worst] - self.slopes[worst])
        return TensorReport(
            self.name,
            self.array.shape,
            (error / allowed if allowed else 0.0) if finite else math.nan,
            worst,
            float(self.claimed[worst]),
            float(self.slopes[worst]) if finite else math.nan,
            self.tolerance,
            count,
            verdict,
            unresolved,
            max((float(self.bounds[entry]) / RESOLVED for entry in self.unresolved), default=0.0),
            tuple(self.kinks),
            self._hint() if self.wrong else "",
            int(self.still.sum()),
            tuple(int(j) for j in np.flatnonzero(self.still.any(axis=0))) if self.still.any() else (),
        )

    def _hint(self) -> str:
        if self.still[self.wrong[0]]:
            return "a missing value or a code has no gradient, and that of the input must be 0 there"
        if not self.subject.repeats:
            return "it differs each time that the same code runs: does backward draw new random numbers?"
        claimed, slopes, array = (a.ravel()[self.chosen] for a in (self.claimed, self.slopes, self.array))
        if len(self.chosen) == self.array.size:  # as arrays of their shape
            claimed, slopes, array = self.claimed, self.slopes, self.array
        return hint(claimed, slopes, array, self.subject.rows, self.subject.n_out, self.subject.l2)


def _between(a: list[tuple[str, Array]], b: list[tuple[str, Array]]) -> str:
    """Return the name of a kink between two points, given the sides of kinks at both, or an empty string."""
    for (name, one), (_, other) in zip(a, b, strict=True):
        crossed = np.argwhere(one != other)
        if len(crossed):
            return f"{name}, row {crossed[0][-2]}, unit {crossed[0][-1]},"
    return ""


def _largest(a: Array) -> float:
    return float(np.abs(a).max(initial=0))


def _farthest(a: Array, b: Array) -> float:
    return float(np.nan_to_num(np.abs(a - b), nan=np.inf).max(initial=0))


def _choose(numbers: Array, entries: int | None, rng: np.random.Generator) -> Array:
    """Return the numbers of the entries to check: all of these, or a random sample of ``entries``."""
    if entries is None or entries >= len(numbers):
        return numbers
    return numbers[np.sort(rng.choice(len(numbers), entries, replace=False))]
