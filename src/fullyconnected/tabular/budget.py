"""What sizes and how many epochs a time budget allows, by the time that a few batches take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.network import Network
from fullyconnected.tabular.folds import held_out
from fullyconnected.tabular.held_out import HeldOutRun
from fullyconnected.tabular.recipe import PRESETS, Recipe
from fullyconnected.training.settings import FitSettings

__all__ = ["LEAST", "Rung", "ladder", "seconds_of_epoch", "within"]

FAST = PRESETS["fast"]
LEAST = 8  # epochs, two for each time that the learning rate rises and falls
GOOD = 32  # epochs from which on larger networks are better than more epochs
MEMBERS = 4  # the fewest that a network is made of, unless fewer are asked for
SHARE = 0.9  # of the time is for epochs: the rest is for what comes after them
BATCHES = 4  # of a trial


class Rung(NamedTuple):
    """A recipe, and the epochs that it must have to be chosen."""

    recipe: Recipe
    least: int


def ladder(recipe: Recipe, *, members: bool = True, hidden: bool = True) -> list[Rung]:
    """Return smaller and smaller recipes, of which the first that time allows is taken.

    First there are fewer epochs, down to 32; then half the members, down to 4; then the layers of the fast preset; then
    its one network alone, with down to 8 epochs. ``members`` and ``hidden`` say whether these may be changed.
    """
    rungs = [recipe]
    while members and rungs[-1].members > MEMBERS:
        rungs.append(replace(rungs[-1], members=max(MEMBERS, rungs[-1].members // 2)))
    if hidden and _size(recipe.hidden) > _size(FAST.hidden):
        rungs.append(replace(rungs[-1], hidden=FAST.hidden))
    if len(recipe.views) > 1:
        rungs.append(replace(rungs[-1], views=FAST.views, logarithm=FAST.logarithm))
    least = [*[GOOD] * (len(rungs) - 1), LEAST]
    return [Rung(each, min(n, recipe.epochs)) for each, n in zip(rungs, least, strict=True)]


def within(
    seconds: float, rungs: Sequence[Rung], work: Callable[[Recipe], float], trial: Callable[[Recipe], float]
) -> Recipe:
    """Return the recipe, with its epochs, that so many seconds allow, about.

    A trial takes the time of some batches. A recipe that cannot fit, by the trial of another and by its work, has none.

    Parameters
    ----------
    seconds : float
    rungs : sequence of Rung
        The recipes, the best first. The last one is taken whatever it takes.
    work : callable
        About by how much the epochs of recipes differ.
    trial : callable
        The seconds that an epoch of a recipe takes, by a trial.
    """
    began, known = time.perf_counter(), None
    for recipe, least in rungs[:-1]:
        left = SHARE * seconds - (time.perf_counter() - began)
        if known is not None and known * work(recipe) * least > 2 * left:
            continue  # a trial would not change that
        took = trial(recipe)
        known = took / work(recipe)
        epochs = (SHARE * seconds - (time.perf_counter() - began)) / max(took, 1e-9)
        if epochs >= least:
            return replace(recipe, epochs=min(int(epochs), recipe.epochs))
    recipe, least = rungs[-1]
    took = trial(recipe)
    epochs = (SHARE * seconds - (time.perf_counter() - began)) / max(took, 1e-9)
    return replace(recipe, epochs=int(np.clip(epochs, least, recipe.epochs)))


def seconds_of_epoch(net: Network, x: Array, t: Array, w: Array, members: int, settings: dict[str, Any]) -> float:
    """Return the seconds that an epoch takes, held-out predictions included, by some batches of a few rows."""
    whole, seed = len(x), settings["seed"]
    rows = np.random.default_rng((seed, 3)).permutation(len(x))[: max(2 * members, BATCHES * settings["batch_size"])]
    held = held_out(t[rows], members, seed)
    x, t, w = x[rows], t[rows], w[rows, None]
    given = {name: settings[name] for name in ("batch_size", "factors", "seed", "n_threads", "warn")}
    given |= {"patience": 9, "best_per_member": True}
    how = FitSettings(**given, sample_weight=w * ~held, validation=(x, t, w * held))
    rule = replace(settings["optimizer"], lr=1e-6)  # which takes the same time, and cannot diverge
    run = iter(HeldOutRun(net, x, t, settings["loss"], rule, how))
    next(run)  # in the first epoch much is done for the first time
    took = min(next(run).seconds, next(run).seconds)
    run.close()
    return took * whole / len(rows)


def _size(hidden: Sequence[int]) -> int:
    return sum(each * each for each in hidden)
