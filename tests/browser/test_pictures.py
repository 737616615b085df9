"""The picture of a network in a browser: in its fonts, too, each number is in its place, and nothing covers it."""

from typing import Any

import numpy as np
import pytest

import fullyconnected as fc

RNG = np.random.default_rng(0)
BLOCK = [fc.LayerNorm(), fc.Dense(4, 4, "relu"), fc.Dropout(0.5), fc.Dense(4, 4)]
PARTS = [(0, [fc.Embedding(3, 2), fc.Dense(2, 3, "tanh")]), (1, fc.PeriodicEmbedding(1, 2, 2))]
NETWORKS = {
    "numbers at lines": fc.mlp([2, 3, 1], seed=0),
    "matrices": fc.mlp([4, 8, 8, 3], seed=0),
    "wide": fc.mlp([784, 64, 10], seed=0),
    "residual": fc.Network([fc.Dense(2, 4, "tanh"), fc.Residual(BLOCK), fc.Dense(4, 2)], seed=0),
    "columns": fc.Network([fc.Columns(PARTS, n_in=2), fc.Dense(5, 2)], seed=0),
    "members": fc.Network([fc.Members(3, [fc.Dense(2, 4, "relu"), fc.Dense(4, 2)])], seed=0),
}

# the numbers that stick out of the fields and units that they stand on, or of the picture
ASTRAY = """() => {
  const picture = document.querySelector("svg").getBoundingClientRect();
  const units = [...document.querySelectorAll("[data-unit] > rect")].map((e) => e.getBoundingClientRect());
  const across = (a, b, by) => a.left >= b.left - by && a.right <= b.right + by;
  const within = (a, b) => across(a, b, 1) && a.top >= b.top - 2 && a.bottom <= b.bottom + 2;
  const beside = (a, b) => a.left >= b.right - 1 || a.right <= b.left + 1;
  const apart = (a, b) => beside(a, b) || a.top >= b.bottom - 2 || a.bottom <= b.top + 2;
  return [...document.querySelectorAll("svg text")].filter((text) => {
    const box = text.getBoundingClientRect();
    return !within(box, picture) || units.some((u) => !apart(box, u) && !within(box, u));
  }).map((text) => text.textContent);
}"""


@pytest.mark.in_turn(why="both browsers lay out texts of either kind, at lines and in fields")
@pytest.mark.parametrize("name", NETWORKS)
def test_words_are_in_their_places(open_page: Any, overlaps: Any, name: str) -> None:
    net = NETWORKS[name]
    x = np.c_[[0, 2], RNG.normal(size=2)] if name == "columns" else RNG.normal(0, 1e-5, size=(2, net.n_in))
    svg = fc.draw(net, x, -RNG.random((2, net.n_out)) * 1e5, "half_squared_error")
    page = open_page(f"<!doctype html><html lang=en><title>x</title><body>{svg}</body></html>", width=2600)
    assert overlaps(page, "svg text") == []
    assert page.evaluate(ASTRAY) == []
