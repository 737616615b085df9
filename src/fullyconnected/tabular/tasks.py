"""What may be predicted of a table, and the loss by which networks learn it."""

from __future__ import annotations

from fullyconnected.base import Loss
from fullyconnected.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy

__all__ = ["CLASSES", "LABELS", "LOSSES", "NUMBERS", "TASKS"]

CLASSES, LABELS, NUMBERS = TASKS = ("classes", "labels", "numbers")  # one of several; several at once; values
LOSSES: dict[str, type[Loss]] = {
    CLASSES: SoftmaxCrossEntropy,
    LABELS: BinaryCrossEntropy,
    NUMBERS: MeanSquaredError,
}
