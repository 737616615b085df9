"""The warning that inputs or targets are of a size that a network hardly learns from: when, how often, and when not."""

import warnings

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
T = X @ [1.0, 2.0, -1.0, 0.5]
CLASSES = (T > 0).astype(int)


def told(x=X, t=CLASSES, loss="softmax_cross_entropy", net=None, optimizer=None, **settings):
    """Return what a run warns of."""
    net = net or fc.mlp([np.prod(np.shape(x)[1:], dtype=int), 8, 2 if loss == "softmax_cross_entropy" else 1], seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fc.fit(net, x, t, loss, optimizer or fc.SGD(1e-12), epochs=3, batch_size=32, progress=False, **settings)
    assert all(issubclass(each.category, errors.DataWarning) for each in caught)
    assert all(each.filename == __file__ for each in caught)  # it points at the line that calls fit
    assert len(caught) <= 1  # once
    return str(caught[0].message) if caught else ""


class Named:
    columns = ("age", "rooms", "income", "year")

    def __init__(self, x):
        self.x = x

    def __array__(self, dtype=None, copy=None):
        return self.x


@pytest.mark.parametrize(
    ("factor", "offset", "column"),
    [
        ([1, 1, 1000, 1], 0, 2),
        ([1, 1, 1, 1], [0, 0, 0, 2000], 3),  # years
        ([1, 1e-4, 1, 1], 0, 1),
        (255, 0, 0),
        (1e-5, 0, 0),
        ([1e6, 1, 1, 1], 3e7, 0),
    ],
)
def test_inputs(factor, offset, column):
    x = X * factor + offset
    message = told(x)
    assert (
        f"x[:, {column}] has mean {x[:, column].mean():.3g} and standard deviation {x[:, column].std():.3g}" in message
        or (np.ndim(factor) == 0 and "x[:, " in message)
    )
    assert "x = (x - mean) / std" in message
    assert told(x, warn=False) == ""
    mean, std = x.mean(axis=0), x.std(axis=0)
    assert told((x - mean) / std) == ""  # the remedy
    assert told(x, net=fc.Network([fc.BatchNorm(n_in=4), fc.Dense(4, 2)])) == ""  # the network does it


def test_columns_are_named():
    x = X * [1, 1, 1000, 1]
    assert "x[:, 2] ('income') has mean" in told(Named(x))


def test_targets():
    for loss in ("half_squared_error", "mean_squared_error", "absolute_error", "huber"):
        message = told(t=T * 77 + 152, loss=loss)
        assert "t[:, 0] has mean 1" in message
        assert "use predict(x) * std + mean" in message
        assert told(t=T, loss=loss) == ""
        assert "t[:, 0] has mean" in told(t=T * 1e-5, loss=loss)
    both = told(X * [1, 1, 1000, 1], T * 1e4, "half_squared_error")
    assert "x[:, 2]" in both
    assert "t[:, 0]" in both


def test_a_network_that_is_near_such_targets_is_let_alone():
    net = fc.mlp([4, 1], seed=0)
    net.params[0].b = 1000.0
    assert told(t=T + 1000, loss="half_squared_error", net=net) == ""


@pytest.mark.parametrize(
    "x",
    [
        X,
        RNG.random((200, 64)),  # pixels from 0 to 1
        RNG.integers(0, 17, (200, 64)).astype(float),  # digits from 0 to 16
        RNG.integers(0, 2, (200, 30)),
        np.eye(50)[RNG.integers(0, 50, 200)],
        np.c_[X, RNG.random(200) < 0.01],  # a rare yes
        np.c_[X, np.ones(200), np.zeros(200)],  # columns that do not vary
        np.zeros((200, 3)),
        X * 0.05,
        X.reshape(200, 2, 2),
        X[:9] * 1e6,  # too few rows to tell
    ],
    ids=range(11),
)
def test_sane_inputs_are_silent(x):
    assert told(x, CLASSES[: len(x)]) == ""


@pytest.mark.parametrize(
    ("t", "loss"),
    [
        (T, "half_squared_error"),
        (np.zeros(200), "half_squared_error"),
        (RNG.poisson(300, 200), "poisson"),
        (CLASSES, "binary_cross_entropy"),
    ],
    ids=["numbers", "zeros", "counts", "yes and no"],
)
def test_sane_targets_are_silent(t, loss):
    assert told(t=t, loss=loss) == ""


def test_real_tables():
    datasets = pytest.importorskip("sklearn.datasets", reason="the tables are scikit-learn's")
    x, t = datasets.load_wine(return_X_y=True)
    message = told(x, t, net=fc.mlp([13, 3], seed=0))
    assert "x[:, 12] has mean 747 and standard deviation 314" in message
    assert told((x - x.mean(axis=0)) / x.std(axis=0), t, net=fc.mlp([13, 3])) == ""
    x, t = datasets.load_diabetes(return_X_y=True)
    assert "t[:, 0] has mean 152 and standard deviation 77" in told(x, t, "half_squared_error")
    assert told(x, (t - t.mean()) / t.std(), "half_squared_error") == ""
    for load in (datasets.load_iris, datasets.load_digits):
        x, t = load(return_X_y=True)
        assert told(x, t, net=fc.mlp([x.shape[1], t.max() + 1])) == ""


def test_tables_whose_rows_come_in_another_order():
    pandas = pytest.importorskip("pandas", reason="tables of pandas have labels of rows")
    x, t = pandas.DataFrame(X, columns=list("abcd")), pandas.Series(CLASSES)
    turned = x.sort_values("a")
    assert "x and t have the same row labels in different orders" in told(turned, t)
    assert told(turned, t.loc[turned.index]) == ""  # the remedy
    assert told(turned, t.loc[turned.index].to_numpy()) == ""
    assert told(turned.reset_index(drop=True), t) == ""
    assert told(x.iloc[50:], t.iloc[50:]) == ""
    assert told(x.iloc[50:], t.iloc[50:].reset_index(drop=True)) == ""
    assert told(turned, t, warn=False) == ""


def test_by_epochs_and_by_filters(tmp_path):
    x = X * 1000
    for settings, kind in (({}, errors.DataWarning), ({}, UserWarning)):
        with pytest.warns(kind, match=r"x\[:, "):
            fc.epochs(fc.mlp([4, 2]), x, CLASSES, "softmax_cross_entropy", **settings)
    fc.epochs(fc.mlp([4, 2]), x, CLASSES, "softmax_cross_entropy", warn=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.DataWarning)
        fc.fit(fc.mlp([4, 2]), x, CLASSES, "softmax_cross_entropy", epochs=1, progress=False)
    with pytest.raises(errors.InputTypeError, match="warn is True or False; got 1"):
        fc.fit(fc.mlp([4, 2]), x, CLASSES, "softmax_cross_entropy", warn=1)


def test_a_run_that_is_gone_on_with_says_it_no_more(tmp_path):
    x, net = X * 1000, fc.mlp([4, 2], seed=0)
    assert told(x, net=net, checkpoint=tmp_path / "run")
    assert told(x, net=net, checkpoint=tmp_path / "run") == ""


def test_nothing_is_computed_of_more_than_a_sample():
    """Of ten million numbers it looks at 200,000, and of rows of a million numbers at one."""
    from fullyconnected.training.scales import sample

    assert sample(np.zeros((1_000_000, 10), np.float32)).shape == (1000, 10)
    assert sample(np.zeros((50, 100_000), np.float32)).shape == (2, 100_000)
    assert sample(np.zeros((3, 1_000_000), np.uint8)).shape == (1, 1_000_000)
