"""What is known of a run, an epoch at a time and at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from fullyconnected.core.wording import in_ascii, printable
from fullyconnected.errors import InputTypeError, MissingNameError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fullyconnected.annotations import AxesLike

__all__ = ["Epoch", "History"]


class Epoch(NamedTuple):
    """One epoch just trained."""

    number: int
    loss: float
    validation_loss: float | None
    metrics: dict[str, float]
    seconds: float

    def __str__(self) -> str:
        parts = [f"loss {self.loss:.4g}"]
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4g}")
        on = "" if self.validation_loss is None else "validation "
        parts += [f"{on}{name.replace('_', ' ')} {value:.4g}" for name, value in self.metrics.items()]
        return in_ascii("  ".join([*parts, _duration(self.seconds)]))


def _duration(seconds: float) -> str:
    """Return a time to three digits, and never 0 for what took some."""
    return f"{seconds:.2f} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"


@dataclass(repr=False)
class History:
    """What a training run has left behind, beside the network.

    Attributes
    ----------
    loss : list of float
        One an epoch: the row-weighted mean of the batches' losses before their updates, l2 included. (Of a solver
        such as L-BFGS: the loss after each iteration.)
    validation_loss : list of float
        One an epoch, where there are validation data; without l2.
    metrics : dict of list of float
        By name, one an epoch: on the validation data where there are any, else on the training data.
    engine : str
        Which engine ran: ``"native"`` or ``"numpy"``.
    engine_why : str
        Why it was that one.
    seed : int
        What makes the run repeatable.
    interrupted : bool
        Whether Ctrl-C ended it.
    stopped : str
        What ended it: ``"epochs"``, ``"patience"`` or ``"interrupted"``. For L-BFGS also ``"converged"``;
        ``"line_search"``, where no step along the last direction made the loss smaller (at the limits of the dtype,
        or because a gradient is wrong); or ``"evaluations"``, more than 20 for each epoch.
    monitor : str or None
        With patience, what it watched: ``"loss"``, ``"validation_loss"`` or the name of a metric.
    best_epoch : int or None
        With patience, the epoch whose weights the network has.

    Examples
    --------
    >>> print(History(loss=[2.0, 0.5, 0.25], metrics={"accuracy": [0.5, 0.75, 1.0]}, best_epoch=3))
    3 epochs by the numpy engine, until there had been as many as asked for
    loss      2 -> 0.25, lowest 0.25 in epoch 3
    accuracy  0.5 -> 1
    the network has the weights of epoch 3
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    engine: str = "numpy"
    engine_why: str = ""
    seed: int = 0
    interrupted: bool = False
    stopped: str = "epochs"
    monitor: str | None = None
    best_epoch: int | None = None

    def __str__(self) -> str:
        if not self.loss:
            return f"no epoch is complete; {ENDED.get(self.stopped, self.stopped)}"
        epochs = f"{len(self.loss):,} epoch{'s' * (len(self.loss) != 1)}"
        lines = [f"{epochs} by the {self.engine} engine, {ENDED.get(self.stopped, self.stopped)}"]
        curves = {"loss": self.loss, "validation loss": self.validation_loss}
        on = "validation " if self.validation_loss else ""
        curves |= {in_ascii(f"{on}{printable(key).replace('_', ' ')}"): values for key, values in self.metrics.items()}
        curves = {name: values for name, values in curves.items() if values}
        width = max(map(len, curves))
        for name, values in curves.items():
            line = f"{name:<{width}}  {values[0]:.4g}" + f" -> {values[-1]:.4g}" * (len(values) > 1)
            finite = [value for value in values if math.isfinite(value)]
            if name in ("loss", "validation loss") and finite and len(values) > 1:
                line += f", lowest {min(finite):.4g} in epoch {values.index(min(finite)) + 1}"
            lines.append(line)
        if self.best_epoch is not None:
            by = f", the best by {in_ascii(printable(self.monitor)).replace('_', ' ')}" if self.monitor else ""
            lines.append(f"the network has the weights of epoch {self.best_epoch}{by}")
        return "\n".join(lines)

    __repr__ = __str__  # a notebook shows the last value of a cell, and thousands of numbers say less

    def plot(self, *, ax: AxesLike | None = None) -> list[Axes]:
        """Draw the learning curves; see :func:`fullyconnected.plot.learning_curves`."""
        # by its name, since the module of figures knows this one
        axes: list[Axes] = import_module("fullyconnected.plot").learning_curves(self, ax=ax)
        return axes

    if not TYPE_CHECKING:  # to a type checker any name would pass otherwise, and any item

        def __getitem__(self, name: object) -> NoReturn:
            """Raise: a history is no dict."""
            raise InputTypeError(
                f"a History has attributes and no items: history.loss, history.metrics['accuracy']; got {name!a:.80}"
            )

        def __getattr__(self, name: str) -> Any:  # reached only for names that do not exist
            if name.startswith("_"):  # asked for by tools, which expect it to be missing
                raise AttributeError(f"'History' object has no attribute {name!r}")
            from fullyconnected.core.habits import HISTORY, advice

            raise MissingNameError(
                f"a History has no attribute {name!r}{advice(name, HISTORY, self.__dataclass_fields__, 'history.')}"
            )


ENDED = {
    "epochs": "until there had been as many as asked for",
    "patience": "until patience was at its end",
    "interrupted": "interrupted",
    "converged": "until nothing more was to be gained",
    "line_search": "until no step along the last direction made the loss smaller",
    "evaluations": "until the loss had been looked at as often as is allowed",
}
