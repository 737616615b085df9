"""A setup of the playground: all that decides a run, as a frozen record of plain data, and as the text of a link."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import quote, unquote

import numpy as np

from fullyconnected.errors import ConfigError, InputTypeError, UnknownNameError, nearest
from fullyconnected.playing.formula import compiled
from fullyconnected.playing.knobs import BY_NAME, KNOBS, Knob, checked

__all__ = ["CLASS_LOSSES", "LARGEST_STEP", "VERSION", "Setup", "task_of"]

VERSION = 1
CLASS_LOSSES = ("cross_entropy", "hinge")
REGRESSIONS = ("plane", "hills")
MOST_CLASSES = 6
LARGEST_STEP = 10**9
SAFE = ",:;*+()^._-"  # what an address keeps as it is


@dataclass(frozen=True)
class Setup:
    """A setup: the value of each knob, all checked. :meth:`of` makes one, and fills in the defaults.

    >>> Setup.of({"data": "moons", "hidden": [8]}).address()
    'v=1&data=moons&hidden=8'
    """

    data: str
    rows: int
    noise: float
    classes: int
    task: str
    formula: str
    points: tuple[tuple[float, float, float], ...]
    columns: str
    target: str
    test_share: float
    data_seed: int
    features: tuple[str, ...]
    hidden: tuple[int, ...]
    activation: str
    norm: str
    dropout: float
    residual: bool
    init: str
    seed: int
    loss: str
    optimizer: str
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    schedule_epochs: int
    batch_size: int
    shuffle: bool
    l2: float
    max_grad_norm: float

    @classmethod
    def of(cls, given: Mapping[str, Any] | None = None) -> Self:
        """Return the setup with these values, and the defaults of all other knobs.

        Raises
        ------
        InputTypeError, ConfigError, UnknownNameError
            For something that is no mapping, an unknown knob, a value of another type or out of range, and values that
            do not go together.
        """
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            raise InputTypeError(
                f'a setup is a value for each knob, by name, such as {{"data": "moons"}}; got {given!r:.80}'
            )
        if (version := given.get("v", VERSION)) != VERSION or isinstance(version, bool):
            raise ConfigError(
                f"this playground reads setups of version {VERSION}; got v={version!r:.20}. Newer ones need a newer "
                f"fullyconnected"
            )
        for name in given:
            if name not in BY_NAME and name != "v":
                raise _unknown(name)
        setup = cls(**{knob.name: checked(knob, given.get(knob.name, knob.default)) for knob in KNOBS})
        setup.require_sense()
        return setup

    def require_sense(self) -> None:
        """Raise if values do not go together."""
        if self.data == "formula":
            compiled(self.formula)
        if self.data == "points":
            if len(self.points) < 2:
                raise ConfigError(f"points: two points or more are needed; got {len(self.points)}. Draw some")
            if self.task == "classification":
                for x1, x2, t in self.points:
                    if t not in range(MOST_CLASSES):
                        raise ConfigError(
                            f"points: the point at ({x1:g}, {x2:g}) has class {t:g}; classes are from 0 to "
                            f"{MOST_CLASSES - 1}. For numbers, choose task=regression"
                        )
        task = task_of(self)
        if task is not None:
            self.require_loss(task)

    def require_loss(self, task: str) -> None:
        """Raise if the loss is not for this task."""
        if self.loss != "auto" and (self.loss in CLASS_LOSSES) != (task == "classification"):
            what, suited = ("numbers", "classes") if task == "classification" else ("classes", "numbers")
            raise ConfigError(f"loss: {self.loss} is for {what}, and these data are {suited}; choose auto")

    def plain(self) -> dict[str, Any]:
        """Return the setup as plain data, for JSON."""
        return {"v": VERSION, **{name: _plain(value) for name, value in asdict(self).items()}}

    def address(self) -> str:
        """Return the setup as the text of an address behind #: what differs from the defaults."""
        told = [f"v={VERSION}"]
        for knob in KNOBS:
            value = getattr(self, knob.name)
            if value != knob.default:
                told.append(f"{knob.name}={quote(_written(knob, value), safe=SAFE)}")
        return "&".join(told)

    @classmethod
    def from_address(cls, text: str) -> tuple[Self, int]:
        """Return the setup in an address, or in its part behind #, and the step of the run that it names.

        >>> setup, step = Setup.from_address("http://127.0.0.1:8000/#v=1&data=moons&at=120")
        >>> setup.data, step
        ('moons', 120)

        Raises
        ------
        InputTypeError, ConfigError, UnknownNameError
            As :meth:`of`; and for text that is no number where one is wanted, a knob that is given twice, or no name.
        """
        given: dict[str, Any] = {}
        step: int | None = None
        for part in filter(None, text.rpartition("#")[2].split("&")):
            name, equals, value = part.partition("=")
            name, value = unquote(name), unquote(value)
            if not equals:
                raise ConfigError(
                    f"a link has name=value between the signs &, such as v=1&data=moons&at=120; got {part!r:.80}"
                )
            if name in given or (name == "at" and step is not None):
                raise ConfigError(f"{name:.80} is in the link twice: leave one of them out")
            if name == "at":
                step = _step(value)
                continue
            if name == "v":
                given[name] = _whole(value)
                continue
            if name not in BY_NAME:
                raise _unknown(name)
            given[name] = _read(BY_NAME[name], value)
        return cls.of(given), step or 0


def task_of(setup: Setup) -> str | None:
    """Return what is learned: classification or regression, or None if only the table can tell."""
    if setup.data in ("points", "formula"):
        return setup.task
    if setup.data == "table":
        return None
    return "regression" if setup.data in REGRESSIONS else "classification"


def _unknown(name: object) -> UnknownNameError:
    return nearest("knob", str(name)[:80], BY_NAME)


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _written(knob: Knob, value: Any) -> str:
    if knob.kind == "points":
        return ";".join(":".join(map(_digits, point)) for point in value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _digits(value) if isinstance(value, float) else str(value)


def _digits(number: float) -> str:
    """Return a number in as few digits as tell it from all others, in the form that a browser writes."""
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        return np.format_float_positional(number + 0.0, trim="-")
    digits, _, exponent = repr(number).partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"


def _read(knob: Knob, text: str) -> Any:
    """Return a value as it is written in a link; text that cannot be read stays as it is, and the check refuses it."""
    if knob.kind in ("choice", "text"):
        return text
    if knob.kind == "choices":
        return text.split(",") if text else []
    if knob.kind == "flag":
        return {"yes": True, "no": False}.get(text, text)
    if knob.kind == "widths":
        return [_whole(each) for each in _parts(text, ",")]
    if knob.kind == "points":
        return [[_float(each) for each in point.split(":")] for point in _parts(text, ";")]
    return _whole(text) if knob.kind == "integer" else _float(text)


def _parts(text: str, mark: str) -> Iterable[str]:
    return text.split(mark) if text else ()


def _step(text: str) -> int:
    step = _whole(text)
    if isinstance(step, str) or not 0 <= step <= LARGEST_STEP:
        raise ConfigError(f"at is the step to train to, a whole number from 0 to {LARGEST_STEP}; got {text!r:.80}")
    return step


def _whole(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else text


def _float(text: str) -> float | str:
    number = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?"
    return float(text) if len(text) <= 40 and re.fullmatch(number, text, re.IGNORECASE) else text
