"""Statistics of rows that are not in memory: the bits of the array with these rows, and every row is read once."""

from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.core import mapped
from fullyconnected.errors import DataError, DataWarning, ShapeError
from fullyconnected.layers import statistics
from fullyconnected.program import adapting

ROWS, N = 700, 4
RNG = np.random.default_rng(0)
X = RNG.normal([0, 1e9, 3, -1e-7], [1, 1, 1e5, 1e-9], (ROWS, N))
HOLES = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
HOLES[:300, 2] = np.nan  # of the first blocks, a column has nothing
T = X[:, :1] + np.sin(X[:, 2:3])
WEIGHTS = RNG.integers(0, 3, ROWS).astype(float)
QUIET = {"epochs": 1, "progress": False, "seed": 0}
KNOWN: dict[str, Any] = {"init": "unit_variance", "bias_init": "he+5"}


class Counted(fc.Source):
    """Rows that count how often each of them is read."""

    def __init__(self, x: Any, t: Any = None, w: Any = None) -> None:
        self.x, self.t, self.w, self.shape, self.dtype = x, t, w, x.shape, x.dtype
        self.times = np.zeros(len(x), int)

    def block(self, start: int, stop: int) -> Any:
        self.times[start:stop] += 1
        return self.x[start:stop]

    def targets(self) -> Any:
        return self.t

    def weights(self) -> Any:
        return self.w


@pytest.fixture(params=["few blocks", "many"])
def blocks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows be computed with in blocks of other sizes than those in which they come."""
    if request.param == "many":
        monkeypatch.setattr(statistics, "BLOCK", 210)
        monkeypatch.setattr(adapting, "BLOCK", 1000)
        monkeypatch.setattr(mapped, "LARGE", 1000)


LAYERS: dict[str, Any] = {
    "standardize": lambda: [fc.Standardize(N), fc.Dense(N, 1)],
    "missing": lambda: [fc.Standardize(N, missing=True), fc.Dense(2 * N, 1)],
    "robust": lambda: [fc.Standardize(N, robust=True), fc.Dense(N, 1)],
    "robust, missing": lambda: [fc.Standardize(N, robust=True, missing=True), fc.Dense(2 * N, 1)],
    "bins": lambda: [fc.PiecewiseLinearEncoding(N, bins=5), fc.Dense(5 * N, 1)],
    "behind another": lambda: [fc.Standardize(N, 1.0), fc.PiecewiseLinearEncoding(N, bins=5), fc.Dense(5 * N, 1)],
    "weights": lambda: [fc.Dense(N, 3, "tanh", init="unit_variance"), fc.Dense(3, 1)],
    "targets": lambda: [fc.Dense(N, 1), fc.Rescale()],
    "columns": lambda: [
        fc.Columns([(0, fc.Standardize(1)), ((1, 2), fc.Standardize(2, robust=True)), (3, fc.Standardize(1))], N),
        fc.Dense(N, 1),
    ],
    "each": lambda: [fc.Standardize(N, robust=True), fc.Dense(N, 5, "tanh", **KNOWN), fc.Dense(5, 1, **KNOWN)],
}


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_a_source_has_the_constants_of_its_array_and_is_read_once(layers: Any, weights: Any) -> None:
    x = HOLES if "missing" in str(layers()[0]) else X
    source, nets = Counted(x), [fc.Network(layers(), seed=0) for _ in range(2)]
    for net, rows in zip(nets, (x, source), strict=True):
        net.adapt(rows, weights, t=T)
    assert nets[0].layers == nets[1].layers
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()
    assert source.times.max() <= 1
    assert source.times.min() == (0 if "Rescale" in str(layers()) else 1 if weights is None else source.times.min())


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["standardize", "missing", "robust", "bins"])
def test_an_array_in_a_file_has_the_constants_of_that_in_memory(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, order: Any, name: str
) -> None:
    monkeypatch.setattr(mapped, "LARGE", 1000)
    np.save(tmp_path / "x.npy", np.asarray(HOLES if name == "missing" else X, order=order))
    nets = [fc.Network(LAYERS[name]()) for _ in range(2)]
    for net, how in zip(nets, (None, "r"), strict=True):
        net.adapt(np.load(tmp_path / "x.npy", mmap_mode=how))
    assert nets[0].layers == nets[1].layers
    if order == "F":
        nets[0].adapt(HOLES if name == "missing" else X)
        assert nets[0].layers == nets[1].layers


@pytest.mark.parametrize("name", ["robust", "each"])
def test_where_no_file_can_be_had_rows_are_read_again(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(mapped, "LARGE", 1000)
    monkeypatch.setattr(statistics, "KEPT", 2 * ROWS)  # two columns at a time

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    source, nets = Counted(X), [fc.Network(LAYERS[name](), seed=0) for _ in range(2)]
    nets[0].adapt(X)
    nets[1].adapt(source)
    assert nets[0].layers == nets[1].layers
    assert source.times.min() == source.times.max() if name == "robust" else source.times.min() > 1


def test_a_run_reads_rows_once_for_constants_and_once_an_epoch() -> None:
    for name in ("standardize", "robust", "columns"):
        source = Counted(X, T)
        fc.fit(fc.Network(LAYERS[name](), seed=0), source, loss="half_squared_error", warn=False, **QUIET)
        assert set(source.times) == {2}, name


def test_what_warns_of_scales_looks_at_a_few_rows() -> None:
    x = RNG.normal(size=(50_000, N))
    source = Counted(x, 1000 * x[:, 0])
    with pytest.warns(DataWarning, match="mean"):
        fc.fit(fc.mlp([N, 3, 1], seed=0), source, loss="half_squared_error", **QUIET)
    assert source.times.sum() < 1.05 * len(x)


def test_weights_that_share_the_memory_of_one_are_checked() -> None:
    assert fc.Standardize.fit(X, np.broadcast_to(3.0, ROWS)) == fc.Standardize.fit(X)
    for wrong, said in ((-1.0, "0 or more"), (np.nan, "nan"), (0.0, "zero")):
        with pytest.raises(DataError, match=said):
            fc.Standardize.fit(X, np.broadcast_to(wrong, ROWS))
    with pytest.raises(ShapeError, match="sample_weight has shape"):
        fc.Standardize.fit(X, np.broadcast_to(1.0, ROWS + 1))


class TestMoments:
    """The mean and the deviation in one pass: as accurate as in two."""

    def blocks_of(self, x: Any, rows: int, monkeypatch: pytest.MonkeyPatch, **how: Any) -> tuple[Any, Any]:
        monkeypatch.setattr(statistics, "BLOCK", rows * x.shape[1])
        return statistics.constants_of(x, how.pop("w", None), **how)

    @pytest.mark.parametrize("offset", [0.0, 1e9, -1e15, 1e300])
    @pytest.mark.parametrize("order", ["drawn", "sorted", "far first"])
    def test_of_large_offsets(self, monkeypatch: pytest.MonkeyPatch, offset: float, order: str) -> None:
        x = RNG.normal(size=(5000, 1)) * max(1.0, abs(offset) / 1e9)
        x = np.sort(x, axis=0) if order == "sorted" else x
        if order == "far first":
            x[:7] *= 1e5
        x += offset
        unit = 2.0 ** np.frexp(np.abs(x).max())[1]
        exact = (x / unit).astype(np.longdouble)
        mean, scale = self.blocks_of(x, 7, monkeypatch)
        of_mean = abs(mean / unit - exact.mean()) / exact.std()
        assert of_mean < 1e-16 * 5000 + 2e-16 * abs(exact.mean()) / exact.std()
        assert abs(scale / unit / exact.std() - 1) < 1e-12

    def test_of_numbers_of_any_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small, large = np.full((50, 1), 1e-200), np.array([[1e-200], [3e-200]] * 25)
        for x in (np.concatenate([0 * small, large]), np.concatenate([large, 0 * small])):
            mean, scale = self.blocks_of(x, 7, monkeypatch)
            assert mean == pytest.approx(1e-200)
            assert scale == pytest.approx(1e-200 * np.std([0, 0, 1, 3]))
        both = np.concatenate([RNG.normal(size=(50, 1)), 1.5e308 * np.array([[1.0], [-1.0]] * 25)])
        for x in (both, both[::-1]):
            mean, scale = self.blocks_of(x, 1, monkeypatch)
            assert scale == pytest.approx(1.5e308 * np.sqrt(0.5))
            assert abs(mean) < 1e294

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e300, -1e9, 1 / 3])
    def test_of_a_column_that_does_not_vary(self, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
        mean, scale = self.blocks_of(np.full((3001, 2), value), 7, monkeypatch)
        assert np.allclose(mean, value, rtol=1e-15, atol=0)
        assert (scale == 1).all()

    def test_of_weights_and_of_missing_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        repeated = np.repeat(HOLES, WEIGHTS.astype(int), axis=0)
        mean, scale = self.blocks_of(HOLES, 7, monkeypatch, w=WEIGHTS, missing=True)
        np.testing.assert_allclose(mean, np.nanmean(repeated, axis=0), rtol=1e-12)
        np.testing.assert_allclose(scale, np.nanstd(repeated, axis=0), rtol=1e-7)
        gone = np.where(np.arange(ROWS)[:, None] < 350, np.nan, X)
        for x in (gone, gone[::-1], np.full_like(X, np.nan)):
            mean, scale = self.blocks_of(x, 7, monkeypatch, missing=True)
            there = x[~np.isnan(x[:, 0])]
            np.testing.assert_allclose(mean, there.mean(axis=0) if len(there) else 0, rtol=1e-12)
