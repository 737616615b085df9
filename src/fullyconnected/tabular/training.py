"""How an ensemble for a table is trained, and what it predicts for rows held out from it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fullyconnected.comm.base import ALONE, Comm
from fullyconnected.core.arrays import Array
from fullyconnected.core.mapped import is_mapped, scratch, taken
from fullyconnected.layers.statistics import each_column
from fullyconnected.network import Network
from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.budget import ladder, seconds_of_epoch, within
from fullyconnected.tabular.checkpoint import RunFolder
from fullyconnected.tabular.contributions import base_of
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.folds import HoldOut, Split
from fullyconnected.tabular.held_out import HeldOutRun
from fullyconnected.tabular.intervals import Intervals
from fullyconnected.tabular.mixture import of_two, shares_of_numbers, shares_of_probabilities, temperature_of
from fullyconnected.tabular.recipe import Recipe
from fullyconnected.tabular.scored import Score, ScoredRun, of_held_out
from fullyconnected.tabular.spread import excess_error
from fullyconnected.tabular.tasks import LABELS, NUMBERS
from fullyconnected.tabular.units import Logarithm, Unit
from fullyconnected.training.fit import complete
from fullyconnected.training.history import History
from fullyconnected.training.settings import FitSettings
from fullyconnected.training.together import decided

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike, ProgressLike

__all__ = ["Trained", "train"]

WINDOW = 1 << 28  # bytes of rows that are shuffled together, wherever they lie


@dataclass(frozen=True)
class Trained:
    """An ensemble, and what the training tells of it.

    Attributes
    ----------
    ensemble : Ensemble
    recipe : Recipe
        What it was made by: what was asked for, or what time allowed.
    predicted : array (rows, outputs)
        What it predicts for its own training rows, each by those members alone from which the row is held out; NaN for
        rows that are held out from none.
    split : Split
        Which rows each member of a network has learned from, and which ones were held out from it.
    views : tuple of str
        The networks that were trained, by their views, with ", log" where they have learned logarithms.
    shares : tuple of float
        How much each of them counts. The ensemble has those alone that count.
    histories : tuple of History
        The training of each of them.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    ensemble: Ensemble
    recipe: Recipe
    predicted: Array
    split: Split
    views: tuple[str, ...]
    shares: tuple[float, ...]
    histories: tuple[History, ...]
    interrupted: bool


def train(
    x: Array,
    t: Array,
    features: Sequence[Feature],
    task: str,
    n_out: int,
    recipe: Recipe,
    *,
    sample_weight: Array | None = None,
    groups: Array | None = None,
    hold_out: HoldOut = HoldOut(),  # noqa: B008
    score: Score | None = None,
    seed: int = 0,
    max_time: float | None = None,
    kept: Container[str] = (),
    checkpoint: PathLike | None = None,
    identity: Mapping[str, Any] = MappingProxyType({}),
    progress: ProgressLike = False,
    n_threads: int | None = None,
    comm: Comm = ALONE,
) -> Trained:
    """Train the networks of a recipe, and mix them by what they predict for rows held out from their members.

    Parameters
    ----------
    x : array (rows, columns)
        As a vocabulary encodes a table. Rows are shuffled in windows of 256 MB; it may lie in a file.
    t : array
        Class numbers (rows,), labels of 0 and 1 (rows, labels), or values (rows, outputs).
    features : sequence of Feature
        What each column of x is.
    task : {"classes", "labels", "numbers"}
    n_out : int
        The number of outputs.
    recipe : Recipe
    sample_weight : array (rows,), optional
        Weights of the rows, above 0.
    groups : array (rows,), optional
        Rows of a group are held out together.
    hold_out : HoldOut
        How rows are held out: one part for each member, unless it says otherwise.
    score : callable (predictions, rows) -> float, optional
        What the epoch that each member keeps is the best by, in place of the loss: of probabilities or values
        (some rows, outputs) and the indices of these rows; more is better.
    seed : int
        Seed of the folds, the initial weights and the order of the rows.
    max_time : float, optional
        The seconds that the training of all networks may take, about: if the recipe takes longer, smaller ones are
        tried (:func:`fullyconnected.tabular.budget.ladder`).
    kept : container of str
        Which of ``"n_members"`` and ``"hidden"`` this must not change.
    checkpoint : path, optional
        A folder in which the training is kept while it runs, and from which it is gone on with.
    identity : mapping of str to a JSON value
        What else decides the result, such as the score, and must be the same when a training is gone on with.
    progress, n_threads
        As :func:`fullyconnected.fit` takes them.
    comm : Comm
        The processes that train together.

    Raises
    ------
    DataError
        For fewer than two rows or groups.
    CheckpointError
        If the folder has the training of something else.
    KeyboardInterrupt
        If Ctrl-C comes before a network has had an epoch.
    """
    w = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    table = _Table(x, t, w, features, task, n_out)
    folder = None
    if checkpoint is not None:
        asked = {**recipe.told(), "cv": hold_out.parts, "validation_fraction": hold_out.fraction}
        pairs = [each for pair in hold_out.pairs for each in pair]
        of_data = {"X": x, "y": t, "weight": w, "cv": pairs, "groups": groups}
        told = {**asked, **identity, "task": task, "seed": seed}
        folder = decided(comm, lambda: RunFolder(checkpoint, told, of_data))
    how = {**recipe.settings(len(x), task, n_out), "seed": seed, "n_threads": n_threads, "warn": False, "comm": comm}
    how["window"] = max(1, WINDOW // (x.shape[1] * x.itemsize))
    if folder is not None and folder.recipe is not None:
        recipe = folder.recipe
    elif max_time is not None:
        alone = {**how, "comm": None}  # the first process tries what all of them have time for
        recipe = decided(comm, lambda: _in_time(max_time, recipe, kept, table, alone))
    if folder is not None:
        decided(comm, lambda: folder.begin(recipe))
    split = hold_out.split(t, recipe.members, seed, groups)
    if task == NUMBERS:
        table = table._replace(unit=Unit.of(t[split.known], w[split.known]))
    parts, interrupted = _networks(table, recipe, split, how, folder, score, progress)
    if not parts:
        raise KeyboardInterrupt
    ensemble, shares = _ensemble(parts, table, split)
    said = [each.said for each, share in zip(parts, shares, strict=True) if share > 0]
    out, predicted = split.judged, np.full((len(x), n_out), nan)
    predicted[out] = ensemble.finished(np.einsum("j,jro->ro", ensemble.shares, np.stack(said)))
    if task == NUMBERS:
        of_group = None if groups is None else np.asarray(groups)[out]
        excess = excess_error(ensemble, x, w, split, n_threads)
        ensemble = replace(ensemble, intervals=Intervals.of(predicted[out], t[out], w[out], of_group, excess))
    views = tuple(each.view + (", log" if each.scale is not None else "") for each in parts)
    histories = tuple(each.history for each in parts)
    return Trained(ensemble, recipe, predicted, split, views, shares, histories, interrupted)


class _Table(NamedTuple):
    """What a training learns from: encoded rows, their targets and weights, and what these are."""

    x: Array
    t: Array
    w: Array
    features: Sequence[Feature]
    task: str
    n_out: int
    unit: Unit | None = None  # of numbers, from the rows that a member learns from

    @property
    def standard(self) -> Array:
        """The targets in the common unit."""
        return self.t if self.unit is None else self.unit.standard(self.t)


class _Part(NamedTuple):
    """A network that is trained, and what it says of the rows held out, in the common unit."""

    view: str
    net: Network
    history: History
    said: Array
    scale: Logarithm | None


def _networks(
    table: _Table,
    recipe: Recipe,
    split: Split,
    how: dict[str, Any],
    folder: RunFolder | None,
    score: Score | None,
    progress: ProgressLike,
) -> tuple[list[_Part], bool]:
    """Train the networks of a recipe one after the other.

    Returns
    -------
    parts : list
        Those that have had an epoch.
    interrupted : bool
        Whether Ctrl-C ended the last one.
    """
    x, t, w, features, task, n_out, unit = table
    known, out, targets = split.known, split.judged, table.standard
    logarithm = Logarithm.of(t[known], w[known]) if task == NUMBERS and recipe.logarithm else None

    def weights(of: Array) -> Array:
        out = scratch(of.shape, np.float64, in_file=True) if is_mapped(x) else np.empty(of.shape)
        return np.multiply(w[:, None], of, out=np.asarray(out))

    judged = weights(split.held)
    how = {
        **how,
        "sample_weight": weights(split.learned),
        "best_per_member": True if split.is_one_part else "others",
    }
    done: list[_Part] = []
    for i, view in enumerate(recipe.views):
        scales: list[Logarithm | None] = [None]
        if logarithm is not None:
            scales = [None, logarithm] if i == 0 else [_best(done, targets[out], w[out]).scale]
        for scale in scales:
            net, goal = recipe.network(view, features, n_out, task, how["seed"] + i), targets
            if scale is not None and unit is not None:
                goal = scale.standard(t, unit)
            kept_in = None if folder is None else folder.network(len(done))
            settings = {**how, "validation": (x, goal, judged), "checkpoint": kept_in}
            meant = _meaning(t[out], w[out], unit, scale)
            run = _run(net, x, goal, recipe.epochs, settings, score=score, held=split.held, meant=meant)
            history = complete(run, recipe.epochs, progress)
            if history.best_epoch is not None and run.validation is not None:
                said = of_held_out(run.said(run.validation), len(x), run.data.loss.link)[out]
                if scale is not None and unit is not None:
                    scale = scale.corrected(said, t[out], w[out])
                    said = scale.said(said, unit)
                done.append(_Part(view, net, history, said, scale))
            if history.interrupted:
                return done, True
    return done, False


def _ensemble(parts: Sequence[_Part], table: _Table, split: Split) -> tuple[Ensemble, tuple[float, ...]]:
    """Return the ensemble of the networks that count, and how much each of all of them does."""
    x, w, task, known, out = table.x, table.w, table.task, split.known, split.judged
    said, targets = np.stack([each.said for each in parts]), table.standard
    shares, temperature = _mixed(said, targets[out], w[out], task, split.is_one_part)
    used = [each for each, share in zip(parts, shares, strict=True) if share > 0]
    if not known.all():
        x, w = taken(x, known), w[known]
    columns = zip(table.features, each_column(x, None, missing=True), strict=True)
    fill = tuple(nan if each.levels or each.missing else float(np.median(values)) for each, (values, _) in columns)
    ensemble = Ensemble(
        task,
        tuple(each.net for each in used),
        tuple(share for share in shares if share > 0),
        temperature,
        fill,
        table.unit,
        tuple(each.scale for each in used) if any(each.scale is not None for each in used) else (),
        bases=tuple(base_of(each.net, x, w) for each in used),
    )
    return ensemble, shares


def _best(parts: Sequence[_Part], t: Array, w: Array) -> _Part:
    """Return the network that has the least squared error for rows held out, the first of those that have."""
    return min(parts, key=lambda each: float(np.average(((each.said - t) ** 2).mean(axis=1), weights=w)))


def _in_time(
    seconds: float,
    recipe: Recipe,
    kept: Container[str],
    table: _Table,
    settings: dict[str, Any],
) -> Recipe:
    """Return the recipe that so many seconds allow, about, by trials of a few batches."""
    x, t, w, features, task, n_out, _ = table
    goal = t if task != NUMBERS else Unit.of(t, w).standard(t)
    has_tail = task == NUMBERS and Logarithm.of(t, w) is not None

    def trial(recipe: Recipe) -> float:
        nets = [recipe.network(view, features, n_out, task, settings["seed"]) for view in recipe.views]
        took = [seconds_of_epoch(net, x, goal, w, recipe.members, settings) for net in nets]
        return sum(took) + (took[0] if has_tail and recipe.logarithm else 0.0)

    rungs = ladder(recipe, members="n_members" not in kept, hidden="hidden" not in kept)
    return within(seconds, rungs, lambda recipe: recipe.work(features, n_out), trial)


def _run(
    net: Network, x: Array, t: Array, epochs: int, settings: dict[str, Any], score: Score | None, **of_score: Any
) -> HeldOutRun:
    """Return the training of a network; each member keeps its best epoch, by the score if there is one, or the loss."""
    settings = {**settings, "patience": epochs}
    given = net, x, t, settings.pop("loss"), settings.pop("optimizer"), FitSettings(**settings), epochs
    return HeldOutRun(*given) if score is None else ScoredRun(*given, score=score, **of_score)


def _meaning(t: Array, w: Array, unit: Unit | None, scale: Logarithm | None) -> Callable[[Array], Array]:
    """Return the function that turns what a network says of the rows held out into probabilities, or values."""

    def meant(said: Array) -> Array:
        if unit is None:
            return said
        return unit.values(said if scale is None else scale.corrected(said, t, w).said(said, unit))

    return meant


def _mixed(parts: Array, t: Array, w: Array, task: str, by_all: bool) -> tuple[tuple[float, ...], float]:
    """Return the shares of networks, and their temperature, by what they predict for rows held out.

    ``by_all`` says whether a row is held out from all members.
    """
    if task == NUMBERS:
        return tuple(shares_of_numbers(parts, t, w).tolist()), 1.0
    codes = np.asarray(t, np.intp).ravel()
    if task == LABELS:
        w = np.repeat(w, t.shape[1])
        parts = np.stack([of_two(each) for each in parts])
    shares = shares_of_probabilities(parts[:, np.arange(len(codes)), codes], w)
    temperature = temperature_of(np.einsum("j,jro->ro", shares, parts), codes, w)
    if temperature > 1 and not by_all:
        # The mean of all members is less sure than the few from which a row is held out. So half of the correction, in
        # the logarithm, is left; one to the other side is even more needed.
        temperature **= 0.5
    return tuple(shares.tolist()), temperature
