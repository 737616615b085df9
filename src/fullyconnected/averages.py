"""Averages of the weights of a run, which often predict better than the weights after its last step."""

import math

import numpy as np

from fullyconnected.core.checks import count, flag, number
from fullyconnected.core.settings import Settings, settings
from fullyconnected.errors import ConfigError

__all__ = ["EMA", "SWA"]


@settings
class EMA(Settings):
    """A moving average, which follows the weights after each step: ``average += (1 - d) (theta - average)``.

    It begins as the initial weights, of which a constant d leaves ``d ** t`` in the average after t steps. With
    ``warm_up``, d is ``min(decay, (1 + t) / (10 + t))`` in step t, as in TensorFlow: the average of a run that is too
    short for ``decay`` is one of about the last tenth of its steps. The running statistics of BatchNorm are averaged
    alike.

    Parameters
    ----------
    decay : float
        The share of the average that is kept in a step, in [0, 1); the average is one of about the last
        ``1 / (1 - decay)`` steps.
    warm_up : bool
        Whether d grows towards ``decay``; if not, it is ``decay`` from the first step on.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> history = fc.fit(net, [[1.0]], [[3.0]], "half_squared_error", fc.SGD(0.1), epochs=1, progress=False,
    ...                  average=EMA(0.5, warm_up=False))
    >>> round(float(net.theta[0]), 6)  # a step from 1 to 1.2
    1.1

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up is that of
    ``num_updates`` of ``tf.train.ExponentialMovingAverage``.
    """

    decay: float = 0.999
    warm_up: bool = True

    def __post_init__(self) -> None:
        number("decay of EMA", self.decay, below=1)
        flag("warm_up of EMA", self.warm_up)

    def share(self, step: int) -> float:
        """Return the share of the new weights, 1 - d, in a step, counted from 1."""
        return 1 - (min(self.decay, (1 + step) / (10 + step)) if self.warm_up else self.decay)


@settings
class SWA(Settings):
    """Stochastic weight averaging: the mean of the weights at the ends of the last epochs, all alike.

    The running statistics of BatchNorm do not belong to averaged weights, and are computed anew for them: one pass over
    the training rows, in the order of the run's first epoch, gives the mean of the statistics of all batches, weighted
    by their rows.

    Parameters
    ----------
    start : float or int
        What comes before the first epoch whose weights are averaged: a share of the planned epochs, in [0, 1), or as an
        int the number of epochs, 0 or more. Of 20 epochs, 0.75 and 15 both average epochs 16 to 20.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> history = fc.fit(net, [[1.0]], [[3.0]], "half_squared_error", fc.SGD(0.1), epochs=3, progress=False,
    ...                  average=SWA(1))
    >>> round(float(net.theta[0]), 6)  # steps from 1 to 1.2, 1.38 and 1.542
    1.461

    Source: Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, "Averaging weights leads to wider optima and better
    generalization", UAI 2018.
    """

    start: float = 0.75

    def __post_init__(self) -> None:
        if isinstance(self.start, int | np.integer):
            vars(self).update(start=count("start of SWA", self.start, least=0))
        else:
            vars(self).update(start=number("start of SWA", self.start))
            if self.start >= 1:
                raise ConfigError(
                    f"start of SWA is a share of the epochs, in [0, 1), or as an int their number, such as SWA(15); "
                    f"got {self.start}"
                )

    @property
    def is_share(self) -> bool:
        """Whether ``start`` is a share of the planned epochs."""
        return isinstance(self.start, float)

    def skipped(self, planned: int | None) -> float:
        """Return the number of epochs before the first that is averaged, infinity if that is not known."""
        if not self.is_share:
            return self.start
        return math.inf if planned is None else int(self.start * planned)
