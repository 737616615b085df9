"""A source of one's own that is written with a mistake: what it gives is refused, wherever it is read."""

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import DataError, InputTypeError, ShapeError
from fullyconnected.program.sources import BLOCK

ROWS, N = 300, 3
X = np.random.default_rng(0).normal(size=(ROWS, N))
T = X[:, 0] - X[:, 1]
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
QUIET = {"epochs": 1, "progress": False}


class Rows(fc.Source):
    """Rows of X, with any attribute or method replaced."""

    shape, dtype = (ROWS, N), np.dtype(np.float64)

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def block(self, start, stop):
        return X[start:stop]


def fitted(x, **how):
    net = fc.mlp([N, 4, 1], seed=0)
    fc.fit(net, x, T, "half_squared_error", **QUIET, **how)
    return net


def estimator(kind=fc.MLPRegressor, **how):
    return kind(max_iter=1, random_state=0, **how)


def table_estimator():
    return fc.TabularRegressor(preset="fast", epochs=1, random_state=0)


READERS = {
    "fit": fitted,
    "fit, whose scales are not looked at": lambda x: fitted(x, warn=False),
    "predict": lambda x: fc.mlp([N, 4, 1], seed=0).predict(x),
    "evaluate": lambda x: fc.mlp([N, 4, 1], seed=0).evaluate(x, T, "half_squared_error"),
    "gradients": lambda x: fc.mlp([N, 4, 1], seed=0).gradients(x, T, "half_squared_error", engine="numpy"),
    "adapt": lambda x: fc.Network([fc.Standardize(N), fc.Dense(N, 1)], seed=0).adapt(x),
    "estimator": lambda x: estimator().fit(x, T),
    "estimator that scales": lambda x: estimator(scale=True).fit(x, T),
    "table": lambda x: table_estimator().fit(x, T),
}
reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@reader
@pytest.mark.parametrize(
    ("dtype", "given"),
    [("i1", "f8"), ("u1", "f4"), ("?", "f8"), ("?", "i8"), ("i1", "i8"), ("u1", "i1"), ("i8", "u8"), ("i4", "f2")],
)
def test_a_dtype_that_does_not_hold_what_the_blocks_have(read, dtype, given):
    rows = np.abs(X * 10).astype(given)
    x = Rows(dtype=np.dtype(dtype), block=lambda start, stop: rows[start:stop])
    with pytest.raises(InputTypeError, match=rf"a Rows, .* {np.dtype(given)}, .*dtype.* {np.dtype(dtype)}"):
        read(x)


@reader
@pytest.mark.parametrize(("dtype", "given"), [("f4", "f8"), ("f4", "i8"), ("f8", "i8"), ("i8", "u1"), ("f8", "?")])
def test_a_dtype_that_holds_the_numbers_of_the_blocks(read, dtype, given):
    rows = (np.abs(X * 10).astype(int) % 2 if given == "?" else np.abs(X * 10)).astype(given)
    read(Rows(dtype=np.dtype(dtype), block=lambda start, stop: rows[start:stop]))


@reader
@pytest.mark.parametrize(("dtype", "value"), [("f2", 1e5), ("f4", 1e300)])
def test_a_number_that_the_dtype_would_make_infinite(read, dtype, value):
    rows = X.copy()
    rows[7, 1] = value
    with pytest.raises(DataError, match=r"\[7, 1\] is|row 7"):
        read(Rows(dtype=np.dtype(dtype), block=lambda start, stop: rows[start:stop]))


BLOCKS = {
    "a row too few": lambda start, stop: X[start : stop - 1],
    "no rows": lambda start, stop: X[:0],
    "one dimension": lambda start, stop: X[start:stop, 0],
    "another width": lambda start, stop: X[start:stop, :2],
    "a number": lambda start, stop: 1.0,
    "a list of numbers": lambda start, stop: [1.0] * (stop - start),
    "nothing": lambda start, stop: None,
}


@reader
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_block_that_is_not_the_rows(read, block):
    with pytest.raises((ShapeError, InputTypeError), match=r"of [xX], a Rows|block of [xX]"):
        read(Rows(block=block))


def test_a_list_of_rows_is_a_block(tmp_path):
    x = Rows(block=lambda start, stop: X[start:stop].tolist(), columns=("a", "b", "c"))
    net = fitted(x, checkpoint=tmp_path / "run")
    assert np.array_equal(net.theta, fitted(Rows()).theta)
    array = Rows(columns=x.columns)
    assert x[["c", "a"]].checksum() == array[["c", "a"]].checksum() != array.checksum()


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_some_columns_of_a_source_whose_blocks_are_not_the_rows(block):
    some = Rows(block=block, columns=("a", "b", "c"))[["c", "a"]]
    for call in (lambda: some.block(0, 5), lambda: some.taken(np.arange(3), np.float64)):
        with pytest.raises((ShapeError, InputTypeError), match=r"of x, a Rows|block of x"):
            call()


def test_what_a_take_of_its_own_leaves_is_checked():
    class Taking(Rows):
        def take(self, rows, out):
            out[...] = X[rows]
            out[rows == 123, 2] = np.nan

    with pytest.raises(DataError, match=r"x\[123, 2\] is nan"):
        fc.mlp([N, 4, 1], seed=0).gradients(Taking(), T, "half_squared_error", engine="numpy")


@reader
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("a", "b"), "2 names.*3"),
        (("a", "b", "c", "d"), "4 names.*3"),
        ("abc", "'abc'"),
        (("a", "b", 3), "got 3 of type int"),
        (("a", "b", None), "None"),
        (("a", "b", ""), "empty"),
        (("a", "b", "a"), "both named 'a'"),
        (("caf\u00e9", "b", "cafe\u0301"), "both named"),
        (("a", "b", "\udc80"), "UTF-8"),
        ((), "0 names.*3"),
    ],
)
def test_names_of_columns_that_are_none(read, columns, said):
    with pytest.raises((ShapeError, InputTypeError, DataError), match=said):
        read(Rows(columns=columns))


@pytest.mark.parametrize("columns", [5, {"a": 1}.keys, b"abc", {"a", "b", "c"}, iter("abc")])
def test_columns_that_are_no_names_at_all(columns):
    with pytest.raises(InputTypeError, match=r"columns of x, a Rows, are .*names"):
        fitted(Rows(columns=columns))


@pytest.mark.parametrize("columns", [["a", "b", "c"], np.array(["a", "b", "c"]), np.array(["a", "b", "c"], object)])
def test_names_of_columns_in_any_sequence(columns, tmp_path):
    net = fitted(Rows(columns=columns))
    net.save(tmp_path / "net.fcn")
    assert fc.load(tmp_path / "net.fcn").columns.x == ("a", "b", "c")
    model = table_estimator().fit(Rows(columns=columns), T)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]


@reader
@pytest.mark.parametrize("shape", [None, 300, (300,), (300, 3, 1), (300.0, 3), ("300", "3"), (-300, 3), (True, 3)])
def test_a_shape_that_is_none(read, shape):
    with pytest.raises((ShapeError, InputTypeError), match=r"shape.*\(rows, "):
        read(Rows(shape=shape))


@reader
@pytest.mark.parametrize("shape", [[ROWS, N], (np.int64(ROWS), np.int32(N)), np.array([ROWS, N])])
def test_a_shape_in_any_sequence(read, shape):
    read(Rows(shape=shape))


@reader
@pytest.mark.parametrize("dtype", [None, "c16", "O", "U5", "S5", "M8[s]", "V8", "no dtype", 5, object()])
def test_a_dtype_that_is_none_of_numbers(read, dtype):
    with pytest.raises(InputTypeError, match=r"dtype.*numpy.dtype"):
        read(Rows(dtype=dtype))


@reader
@pytest.mark.parametrize("dtype", ["float32", "f8", np.float32, float])
def test_a_dtype_in_any_form(read, dtype):
    read(Rows(dtype=dtype))


def test_attributes_that_are_missing():
    class Bare(fc.Source):
        def block(self, start, stop):
            return X[start:stop]

    class Untyped(Bare):
        shape = (ROWS, N)

    with pytest.raises(InputTypeError, match=r"x, a Bare, has no shape.*\(rows, features\)"):
        fitted(Bare())
    with pytest.raises(InputTypeError, match=r"a Bare, has no shape.*\(rows, features\)"):
        len(Bare())
    with pytest.raises(InputTypeError, match=r"x, a Untyped, has no dtype"):
        fitted(Untyped())


@pytest.mark.parametrize("shards", [300, (100.0, 200.0), ("100", "200"), "300", (-100, 400), (100, None), (True, 299)])
def test_shards_that_are_none(shards):
    for read in ("fit", "predict", "estimator"):
        with pytest.raises((InputTypeError, DataError), match=r"shards of [xX], a Rows, .*whole number"):
            READERS[read](Rows(shards=shards))


@pytest.mark.parametrize("shards", [[100, 200], np.array([100, 200]), range(100, 201, 100)])
def test_shards_in_any_sequence(shards):
    assert np.array_equal(fitted(Rows(shards=shards)).theta, fitted(Rows(shards=(100, 200))).theta)


def test_shards_that_come_once_are_there_again():
    x = Rows(shards=iter([100, 200]))
    assert np.array_equal(fitted(x).theta, fitted(x).theta)
    named = Rows(shards=iter([100, 200]), columns=("a", "b", "c"))
    assert named[["a"]].shards == named[["b"]].shards == (100, 200)


@pytest.mark.parametrize("name", ["targets", "weights"])
def test_targets_and_weights_that_are_no_methods(name):
    methods = {"targets": lambda: T} if name == "weights" else {}
    x = Rows(**{name: np.ones(ROWS)}, **methods, columns=("a", "b", "c"))
    for call in (
        lambda: fc.fit(fc.mlp([N, 1]), x, loss="half_squared_error", **QUIET),
        lambda: fc.fit(fc.mlp([1, 1]), x[["a"]], loss="half_squared_error", **QUIET),
        lambda: estimator().fit(x),
        lambda: table_estimator().fit(x),
    ):
        with pytest.raises(InputTypeError, match=rf"{name} of .*a ndarray.*def {name}\(self\)"):
            call()


def test_targets_of_another_length():
    x = Rows(targets=lambda: T[:-1])
    with pytest.raises(ShapeError, match=r"x has 300 rows and t has shape \(299,\)"):
        fc.fit(fc.mlp([N, 1]), x, loss="half_squared_error", **QUIET)


def fails(row, column=None):
    raise KeyError(row)


@reader
@pytest.mark.parametrize("where", [fails, lambda row: "one", lambda row, column=None: 5, "a text"])
def test_what_names_a_place_does_not_hide_what_is_wrong_there(read, where):
    rows = X.copy()
    rows[9, 1] = np.inf
    with pytest.raises((DataError, InputTypeError), match=r"\[9, 1\] is inf|row 9( \(one\))?: inf"):
        read(Rows(block=lambda start, stop: rows[start:stop], where=where))


@pytest.mark.parametrize(
    "rows", [0, np.int64(1), [0, 1], np.arange(3), np.ones(ROWS, bool), slice(3), (np.arange(2), ...)]
)
def test_rows_are_not_chosen_by_their_numbers(rows):
    with pytest.raises(InputTypeError, match=r"scikit-learn's searches and cross-validation take arrays and tables"):
        Rows()[rows]


def test_what_chooses_rows_says_so():
    from sklearn.model_selection import GridSearchCV, cross_val_score

    for call in (
        lambda: list(Rows()),
        lambda: cross_val_score(estimator(), Rows(), T, error_score="raise"),
        lambda: GridSearchCV(estimator(), {"alpha": [0.1]}, error_score="raise").fit(Rows(), T),
    ):
        with pytest.raises(InputTypeError, match=r"searches and cross-validation take arrays and tables"):
            call()


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda names: np.array(names, object)])
def test_columns_by_names_in_any_sequence(kind):
    some = Rows(columns=("a", "b", "c"))[kind(["c", "a"])]
    assert some.columns == ("c", "a")
    assert np.array_equal(some.block(0, 5), X[:5, [2, 0]])


def test_columns_by_an_index_of_pandas_and_by_the_names_of_a_model():
    pandas = pytest.importorskip("pandas")
    source = Rows(columns=("a", "b", "c"))
    assert source[pandas.Index(["c", "a"])].columns == ("c", "a")
    assert source[estimator().fit(source, T).feature_names_in_].columns == ("a", "b", "c")


def test_all_blocks_of_a_large_source_are_checked():
    rows = BLOCK // N + 10
    last = {rows: np.zeros((1, N))}
    x = Rows(shape=(rows, N), block=lambda start, stop: last.get(stop, np.zeros((stop - start, N))))
    with pytest.raises(ShapeError, match="of x, a Rows, come with the shape"):
        fc.mlp([N, 1]).predict(x)
