"""The settings of a run as one record, which ``fit``, ``epochs``, the run and its checkpoint share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fullyconnected.averages import EMA, SWA
from fullyconnected.core.checks import check_precision, count, duration, flag, interval, number, thread_count
from fullyconnected.core.contracts import check_call
from fullyconnected.core.randomness import check_seed
from fullyconnected.core.settings import Settings, names_of, settings
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.factors import Factors

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, CommLike, MetricLike, PathLike, SeedLike, ValidationLike
    from fullyconnected.schedules import Schedule

__all__ = ["FitSettings"]


@settings
class FitSettings(Settings):
    """The settings of :func:`fullyconnected.fit`, where they are described.

    They are checked here, except for checks that need the network or its data (rows, columns, metrics, the engine),
    which are left to the run. To add a setting, add a field and its check here, a line in ``annotations.FitOptions``,
    and a parameter of ``fit`` with its description. A run can be resumed only with the same settings, except for those
    in ``MAY_CHANGE``.
    """

    batch_size: int = 128
    l2: float = 0.0
    alpha: float = 0.0
    shuffle: bool = True
    streams: int = 1
    window: int | None = None
    seed: SeedLike = 0
    sample_weight: ArrayLike | None = None
    validation: ValidationLike | None = None
    metrics: MetricLike | Sequence[MetricLike] = ()
    monitor: str | None = None
    patience: int | None = None
    best_per_member: bool | Literal["others"] = False
    max_time: float | str | None = None
    max_grad_norm: float | None = None
    schedule: Schedule | None = None
    weight_decay_schedule: Schedule | None = None
    dropout_schedule: Schedule | None = None
    checkpoint: PathLike | None = None
    checkpoint_every: int | str | None = None
    average: EMA | SWA | None = None
    factors: Factors | None = None
    warn: bool = True
    engine: str = "auto"
    n_threads: int | None = None
    precision: str | None = None
    comm: CommLike = None

    SCHEDULES: ClassVar[tuple[str, ...]] = ("schedule", "weight_decay_schedule", "dropout_schedule")
    MAY_CHANGE: ClassVar[tuple[str, ...]] = (
        *("sample_weight", "validation"),  # the checkpoint compares the arrays themselves
        *("checkpoint", "checkpoint_every", "warn", "engine", "n_threads", "comm"),
    )

    def __post_init__(self) -> None:
        for name, schedule in self.those(self.SCHEDULES).items():
            if schedule is not None and not callable(schedule):
                raise InputTypeError(f"{name} is a function of the epoch, such as fc.StepDecay(0.95); got {schedule!r}")
            if schedule is not None:
                check_call(schedule, f"the {name}", "epoch")
        if not isinstance(self.shuffle, bool | np.bool_):
            raise InputTypeError(f"shuffle is True or False (the rows' own order); got {self.shuffle!r}")
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise InputTypeError(
                f'monitor is "loss", "validation_loss" or the name of a metric; got {self.monitor!a:.80}'
            )
        if self.monitor is not None and self.patience is None:
            raise ConfigError(f"monitor={self.monitor!r} is for early stopping: give patience, too, such as 10")
        if self.best_per_member != "others":
            if not isinstance(self.best_per_member, bool | np.bool_):
                raise InputTypeError(f'best_per_member is True, False or "others"; got {self.best_per_member!a:.80}')
            vars(self)["best_per_member"] = bool(self.best_per_member)
        if self.best_per_member and self.patience is None:
            raise ConfigError("best_per_member is for early stopping: give patience, too, such as 10")
        if self.checkpoint_every is not None:
            interval("checkpoint_every", self.checkpoint_every)
        if self.average is not None and not isinstance(self.average, EMA | SWA):
            raise InputTypeError(f"average is fc.EMA(0.999) or fc.SWA(0.75), or None; got {self.average!a:.80}")
        if self.factors is not None and not isinstance(self.factors, Factors):
            raise InputTypeError(f'factors is fc.Factors(lr={{"bias": 0.1}}) or the like; got {self.factors!a:.80}')
        check_precision(self.precision)
        limit = self.max_grad_norm
        vars(self).update(
            batch_size=count("batch_size", self.batch_size),
            l2=number("l2", self.l2),
            alpha=number("alpha", self.alpha),
            shuffle=bool(self.shuffle),
            streams=count("streams", self.streams),
            window=None if self.window is None else count("window", self.window),
            warn=flag("warn", self.warn),
            seed=check_seed(self.seed),
            patience=None if self.patience is None else count("patience", self.patience),
            max_time=None if self.max_time is None else duration("max_time", self.max_time),
            max_grad_norm=None if limit is None else number("max_grad_norm", limit, above=True),
            n_threads=None if self.n_threads is None else thread_count(self.n_threads),
        )

    def over(self, epochs: int | None) -> FitSettings:
        """Return the settings of a run of so many epochs, for which schedules of progress are made; None if unknown."""
        from fullyconnected.schedules import Planned, ProgressSchedule

        given = self.those(self.SCHEDULES).items()
        made: dict[str, Any] = {name: schedule for name, schedule in given if isinstance(schedule, ProgressSchedule)}
        if not made:
            return self
        if epochs is None or self.max_time is not None:
            name, schedule = next(iter(made.items()))
            why = "nobody says here how many" if epochs is None else "max_time settles after the first one how many"
            raise ConfigError(
                f"{name}={schedule!r} is a function of the share of the planned epochs that has passed, and "
                f"{why} are planned. Use fit(..., epochs=...) without max_time, or a schedule of epochs such as "
                f"fc.CosineDecay(100)"
            )
        planned: dict[str, Any] = {name: Planned(schedule, epochs) for name, schedule in made.items()}
        return replace(self, **planned)

    @property
    def every(self) -> int | float | None:
        """The interval between writes of the checkpoint: an int of epochs, a float of seconds, or None."""
        every = self.checkpoint_every
        return None if every is None else interval("checkpoint_every", every)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        return names_of(cls)  # type: ignore[arg-type]

    @classmethod
    def among(cls, given: Mapping[str, Any]) -> FitSettings:
        """Return the settings among other values, by name."""
        return cls(**{name: given[name] for name in cls.names()})

    def those(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the settings with these names, as a dict."""
        return {name: getattr(self, name) for name in self.names() if name in names}
