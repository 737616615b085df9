"""What a time budget allows."""

from dataclasses import replace

import numpy as np
import pytest

from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.budget import LEAST, SHARE, ladder, seconds_of_epoch, within
from fullyconnected.tabular.recipe import PRESETS, Recipe
from fullyconnected.tabular.tasks import CLASSES, LABELS, NUMBERS


def said(rungs):
    return [(r.recipe.members, r.recipe.hidden, len(r.recipe.views), r.least) for r in rungs]


def test_the_ladder_goes_down_by_members_then_width_then_networks():
    recipe = Recipe(16, (128, 128, 128), 100, ("smooth", "bends"))
    assert said(ladder(recipe)) == [
        (16, (128, 128, 128), 2, 32),
        (8, (128, 128, 128), 2, 32),
        (4, (128, 128, 128), 2, 32),
        (4, (64, 64), 2, 32),
        (4, (64, 64), 1, LEAST),
    ]
    assert said(ladder(recipe, members=False)) == [
        (16, (128, 128, 128), 2, 32),
        (16, (64, 64), 2, 32),
        (16, (64, 64), 1, LEAST),
    ]
    assert [each[1] for each in said(ladder(recipe, hidden=False))] == [(128, 128, 128)] * 4
    assert said(ladder(replace(PRESETS["fast"], epochs=5))) == [(4, (64, 64), 1, 5)]
    assert said(ladder(Recipe(2, (8,), 20, ("smooth",)))) == [(2, (8,), 1, LEAST)]


LARGE = Recipe(8, (128, 128, 128), 64)


def chosen(seconds, took):
    tried = []

    def trial(recipe):
        tried.append(recipe)
        return took(recipe)

    found = within(seconds, ladder(LARGE), lambda each: each.members * sum(each.hidden) * len(each.views), trial)
    return found, tried


def test_the_first_that_fits_is_taken():
    def by_members(recipe):
        return recipe.members * sum(recipe.hidden) * len(recipe.views)

    everything = 64 * by_members(LARGE)
    found, tried = chosen(everything / SHARE * 1.01, by_members)
    assert found == LARGE
    assert len(tried) == 1
    found, tried = chosen(everything / SHARE * 0.6, by_members)
    assert found == replace(LARGE, epochs=38)
    found, tried = chosen(everything / SHARE * 0.4, by_members)
    assert (found.members, found.epochs) == (4, 51)
    assert len(tried) == 2
    found, tried = chosen(everything / SHARE / 10, by_members)
    assert (found.members, found.hidden, found.epochs) == (4, (64, 64), 38)
    assert len(tried) == 2  # what cannot fit is not tried
    found, tried = chosen(everything / SHARE / 60, by_members)
    assert (found.hidden, found.views, found.epochs) == ((64, 64), ("bends",), 12)
    assert not found.logarithm
    found, _ = chosen(1e-9, by_members)
    assert found.epochs == LEAST


@pytest.mark.parametrize("task", [CLASSES, LABELS, NUMBERS])
@pytest.mark.parametrize("rows", [2, 9, 700])
def test_a_trial_leaves_the_network_and_takes_time_in_proportion_to_the_rows(task, rows):
    x = np.random.default_rng(0).normal(size=(rows, 2))
    t = {CLASSES: np.arange(rows) % 2, LABELS: np.column_stack([np.arange(rows) % 2] * 2), NUMBERS: x[:, :1]}[task]
    features, n_out = [Feature(f"x{i}", f"x{i}", "number") for i in range(2)], {NUMBERS: 1}.get(task, 2)
    recipe = Recipe(3, (8,), 4)
    how = {**recipe.settings(rows, task, n_out), "seed": 0, "n_threads": 1, "warn": False}
    net = recipe.network("smooth", features, n_out, task, 0)
    took = seconds_of_epoch(net, x, t, np.ones(rows), 3, how)
    assert 0 < took < 60
