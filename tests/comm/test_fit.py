"""Processes that train together give the result of one; here, they are threads, into which a test can look."""

import itertools

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import CheckpointError, CommError, ConfigError, DivergenceError
from fullyconnected.losses import LOSSES
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings
from tests.comm.threads import Group, fit_together
from tests.cuda import standin
from tests.native import test_equality as every

NATIVE = fc.engines()["native"]
ENGINES = [
    "numpy",
    pytest.param("native", marks=pytest.mark.skipif(not NATIVE.available, reason=NATIVE.about)),
    pytest.param("cuda", marks=pytest.mark.anywhere),
]
RNG = np.random.default_rng(0)
ROWS, N = 203, 5
X = RNG.normal(size=(ROWS, N))
T = np.sin(X[:, :2]).sum(axis=1)
WEIGHTS = RNG.uniform(0, 2, ROWS)
WEIGHTS[:40] = 0  # whole parts of batches weigh nothing
LOSS = "half_squared_error"
CLOSE = {np.float32: 1e-6, np.float64: 1e-12}  # of the way travelled


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    """Let there be a GPU for each process, which stand-ins for CuPy and NCCL play."""
    standin.install(monkeypatch, devices=40)


def network(dtype=np.float32):
    layers = [
        fc.Dense(N, 8, "relu"),
        fc.BatchNorm(),
        fc.Dropout(0.2),
        fc.Residual([fc.Dense(8, 8, "tanh"), fc.LayerNorm()]),
    ]
    return fc.Network([*layers, fc.Dense(8, 1)], dtype=dtype, seed=1)


def settings(**others):
    return {"epochs": 2, "batch_size": 32, "seed": 3, "warn": False, **others}


def compare(size, make, x, t, *args, tolerance=None, **how):
    """Train alone and in so many processes, and require the same result; return both."""
    alone = make()
    start = alone.theta.copy()
    wanted = fc.fit(alone, x, t, *args, progress=False, **how)
    trained = fit_together(size, make, x, t, *args, **how)
    way = float(np.linalg.norm(alone.theta - start))
    tolerance = CLOSE[alone.dtype.type] if tolerance is None else tolerance
    assert way > 0
    for net, history in trained:
        assert np.array_equal(net.theta, trained[0][0].theta)
        assert np.array_equal(net.state, trained[0][0].state)
        assert np.abs(net.theta - alone.theta).max() <= tolerance * way
        np.testing.assert_allclose(net.state, alone.state, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(history.loss, wanted.loss, rtol=1e-5)
        np.testing.assert_allclose(history.validation_loss, wanted.validation_loss, rtol=1e-5)
        assert history.metrics.keys() == wanted.metrics.keys()
        assert (history.processes, history.stopped, history.best_epoch) == (size, wanted.stopped, wanted.best_epoch)
    return alone, wanted, trained


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 40])  # 40: more than a batch has rows
def test_the_result_is_that_of_one_process(engine, size):
    alone, _, trained = compare(size, network, X, T, LOSS, fc.Adam(0.01), **settings(engine=engine))
    assert size > 1 or np.array_equal(alone.theta, trained[0][0].theta)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "how",
    [
        {"sample_weight": WEIGHTS},
        {"l2": 0.01, "max_grad_norm": 0.3},
        {"alpha": 0.5, "sample_weight": WEIGHTS},
        {"schedule": fc.CosineDecay(2), "dropout_schedule": lambda epoch: 1 - epoch / 4},
        {"validation": (X[:50], T[:50]), "metrics": ["r2"], "patience": 1, "epochs": 4},
        {"validation": (X[:50], T[:50], WEIGHTS[:50] + 0.1), "monitor": "r2", "patience": 5},
        {"average": fc.EMA(0.9)},
        {"average": fc.SWA(1), "epochs": 3},
        {"shuffle": False},
        {"factors": fc.Factors(lr={"dense_1": 0, "bias": 0.5})},
        {"batch_size": 500},
        {"batch_size": 101},  # a last row alone is added to the batch before
    ],
    ids=",".join,
)
def test_with_every_setting(engine, how):
    compare(3, network, X, T, LOSS, fc.Adam(0.01), **settings(engine=engine, **{"batch_size": 32, **how}))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", sorted(every.LAYERS))
def test_every_layer(engine, layer):
    def make():
        layers = [fc.Dense(N, 6, "tanh"), *every.LAYERS[layer](6, "tanh"), fc.Dense(6, 2)]
        return every.network(layers, np.float64, 1)

    compare(3, make, X, T[:, None] * [1, 2], "mean_squared_error", fc.Momentum(0.02), **settings(engine=engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", every.MEMBERS)
@pytest.mark.parametrize(
    "weights", [None, WEIGHTS, RNG.integers(0, 2, (ROWS, 4)) * WEIGHTS[:, None]], ids=["", "w", "own"]
)
def test_every_kind_of_members(engine, kind, weights):
    def make():
        return every.network(every.ensemble(kind, 4, "tanh", 1), np.float64, 1)

    compare(3, make, X, T, LOSS, fc.SGD(0.02), tolerance=1e-10, **settings(engine=engine, sample_weight=weights))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "n"), every.OUTPUTS)
def test_every_loss(engine, name, n):
    x, t = every.data(LOSSES.build(name), ROWS, N, n, 3)

    def make():
        return every.network([fc.Dense(N, 6, "tanh"), fc.Dense(6, n)], np.float64, 1)

    compare(3, make, x, t, name, fc.Adam(0.01), **settings(engine=engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", every.OPTIMIZERS, ids=repr)
def test_every_optimizer(engine, rule):
    compare(2, lambda: network(np.float64), X, T, LOSS, rule, tolerance=1e-9, **settings(engine=engine, epochs=1))


def test_a_solver():
    def make():
        return fc.mlp([N, 6, 1], activation="tanh", dtype=np.float64, seed=1)

    for size in (2, 3):
        compare(size, make, X, T, LOSS, "lbfgs", tolerance=1e-7, epochs=5, warn=False, sample_weight=WEIGHTS, alpha=0.1)
    compare(5, make, X[:3], T[:3], LOSS, "lbfgs", tolerance=1e-7, epochs=5, warn=False)  # two have no rows


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_within_a_process(engine):
    def make():
        return fc.Network([fc.Dense(64, 300, "relu"), fc.BatchNorm(), fc.Dropout(0.1), fc.Dense(300, 3)], seed=1)

    x = np.random.default_rng(1).normal(size=(600, 64))
    how = settings(engine=engine, batch_size=300, n_threads=2)
    compare(2, make, x, x[:, :3], LOSS, fc.Adam(1e-3), **how)


def test_one_sum_a_step_and_two_for_each_batch_norm():
    for layers, sums in (
        ([fc.Dense(N, 8), fc.Dense(8, 1)], 1),
        ([fc.Dense(N, 8), fc.BatchNorm(), fc.Dense(8, 8), fc.BatchNorm(), fc.Dense(8, 1)], 5),
    ):
        group = Group(2)
        group.run(
            lambda comm, layers=layers: fc.fit(
                fc.Network(layers, seed=0), X, T, LOSS, epochs=1, batch_size=ROWS, comm=comm, progress=False, warn=False
            )
        )
        assert group.sums == sums


def test_batch_norm_far_from_zero():
    """One sum has the squares of x, which lose their digits where the mean is large: it is in float64, and shifted."""

    def make():
        return fc.Network([fc.BatchNorm(n_in=N), fc.Dense(N, 1)], seed=1)

    compare(3, make, X + 1e3, T, LOSS, fc.SGD(0.01), tolerance=1e-4, **settings())


class Shards(fc.Source):
    """Rows in shards of unequal size, which notes what is read of them."""

    def __init__(self, x=X, shards=(100, 1, 60, 42)):
        self.x, self.shape, self.dtype, self.shards, self.read = x, x.shape, x.dtype, shards, []

    def block(self, start, stop):
        self.read += range(start, stop)
        return self.x[start:stop]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "how", [{"streams": 1}, {"streams": 4, "window": 64}, {"streams": 8, "sample_weight": WEIGHTS}], ids=",".join
)
@pytest.mark.parametrize("size", [2, 3, 8])
def test_a_source_is_shared_by_streams(engine, how, size):
    compare(size, network, Shards(), T, LOSS, fc.Adam(0.01), **settings(engine=engine, **how))


def test_a_process_reads_its_own_streams_alone_and_every_row_once():
    def work(comm):
        rows = Shards()
        rows.keep = False
        fc.fit(network(), rows, T, LOSS, comm=comm, progress=False, **settings(epochs=1, streams=8, window=64))
        return rows.read

    read = Group(4).run(work)
    assert sorted(itertools.chain(*read)) == list(range(ROWS))
    for rows in read:
        assert max(rows) - min(rows) + 1 == len(rows)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    "how", [{"streams": 1}, {"window": 64}, {"window": 64, "streams": 4}, {"streams": 2}], ids=",".join
)
def test_arrays_in_files(engine, order, how, tmp_path):
    np.save(tmp_path / "x.npy", np.asarray(X, order=order))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    compare(3, network, x, T, LOSS, fc.Adam(0.01), **settings(engine=engine, **how))


def test_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_array(np.where(np.abs(X) > 1, X, 0))
    compare(3, network, x, T, LOSS, fc.Adam(0.01), **settings(validation=(x, T)))


def test_files_of_parquet(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({**{f"c{i}": X[:, i] for i in range(N)}, "t": T})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=37)
    rows = fc.Parquet(tmp_path / "rows.parquet", target="t")
    how = settings(epochs=3, streams=4, window=64, validation=rows)
    compare(2, network, rows, None, LOSS, fc.Adam(0.01), **how)


def test_layers_that_adapt_and_a_seed_that_nobody_gave():
    def make():
        return fc.Network([fc.Standardize(N), fc.Dense(N, 8, "tanh"), fc.Dense(8, 1)], seed=1)

    compare(2, make, X * 10, T, LOSS, fc.Adam(0.01), **settings())
    trained = fit_together(2, lambda: fc.mlp([N, 3, 1], seed=None), X, T, LOSS, **settings(seed=None))
    assert np.array_equal(trained[0][0].theta, trained[1][0].theta)  # the first process's weights and seed
    assert trained[0][1].seed == trained[1][1].seed


def test_a_loop_over_epochs():
    def short(comm):
        net = network()
        for epoch in fc.epochs(net, X, T, LOSS, comm=comm, warn=False):
            if epoch.number == 2:
                break
        return epoch.loss, net.theta

    alone, together = short(None), Group(2).run(short)
    assert together[0][0] == together[1][0] == pytest.approx(alone[0], rel=1e-5)
    np.testing.assert_allclose(together[1][1], alone[1], atol=1e-5)


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{"l2": 0.1}, {"average": fc.EMA(0.9)}, {"validation": (X[:50], T[:50]), "patience": 9}], ids=",".join
)
def test_a_run_goes_on_from_its_checkpoint_with_as_many_processes_or_others(how, tmp_path):
    how = settings(**how)
    whole = fit_together(2, network, X, T, LOSS, fc.Adam(0.01), **{**how, "epochs": 6})
    first = {**how, "epochs": 3, "checkpoint": tmp_path / "run"}
    fit_together(2, network, X, T, LOSS, fc.Adam(0.01), **first)
    (tmp_path / "copy").write_bytes((tmp_path / "run").read_bytes())
    same = fit_together(2, network, X, T, LOSS, fc.Adam(0.01), **{**first, "epochs": 6})
    assert all(np.array_equal(net.theta, whole[0][0].theta) for net, _ in same)
    assert same[1][1].loss == whole[0][1].loss
    others = fit_together(
        3, network, X, T, LOSS, fc.Adam(0.01), **{**first, "epochs": 6, "checkpoint": tmp_path / "copy"}
    )
    np.testing.assert_allclose(others[2][0].theta, whole[0][0].theta, atol=1e-5)


def test_the_checkpoint_of_another_run_is_refused_by_all(tmp_path):
    fit_together(2, network, X, T, LOSS, fc.Adam(0.01), **settings(checkpoint=tmp_path / "run"))
    before = (tmp_path / "run").read_bytes()

    def work(comm):
        with pytest.raises(CheckpointError, match="batch_size"):
            fc.fit(network(), X, T, LOSS, fc.Adam(0.01), comm=comm, progress=False,
                   **settings(batch_size=16, checkpoint=tmp_path / "run"))  # fmt: skip
        return comm.rank

    assert Group(2).run(work) == [0, 1]
    assert (tmp_path / "run").read_bytes() == before


# --- what is refused, and what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 16}, "batch_size"),
        ({"epochs": 9}, "epochs"),
        ({"seed": 4}, "seed"),
        ({"optimizer": fc.Adam(0.02)}, "optimizer"),
        ({"loss": "absolute_error"}, "loss"),
        ({"engine": "numpy"}, "engine"),
        ({"x": X + 1}, "the checksum of the rows of the data"),
        ({"t": T + 1}, "the checksum of the targets"),
        ({"x": X[:200], "t": T[:200]}, "the shape of the data"),
        ({"sample_weight": WEIGHTS}, "the checksum of the weights"),
        ({"validation": (X, T)}, "validation data"),
        ({"net": lambda: fc.mlp([N, 4, 1], seed=1)}, "layer 0"),
        ({"net": lambda: network(np.float64)}, "dtype"),
        ({"checkpoint": "elsewhere"}, "whether there is a checkpoint"),
    ],
    ids=lambda each: each if isinstance(each, str) else ",".join(each),
)
def test_what_differs_between_processes_is_found_before_the_first_step(change, named):
    def work(comm):
        given = {"net": network, "x": X, "t": T, "loss": LOSS, "optimizer": fc.Adam(0.01)}
        given |= {**settings(engine="auto"), **(change if comm.rank == 1 else {})}
        net = given.pop("net")()
        before = net.theta.copy()
        with pytest.raises(ConfigError, match=f"(?s)not given the same.*({named}).* in process 1"):
            fc.fit(net, given.pop("x"), given.pop("t"), given.pop("loss"), comm=comm, progress=False, **given)
        assert np.array_equal(net.theta, before)
        return True

    if change.get("engine") == "numpy" and not NATIVE.available:
        pytest.skip("there is one engine alone")
    assert Group(3).run(work) == [True] * 3


def test_a_layer_of_ones_own_that_combines_rows_is_refused():
    class Centred(fc.Layer):
        name, least_rows = "centred", 2
        n_in = n_out = N

        def cache(self, rows):
            return {}

        def forward(self, p, x, c, y, *, train):
            c.xp.subtract(x, x.mean(axis=0), out=y)

        def backward(self, p, x, c, y, dy, g, dx):
            c.xp.subtract(dy, dy.mean(axis=0), out=dx)

    def work(comm):
        with pytest.raises(ConfigError, match="combines the rows of a batch"):
            fc.fit(fc.Network([Centred(), fc.Dense(N, 1)], seed=0), X, T, LOSS, comm=comm, progress=False)

    Group(2).run(work)


def test_a_loss_of_ones_own_that_knows_no_weights_of_a_batch_is_refused():
    class Own(fc.HalfSquaredError):
        name = "own_weights"

        def set_weights(self, c, w):
            super().set_weights(c, w)

    def work(comm):
        with pytest.raises(ConfigError, match="let it take total"):
            fc.fit(network(), X, T, Own(), comm=comm, progress=False)

    Group(2).run(work)


def test_a_warning_that_one_process_alone_wants_keeps_nobody_waiting():
    def work(comm):
        return fc.fit(network(), X, T, LOSS, comm=comm, progress=False, **{**settings(), "warn": comm.rank == 1}).loss

    one, other = Group(2).run(work)
    assert one == other


def test_estimators_draw_what_the_first_process_does():
    pytest.importorskip("sklearn")

    def fitted(states):
        def work(comm):
            how = {"hidden_layer_sizes": (4,), "max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, "comm": comm}
            return fc.MLPRegressor(**how, random_state=states[comm.rank]).fit(X, T).network_.theta

        return Group(len(states)).run(work)

    for states in ([None, None], [np.random.RandomState(3), np.random.RandomState(4)]):
        one, other = fitted(states)
        assert np.array_equal(one, other)
    with pytest.raises(ConfigError, match="not given the same: random_state is 7"):
        fitted([7, None])


def test_an_engine_that_shares_no_batches_is_not_taken():
    def work(comm):
        with pytest.raises(ConfigError, match="shares no batches"):
            fc.fit(network(), X, T, LOSS, comm=comm, engine="alone", progress=False)

    from fullyconnected.engine.numpy_engine import NumpyEngine

    class AloneEngine(NumpyEngine):
        name, shares, automatic = "alone", False, False

    fc.register(AloneEngine)
    Group(2).run(work)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_does_so_in_all_processes_at_once(engine):
    x = X.copy()
    x[7] = 1e30  # in the part of one of them

    def work(comm):
        net = network()
        before = net.theta.copy()
        with pytest.raises(DivergenceError) as caught:
            fc.fit(net, x, T, LOSS, fc.SGD(1e3), comm=comm, progress=False, **settings(engine=engine))
        assert np.array_equal(net.theta, before)
        return caught.value.epoch, caught.value.step

    alone = work(None)
    assert Group(3).run(work) == [alone] * 3


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_differ_in_one_bit_are_found(engine, monkeypatch):
    def work(comm):
        net = network()
        epochs = fc.epochs(net, X, T, LOSS, comm=comm, engine=engine, warn=False)
        next(epochs)
        if comm.rank == 2:
            net.theta[3] = np.nextafter(net.theta[3], 9)
        with pytest.raises(CommError, match="the weights of process 2 differ from those of process 0"):
            next(epochs)
        return True

    assert Group(3).run(work) == [True] * 3


def test_processes_without_rows_are_told_of_once():
    def said(size, x=X, **how):
        given = {**settings(), "warn": True, **how}
        total = given.pop("epochs")

        def work(comm):
            return Run(network(), x, T, LOSS, None, FitSettings(**given, comm=comm), total).warning

        return Group(size).run(work)

    first, *others = said(40)
    assert "8 of 40 processes have no rows" in first
    assert "larger batches" in first
    assert not any(others)
    first, *others = said(3, Shards(), streams=2)
    assert "1 of 3 processes have no rows" in first
    assert "streams=3 or a multiple" in first
    assert not any(others)
    assert not any(said(2))


def test_a_clock_is_read_by_the_first_process_alone(monkeypatch):
    import time

    from fullyconnected.training import run

    ticks = itertools.count(0, 0.01)

    def work(comm):
        history = fc.fit(network(), X, T, LOSS, comm=comm, progress=False, **settings(epochs=10**6, max_time=0.05))
        return len(history.loss), history.stopped

    monkeypatch.setattr(run, "time", type("Clock", (), {"perf_counter": lambda: next(ticks), "time": time.time}))
    one, other = Group(2).run(work)
    assert one == other
    assert one[1] == "max_time"
