"""The proof itself: every registered layer, activation, loss and number of outputs, with and without weights and l2."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.checking.proof import Case, cases, prove
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES


@pytest.fixture(scope="module")
def chosen(pairwise: Any) -> list[Case]:
    """Return cases in which each layer meets each activation and loss, and each activation each loss."""
    return pairwise(cases())


@pytest.mark.parametrize("layer", sorted(LAYERS.classes))
def test_every_gradient_of_a_layer_with_every_activation_and_loss_is_right(layer: str, chosen: list[Case]) -> None:
    chosen = [case for case in chosen if case.layer == layer]
    assert {case.activation for case in chosen} == set(ACTIVATIONS.classes)
    assert {case.loss for case in chosen} == {case.loss for case in cases([layer])}
    proof = prove(chosen)
    assert proof.ok, str(proof)
    worst = max(error for table in proof.worst.values() for _, error in table.values())
    assert worst < 1e-6
    assert proof.passed == len(chosen)


def test_nothing_that_is_registered_escapes() -> None:
    every = list(cases())
    assert {case.layer for case in every} == set(LAYERS.classes)
    assert {case.activation for case in every} == set(ACTIVATIONS.classes)
    assert {case.loss for case in every} == set(LOSSES.classes)
    both = {(case.weighted, bool(case.l2)) for case in every}
    assert both == {(False, False), (False, True), (True, False), (True, True)}
    for name, loss in LOSSES.classes.items():
        outputs = {case.n_out for case in every if case.loss == name}
        assert outputs == ({1, 2, 5} if loss.min_outputs == 1 else {2, 5})


def test_the_proof_fails_for_a_registered_layer_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            np.copyto(dx, dy)  # forgets the mask and its scale

    monkeypatch.setattr(fc.Dropout, "backward", backward)
    proof = prove(islice(cases(["dropout"]), 20))
    assert not proof.ok
    assert "WRONG: dropout" in str(proof)
