"""Schedules: functions from the number of epochs trained so far, a float, to a factor on the learning rate.

The number grows within an epoch, too (step 5 of 10 in the first epoch is 0.5), so a schedule can change smoothly. Any
function can be a schedule: ``schedule=lambda epoch: 0.95 ** int(epoch)``. Those here are dataclasses, so that a
checkpoint can tell whether a run is resumed with the schedule that it began with.

A schedule of progress is a function of the share of the planned epochs that has passed, from 0 to 1. ``fit`` knows how
many are planned, and makes a schedule of epochs of it, :class:`Planned`.
"""

import math
from collections.abc import Callable

from fullyconnected.core.checks import count, number
from fullyconnected.core.settings import Settings, settings
from fullyconnected.errors import ConfigError, InputTypeError

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "FlatCosine",
    "LinearDecay",
    "LinearWarmup",
    "LogCosine",
    "ProgressSchedule",
    "Schedule",
    "StepDecay",
    "Warmup",
]

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


class ProgressSchedule(Settings):
    """A function from the share of the planned epochs that has passed, 0 to 1, to a factor on the learning rate."""

    def __call__(self, progress: float) -> float:
        """Return the factor at this share of the planned epochs."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


@settings
class Planned(Settings):
    """A schedule of progress in a run of ``epochs``: a schedule like any other."""

    schedule: ProgressSchedule
    epochs: int

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        return self.schedule(min(epoch / self.epochs, 1.0))


@settings
class FlatCosine(ProgressSchedule):
    """Stay at 1 for a share of the planned epochs, then go to ``end`` along half a cosine.

    With the progress p, the share of the planned epochs that has passed, and u = max(0, (p - flat) / (1 - flat)), the
    factor is ``end + (1 - end) (1 + cos(pi u)) / 2``. A run with it cannot be prolonged, nor be limited by max_time.

    Parameters
    ----------
    flat : float
        The share of the planned epochs at the full rate, from 0 to below 1; 0 is a cosine from the beginning.
    end : float
        The last factor, 0 or more.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> schedule = FlatCosine(0.5)
    >>> [round(schedule(progress), 12) for progress in (0, 0.5, 0.75, 1)]
    [1.0, 1.0, 0.5, 0.0]

    Source: Holzmueller, Grinsztajn and Steinwart, "Better by default", 2024, appendix A.
    """

    flat: float = 0.5
    end: float = 0.0

    def __post_init__(self) -> None:
        _share("flat", self.flat)
        number("end", self.end)

    def __call__(self, progress: float) -> float:
        """Return the factor at this share of the planned epochs."""
        u = max(0.0, (progress - self.flat) / (1 - self.flat))
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * u))


@settings
class LogCosine(ProgressSchedule):
    """Rise from 0 and return to it in cycles, each twice as long as the one before: RealMLP's coslog4.

    With the progress p, the share of the planned epochs that has passed, the factor is
    ``(1 - cos(2 pi log2(1 + (2^cycles - 1) p))) / 2``. A run with it cannot be prolonged, nor be limited by max_time.

    Parameters
    ----------
    cycles : int
        The number of cycles, 1 or more.

    Raises
    ------
    ConfigError, InputTypeError
        For a number of cycles out of range, or that is not a whole number.

    Examples
    --------
    >>> schedule = LogCosine(4)
    >>> [round(schedule(p / 15), 12) for p in (0, 1, 3, 7, 15)]  # the ends of the cycles
    [0.0, 0.0, 0.0, 0.0, 0.0]
    >>> round(schedule((2**3.5 - 1) / 15), 12)  # in the middle of the last one
    1.0

    Source: Holzmueller, Grinsztajn and Steinwart, "Better by default", 2024, section 3.
    """

    cycles: int = 4

    def __post_init__(self) -> None:
        count("cycles", self.cycles)

    def __call__(self, progress: float) -> float:
        """Return the factor at this share of the planned epochs."""
        return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2.0**self.cycles - 1) * progress)))


@settings
class LinearWarmup(ProgressSchedule):
    """Rise from 0 to 1 in a straight line over a share of the planned epochs, then follow ``then``.

    With the progress p, the share of the planned epochs that has passed, the factor is ``p / share`` before ``share``,
    and ``then((p - share) / (1 - share))`` from there on. A run with it cannot be prolonged, nor be limited by
    max_time. (:class:`Warmup` counts epochs.)

    Parameters
    ----------
    share : float
        The share of the planned epochs in which the rate rises, above 0 and below 1.
    then : FlatCosine, LogCosine or LinearWarmup, optional
        What follows in the rest of the epochs; always 1 if None.

    Raises
    ------
    ConfigError, InputTypeError
        For a share out of range or not a number, or a ``then`` that is no schedule of progress.

    Examples
    --------
    >>> schedule = LinearWarmup(0.2, then=FlatCosine(0))
    >>> [round(schedule(progress), 12) for progress in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]

    Source: Goyal and others, "Accurate, large minibatch SGD", 2017, section 2.2.
    """

    share: float = 0.1
    then: ProgressSchedule | None = None

    def __post_init__(self) -> None:
        _share("share", self.share, above=True)
        if not isinstance(self.then, ProgressSchedule | None):
            raise InputTypeError(
                f"then of LinearWarmup is a schedule of progress, such as FlatCosine(); got {self.then!r:.80}. Warmup "
                f"takes schedules of epochs"
            )

    def __call__(self, progress: float) -> float:
        """Return the factor at this share of the planned epochs."""
        if progress < self.share:
            return progress / self.share
        return 1.0 if self.then is None else self.then((progress - self.share) / (1 - self.share))


def _share(name: str, value: float, *, above: bool = False) -> None:
    if number(name, value, above=above) >= 1:
        raise ConfigError(f"{name} is a share of the planned epochs, below 1; got {value!r}")


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
        if isinstance(self.then, ProgressSchedule):
            raise InputTypeError(
                f"Warmup counts epochs, and {self.then!r} is a function of the share of them that has passed; write "
                f"LinearWarmup(share, then={self.then!r})"
            )
        if self.then is not None and not callable(self.then):
            raise InputTypeError(f"then is a schedule, a function of the epoch; got {self.then!r}")

    def __call__(self, epoch: float) -> float:
        """Return the factor at ``epoch``."""
        if epoch < self.epochs:
            return epoch / self.epochs
        return 1.0 if self.then is None else self.then(epoch - self.epochs)
