"""scikit-learn's rules of when to stop and when to lower the learning rate, as a function of what was monitored."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Stopping"]


@dataclass
class Stopping:
    """Counts epochs without improvement, and sets the learning rate of the next epoch.

    A value improves if it is better than the best so far by ``tol``. After more than ``patience`` epochs without
    improvement, training stops; with ``schedule="adaptive"``, the rate is divided by 5 instead, until it is 1e-6.
    With ``"invscaling"`` the rate is ``lr / (t + 1)^power_t``, t being the number of rows seen.
    """

    lr: float
    schedule: str
    power_t: float
    tol: float
    patience: float
    greater_is_better: bool
    rate: float = math.nan
    best: float = math.nan
    count: int = 0
    said: str = ""

    def __post_init__(self) -> None:
        self.rate = self.lr if math.isnan(self.rate) else self.rate
        self.best = (-math.inf if self.greater_is_better else math.inf) if math.isnan(self.best) else self.best

    def after(self, value: float, t: int) -> str | None:
        """Take the value after an epoch, at the end of which ``t`` rows were seen; return why to stop, or None.

        ``said`` is what scikit-learn prints of it, also where the rate is lowered and training goes on.
        """
        self.said = ""
        better = -1 if self.greater_is_better else 1
        self.count = self.count + 1 if better * value > better * self.best - self.tol else 0
        if better * value < better * self.best:
            self.best = value
        if self.schedule == "invscaling":
            self.rate = self.lr / (t + 1) ** self.power_t
        if not self.count > self.patience:
            return None
        what = "Validation score" if self.greater_is_better else "Training loss"
        stops = self.schedule != "adaptive" or self.rate <= 1e-6
        if stops:
            then = "Stopping." if self.schedule != "adaptive" else "Learning rate too small. Stopping."
        else:
            self.rate /= 5.0
            self.count = 0
            then = f"Setting learning rate to {self.rate:f}"
        self.said = (
            f"{what} did not improve more than tol={self.tol:f} for {self.patience:.0f} consecutive epochs. {then}"
        )
        return self.said if stops else None
