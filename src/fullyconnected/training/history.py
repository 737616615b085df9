"""The history of a run, and one of its epochs."""

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
    """The results of one epoch."""

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
    """Return a time to three digits, in seconds or milliseconds."""
    return f"{seconds:.2f} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"


@dataclass(repr=False)
class History:
    """The history of a training run.

    Attributes
    ----------
    loss : list of float
        The training loss of each epoch: the row-weighted mean of the batches' losses before their updates, with l2
        and alpha.
        (For a solver such as L-BFGS: the loss after each iteration.)
    validation_loss : list of float
        The validation loss of each epoch, without l2 and alpha; empty without validation data.
    metrics : dict of list of float
        By name, the value of each epoch: on the validation data if there are any, else on the training data.
    engine : str
        The engine that ran: ``"native"`` or ``"numpy"``.
    engine_why : str
        The reason for the choice of the engine.
    seed : int
        The seed with which the run can be repeated.
    interrupted : bool
        Whether Ctrl-C ended the run.
    stopped : str
        What ended the run: ``"epochs"``, ``"patience"``, ``"max_time"`` or ``"interrupted"``. For L-BFGS also
        ``"converged"``; ``"line_search"``, if no step along the last direction decreased the loss (at the limits of
        the dtype, or because a gradient is wrong); or ``"evaluations"``, if their limit was reached.
    monitor : str or None
        With early stopping, the monitored quantity: ``"loss"``, ``"validation_loss"`` or the name of a metric.
    best_epoch : int or None
        With early stopping, the epoch whose weights the network has.
    best_epochs : list of int or None
        With ``best_per_member``, the epoch whose weights each member has; ``best_epoch`` is the last of them.
    averaged : str or None
        With an average of the weights (``average``), what the weights that the network has are an average of.
    planned_epochs : int or None
        The number of epochs that the run was to have: those asked for, or fewer if ``max_time`` allows fewer.
    processes : int
        How many processes trained together (``comm``).

    Examples
    --------
    >>> print(History(loss=[2.0, 0.5, 0.25], metrics={"accuracy": [0.5, 0.75, 1.0]}, best_epoch=3))
    3 epochs by the numpy engine; not stopped early
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
    best_epochs: list[int] | None = None
    planned_epochs: int | None = None
    averaged: str | None = None
    processes: int = 1

    def __str__(self) -> str:
        if not self.loss:
            return f"no epoch is complete; {ENDED.get(self.stopped, self.stopped)}"
        epochs = f"{len(self.loss):,} epoch{'s' * (len(self.loss) != 1)}"
        by = f"the {self.engine} engine" + f" in {self.processes} processes" * (self.processes > 1)
        lines = [f"{epochs} by {by}; {ENDED.get(self.stopped, self.stopped)}"]
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
            if self.best_epochs is None:
                lines.append(f"the network has the weights of epoch {self.best_epoch}{by}")
            else:
                first, last = min(self.best_epochs), max(self.best_epochs)
                lines.append(f"each member has the weights of its own best epoch, from {first} to {last}{by}")
        if self.averaged is not None:
            lines.append(f"its weights are {self.averaged}")
        return "\n".join(lines)

    __repr__ = __str__  # a notebook shows the repr of a cell's last value, and the lists may be long

    def plot(self, *, ax: AxesLike | None = None) -> list[Axes]:
        """Draw the learning curves; see :func:`fullyconnected.plot.learning_curves`."""
        # imported by name, since the module plot imports this one
        return import_module("fullyconnected.plot").learning_curves(self, ax=ax)

    if not TYPE_CHECKING:  # else a type checker would accept any attribute, and any item

        def __getitem__(self, name: object) -> NoReturn:
            """Raise, since a history is not a dict."""
            raise InputTypeError(
                f"a History has attributes, not items: history.loss, history.metrics['accuracy']; got {name!a:.80}"
            )

        def __getattr__(self, name: str) -> Any:  # reached only for names that do not exist
            if name.startswith("_"):  # tools look such names up, and expect an AttributeError
                raise AttributeError(f"'History' object has no attribute {name!r}")
            from fullyconnected.core.habits import HISTORY, advice

            raise MissingNameError(
                f"a History has no attribute {name!r}{advice(name, HISTORY, self.__dataclass_fields__, 'history.')}"
            )


ENDED = {
    "epochs": "not stopped early",
    "patience": "stopped early, after patience epochs without improvement",
    "max_time": "stopped after the epochs that max_time allows",
    "interrupted": "interrupted",
    "converged": "converged",
    "line_search": "stopped, since no step along the last direction decreased the loss",
    "evaluations": "stopped at the maximum number of loss evaluations",
}
