"""One finding of a diagnosis, and the order of importance."""

from collections.abc import Iterable
from dataclasses import dataclass

from fullyconnected.core.wording import in_ascii

__all__ = ["NAMES", "SEVERITIES", "Finding", "by_importance"]

SEVERITIES = ("error", "warning", "note")
# From cause to consequence: features of size 1e6 also saturate units, and saturated units also keep the loss high.
NAMES = (
    "not_finite",
    "rows_in_another_order",
    "features_unscaled",
    "targets_unscaled",
    "targets_constant",
    "symmetric_weights",
    "dead_units",
    "saturated_units",
    "gradients_exploding",
    "gradients_vanishing",
    "loss_rising",
    "loss_oscillating",
    "cannot_overfit",
    "loss_above_chance",
    "class_imbalance",
    "overfitting",
    "loss_still_falling",
    "features_constant",
    "features_duplicate",
)


@dataclass(frozen=True)
class Finding:
    """One finding of :func:`fullyconnected.diagnose`; its text is one line.

    Attributes
    ----------
    name : str
        What it is, such as ``"dead_units"``.
    severity : str
        ``"error"``: training is impossible; ``"warning"``: training is slow, or fails; ``"note"``: worth knowing.
    where : str
        A layer (``"dense_1"``), a parameter (``"dense_1.W"``), a column (``"x[:, 7]"``) or an epoch (``"epoch 12"``).
    seen : str
        What was seen, with its number.
    change : str
        What to change.
    """

    name: str
    severity: str
    where: str
    seen: str
    change: str

    def __str__(self) -> str:
        return in_ascii(f"{self.seen}. {self.change}")


def by_importance(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in order: by severity, and causes before consequences."""
    return sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), NAMES.index(each.name)))
