"""What is kept of a run while it grows: states to go back to, and curves; both bounded, however long it is.

They are taken at the multiples of a stride, which doubles whenever there are too many. So what is kept depends on the
step that was reached and on nothing else: not on the speed, nor on where the run was paused.
"""

from bisect import bisect_right

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.playing.stepping import Kept

__all__ = ["CURVES", "Timeline"]

POINTS = 256
MEMORY = 1 << 26  # bytes for states, of which 8 at least are kept
CURVES = ("train", "test", "metric_train", "metric_test", "learning_rate", "gradient_norm")


class Timeline:
    """The states and curves of a run."""

    def __init__(self, start: Kept) -> None:
        self.stride = 1
        self.most_states = max(8, min(POINTS, MEMORY // max(1, start.size)))
        self.states_stride = 1
        self.states: dict[int, Kept] = {}
        self.points: dict[int, tuple[float, ...]] = {}
        self.last = 0
        self.keep(start)

    def next_stop(self, step: int) -> int:
        """Return the next step, after this one, of which something is to be kept."""
        stride = min(self.stride, self.states_stride)
        return (step // stride + 1) * stride

    def wants_point(self, step: int) -> bool:
        """Whether the curves lack this step."""
        return step % self.stride == 0 and step not in self.points

    def wants_state(self, step: int) -> bool:
        """Whether the states lack this step."""
        return step % self.states_stride == 0 and step not in self.states

    def add(self, step: int, values: tuple[float, ...]) -> None:
        """Add a point to the curves, in the order of ``CURVES``."""
        self.points[step] = values
        while len(self.points) > POINTS:
            self.stride *= 2
            self.points = {at: each for at, each in self.points.items() if at % self.stride == 0}

    def keep(self, state: Kept) -> None:
        """Keep a state."""
        self.states[state.step] = state
        while len(self.states) > self.most_states:
            self.states_stride *= 2
            self.states = {at: each for at, each in self.states.items() if at % self.states_stride == 0}

    def reached(self, step: int) -> None:
        """Note that the run has come as far as this."""
        self.last = max(self.last, step)

    def before(self, step: int) -> Kept:
        """Return the last state that was kept at this step or before it."""
        known = sorted(self.states)
        return self.states[known[bisect_right(known, step) - 1]]

    def forget_after(self, step: int) -> None:
        """Forget what came after a step, and at it: something else follows from here."""
        self.states = {at: each for at, each in self.states.items() if at < step}
        self.points = {at: each for at, each in self.points.items() if at < step}
        self.last = min(self.last, step)

    def curves(self) -> dict[str, Array]:
        """Return the curves by name, with the steps."""
        steps = sorted(self.points)
        table = np.array([self.points[step] for step in steps], np.float64).reshape(len(steps), len(CURVES))
        found: dict[str, Array] = {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(CURVES)}
        return {"step": np.array(steps, np.float64), **found}
