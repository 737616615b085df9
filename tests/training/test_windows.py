"""Training window by window, from rows that are in memory, in a file, or read by somebody's own code."""

import os
import sys
import tempfile
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.core import mapped
from fullyconnected.core.mapped import is_mapped
from fullyconnected.errors import CheckpointError, ConfigError, DataError, DivergenceError, InputTypeError, ShapeError
from fullyconnected.program import reading
from fullyconnected.program.data import check_data
from fullyconnected.program.reading import ahead
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

ROWS, N = 530, 5
NATIVE = fc.engines()["native"]
ENGINES = ["numpy", pytest.param("native", marks=pytest.mark.skipif(not NATIVE.available, reason=NATIVE.about))]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, N))
T = np.sin(X[:, :2]).sum(axis=1)
WEIGHTS = RNG.uniform(0, 2, ROWS)
LOSS = "half_squared_error"


class Shards(fc.Source):
    """Rows in shards of unequal size, which notes by which thread they are read."""

    def __init__(self, x: Any = X, t: Any = None, w: Any = None, shards: Any = (100, 1, 299, 130)) -> None:
        self.x, self.t, self.w = x, t, w
        self.shape, self.dtype, self.shards = x.shape, x.dtype, shards
        self.read: list[tuple[str, int, int]] = []

    def block(self, start: int, stop: int) -> Any:
        self.read.append((threading.current_thread().name, start, stop))
        return self.x[start:stop]

    def targets(self) -> Any:
        return self.t

    def weights(self) -> Any:
        return self.w


def network(dtype: Any = np.float32) -> fc.Network:
    layers = [fc.Dense(N, 8, "tanh"), fc.Dropout(0.2), fc.BatchNorm(), fc.Dense(8, 1)]
    return fc.Network(layers, dtype=dtype, seed=0)


def trained(x: Any, net: fc.Network | None = None, **how: Any) -> tuple[fc.Network, fc.History]:
    net = network() if net is None else net
    how = {"t": T, "optimizer": fc.Adam(0.01), "batch_size": 32, "epochs": 3, "progress": False, **how}
    return net, fc.fit(net, x, loss=LOSS, **how)


def readers() -> int:
    return sum(thread.name == "fullyconnected-reader" for thread in threading.enumerate())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "f2"])
@pytest.mark.parametrize(("streams", "window"), [(1, None), (1, 64), (3, 100), (4, None)])
def test_mapped_rows_and_those_of_a_source_give_the_same_bits_as_an_array(
    tmp_path: Any, engine: str, dtype: str, streams: int, window: int | None
) -> None:
    x = (3 * X).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    how = {"engine": engine, "streams": streams, "window": window, "sample_weight": WEIGHTS, "alpha": 0.1}
    how |= {"schedule": fc.CosineDecay(3), "dropout_schedule": fc.Warmup(2), "average": fc.EMA(0.9)}
    net, history = trained(x, **how)
    mapped, of_mapped = trained(np.load(tmp_path / "x.npy", mmap_mode="r"), **how)
    source, of_source = trained(Shards(x, shards=None), **how)
    for other, its in ((mapped, of_mapped), (source, of_source)):
        assert its.loss == history.loss
        assert np.array_equal(other.theta, net.theta)
        assert np.array_equal(other.state, net.state)
        assert its.engine == engine


def in_fortran_order(path: Any, x: Any) -> Any:
    np.save(path, np.asfortranarray(x))
    return np.load(path, mmap_mode="r")


def some_columns(path: Any, x: Any) -> Any:
    np.save(path, np.concatenate([x, x[:, ::-1]], axis=1))
    return np.load(path, mmap_mode="r")[:, : x.shape[1]]


def every_second_row(path: Any, x: Any) -> Any:
    np.save(path, np.repeat(x, 2, axis=0))
    return np.load(path, mmap_mode="r")[::2]


def in_the_other_byte_order(path: Any, x: Any) -> Any:
    np.save(path, x.astype(x.dtype.newbyteorder()))
    return np.load(path, mmap_mode="r")


def not_aligned(path: Any, x: Any) -> Any:
    path.write_bytes(b"1" + x.tobytes())
    return np.memmap(path, x.dtype, "r", 1, x.shape)


def of_images(path: Any, x: Any) -> Any:
    np.save(path, np.asfortranarray(x.reshape(len(x), 1, -1, 1).repeat(2, 1)))
    return np.load(path, mmap_mode="r")[:, :1]


LAYOUTS = [in_fortran_order, some_columns, every_second_row, in_the_other_byte_order, not_aligned, of_images]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["f4", "f2"])
@pytest.mark.parametrize("window", [None, 64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_of_any_layout_in_a_file_gives_the_same_bits_and_is_not_copied(
    tmp_path: Any, monkeypatch: Any, layout: Any, window: int | None, dtype: str, engine: str
) -> None:
    monkeypatch.setattr("fullyconnected.program.reading.GATHERED", 100 * 4 * N)
    x = (3 * X).astype(dtype)[:513]  # the last batch has a row more
    rows = layout(tmp_path / "x.npy", x)
    assert is_mapped(rows)
    found = []
    for each in (x, rows):
        layers = [fc.Standardize(N), fc.Dense(N, 8, "tanh"), fc.Dropout(0.2), fc.BatchNorm(), fc.Dense(8, 1)]
        net = fc.Network(layers, seed=0)
        how = {"t": T[:513], "engine": engine, "window": window, "sample_weight": WEIGHTS[:513]}
        _, history = trained(each, net, validation=(each, T[:513]), average=fc.SWA(1), **how)
        assert history.engine == engine
        z = net.predict(each, engine=engine)
        loss = net.evaluate(each, T[:513], engine=engine).loss
        gradients = net.gradients(each, T[:513], LOSS, engine=engine).theta
        found.append([history.loss, history.validation_loss, net.theta, net.state, z, loss, gradients])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    source = check_data(net.program, net.dtype, rows, T[:513], LOSS).x
    assert is_mapped(source.held())


@pytest.mark.parametrize("engine", ENGINES)
def test_one_stream_and_a_window_of_all_rows_are_the_usual_shuffle(engine: str) -> None:
    usual, history = trained(X, engine=engine)
    for window in (None, ROWS, 10 * ROWS):
        net, its = trained(Shards(), engine=engine, window=window)
        assert np.array_equal(net.theta, usual.theta)
        assert its.loss == history.loss


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_batch_may_have_a_row_more(engine: str) -> None:
    x, t = X[:513], T[:513]  # BatchNorm needs two rows, so that the last one joins the batch before
    net, history = trained(Shards(x, shards=None), t=t, engine=engine, window=64)
    other, its = trained(x, t=t, engine=engine, window=64)
    assert np.array_equal(net.theta, other.theta)
    assert history.loss == its.loss


@pytest.mark.parametrize("engine", ENGINES)
def test_the_average_of_weights_has_the_statistics_of_rows_that_are_read(engine: str) -> None:
    x = Shards(shards=None)
    net, _ = trained(x, engine=engine, window=64, average=fc.SWA(1))
    other, _ = trained(X, engine=engine, window=64, average=fc.SWA(1))
    assert np.array_equal(net.state, other.state)
    assert np.array_equal(net.theta, other.theta)
    assert {name for name, *_ in x.read} <= {"fullyconnected-reader", "MainThread"}
    assert readers() == 0


def test_a_solver_takes_the_rows_of_a_source() -> None:
    pytest.importorskip("scipy")
    net, other = (fc.mlp([N, 4, 1], seed=0, dtype="float64") for _ in range(2))
    trained(Shards(), net, optimizer=fc.LBFGS())
    trained(X, other, optimizer=fc.LBFGS())
    assert np.array_equal(net.theta, other.theta)


def test_a_run_of_any_seed_goes_on_with_the_seed_of_its_checkpoint(tmp_path: Any) -> None:
    path = tmp_path / "run"
    _, first = trained(Shards(), epochs=1, window=64, seed=None, checkpoint=path)
    net, _ = trained(Shards(), epochs=3, window=64, seed=None, checkpoint=path)
    whole, _ = trained(Shards(), epochs=3, window=64, seed=first.seed)
    assert np.array_equal(net.theta, whole.theta)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("streams", "window"), [(1, 64), (3, 100)])
def test_a_run_goes_on_exactly(tmp_path: Any, engine: str, streams: int, window: int) -> None:
    how = {"engine": engine, "streams": streams, "window": window}
    whole, history = trained(Shards(), epochs=4, **how)
    path = tmp_path / "run"
    trained(Shards(), epochs=1, checkpoint=path, **how)
    net, resumed = trained(Shards(), epochs=4, checkpoint=path, **how)
    assert np.array_equal(net.theta, whole.theta)
    assert resumed.loss == history.loss
    for other in ({"streams": streams + 1}, {"window": window + 32}):
        with pytest.raises(CheckpointError, match=next(iter(other))):
            trained(Shards(), epochs=4, checkpoint=path, **{**how, **other})
    with pytest.raises(CheckpointError, match="data"):
        trained(Shards(X + 1), epochs=4, checkpoint=path, **how)
    with pytest.raises(CheckpointError, match="windows"):
        trained(Shards(shards=(530,)), epochs=4, checkpoint=path, **how)


def test_the_order_depends_on_the_seed_and_the_streams_alone() -> None:
    net, _ = trained(Shards(), streams=2, window=64, seed=3)
    again, _ = trained(Shards(), streams=2, window=64, seed=3, n_threads=1)
    assert np.allclose(net.theta, again.theta, rtol=1e-4, atol=1e-6)
    other, _ = trained(Shards(), streams=3, window=64, seed=3)
    assert not np.allclose(net.theta, other.theta, rtol=1e-4, atol=1e-6)


def test_every_row_is_read_once_an_epoch_by_another_thread() -> None:
    x = Shards()
    trained(x, streams=2, window=100, epochs=2)
    seen = [(start, stop) for name, start, stop in x.read if name == "fullyconnected-reader"]
    rows = np.concatenate([np.arange(*each) for each in seen])
    assert np.array_equal(np.bincount(rows, minlength=ROWS), np.full(ROWS, 2))
    assert readers() == 0


def test_rows_are_read_a_window_ahead_and_no_further() -> None:
    made: list[int] = []

    def items() -> Any:
        for i in range(6):
            made.append(i)
            yield i

    there = threading.Event()
    for i in ahead(items()):
        for _ in range(100):  # the next one is made meanwhile
            if len(made) >= min(i + 2, 6):
                break
            there.wait(0.02)
        there.wait(0.02)
        assert len(made) == min(i + 2, 6)


def test_a_loop_over_epochs_that_is_left_leaves_no_thread() -> None:
    net = network()
    for epoch in fc.epochs(net, Shards(), T, LOSS, window=64):
        if epoch.number == 2:
            break
    assert readers() == 0


class Fails(Shards):
    """A source that fails when a row has been read so many times: for the checksum of the data, and in an epoch."""

    def __init__(self, error: Exception | None, times: int = 2) -> None:
        super().__init__()
        self.error, self.left = error, times

    def block(self, start: int, stop: int) -> Any:
        if start <= 300 < stop:
            self.left -= 1
            if self.left < 0:
                if self.error is not None:
                    raise self.error
                x = self.x.copy()
                x[300, 2] = np.nan
                return x[start:stop]
        return super().block(start, stop)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("error", [None, OSError("the disk is gone"), KeyboardInterrupt()])
def test_what_goes_wrong_while_rows_are_read_undoes_the_epoch(tmp_path: Any, engine: str, error: Any) -> None:
    path = tmp_path / "run"
    net = network()
    how = {"engine": engine, "window": 64, "checkpoint": path, "warn": False}
    if isinstance(error, KeyboardInterrupt):
        _, history = trained(Fails(error), net, **how)
        assert history.interrupted
    else:
        with pytest.raises(DataError if error is None else OSError, match="300, 2" if error is None else "disk"):
            trained(Fails(error), net, **how)
    assert readers() == 0
    if not isinstance(error, KeyboardInterrupt):
        once, _ = trained(Shards(), epochs=1, engine=engine, window=64)
        assert np.array_equal(fc.load(path).theta, once.theta)
        assert np.array_equal(net.theta, once.theta)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_says_why(engine: str) -> None:
    huge = X.copy()
    huge[400] *= 1e30
    net = fc.mlp([N, 8, 1], seed=0)
    with pytest.raises(DivergenceError, match=r"epoch 1.*x\[:, \d\] reaches"):
        trained(Shards(huge), net, engine=engine, window=64, warn=False, optimizer=fc.SGD(0.01))
    assert np.isfinite(net.theta).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_targets_and_weights_of_a_source_are_those_of_the_run(engine: str) -> None:
    x = Shards(t=T, w=WEIGHTS)
    net, history = trained(x, t=None, engine=engine, validation=x, window=64)
    _, its = trained(X, sample_weight=WEIGHTS, validation=(X, T, WEIGHTS), engine=engine, window=64)
    assert history.loss != its.loss  # which is visited in other pieces
    usual, its = trained(Shards(), sample_weight=WEIGHTS, validation=(X, T, WEIGHTS), engine=engine, window=64)
    assert np.array_equal(net.theta, usual.theta)
    assert history.validation_loss == its.validation_loss
    assert net.evaluate(x, metrics=["r2"]) == usual.evaluate(X, T, LOSS, ["r2"], sample_weight=WEIGHTS)
    assert np.array_equal(net.predict(x, engine=engine), net.predict(X, engine=engine))


def test_constants_of_the_data_are_taken_from_a_source() -> None:
    x = 100 + 50 * X
    layers = [fc.Standardize(N), fc.Dense(N, 8, "tanh", init="unit_variance"), fc.Dense(8, 1), fc.Rescale()]
    found = []
    for rows in (x, Shards(x)):
        net = fc.Network(layers, seed=0)
        trained(rows, net, window=64, epochs=2, t=1000 * T)
        found.append(net)
    one, two = found
    assert np.allclose(one.layers[0].mean, two.layers[0].mean, rtol=1e-12)
    assert np.allclose(one.layers[0].scale, two.layers[0].scale, rtol=1e-12)
    assert np.allclose(one.layers[3].scale, two.layers[3].scale)


def test_columns_are_remembered_and_compared() -> None:
    x = Shards()
    x.columns = ("a", "b", "c", "d", "e")
    net, _ = trained(x)
    assert net.columns.x == x.columns
    x.columns = ("b", "a", "c", "d", "e")
    with pytest.raises(DataError, match="another order"):
        net.predict(x)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputTypeError, match="t is missing: this Shards has no targets"):
        trained(Shards(), t=None)
    with pytest.raises(InputTypeError, match="t is missing: x is a ndarray"):
        trained(X, t=None)
    with pytest.raises(ConfigError, match="t is given, and x, a Shards, has its own"):
        trained(Shards(t=T))
    with pytest.raises(ConfigError, match="streams=33"):
        trained(X, streams=33)
    with pytest.raises(ConfigError, match="window must be 1 or more"):
        trained(X, window=0)
    with pytest.raises(DataError, match="shards of x, a Shards, have 10 rows together, and its shape says 530"):
        trained(Shards(shards=(10,)))
    with pytest.raises(ShapeError, match="one row or more"):
        trained(Shards(X[:0], shards=None), t=T[:0])

    class Narrow(Shards):
        def block(self, start: int, stop: int) -> Any:
            return super().block(start, stop)[:, 1:]

    with pytest.raises(ShapeError, match=r"rows 0 to .* of x, a Narrow, come with the shape \(\d+, 4\)"):
        trained(Narrow(), warn=False)


def test_a_window_that_does_not_fit_in_memory_is_refused_before_anything_is_trained(monkeypatch: Any) -> None:
    monkeypatch.setattr("fullyconnected.program.reading.memory", lambda: 20_000)
    net = network()
    before = net.theta.copy()
    with pytest.raises(ConfigError, match=r"two windows of 530 rows.* this machine has 2e-05 GB.*a smaller window"):
        trained(Shards(), net)
    assert np.array_equal(net.theta, before)
    trained(Shards(), net, window=64)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a solver read a source in blocks of a tenth of its rows or so."""
    monkeypatch.setattr("fullyconnected.training.solver.WINDOW", 2 * 8 * 40 * 50)


class Once(fc.Solver):
    """Notes the loss and the gradient at the initial parameters."""

    name = "once"

    def minimize(self, loss_and_gradient: Any, start: Any, iterations: int, after_iteration: Any) -> str:
        Once.found = loss_and_gradient(start)
        after_iteration(start, Once.found[0])
        return "converged"


@pytest.mark.parametrize("how", [{}, {"alpha": 0.3, "l2": 0.1}, {"sample_weight": np.where(WEIGHTS < 1.9, 0, WEIGHTS)}])
@pytest.mark.parametrize("members", [False, True])
def test_a_solver_sums_the_loss_of_all_blocks(few: None, tmp_path: Any, how: dict[str, Any], members: bool) -> None:
    np.save(tmp_path / "x.npy", X)
    last = [fc.Members(3, [fc.Dense(N, 4, "tanh"), fc.Dense(4, 1)])] if members else [fc.Dense(N, 4), fc.Dense(4, 1)]
    found = []
    for x in (X, Shards(), np.load(tmp_path / "x.npy", mmap_mode="r")):
        trained(x, fc.Network(last, seed=0, dtype="float64"), optimizer=Once(), epochs=1, **how)
        found.append(Once.found)
    for value, gradient in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-12)
        np.testing.assert_allclose(gradient, found[0][1], rtol=1e-9, atol=1e-13)
    assert not np.array_equal(found[1][1], found[0][1])  # they are other sums
    assert readers() == 0


def test_a_solver_reads_a_source_block_by_block_and_names_what_is_wrong(few: None) -> None:
    pytest.importorskip("scipy")
    source = Shards()
    trained(source, fc.mlp([N, 4, 1], seed=0), optimizer=fc.LBFGS())
    assert max(stop - start for _, start, stop in source.read) <= 300
    wrong = X.copy()
    wrong[411, 3] = np.nan
    for rows in (wrong, wrong[400:430]):  # of many blocks, and of one
        net = fc.mlp([N, 4, 1], seed=0)
        before = net.theta.copy()
        with pytest.raises(DataError, match=rf"x\[{411 if len(rows) > 30 else 11}, 3\] is nan"):
            trained(Shards(rows, shards=None), net, t=T[: len(rows)], optimizer=fc.LBFGS())
        assert np.array_equal(net.theta, before)
    large = X.copy()
    large[411, 3] = 1e200
    with pytest.raises(DivergenceError, match=r"x\[:, 3\] reaches 1e\+200"):
        trained(Shards(large), network_of(np.float64), optimizer=fc.LBFGS(), warn=False)


def network_of(dtype: Any) -> fc.Network:
    return fc.Network([fc.Dense(N, 8, "relu"), fc.Dense(8, 1)], dtype=dtype, seed=0)


def test_what_a_solver_cannot_do_in_blocks_is_refused(few: None) -> None:
    pytest.importorskip("scipy")
    net = fc.Network([fc.Members(2, [fc.Dense(N, 1)])], seed=0)
    each = np.stack([WEIGHTS, 2 - WEIGHTS], axis=1)
    with pytest.raises(ConfigError, match="weights for each member of an ensemble, of rows that do not fit"):
        trained(Shards(), net, optimizer=fc.LBFGS(), sample_weight=each)
    trained(X, net, optimizer=fc.LBFGS(), sample_weight=each)


def test_an_epoch_that_is_undone_counts_no_steps(tmp_path: Any) -> None:
    class Broken(Shards):
        def block(self, start: int, stop: int) -> Any:
            if start >= 256:
                raise OSError("gone")
            return super().block(start, stop)

    run = Run(network(), Broken(), T, LOSS, fc.Adam(), FitSettings(window=64, batch_size=32, shuffle=False, warn=False))
    with pytest.raises(OSError, match="gone"):
        run.epoch()
    assert run.state.step == 0


class Kept(fc.Source):
    """Rows that a run keeps, and that count how often each of them is read."""

    keep = True

    def __init__(self) -> None:
        self.x = np.random.default_rng(0).normal(size=(500, 3))
        self.shape, self.dtype, self.shards = self.x.shape, self.x.dtype, (200, 0, 300)
        self.read, self.verified = np.zeros(500, int), np.zeros(500, int)

    def block(self, start: int, stop: int) -> Any:
        self.read[start:stop] += 1
        return self.x[start:stop]

    def targets(self) -> Any:
        return self.x[:, 0] * self.x[:, 1]

    def verify(self, start: int, stop: int) -> None:
        self.verified[start:stop] += 1


ON_LINUX = hasattr(os, "posix_fallocate")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be room for files, whatever machine this is."""
    monkeypatch.setattr(mapped, "_is_in_memory", lambda folder: False)
    monkeypatch.setattr(mapped.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1 << 40))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how", [{}, {"streams": 3}, {"shuffle": False}, {"sample_weight": np.arange(500.0)}])
def test_rows_that_are_kept_are_read_once_and_the_bits_are_the_same(
    room: None, engine: str, how: dict[str, Any]
) -> None:
    nets, sources = [], []
    for keep in (True, False):
        source = Kept()
        source.keep = keep
        nets.append(net := fc.mlp([3, 8, 1], seed=0))
        settings = {"epochs": 4, "window": 100, "batch_size": 20, "engine": engine, "warn": False, "progress": False}
        fc.fit(net, source, loss="half_squared_error", **settings, **how)
        sources.append(source)
    assert np.array_equal(nets[0].theta, nets[1].theta)
    assert set(sources[0].read) == {1 if ON_LINUX else 4}
    assert set(sources[0].verified) == {3 if ON_LINUX else 0}
    assert set(sources[1].read) == {4}


def test_a_solver_reads_rows_that_are_kept_once(room: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fullyconnected.training.solver.WINDOW", 20_000)
    nets = []
    for keep in (True, False):
        source = Kept()
        source.keep = keep
        nets.append(net := fc.mlp([3, 8, 1], seed=0))
        fc.fit(net, source, None, "half_squared_error", fc.LBFGS(), epochs=5, warn=False, progress=False)
        assert (set(source.read) == {1}) == (keep and ON_LINUX)
    assert np.array_equal(nets[0].theta, nets[1].theta)


def test_rows_are_kept_where_that_pays_and_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(epochs: int) -> int:
        source, net = Kept(), fc.mlp([3, 1], seed=0)
        fc.fit(net, source, loss="half_squared_error", epochs=epochs, window=100, warn=False, progress=False)
        return int(source.read.max())

    taken: list[Any] = []
    monkeypatch.setattr(reading, "spare_room", lambda *given: taken.append(given))
    assert reads(1) == 1
    assert not taken
    assert reads(2) == 2
    assert taken
    monkeypatch.undo()
    monkeypatch.setattr(mapped, "_is_in_memory", lambda folder: True)
    assert reads(2) == 2
    monkeypatch.undo()
    monkeypatch.setattr(mapped.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2 * 500 * 3 * 4 - 1))
    assert reads(2) == 2


def test_an_epoch_that_ends_early_keeps_nothing_that_is_not_whole() -> None:
    source, net = Kept(), fc.mlp([3, 4, 1], seed=0)
    data, fails = source.block, [True]

    def block(start: int, stop: int) -> Any:
        if start >= 300 and fails.pop():
            fails.append(False)
            raise OSError("the network is down")
        return data(start, stop)

    source.block = block  # type: ignore[method-assign]
    run = fc.epochs(net, source, loss="half_squared_error", window=100, batch_size=20, shuffle=False, warn=False)
    with pytest.raises(OSError, match="down"):
        next(run)
    other = fc.mlp([3, 4, 1], seed=0)
    assert np.array_equal(net.theta, other.theta)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells which files take memory")
def test_large_files_are_not_put_where_they_take_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(mapped, "_is_in_memory", lambda folder: folder != mapped.ON_DISK)
    assert mapped.folder_of_files() == (mapped.ON_DISK if os.path.isdir(mapped.ON_DISK) else tempfile.gettempdir())
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert mapped.folder_of_files() == tempfile.gettempdir()
    monkeypatch.undo()
    if os.path.isdir("/dev/shm"):
        assert mapped._is_in_memory("/dev/shm") in (True, False)
    assert not mapped._is_in_memory("/proc/self/nowhere")
