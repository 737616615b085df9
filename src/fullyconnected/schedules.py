"""Schedules: functions from the number of epochs trained so far, a float, to a factor on the learning rate.

The number grows within an epoch, too (step 5 of 10 in the first epoch is 0.5), so a schedule can change smoothly. Any
function can be a schedule: ``schedule=lambda epoch: 0.95 ** int(epoch)``. Those here are dataclasses, so that a
checkpoint can tell whether a run is resumed with the schedule that it began with.
"""

import math
from collections.abc import Callable

from fullyconnected.core.checks import number
from fullyconnected.core.settings import Settings, settings
from fullyconnected.errors import InputTypeError

__all__ = ["CosineDecay", "ExponentialDecay", "LinearDecay", "Schedule", "StepDecay", "Warmup"]

Schedule = Callable[[float], float]


@settings
class StepDecay(Settings):
    """Multiply the learning rate by ``factor`` after every ``every`` epochs: ``factor ** floor(epoch / every)``.

    Parameters
    ----------
    factor : float
        The factor, positive; below 1 to lower the rate.
    every : float
        Number of epochs between two changes, positive.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> schedule = StepDecay(0.5, every=2)
    >>> [schedule(epoch) for epoch in (0, 1.9, 2, 4)]
    [1.0, 1.0, 0.5, 0.25]
    """

    factor: float
    every: float = 1

    def __post_init__(self) -> None:
        number("factor", self.factor, above=True)
        number("every", self.every, above=True)

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        return float(self.factor ** math.floor(epoch / self.every))


@settings
class ExponentialDecay(Settings):
    """Multiply the learning rate by ``factor`` per epoch, smoothly: ``factor ** epoch``.

    Parameters
    ----------
    factor : float
        The factor per epoch, positive; below 1 to lower the rate.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> ExponentialDecay(0.5)(2)
    0.25
    """

    factor: float

    def __post_init__(self) -> None:
        number("factor", self.factor, above=True)

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        return float(self.factor**epoch)


@settings
class Decay(Settings):
    """The settings of LinearDecay and CosineDecay."""

    epochs: float
    end: float = 0.0

    def __post_init__(self) -> None:
        number("epochs", self.epochs, above=True)
        number("end", self.end)


class LinearDecay(Decay):
    """Go from 1 to ``end`` in a straight line over ``epochs``, and stay there.

    With u = min(epoch / epochs, 1) the factor is ``1 + (end - 1) u``.

    Parameters
    ----------
    epochs : float
        Length of the decay in epochs, positive.
    end : float
        The last factor, 0 or more.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> [LinearDecay(10, end=0.5)(epoch) for epoch in (0, 5, 20)]
    [1.0, 0.75, 0.5]
    """

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        return 1 + (self.end - 1) * min(epoch / self.epochs, 1)


class CosineDecay(Decay):
    """Go from 1 to ``end`` along half a cosine over ``epochs``, and stay there.

    With u = min(epoch / epochs, 1) the factor is ``end + (1 - end) (1 + cos(pi u)) / 2``.

    Parameters
    ----------
    epochs : float
        Length of the decay in epochs, positive.
    end : float
        The last factor, 0 or more.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> round(CosineDecay(10)(5), 12)
    0.5

    Source: Loshchilov and Hutter, "SGDR", 2017, equation 5, without restarts.
    """

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * min(epoch / self.epochs, 1)))


@settings
class Warmup(Settings):
    """Rise from 0 to 1 in a straight line over ``epochs``, then follow ``then`` from its epoch 0 on.

    The factor is ``epoch / epochs`` before ``epochs``, and ``then(epoch - epochs)`` from there on.

    Parameters
    ----------
    epochs : float
        Length of the rise in epochs, positive.
    then : callable, optional
        A schedule, from an epoch (0 or more) to a factor; always 1 if None.

    Raises
    ------
    ConfigError, InputTypeError
        For epochs out of range or not a number, or a ``then`` that is no function.

    Examples
    --------
    >>> Warmup(2, then=StepDecay(0.5))(1), Warmup(2, then=StepDecay(0.5))(3)
    (0.5, 0.5)
    """

    epochs: float
    then: Schedule | None = None

    def __post_init__(self) -> None:
        number("epochs", self.epochs, above=True)
        if self.then is not None and not callable(self.then):
            raise InputTypeError(f"then is a schedule, a function of the epoch; got {self.then!r}")

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        if epoch < self.epochs:
            return epoch / self.epochs
        return 1.0 if self.then is None else self.then(epoch - self.epochs)
