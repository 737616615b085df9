"""Where rows come from: a source that is no array is trained on, judged, and gives gradients, as its array does."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError, UnknownNameError
from fullyconnected.program.data import BatchLoader, check_data
from fullyconnected.program.sources import ArraySource, Source
from fullyconnected.program.workspace import Workspace

ROWS, N = 300, 4


class Waves(Source):
    """Rows that are computed whenever they are asked for."""

    def __init__(self, rows=ROWS, dtype=np.float64, n=N):
        self.shape, self.dtype, self.largest = (rows, n), np.dtype(dtype), 0

    def rows(self, numbers):
        self.largest = max(self.largest, len(numbers))
        return np.sin(np.asarray(numbers)[:, None] * np.arange(1, self.shape[1] + 1) / 7).astype(self.dtype)

    def take(self, rows, out):
        out[...] = self.rows(rows)

    def block(self, start, stop):
        return self.rows(np.arange(start, stop))


X = Waves().block(0, ROWS)
T = X[:, 0] * X[:, 1]
WEIGHTS = np.linspace(0, 2, ROWS)


def network(dtype=np.float32):
    return fc.Network([fc.Dense(N, 8, "tanh"), fc.Dropout(0.2), fc.BatchNorm(), fc.Dense(8, 1)], dtype=dtype, seed=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_everything_gives_the_same_bits_as_with_the_array(dtype, weights):
    found = []
    for x in (Waves(), X):
        net = network(dtype)
        how = {"optimizer": fc.Adam(0.01), "batch_size": 32, "epochs": 3, "sample_weight": weights, "engine": "numpy"}
        history = fc.fit(net, x, T, "half_squared_error", validation=(x, T), progress=False, **how)
        evaluation = net.evaluate(x, T, "half_squared_error", ["r2"], sample_weight=weights, engine="numpy")
        g = net.gradients(x, T, "half_squared_error", sample_weight=weights, train=True, seed=3)
        found.append([history.loss, history.validation_loss, net.theta, net.predict(x, engine="numpy"), *evaluation])
        found[-1] += [g.loss, g.theta, g.x]
    for ours, theirs in zip(*found, strict=True):
        assert ours == theirs if isinstance(ours, dict) else np.array_equal(ours, theirs)


def test_a_run_never_asks_for_all_rows_at_once():
    x = Waves(5000)
    x.blocks = lambda: ((start, x.block(start, start + 500)) for start in range(0, 5000, 500))
    net, t = network(), np.zeros(5000)
    fc.fit(net, x, t, "half_squared_error", epochs=1, window=600, validation=(x, t), progress=False)
    net.evaluate(x, t, "half_squared_error")
    assert x.largest <= 1000  # of which scales are told


def test_blocks_are_of_bounded_size_and_make_up_the_whole():
    x = Waves(3000, n=1000)
    blocks = list(x.blocks())
    assert max(block.size for _, block in blocks) <= 1 << 20
    assert [start for start, _ in blocks] == [sum(len(block) for _, block in blocks[:i]) for i in range(len(blocks))]
    assert np.array_equal(np.concatenate([block for _, block in blocks]), x.block(0, 3000))


@pytest.mark.skipif(not fc.engines()["native"].available, reason=fc.engines()["native"].about)
def test_the_native_engine_trains_on_any_rows_and_takes_gradients_of_arrays_alone():
    net, x = fc.mlp([N, 4, 1], seed=0), Waves()
    fc.fit(net, x, T, "half_squared_error", epochs=2, progress=False, engine="native")
    other = fc.mlp([N, 4, 1], seed=0)
    fc.fit(other, X, T, "half_squared_error", epochs=2, progress=False, engine="native")
    assert np.array_equal(net.theta, other.theta)
    with pytest.raises(ConfigError, match="from a Waves"):
        net.gradients(x, T, "half_squared_error", engine="native")
    assert np.array_equal(net.predict(x, engine="native"), net.predict(X, engine="native"))
    evaluations = [net.evaluate(rows, T, "half_squared_error", engine="native") for rows in (x, X)]
    assert evaluations[0] == evaluations[1]


def test_a_checkpoint_goes_on_with_a_source_or_with_its_array(tmp_path):
    path = tmp_path / "run"
    how = {"checkpoint": path, "progress": False, "engine": "numpy", "batch_size": 50}
    for epochs, x in ((1, X), (2, Waves()), (3, X)):
        net = network()
        history = fc.fit(net, x, T, "half_squared_error", epochs=epochs, **how)
        assert len(history.loss) == epochs


def test_a_source_is_checked_as_an_array_is():
    class Broken(Waves):
        def rows(self, numbers):
            return np.where(np.asarray(numbers)[:, None] == 123, np.nan, super().rows(numbers))

    x = Broken()
    x.blocks = lambda: ((start, x.block(start, start + 50)) for start in range(0, ROWS, 50))
    for call in (
        lambda: fc.fit(network(), x, T, "half_squared_error", progress=False),
        lambda: network().predict(x),
        lambda: network().evaluate(x, T, "half_squared_error"),
    ):
        with pytest.raises(DataError, match=r"x\[123, 0\] is nan"):
            call()
    with pytest.raises(ShapeError, match=r"x has shape \(300, 3\); the network wants \(rows, 4\)"):
        network().predict(Waves(n=3))
    with pytest.raises(ShapeError, match="one row or more"):
        fc.fit(network(), Waves(0), T[:0], "half_squared_error", progress=False)
    assert network().predict(Waves(0)).shape == (0, 1)


@pytest.mark.parametrize("dtype", ["u1", "i8", "?", "f2", "f4", ">f4", "f8"])
def test_an_array_is_taken_into_any_float_dtype(dtype):
    a = np.arange(20).reshape(5, 4).astype(dtype)
    rows = np.array([3, 0, 3])
    for out_dtype in ("f4", "f8"):
        source = ArraySource(a)
        for take in (rows[:1], rows, rows[:2]):
            assert np.array_equal(source.taken(take, out_dtype), a[take].astype(out_dtype))


def test_rows_of_weight_zero_are_loaded_with_a_share_of_nothing():
    net = network()
    data = check_data(net.program, net.dtype, X, T, "half_squared_error", np.arange(ROWS) % 2)
    loader = BatchLoader(data, Workspace(net.program, net.theta, net.state, 10, loss=data.loss))
    assert [loader.load(np.arange(*part))[1] for part in ((0, 10, 2), (0, 10), (1, 10, 2))] == [0, 5, 5]


def test_what_a_source_lacks_is_named():
    class Empty(Source):
        shape, dtype = (ROWS, N), np.dtype(float)

    for call in (lambda: Empty().take(np.arange(1), X), lambda: fc.fit(network(), Empty(), T, "half_squared_error")):
        with pytest.raises(NotImplementedError, match="Empty has no block"):
            call()


class Labelled(Waves):
    """Rows whose columns have names, of which one has an accent."""

    columns, shards = ("a", "b", "caf\u00e9", "d"), (100, 200)

    def targets(self):
        return T

    def weights(self):
        return WEIGHTS

    def where(self, row, column=None):
        return f"row {row}, column {None if column is None else self.columns[column]}"


def test_a_source_with_some_of_its_columns_in_another_order():
    source, names, order = Labelled(), ["d", "cafe\u0301", "a"], [3, 2, 0]
    some = source[names]
    assert (some.shape, some.dtype, some.columns, some.shards) == ((ROWS, 3), source.dtype, tuple(names), (100, 200))
    assert np.array_equal(some.block(5, 20), X[5:20, order])
    assert np.array_equal(some.taken(np.array([7, 3, 250]), np.float64), X[[7, 3, 250]][:, order])
    assert some.targets() is T
    assert some.weights() is WEIGHTS
    assert some.where(9, 1) == source.where(9, 2)
    assert some.where(9) == source.where(9)
    assert some[["a", "d"]].block(0, 3).tolist() == X[:3, [0, 3]].tolist()
    assert len({each.checksum() for each in (source, some, source[names[::-1]])}) == 3
    found = []
    for x, t, w in ((some, None, None), (X[:, order], T, WEIGHTS)):
        net = fc.mlp([3, 4, 1], seed=0)
        history = fc.fit(net, x, t, "half_squared_error", epochs=2, sample_weight=w, progress=False)
        found.append((history.loss, net.theta.tolist()))
    assert found[0] == found[1]


def test_columns_that_a_source_does_not_have():
    with pytest.raises(UnknownNameError, match=r"column of a Labelled 'e'.* a, b"):
        Labelled()[["a", "e"]]
    with pytest.raises(UnknownNameError, match="column of a Waves"):
        Waves()[["a"]]
    for wrong in (0, "ab", [0], slice(3), np.arange(3)):
        with pytest.raises(InputTypeError, match=r"^a Labelled\[\.\.\.\] takes a list of names of columns; got "):
            Labelled()[wrong]
    with pytest.raises(InputTypeError, match="takes a list of names"):
        list(Labelled())


def test_a_network_that_reads_columns_by_their_names_takes_them_from_a_source():
    names = ("d", "a")
    net = fc.Network([fc.Columns([(name, fc.Standardize(1)) for name in names]), fc.Dense(2, 1)], seed=0)
    other = net.copy()
    net.adapt(Labelled())
    other.adapt(X[:, [3, 0]], sample_weight=WEIGHTS)
    assert np.array_equal(net.predict(X[:, [3, 0]]), other.predict(X[:, [3, 0]]))
    assert np.array_equal(net.predict(Labelled()), net.predict(X[:, [3, 0]]))
    with pytest.raises(DataError, match="x lacks 'd'"):
        net.predict(Labelled()[["a", "b"]])
