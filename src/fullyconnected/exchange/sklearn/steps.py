"""What a pipeline of scikit-learn makes of the columns of its table: each feature as a function of one column.

The steps are read by the attributes that fitting has given them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import nan
from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import in_words
from fullyconnected.errors import ConfigError
from fullyconnected.exchange.sklearn.scalers import SCALERS, Scaling, class_of, shown
from fullyconnected.tables.column import meaning
from fullyconnected.tables.levels import key_of_level

__all__ = ["Cell", "Feature", "Gap", "Level", "Number", "features_after", "levels_of", "number_of"]

CONTAINERS = ("Pipeline", "ColumnTransformer")


@dataclass(frozen=True)
class Cell:
    """A column of the table as it is; some of its cells stand for others, None for a missing one, which is ``gap``."""

    column: int
    stands: tuple[tuple[Any, Any], ...] = ()
    gap: Any = nan


@dataclass(frozen=True)
class Number:
    """``offset + factor z`` of ``z = (x - mean) / scale``, which is cut to 0 to 1 if it is clipped.

    A missing number counts as ``fill``, if there is one.
    """

    column: int
    fill: float | None = None
    mean: float = 0.0
    scale: float = 1.0
    clipped: bool = False
    offset: float = 0.0
    factor: float = 1.0


@dataclass(frozen=True)
class Gap:
    """One value where the cell is missing, and another one where it is there."""

    column: int
    gone: float = 1.0
    there: float = 0.0


@dataclass(frozen=True)
class Levels:
    """The levels of a column: the group of each, of None if it is missing, and of all others, if not ``strict``.

    ``cells`` are those that scikit-learn takes, by the level that they are here; if it saw them so, as ``objects``.
    """

    groups: Mapping[Any, int]
    other: int
    cells: Mapping[Any, Any]
    strict: bool
    objects: bool


@dataclass(frozen=True)
class Level:
    """``high`` where the cell belongs to a group of the levels of its column, else ``low``."""

    column: int
    levels: Levels
    group: int
    low: float = 0.0
    high: float = 1.0


Feature = Cell | Number | Gap | Level


def features_after(step: Any, given: Sequence[Feature], where: str) -> list[Feature]:
    """Return the features that a fitted step makes of those before it, or raise if they cannot be held."""
    name = class_of(step)
    if step is None or step == "passthrough":
        return list(given)
    expected = getattr(step, "n_features_in_", None)
    if name not in ("FunctionTransformer", "Pipeline") and expected != len(given):
        if expected is None:
            raise ConfigError(f"{where}, {shown(step)}, is not fitted: call fit of the whole first")
        raise ConfigError(f"{where}, {name}, was fitted to {expected} columns, and {len(given)} come to it")
    if name == "FunctionTransformer":
        if step.func is None:
            return list(given)
        raise ConfigError(f"{where} is {shown(step)}, which no file can hold")
    if name in SCALERS:
        return [_scaled(f, a, where) for f, a in zip(given, SCALERS[name](step), strict=True)]
    if name == "SimpleImputer":
        return _imputed(step, given, where)
    if name == "OneHotEncoder":
        return _encoded(step, given, where)
    if name == "Pipeline":
        found = list(given)
        for label, each in step.steps:
            found = features_after(each, found, f"{where}: {label}")
        return found
    if name == "ColumnTransformer":
        return _by_columns(step, given, where)
    known = in_words([*SCALERS, "SimpleImputer", "OneHotEncoder", *CONTAINERS, "FunctionTransformer(None)"])
    raise ConfigError(f"{where} is {shown(step)}, which cannot be held exactly; those that can are {known}")


def _by_columns(step: Any, given: Sequence[Feature], where: str) -> list[Feature]:
    """Return the features of a ColumnTransformer, in the order of its transformers."""
    if step.transformer_weights:
        raise ConfigError(f"{where} has transformer_weights, which are not read: leave them out, and fit it again")
    places, found = step._transformer_to_input_indices, list[Feature]()
    for label, each, _ in step.transformers_:
        some = [given[i] for i in places[label]]
        if some and not (isinstance(each, str) and each == "drop"):
            found += features_after(each, some, f"{where}: {label}")
    return found


# steps that shift and scale each column


def _scaled(f: Feature, a: Scaling, where: str) -> Feature:
    """Return a feature shifted and scaled."""

    def exactly(value: float) -> float:
        found = a.exactly(value)
        return found if a.range is None else min(max(found, a.range[0]), a.range[1])

    if isinstance(f, Gap):
        return replace(f, gone=exactly(f.gone), there=exactly(f.there))
    if isinstance(f, Level):
        return replace(f, low=exactly(f.low), high=exactly(f.high))
    if isinstance(f, Cell):
        f = number_of(f, where)
    if f.clipped:
        if a.range is not None:
            raise ConfigError(f"{where} cuts column {f.column} to a range, which a step before does already")
        return replace(f, offset=(f.offset - a.mean) / a.scale, factor=f.factor / a.scale)
    made = replace(f, mean=f.mean + f.scale * a.mean, scale=f.scale * a.scale)
    if a.range is None:
        return made
    low, high = a.range
    return replace(
        made, mean=made.mean + made.scale * low, scale=made.scale * (high - low), clipped=True, offset=low,
        factor=high - low,
    )  # fmt: skip


def number_of(cell: Cell, where: str) -> Number:
    """Return a column of the table that is read as numbers, or raise."""
    stands = dict(cell.stands)
    if others := [key for key in stands if key is not None]:
        raise ConfigError(
            f"{where} takes {others[0]!r:.40} of column {cell.column} for a missing number; here NaN alone is one: "
            f"replace it in the table, and fit with missing_values=nan"
        )
    return Number(cell.column, None if None not in stands else _float(stands[None], where))


def _float(value: Any, where: str) -> float:
    if meaning(value) not in ("number", "integer", "boolean"):
        raise ConfigError(f"{where} fills a column of numbers with {value!r:.40}")
    return float(value)


# missing cells


def _imputed(step: Any, given: Sequence[Feature], where: str) -> list[Feature]:
    """Return the features of a SimpleImputer: those that it fills, and behind them where something was missing."""
    statistics = list(step.statistics_)
    empty = [meaning(each) == "nothing" for each in statistics]
    gone = meaning(step.missing_values) == "nothing"
    found: list[Feature] = []
    for f, value, left_out in zip(given, statistics, empty, strict=True):
        if left_out and not step.keep_empty_features:
            continue
        made = _filled(f, None if gone else step.missing_values, 0.0 if left_out else value, where)
        found.append(
            replace(made, gap=step.missing_values) if gone and made is not f and isinstance(made, Cell) else made
        )
    indicator = step.indicator_
    for i in () if indicator is None else indicator.features_:
        f = given[int(i)]
        free = (isinstance(f, Cell) and not f.stands) or (isinstance(f, Number) and f.fill is None)
        if not gone or not free:
            raise ConfigError(f"{where} has add_indicator for cells that are not NaN: that cannot be held")
        found.append(Gap(f.column))
    return found


def _filled(f: Feature, missing: Any, value: Any, where: str) -> Feature:
    """Return a feature in which a value stands for what is missing, which is NaN if ``missing`` is None."""
    if isinstance(f, Cell):
        if missing is not None:
            missing = cell_key(missing, where)
        return f if missing in dict(f.stands) else replace(f, stands=(*f.stands, (missing, value)))
    if missing is not None:
        raise ConfigError(f"{where} takes {missing!r:.40} for missing behind another step: that cannot be held")
    if isinstance(f, Number) and f.fill is None:
        return replace(f, fill=f.mean + f.scale * ((_float(value, where) - f.offset) / f.factor))
    return f


# levels


def cell_key(value: Any, where: str) -> Any:
    """Return what the cells of one level have in common: a text without space around it, a number, None for missing."""
    found = meaning(value)
    if found in ("number", "integer", "boolean"):
        return float(value) + 0.0
    if found == "nothing":
        return None
    if found != "text":
        raise ConfigError(f"{where} has the level {value!r:.40}, a {type(value).__name__}; texts and numbers are known")
    return key_of_level(str(value)) or None


def _encoded(step: Any, given: Sequence[Feature], where: str) -> list[Feature]:
    """Return the features of a OneHotEncoder: one for each group of levels, but for those that it drops."""
    rare = getattr(step, "_infrequent_indices", None) if getattr(step, "_infrequent_enabled", False) else None
    found: list[Feature] = []
    for i, (f, levels) in enumerate(zip(given, step.categories_, strict=True)):
        few = [] if rare is None or rare[i] is None else [int(each) for each in rare[i]]
        own = [j for j in range(len(levels)) if j not in set(few)]
        group = np.full(len(levels), len(own))  # which the levels share that are rare
        group[own] = np.arange(len(own))
        n, dropped = len(own) + bool(few), None if step.drop_idx_ is None else step.drop_idx_[i]
        other = len(own) if few and step.handle_unknown in ("infrequent_if_exist", "warn") else -1
        if dropped is not None:
            group, other, n = _without(int(group[int(dropped)]), group, other, n)
        known = _levels(f, levels, group, other, where, strict=step.handle_unknown == "error")
        found += [Level(f.column, known, j) for j in range(n)]
    return found


def _without(gone: int, group: Array, other: int, n: int) -> tuple[Array, int, int]:
    """Return the groups if one of them has no feature, and is -1."""
    every = np.append(group, other)
    every = np.where(every == gone, -1, every - (every > gone))
    return every[:-1], int(every[-1]), n - 1


def _levels(f: Feature, levels: Array, group: Array, other: int, where: str, *, strict: bool) -> Levels:
    """Return what cells of the table are to a OneHotEncoder that knows levels, each of a group."""
    known: dict[Any, int] = {}
    cells: dict[Any, Any] = {}
    for level, of in zip(levels.tolist(), group.tolist(), strict=True):
        if known.setdefault(key := cell_key(level, where), of) != of:
            raise ConfigError(
                f"{where} tells {level!r:.40} of column {f.column} from {cells[key]!r:.40}, which is the same here: "
                f"{_why_same(key, level, cells[key])}"
            )
        cells.setdefault(key, level)
    if isinstance(f, Gap):
        return Levels({None: known.get(f.gone, other)}, known.get(f.there, other), {None: nan}, False, False)
    if not isinstance(f, Cell):
        raise ConfigError(f"{where} encodes column {f.column} behind a step that scales or encodes it")
    groups = dict(known)
    for key, value in f.stands:
        stands = known.get(cell_key(value, where), other)
        if key is None and known.get(None, stands) != stands:
            raise ConfigError(f"{where} knows missing cells of column {f.column} beside those that are filled before")
        groups[key] = stands
        if not strict or cell_key(value, where) in known:
            cells.setdefault(key, f.gap if key is None else key)
    return Levels(groups, other, cells, strict, levels.dtype.kind not in "biuf")


def _why_same(key: Any, level: Any, other: Any) -> str:
    """Return why two levels are read as one."""
    if key is None:
        return "None, NaN and an empty text, or one of space alone, are all missing"
    if not isinstance(key, str):
        return "numbers are read as float64, which rounds whole numbers from 2**53 on"
    if str(level).strip() == str(other).strip():
        return "levels are read without the space around them"
    return f"levels are read in Unicode's composed form, which {level!a:.60} and {other!a:.60} have in common"


def levels_of(features: Sequence[Level]) -> list[Any]:
    """Return the levels that features of one column know, in order; or raise if they are texts and numbers."""
    keys = {*chain.from_iterable({id(f.levels): f.levels.groups for f in features}.values())} - {None}
    if len({type(key) for key in keys}) > 1:
        raise ConfigError(f"column {features[0].column} has texts and numbers for levels, side by side")
    return sorted(keys)
