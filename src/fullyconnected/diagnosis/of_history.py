"""Findings about the curves of a training: rising, oscillating, still falling, or overfitting."""

import math
from collections.abc import Iterator

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.diagnosis.chance import Level
from fullyconnected.diagnosis.findings import Finding
from fullyconnected.training.history import History

__all__ = ["of_history"]

# Changes of the loss are relative to its decrease from a constant prediction to a perfect one. The limits are from runs
# of 60 or 100 epochs on iris, wine, diabetes, breast cancer and digits, standardised, with SGD, Momentum and Adam at
# rates of 0.003 to 0.5 and batches of 8 and 32.
EPOCHS = 5  # fewer say nothing
RISEN = 0.1  # diabetes with Adam(0.5), which ended above chance, rose by more; no run that learned did
SWING = 0.05  # the median step in the second half: up to 0.02 where learning worked, 0.055 with Adam(0.1) on digits
FALLING, SLOWLY = 1e-2, 1e-3  # an epoch: a warning, and a note; up to 6e-3 in runs that had learned
OVERFITTED = 0.2  # relative to the lowest validation loss: 0.32 to 0.86 without l2, up to 0.18 with it, by chance


def of_history(history: History, level: Level) -> Iterator[Finding]:
    """Yield what the curves show."""
    for name, curve in (("loss", history.loss), ("validation loss", history.validation_loss)):
        wrong = [i for i, value in enumerate(curve, 1) if not math.isfinite(value)]
        if wrong:
            yield Finding(
                "not_finite",
                "error",
                f"epoch {wrong[0]}",
                f"the {name} of epoch {wrong[0]} is {curve[wrong[0] - 1]}",
                "Train with a learning rate ten times smaller, or max_grad_norm=1.0.",
            )
            return
    loss = np.array(history.loss, np.float64)
    scale = level.scale or float(np.ptp(loss)) if len(loss) else 0.0
    found: list[Finding] = []
    if len(loss) >= EPOCHS and scale > 0:
        found += _of_loss(loss, scale)
    if history.best_epoch is None and len(history.validation_loss) >= EPOCHS:
        found += _overfitting(loss, np.array(history.validation_loss, np.float64), scale, level.floor)
    if not found and len(loss) >= EPOCHS and scale > 0 and history.stopped not in ("patience", "converged"):
        found += _falling(loss, scale)
    yield from found


def _of_loss(loss: Array, scale: float) -> Iterator[Finding]:
    window = max(2, len(loss) // 10)
    smooth = np.convolve(loss, np.full(window, 1 / window), "valid")
    best, half = int(loss.argmin()), loss[len(loss) // 2 :]
    steps = np.diff(half)
    swing = float(np.median(np.abs(steps)))
    if smooth[-1] - smooth.min() > RISEN * scale:
        yield Finding(
            "loss_rising",
            "warning",
            f"epoch {best + 1}",
            f"the loss has risen from {loss[best]:.3g} in epoch {best + 1} to {loss[-1]:.3g} in epoch {len(loss)}: the "
            f"learning rate is too high",
            "Train with a learning rate ten times smaller, or with a schedule such as fc.CosineDecay(epochs).",
        )
    elif swing > SWING * scale and 0.25 <= (steps > 0).mean() <= 0.75:
        yield Finding(
            "loss_oscillating",
            "warning",
            f"epochs {len(loss) // 2 + 1} to {len(loss)}",
            f"the loss goes up and down by {swing:.3g} an epoch, between {half.min():.3g} and {half.max():.3g}: the "
            f"learning rate is too high",
            "Train with a learning rate ten times smaller, with larger batches, or with a schedule.",
        )


def _falling(loss: Array, scale: float) -> Iterator[Finding]:
    window = max(3, len(loss) // 10)
    last, before = loss[-window:], loss[:-window]
    at = np.arange(window) - (window - 1) / 2
    fall = -float(at @ last / (at @ at))  # the slope of the line that fits best
    if fall > SLOWLY * scale and last.mean() < before.min():  # a rough curve that no longer falls was as low before
        yield Finding(
            "loss_still_falling",
            "warning" if fall > FALLING * scale else "note",
            f"epoch {len(loss)}",
            f"the loss is still falling, by {fall:.2g} an epoch over the last {len(last)}, and is {loss[-1]:.3g} in "
            f"epoch {len(loss)}",
            "Train for more epochs, or with a larger learning rate.",
        )


def _overfitting(loss: Array, validation: Array, scale: float, floor: float) -> Iterator[Finding]:
    best, last = int(validation.argmin()), float(np.median(validation[-3:]))
    rise = last - validation[best]
    falls = len(loss) == len(validation) and loss[-1] < loss[best]
    if falls and rise > OVERFITTED * max(validation[best] - floor, SWING * scale):
        yield Finding(
            "overfitting",
            "warning",
            f"epoch {best + 1}",
            f"the validation loss has risen from {validation[best]:.3g} in epoch {best + 1} to {last:.3g}, while the "
            f"training loss fell from {loss[best]:.3g} to {loss[-1]:.3g}",
            "Stop early (patience=10 restores the best weights), or use weight decay (l2=1e-3), Dropout or fewer "
            "units.",
        )
