"""Sparse rows: what is computed of them is what is computed of the same rows made dense, and zeros cost nothing."""

import subprocess
import sys
import tracemalloc
import warnings
from itertools import islice

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DataWarning,
    DivergenceError,
    InputTypeError,
    ShapeError,
)
from fullyconnected.program.data import as_source
from fullyconnected.program.sources import ArraySource, Source, SparseSource, is_sparse
from fullyconnected.training.scales import of_inputs, scale_of

sparse = pytest.importorskip("scipy.sparse", reason="sparse matrices of SciPy")

ROWS, N, HIDDEN = 120, 40, 8


def rows_of(dtype=np.float64, rows=ROWS, n=N, density=0.1):
    """Return a dense array of mostly zeros, some of whose rows are empty."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(rows, n)) if np.dtype(dtype).kind == "f" else rng.integers(0, 3, (rows, n))
    values[rng.random((rows, n)) > density] = 0
    values[3], values[-1] = 0, 0
    return values.astype(dtype)


X = rows_of()
T = np.random.default_rng(6).normal(size=ROWS) + X.sum(axis=1)
CLASSES = np.arange(ROWS) % 3
WEIGHTS = np.linspace(0, 2, ROWS)


def shuffled(a):
    """Return a CSR array whose indices are not in order, and with explicit zeros."""
    coo = sparse.coo_array(a)
    zero = np.flatnonzero(a.ravel() == 0)[:10]
    at = np.random.default_rng(0).permutation(coo.nnz + len(zero))
    data = np.append(coo.data, np.zeros(len(zero), a.dtype))[at]
    row, column = (np.append(i, j)[at] for i, j in zip((coo.row, coo.col), np.divmod(zero, a.shape[1]), strict=True))
    order = np.argsort(row, kind="stable")
    indptr = np.searchsorted(row[order], np.arange(len(a) + 1))
    return sparse.csr_array((data[order], column[order], indptr), shape=a.shape)


def doubled(a):
    """Return a CSR array in which every entry is the sum of two."""
    csr = sparse.csr_array(a)
    halves = np.repeat(csr.data / 2, 2).astype(a.dtype)
    return sparse.csr_array((halves, np.repeat(csr.indices, 2), csr.indptr * 2), shape=a.shape)


def long_indices(a):
    csr = sparse.csr_array(a)
    csr.indices, csr.indptr = csr.indices.astype(np.int64), csr.indptr.astype(np.int64)
    return csr


FORMS = {
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "coo_matrix": sparse.coo_matrix,
    "lil_array": sparse.lil_array,
    "bsr_array": sparse.bsr_array,
    "shuffled": shuffled,
    "doubled": doubled,
    "long_indices": long_indices,
}


def random_csr(rows, n, density):
    """Return a CSR array of standard normal numbers, without ever making it dense."""
    rng = np.random.default_rng(0)
    row, column = np.divmod(np.unique(rng.integers(0, rows * n, int(density * rows * n))), n)
    return sparse.csr_array((rng.normal(size=len(row)).astype(np.float32), (row, column)), shape=(rows, n))


def begins_with_dense(dtype=np.float64):
    layers = [fc.Dense(N, HIDDEN, "tanh"), fc.Dropout(0.2), fc.BatchNorm(), fc.Dense(HIDDEN, 1)]
    return fc.Network(layers, dtype=dtype, seed=0)


class Halved(fc.Layer):
    """A user's own layer."""

    name = "halved_of_test_sparse"
    n_in = n_out = N

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, 0.5, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            c.xp.multiply(dy, 0.5, out=dx)


class OwnDense(fc.Dense):
    """A user's own product."""

    name = "dense_of_test_sparse"

    def forward(self, p, x, c, y, *, train):
        y[...] = np.maximum(x, -1) @ p.W + p.b


FIRSTS = {
    "dense": lambda: fc.Dense(N, N, "relu"),
    "dense without bias": lambda: fc.Dense(N, N, bias=False),
    "dense with an activation of two functions": lambda: fc.Dense(N, N, (np.sin, np.cos)),
    "layer norm": lambda: fc.LayerNorm(n_in=N),
    "rms norm": lambda: fc.RMSNorm(n_in=N),
    "batch norm": lambda: fc.BatchNorm(n_in=N),
    "dropout": lambda: fc.Dropout(0.3, n_in=N),
    "activation": lambda: fc.Activation("tanh", n_in=N),
    "residual": lambda: fc.Residual([fc.Dense(N, N, "tanh")]),
    "user's own": Halved,
    "user's own product": lambda: OwnDense(N, N),
}


def close(ours, theirs, dtype=np.float64):
    tolerance = 1e-9 if np.dtype(dtype) == np.float64 else 2e-4
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def result_of(x, net, t=T, loss="half_squared_error", **settings):
    """Train on rows, and return all numbers that come of it."""
    settings = {"optimizer": fc.SGD(0.01), "epochs": 3, "batch_size": 32, "engine": "numpy", **settings}
    history = fc.fit(net, x, t, loss, progress=False, **settings)
    evaluation = net.evaluate(x, t, loss, ["r2"] if t is T else ["accuracy"], engine="numpy")
    kept = [history.loss, history.validation_loss or [], *history.metrics.values()]
    return [np.hstack([*kept, evaluation.loss, *evaluation.metrics.values()]), net.theta, net.state, net.predict(x)]


@pytest.mark.parametrize("form", FORMS)
def test_any_format_trains_as_its_rows_made_dense(form):
    x = FORMS[form](X)
    for ours, theirs in zip(result_of(x, begins_with_dense()), result_of(X, begins_with_dense()), strict=True):
        close(ours, theirs)


def test_how_the_entries_are_stored_changes_no_bit():
    plain = result_of(sparse.csr_array(X), begins_with_dense())
    for form in FORMS:
        if form != "shuffled":  # its explicit zeros are added up, too
            found = result_of(FORMS[form](X), begins_with_dense())
            assert all(map(np.array_equal, found, plain)), form


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("data", ["f4", "f8", "g", "i1", "u2", "i8", "?", ">f4", ">i4"])
def test_entries_are_cast_to_the_dtype_of_the_network(dtype, data):
    x = rows_of(data)
    csr = sparse.csr_array(x.astype(x.dtype.newbyteorder("=")))
    csr.data = csr.data.astype(data)
    assert csr.dtype == data
    ours, theirs = (result_of(a, begins_with_dense(dtype), warn=False) for a in (csr, x))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        close(one, other, dtype)


SETTINGS = {
    "adam": {"optimizer": fc.Adam(0.01)},
    "l2 and clipping": {"l2": 0.1, "max_grad_norm": 0.5, "optimizer": fc.Momentum(0.01)},
    "weights": {"sample_weight": WEIGHTS},
    "in order": {"shuffle": False},
    "one batch": {"batch_size": 1000},
    "classes": {"t": CLASSES, "loss": "softmax_cross_entropy", "metrics": ["accuracy"]},
    "lbfgs": {"optimizer": fc.LBFGS(), "epochs": 10, "l2": 0.01},
}


@pytest.mark.parametrize("how", SETTINGS)
def test_every_setting_means_the_same(how):
    n_out = 3 if how == "classes" else 1
    found = [result_of(a, fc.mlp([N, HIDDEN, n_out], "tanh", dtype=np.float64, seed=0), **SETTINGS[how])
             for a in (sparse.csr_array(X), X)]  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs, np.float32 if how == "lbfgs" else np.float64)  # L-BFGS makes rounding errors larger


def test_validation_and_patience_restore_the_same_best_epoch():
    found = []
    for form in (sparse.csr_array, np.asarray):
        net = begins_with_dense()
        how = {"validation": (form(X[80:]), T[80:], WEIGHTS[80:]), "patience": 2, "metrics": ["r2"], "batch_size": 16}
        history = fc.fit(net, form(X[:80]), T[:80], "half_squared_error", fc.SGD(0.02), 30, progress=False, **how)
        found.append((history.best_epoch, history.stopped, net.theta, history.validation_loss))
    assert found[0][:2] == found[1][:2]
    assert found[0][1] == "patience"
    for ours, theirs in zip(found[0][2:], found[1][2:], strict=True):
        close(ours, theirs, np.float32 if fc.engines()["native"].available else np.float64)


@pytest.mark.parametrize("first", FIRSTS)
def test_any_first_layer_takes_sparse_rows(first):
    found = []
    for x in (sparse.csr_array(X), X):
        net = fc.Network([FIRSTS[first](), fc.Dense(N, 1)], dtype=np.float64, seed=0)
        found.append(result_of(x, net, warn=False))
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs)
    assert net.program.multiplies_input == (first.startswith("dense"))


def test_epochs_and_predictions_take_sparse_rows():
    x, net = sparse.csr_array(X), fc.mlp([N, HIDDEN, 3], seed=0)
    losses = [epoch.loss for epoch in islice(fc.epochs(net, x, CLASSES, "softmax_cross_entropy"), 3)]
    assert losses[2] < losses[0]
    close(net.predictions(x), net.predictions(X), np.float32)


@pytest.mark.parametrize("engine", ["auto", "numpy", "native"])
def test_predictions_of_sparse_rows_are_those_of_dense_rows(engine):
    if not fc.engines().get(engine, fc.engines()["numpy"]).available:
        pytest.skip(fc.engines()[engine].about)
    for layers in ([fc.Dense(N, HIDDEN, "relu"), fc.Dense(HIDDEN, 2)], [fc.LayerNorm(n_in=N), fc.Dense(N, 2)]):
        net = fc.Network(layers, seed=0)
        wanted = net.predict(X)
        for _ in range(2):  # dense and sparse rows take turns
            close(net.predict(sparse.csr_array(X), engine=engine), wanted, np.float32)
            close(net.predict(X, engine=engine), wanted, np.float32)
        for start, stop in ((0, 0), (3, 4), (5, 6)):
            part = sparse.csr_array(X)[start:stop]
            close(net.predict(part, engine=engine), wanted[start:stop], np.float32)
            assert net.predict(part, engine=engine).shape == (stop - start, 2)


def test_a_run_is_resumed_to_the_same_bits(tmp_path):
    x = sparse.csr_array(X)
    how = {"optimizer": fc.Adam(0.01), "batch_size": 32, "validation": (x, T)}
    whole, parts = begins_with_dense(), begins_with_dense()
    wanted = fc.fit(whole, x, T, "half_squared_error", epochs=5, progress=False, **how)
    for epochs, form in ((2, shuffled_alone), (5, long_indices)):
        history = fc.fit(
            parts, form(X), T, "half_squared_error", epochs=epochs, progress=False, checkpoint=tmp_path / "run", **how
        )
    assert np.array_equal(parts.theta, whole.theta)
    assert history.loss == wanted.loss
    other = x.copy()
    other.data[0] += 1
    moved = sparse.csr_array((x.data, np.sort((x.indices + 1) % N), x.indptr), shape=x.shape)
    for different in (other, moved, x[::-1]):
        with pytest.raises(CheckpointError, match="data="):
            fc.fit(begins_with_dense(), different, T, "half_squared_error", epochs=6, progress=False,
                   checkpoint=tmp_path / "run", **how)  # fmt: skip


def shuffled_alone(a):
    """Return a CSR array whose indices are not in order."""
    csr = shuffled(a)
    csr.eliminate_zeros()
    assert not csr.has_sorted_indices
    return csr


def test_the_matrix_of_the_caller_is_not_changed():
    for form in (shuffled, doubled, sparse.csr_array, sparse.csc_matrix):
        x = form(X)
        kept, arrays = x.copy(), (x.data, x.indices, x.indptr)
        for a in arrays:
            a.flags.writeable = False
        result_of(x, begins_with_dense())
        assert all(a is b for a, b in zip(arrays, (x.data, x.indices, x.indptr), strict=True))
        assert np.array_equal(x.indices, kept.indices)
        assert np.array_equal(x.data, kept.data)


def test_a_sorted_csr_matrix_is_read_in_place():
    x = sparse.csr_matrix(X)
    source = as_source(x, fc.mlp([N, 1]).program, np.dtype(np.float32), sparse=True)
    assert np.shares_memory(source.csr.data, x.data)
    assert np.shares_memory(source.csr.indices, x.indices)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_finite_is_refused_with_its_place(form, value):
    a = X.copy()
    a[7, 11] = value
    x, net = FORMS[form](a), begins_with_dense()
    for call in (
        lambda: net.predict(x),
        lambda: net.evaluate(x, T, "half_squared_error"),
        lambda: fc.fit(net, x, T, "half_squared_error", progress=False),
    ):
        with pytest.raises(DataError, match=rf"x\[7, 11\] is {value}; x must be finite"):
            call()
    with pytest.raises(DataError, match=r"validation x\[7, 11\]"):
        fc.fit(net, X, T, "half_squared_error", progress=False, validation=(x, T))
    a[7, 11] = 1e300
    with pytest.raises(DataError, match=r"x\[7, 11\] is 1e\+300, too large for a network of float32"):
        fc.mlp([N, 1]).predict(FORMS[form](a))


def test_wrong_shapes_are_refused_as_those_of_arrays_are():
    net = fc.mlp([N, 1], seed=0)
    for a in (X.T, X[:, 1:], X[:1].T, X[:0, :3]):
        texts = []
        for x in (sparse.csr_array(a), a):
            with pytest.raises(ShapeError) as caught:
                net.predict(x)
            texts.append(str(caught.value))
        assert texts[0] == texts[1]
    with pytest.raises(ShapeError, match="x has no rows"):
        fc.fit(net, sparse.csr_array(X[:0]), T[:0], "half_squared_error", progress=False)
    with pytest.raises(ShapeError, match="x has 120 rows and t has shape"):
        fc.fit(net, sparse.csr_array(X), T[1:], "half_squared_error", progress=False)
    with pytest.raises(ShapeError, match="are x and t swapped"):
        fc.fit(net, sparse.csr_array(T[:, None]), X, "half_squared_error", progress=False)


def test_arrays_of_other_dimensions_are_treated_as_dense_ones_are():
    try:
        vector, cube = sparse.coo_array(X[0]), sparse.coo_array(X.reshape(ROWS, 4, N // 4))
    except (TypeError, ValueError) as error:
        pytest.skip(f"this SciPy has matrices alone: {error}")
    net = begins_with_dense()
    with pytest.raises(ShapeError, match=r"x has shape \(40,\); the network wants \(rows, 40\)"):
        net.predict(vector)
    close(net.predict(cube), net.predict(X))


def test_what_is_no_matrix_of_real_numbers_is_refused():
    net = fc.mlp([N, 1], seed=0)
    with pytest.raises(InputTypeError, match="x has dtype complex128; numbers are wanted"):
        net.predict(sparse.csr_array(X.astype(complex)))
    with pytest.raises(InputTypeError, match="t is a sparse csc_array; a dense array is wanted"):
        fc.fit(net, X, sparse.csc_array(T[:, None]), "half_squared_error")


def damaged(form, **changes):
    x = form(X)
    for name, change in changes.items():
        a = getattr(x, name).copy()
        change(a)
        setattr(x, name, a)
    return x


def put(at, value):
    return lambda a: a.__setitem__(at, value)


@pytest.mark.parametrize(
    "x",
    [
        damaged(sparse.csr_array, indices=put(2, N)),
        damaged(sparse.csr_matrix, indices=put(2, 10**9)),
        damaged(sparse.csr_array, indices=put(0, -1)),
        damaged(sparse.csr_array, indptr=put(5, 10**6)),
        damaged(sparse.csr_array, indptr=put(0, 1)),
        damaged(sparse.csr_array, indptr=put(-1, 10**6)),
        damaged(sparse.csc_array, indices=put(2, ROWS)),
        damaged(sparse.csc_matrix, indptr=put(1, -3)),
        damaged(sparse.coo_matrix, row=put(2, ROWS)),
        damaged(sparse.coo_matrix, col=put(2, -1)),
    ],
    ids=lambda x: x.format,
)
def test_damaged_indices_are_refused_before_scipy_writes_where_they_say(x):
    with pytest.raises(DataError, match="x is a damaged sparse matrix"):
        fc.mlp([N, 1], seed=0).predict(x)


def test_indices_are_looked_at_and_not_what_the_matrix_remembers_of_them():
    x = sparse.csr_array(X)
    assert x.has_canonical_format  # from here on it remembers so
    row = int(np.argmax(np.diff(x.indptr) > 1))
    part = slice(x.indptr[row], x.indptr[row + 1])
    x.indices[part], x.data[part] = x.indices[part][::-1].copy(), x.data[part][::-1].copy()
    source = as_source(x, fc.mlp([N, 1]).program, np.dtype(np.float64), sparse=True)
    assert np.array_equal(source.block(0, ROWS), X)
    assert source.csr.has_sorted_indices
    assert not np.shares_memory(source.csr.data, x.data)


def test_gradients_and_pictures_want_dense_rows_and_say_so():
    x, net = sparse.csr_array(X), fc.mlp([N, 1], seed=0)
    for call in (
        lambda: net.gradients(x, T, "half_squared_error"),
        lambda: net.loss_and_grad(x, T, "half_squared_error"),
        lambda: fc.check_gradients(net, x, T, "half_squared_error"),
        lambda: fc.trace(net, x, T, "half_squared_error"),
        lambda: fc.explain(net, x, T, "half_squared_error"),
        lambda: fc.draw(net, x),
    ):
        with pytest.raises(InputTypeError, match=r"x is a sparse csr_array; a dense array is wanted: x.toarray\(\)"):
            call()


@pytest.mark.parametrize("first", ["layer norm", "activation", "residual"])
def test_a_solver_does_not_make_all_rows_dense(first):
    net = fc.Network([FIRSTS[first](), fc.Dense(N, 1)], seed=0)
    with pytest.raises(ConfigError, match="LBFGS uses all rows at once, which would make it dense as a whole"):
        fc.fit(net, sparse.csr_array(X), T, "half_squared_error", fc.LBFGS(), progress=False)


@pytest.mark.skipif(not fc.engines()["native"].available, reason=fc.engines()["native"].about)
def test_the_native_engine_says_that_it_does_not_train_on_sparse_rows():
    x = sparse.csr_array(X)
    history = fc.fit(fc.mlp([N, 1], seed=0), x, T, "half_squared_error", epochs=1, progress=False)
    assert (history.engine, history.engine_why) == (
        "numpy",
        "the native engine cannot run this: it trains on dense rows, and x is sparse",
    )
    with pytest.raises(ConfigError, match="it trains on dense rows, and x is sparse"):
        fc.fit(fc.mlp([N, 1], seed=0), x, T, "half_squared_error", epochs=1, progress=False, engine="native")
    how = {"validation": (x, T), "epochs": 1, "progress": False, "engine": "native"}
    assert fc.fit(fc.mlp([N, 1], seed=0), X, T, "half_squared_error", **how).engine == "native"


@pytest.mark.parametrize("density", [0.02, 0.5])
def test_the_scale_of_columns_counts_their_zeros(density):
    a = rows_of(rows=500, density=density) * np.geomspace(1e-3, 1e3, N) + (np.arange(N) == 5)
    ours, theirs = scale_of(SparseSource(sparse.csr_array(a))), scale_of(a)
    known = (a != 0).sum(axis=0) >= 10
    assert known.sum() >= 10
    assert known.all() == (density > 0.1)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-9)
    np.testing.assert_allclose(ours.deviation, theirs.deviation, rtol=1e-9)
    np.testing.assert_allclose(ours.reach[known], theirs.reach[known], rtol=1e-9)
    assert np.isinf(ours.reach[~known]).all()


def test_the_warning_of_scales_says_what_keeps_zeros():
    net, wide = fc.mlp([N, 1], seed=0), X * np.geomspace(1, 1e5, N)
    with pytest.warns(DataWarning, match="divide each by its largest magnitude, which leaves the zeros as they are"):
        fc.fit(net, sparse.csr_array(wide), T, "half_squared_error", fc.SGD(1e-9), epochs=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fc.fit(net, sparse.csr_array(X), T, "half_squared_error", epochs=1, progress=False)


def test_columns_that_are_nearly_always_zero_are_no_reason_to_warn():
    x = random_csr(5000, 3000, 5e-4)
    program = fc.mlp([3000, 1]).program
    assert of_inputs(SparseSource(x), program) is None
    assert "x[:, " in str(of_inputs(SparseSource(x * np.float32(1e5)), program))
    assert of_inputs(SparseSource(x * np.float32(0)), program) is None
    assert of_inputs(SparseSource(sparse.csr_array((5000, 3000))), program) is None


@pytest.mark.parametrize("optimizer", [fc.SGD(1e8), fc.LBFGS()])
def test_a_run_that_diverges_is_explained(optimizer):
    a = X.copy()
    a[:, 2] *= 1e30
    if isinstance(optimizer, fc.LBFGS):
        a[:, 2] *= 1e5
    with pytest.raises(DivergenceError, match=r"x\[:, 2\]"):
        fc.fit(fc.mlp([N, HIDDEN, 1], seed=0), sparse.csr_array(a), T, "half_squared_error", optimizer,
               progress=False, warn=False)  # fmt: skip


def test_a_source_tells_the_same_of_sparse_and_of_dense_rows():
    ours, theirs = SparseSource(sparse.csr_array(X)), ArraySource(X)
    rows = np.array([5, 3, 3, 90])
    assert np.array_equal(ours.taken(rows, np.float32), theirs.taken(rows, np.float32))
    assert np.array_equal(ours.largest(rows), theirs.largest(rows))
    assert np.array_equal(ours.block(2, 9), theirs.block(2, 9))
    part: Source = ours.part(rows, np.float32)
    assert part.dtype == np.float32
    assert np.array_equal(part.block(0, 4), theirs.part(rows, np.float32).block(0, 4))
    assert all(block.size <= 1 << 20 for _, block in SparseSource(sparse.csr_array((3000, 1000))).blocks())


ENOUGH = 120e6  # bytes, most of them the vectors that L-BFGS remembers; the dense rows of the test below are 4 GB


@pytest.mark.parametrize("first", ["dense", "layer norm"])
def test_memory_is_that_of_the_entries(first):
    x = random_csr(20_000, 50_000, 5e-4)
    layers = [fc.Dense(50_000, 4, "relu"), fc.Dense(4, 1)]
    net = fc.Network([fc.LayerNorm(n_in=50_000), *layers] if first == "layer norm" else layers, seed=0)
    t = np.asarray(x.sum(axis=1)).ravel()
    if first == "layer norm":
        x, t = x[:200], t[:200]
    how = {"batch_size": 64, "epochs": 1, "validation": (x[:300], t[:300]), "metrics": ["r2"], "progress": False}
    tracemalloc.start()
    try:
        fc.fit(net, x, t, "half_squared_error", fc.Adam(), **how)
        net.predict(x)
        if first == "dense":
            fc.fit(net, x, t, "half_squared_error", fc.LBFGS(), epochs=2, progress=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ENOUGH


def test_scipy_is_not_loaded_by_who_has_no_sparse_matrix():
    code = (
        "import sys, numpy as np, fullyconnected as fc; net = fc.mlp([2, 1], seed=0); x = np.ones((20, 2));"
        "fc.fit(net, x, x[:, 0], 'half_squared_error', epochs=1, progress=False); net.predict(x);"
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert not is_sparse(X)
    assert is_sparse(sparse.csr_array(X))
