"""Numbers of every row of a large data set: in files, and in parts, with the results of those in memory."""

import os
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.core import mapped
from fullyconnected.core.mapped import is_mapped, scratch
from fullyconnected.errors import DataError
from fullyconnected.program import data, evaluation

ROWS = 1000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3))
WEIGHTS = np.where(np.arange(ROWS) < 200, 0, RNG.uniform(0, 2, ROWS))  # the first parts have no row that counts


class Rows(fc.Source):
    """The same rows, as if they were not in memory."""

    shape, dtype = X.shape, X.dtype

    def block(self, start: int, stop: int) -> Any:
        return X[start:stop]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a thousand rows count as many."""
    monkeypatch.setattr(evaluation, "PART", 64)
    monkeypatch.setattr(data, "BLOCK", 64)
    monkeypatch.setattr(mapped, "LARGE", 100)


def test_objects_lie_in_memory(small: None) -> None:
    assert not is_mapped(scratch((ROWS,), object))


def largest(z: Any, t: Any) -> float:
    assert len(z) == ROWS, "a function gets all rows"
    return float(abs(z - t).max())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    ("loss", "t", "metrics", "n_out"),
    [
        ("half_squared_error", 1000 + X[:, :2], ["r2", "mean_squared_error", "mean_absolute_error", largest], 2),
        ("softmax_cross_entropy", (X[:, 0] > 0).astype(int), ["accuracy"], 2),
        ("binary_cross_entropy", (X[:, 0] > 0).astype(float), ["accuracy"], 1),
    ],
)
def test_an_evaluation_in_parts_is_that_of_all_rows(
    monkeypatch: pytest.MonkeyPatch, weights: Any, loss: str, t: Any, metrics: Any, n_out: int, tmp_path: Any
) -> None:
    net = fc.mlp([3, 8, n_out], seed=0, dtype="float64")
    np.save(tmp_path / "t.npy", t)
    mapped = np.load(tmp_path / "t.npy", mmap_mode="r")
    of_parts = net.evaluate(Rows(), mapped, loss, metrics, sample_weight=weights)
    monkeypatch.setattr(evaluation, "PART", ROWS)
    whole = net.evaluate(X, t, loss, metrics, sample_weight=weights)
    assert of_parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert of_parts.metrics == pytest.approx(whole.metrics, rel=1e-9)


@pytest.mark.usefixtures("small")
def test_targets_in_a_file_are_encoded_block_by_block_and_a_wrong_one_is_named_by_its_row(tmp_path: Any) -> None:
    t = np.zeros((ROWS, 2))
    t[:, 1] = 1
    t[700] = (0.5, 0.7)
    np.save(tmp_path / "t.npy", t)
    mapped = np.load(tmp_path / "t.npy", mmap_mode="r")
    net = fc.mlp([3, 2], seed=0)
    with pytest.raises(DataError, match="row 700"):
        net.evaluate(Rows(), mapped, "softmax_cross_entropy")
    loss, checked = fc.SoftmaxCrossEntropy(), mapped[:700]
    encoded = data._encoded(loss, checked, 2, np.dtype(np.float32))
    assert is_mapped(encoded)
    assert np.array_equal(encoded, t[:700].astype(np.float32))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="here nothing tells a full disk from another")
def test_a_large_array_is_in_a_file_and_on_a_full_disk_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LARGE", 1000)
    a = scratch((500, 3), np.float64)
    assert is_mapped(a)
    a[...] = 1
    assert a.sum() == 1500
    assert not is_mapped(scratch((5, 3), np.float64))
    assert scratch((0, 3), np.float64).shape == (0, 3)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not is_mapped(scratch((500, 3), np.float64))
