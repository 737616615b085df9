"""The losses that a loss is compared with: that of the best constant prediction, and that of a perfect one."""

from typing import NamedTuple

import numpy as np

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import is_foreign
from fullyconnected.program.data import Data

__all__ = ["Level", "level_of", "targets_of"]

TINY = 1e-7  # probabilities and rates from here on are logarithms of finite size


class Level(NamedTuple):
    """The loss of outputs, that of the best constant outputs (chance), and that of perfect ones (floor)."""

    loss: float
    chance: float
    floor: float

    @property
    def scale(self) -> float:
        """By how much the loss can decrease from chance: the unit of its changes; 0 if there is nothing to learn."""
        scale = self.chance - self.floor
        return scale if scale > 1e-9 * max(abs(self.chance), abs(self.floor)) else 0.0

    @property
    def learned(self) -> float:
        """The share of that decrease which is achieved: 1 for perfect outputs, 0 for constant ones, or negative."""
        return (self.chance - self.loss) / self.scale if self.scale else 1.0


def targets_of(t: Array, n_out: int) -> Array:
    """Return encoded targets as float64 (rows, columns): class numbers become one-hot rows."""
    if t.ndim == 1 and t.dtype.kind in "iu":
        return np.eye(n_out)[t]
    return t.reshape(len(t), -1).astype(np.float64)  # a loss of a user's own may have other columns than outputs


def level_of(data: Data, z: Array) -> Level:
    """Return the level of the loss of outputs ``z`` (rows, n_out)."""
    loss, w = data.loss, data.row_weights
    z = z.astype(np.float64)
    evaluate = loss.evaluator(z, w)

    def value(outputs: Array) -> float:
        return evaluate(np.ascontiguousarray(np.broadcast_to(outputs, z.shape)), data.t)[0]

    t = targets_of(data.t, z.shape[1])
    estimates = [np.zeros(z.shape[1])]
    perfect = 0.0
    if t.shape == z.shape:
        estimates += _constants(loss, t, w)
        # the scores of classes have no best size: with 10 for the right class every margin is met
        perfect = value(10 * t if loss.link.predicts == "scores" else _outputs(loss, t))
    chance = min(filter(np.isfinite, map(value, estimates)), default=np.inf)
    return Level(value(z), chance, min(perfect if np.isfinite(perfect) else 0.0, chance))


def _outputs(loss: Loss, predictions: Array) -> Array:
    """Return the outputs that mean these predictions."""
    if loss.link.predicts == "labels":
        p = np.clip(predictions, TINY, 1 - TINY)
        return np.asarray(np.log(p / (1 - p)))
    if loss.link.predicts in ("classes", "rates"):
        return np.asarray(np.log(np.maximum(predictions, TINY)))
    return predictions


def _constants(loss: Loss, t: Array, w: Array | None) -> list[Array]:
    """Return constant outputs of which one is the best, or nearly so, for every loss of the library."""
    mean = np.average(t, axis=0, weights=w)
    if loss.link.predicts in ("classes", "labels", "rates") and not is_foreign(loss):
        return [_outputs(loss, mean)]  # a likelihood, which is largest for the observed frequencies
    most = np.eye(t.shape[1])[mean.argmax()]  # the margin of a hinge loss is met by the most frequent class
    middle = np.quantile(t, getattr(loss, "q", 0.5), axis=0)
    return [_outputs(loss, mean), _outputs(loss, middle), mean, most]
