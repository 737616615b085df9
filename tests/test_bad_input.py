"""What users do wrong: each with the right error class, and a message that says what came and what is wanted."""

import copy
import datetime
import decimal
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors

ConfigError, DataError, InputTypeError, ShapeError, UnknownNameError = (
    errors.ConfigError,
    errors.DataError,
    errors.InputTypeError,
    errors.ShapeError,
    errors.UnknownNameError,
)
X = np.arange(12.0).reshape(4, 3)
T = np.arange(8.0).reshape(4, 2)
CLASSES = np.array([0, 1, 1, 0])


def poisoned(value, dtype=float, at=(2, 1)):
    x = X.astype(dtype)
    x[at] = value
    return x


def refused(call, error, message, net=None):
    before = None if net is None else net.theta.copy()
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, errors.FullyConnectedError)
    assert isinstance(caught.value, TypeError if error is InputTypeError else ValueError)
    if net is not None:
        assert np.array_equal(net.theta, before)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (poisoned(np.nan), DataError, r"x\[2, 1\] is nan; x must be finite. Drop such rows or fill them in"),
        (poisoned(np.inf), DataError, r"x\[2, 1\] is inf; x must be finite"),
        (poisoned(-np.inf, np.float32), DataError, r"x\[2, 1\] is -inf"),
        (poisoned(np.nan, np.float16), DataError, r"x\[2, 1\] is nan"),
        (poisoned(np.inf, np.float16), DataError, r"x\[2, 1\] is inf"),
        (poisoned(np.nan, np.longdouble), DataError, r"x\[2, 1\] is nan"),
        (poisoned(np.nan).reshape(4, 3, 1), DataError, r"x\[2, 1\] is nan"),
        (poisoned(np.nan).T.copy().T, DataError, r"x\[2, 1\] is nan"),
        (poisoned(1e39), DataError, r"x\[2, 1\] is 1e\+39, too large for a network of float32; scale it down"),
        (poisoned(-1e300), DataError, r"x\[2, 1\] is -1e\+300, too large"),
        (X[0], ShapeError, r"x has shape \(3,\); the network wants \(rows, 3\). For a single row: x\[None\]"),
        (X[0].tolist(), ShapeError, r"\(3,\).*\(rows, 3\)"),
        (5.0, ShapeError, r"x has shape \(\)"),
        ([], ShapeError, r"x has shape \(0,\)"),
        (X[:, :2], ShapeError, r"x has shape \(4, 2\), 2 numbers a row; the network takes 3"),
        (X.T, ShapeError, r"x has shape \(3, 4\), 4 numbers a row; the network takes 3"),
        (np.zeros((4, 2, 2)), ShapeError, r"x has shape \(4, 2, 2\), 4 numbers a row; the network takes 3"),
        ([[1, 2, 3], [4, 5]], ShapeError, "x does not form an array; are its rows of different lengths"),
        (
            np.array([*X[:3].tolist(), [1, "a", 2]], object),
            InputTypeError,
            r"x has dtype object; numbers are wanted.*x.ast",
        ),
        (X.astype(str).astype(object), InputTypeError, "x has dtype object"),
        (X.astype(str), InputTypeError, "x has dtype <U.*numbers are wanted"),
        ([["a", "b", "c"]], InputTypeError, "numbers are wanted"),
        (X.astype(complex), InputTypeError, "x has dtype complex128"),
        ([[1, 2, None]], DataError, r"x\[0, 2\] is None, a missing value. Drop such rows or fill them in"),
        ([["a", 2, None]], InputTypeError, "x has dtype object"),
        (None, InputTypeError, "x has dtype object"),
        ([[decimal.Decimal(1), decimal.Decimal("NaN"), 2]], DataError, r"x\[0, 1\] is nan"),
        ([[1, 2j, 3.0]], InputTypeError, "x has dtype complex128"),
        (np.array([[1, 2j, 3.0]], object), InputTypeError, "x has dtype object"),
        ([[datetime.date(2024, 1, 1)] * 3], InputTypeError, "x has dtype object"),
        (X.astype("datetime64[D]"), InputTypeError, "x has dtype datetime64"),
        ([[10**400] * 3], DataError, "x has a number that is too large for float64; scale it down"),
        ({"a": X}, InputTypeError, "x has dtype object"),
        (fc.mlp([2, 1]), InputTypeError, "x has dtype object"),
    ],
)
def test_inputs(x, error, message):
    net = fc.mlp([3, 2], seed=0)
    refused(lambda: net.predict(x), error, message, net)
    refused(lambda: net.evaluate(x, T, "half_squared_error"), error, message, net)
    refused(lambda: net.gradients(x, T, "half_squared_error"), error, message, net)
    refused(lambda: fc.fit(net, x, T, "half_squared_error"), error, message, net)
    refused(lambda: fc.fit(net, X, T, "half_squared_error", validation=(x, T)), error, "validation x", net)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("own", [np.float32, np.float64])
def test_not_finite_in_every_precision(dtype, value, own):
    net = fc.mlp([3, 2], dtype=own)
    refused(lambda: net.predict(poisoned(value, dtype)), DataError, r"x\[2, 1\] is")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_largest_numbers_are_fine(dtype):
    net = fc.Network([fc.Activation("identity", n_in=1)], dtype=np.float64)
    largest = np.finfo(dtype).max
    assert net.predict(np.array([[largest], [-largest]], dtype)).tolist() == [[largest], [-largest]]


def test_too_large_for_float64():
    if np.finfo(np.longdouble).max == np.finfo(np.float64).max:
        pytest.skip("long double is float64 here")
    x = poisoned(np.longdouble("1e400"), np.longdouble)
    net = fc.mlp([3, 2], dtype=np.float64)
    refused(lambda: net.predict(x), DataError, r"x\[2, 1\] is 1e\+400, too large for a network of float64")


def test_the_row_is_named_in_a_long_array():
    """Rows are looked at in blocks; the row that is named is the row of the whole."""
    x = np.zeros((3_000_000, 1))
    x[2_500_001] = np.nan
    refused(lambda: fc.mlp([1, 1]).predict(x), DataError, r"x\[2500001, 0\] is nan")


def test_no_rows():
    net, none = fc.mlp([3, 2], seed=0), np.zeros((0, 3))
    assert net.predict(none).shape == (0, 2)
    for call in (net.evaluate, net.gradients, lambda *given: fc.fit(net, *given)):
        refused(lambda call=call: call(none, np.zeros((0, 2)), "half_squared_error"), ShapeError, "x has no rows", net)
    validation = (none, np.zeros((0, 2)))
    refused(
        lambda: fc.fit(net, X, T, "half_squared_error", validation=validation),
        ShapeError,
        "validation x has no rows",
        net,
    )


@pytest.mark.parametrize(
    ("loss", "t", "error", "message"),
    [
        # shapes
        ("half_squared_error", T[:3], ShapeError, r"x has 4 rows and t has shape \(3, 2\)"),
        ("half_squared_error", T[:, :1], ShapeError, r"targets have shape \(4, 1\); the network gives 2.*\(rows, 2\)"),
        ("half_squared_error", T[:, 0], ShapeError, r"targets have shape \(4,\).*2 outputs"),
        ("half_squared_error", T.T, ShapeError, r"x has 4 rows and t has shape \(2, 4\)"),
        ("half_squared_error", T[:, :, None], ShapeError, r"targets have shape \(4, 2, 1\)"),
        ("half_squared_error", 5.0, ShapeError, r"t has shape \(\)"),
        ("half_squared_error", [[1, 2], [3]], ShapeError, "t does not form an array"),
        ("softmax_cross_entropy", CLASSES[:3], ShapeError, r"x has 4 rows and t has shape \(3,\)"),
        ("softmax_cross_entropy", np.zeros((4, 3)), ShapeError, r"class numbers \(rows,\) or one column a class"),
        (
            "binary_cross_entropy",
            CLASSES,
            ShapeError,
            r"\(rows, 2\); got \(4,\). For one class out of 2, use SoftmaxCrossEntropy",
        ),
        # values
        ("half_squared_error", np.where(T == 5, np.nan, T), DataError, r"t\[2, 1\] is nan; t must be finite"),
        ("half_squared_error", T * 1e300, DataError, "too large for a network of float32"),
        ("softmax_cross_entropy", CLASSES + 1, DataError, "no class 2: the network has 2 outputs, for classes 0 to 1"),
        ("softmax_cross_entropy", CLASSES - 1, DataError, "no class -1"),
        ("hinge", CLASSES * 7, DataError, "no class 7"),
        ("softmax_cross_entropy", np.full((4, 2), 0.7), DataError, "are probabilities; row 0 is"),
        ("softmax_cross_entropy", np.array([[1, 0], [0, 1], [2, -1], [0, 1]]), DataError, "row 2 is"),
        ("hinge", np.full((4, 2), 0.5), DataError, "one-hot"),
        ("binary_cross_entropy", T, DataError, "targets from 0 to 1; they go from 0.0 to 7.0"),
        ("poisson", T - 1, DataError, "0 or more; the smallest target is -1.0"),
        # kinds
        ("softmax_cross_entropy", CLASSES.astype(float), InputTypeError, r"as integers; got float64: t.astype\(int\)"),
        ("softmax_cross_entropy", ["cat", "dog", "dog", "cat"], InputTypeError, "t has dtype <U3; numbers are wanted"),
        ("half_squared_error", T.astype(str).astype(object), InputTypeError, "t has dtype object"),
        ("half_squared_error", T.astype(complex), InputTypeError, "t has dtype complex128"),
        ("half_squared_error", None, InputTypeError, "t is missing: x is a ndarray"),
        ("softmax_cross_entropy", [0, 1, None, 1], DataError, r"t\[2\] is None, a missing value"),
        # losses
        ("half_squared_eror", T, UnknownNameError, "no loss 'half_squared_eror'; did you mean 'half_squared_error'"),
        ("cross_entropy", CLASSES, UnknownNameError, "did you mean 'softmax_cross_entropy'"),
        (fc.HalfSquaredError, T, InputTypeError, r"HalfSquaredError is a class; call it: HalfSquaredError\(\)"),
        (None, T, InputTypeError, "expected a loss or the name of one.*got None"),
        (fc.Adam(), T, InputTypeError, "expected a loss.*got Adam"),
        (lambda z, t: 0, T, InputTypeError, "expected a loss"),
    ],
)
def test_targets_and_losses(loss, t, error, message):
    net = fc.mlp([3, 2], seed=0)
    refused(lambda: net.evaluate(X, t, loss), error, message, net)
    refused(lambda: net.gradients(X, t, loss), error, message, net)
    refused(lambda: fc.fit(net, X, t, loss), error, message, net)
    refused(lambda: next(fc.epochs(net, X, t, loss)), error, message, net)


def test_validation_targets():
    net = fc.mlp([3, 2], seed=0)
    refused(
        lambda: fc.fit(net, X, T, "half_squared_error", validation=(X, T[:2])),
        ShapeError,
        "4 rows and validation t",
        net,
    )
    refused(
        lambda: fc.fit(net, X, CLASSES, "softmax_cross_entropy", validation=(X, CLASSES + 5)),
        DataError,
        "no class 6",
        net,
    )


@pytest.mark.parametrize("validation", [X, "xt", 5, (X,), (X, T, np.ones(4), 1), {"x": X}, 0.2])
def test_validation_that_is_no_pair(validation):
    net = fc.mlp([3, 2], seed=0)
    refused(
        lambda: fc.fit(net, X, T, "half_squared_error", validation=validation),
        InputTypeError,
        r"validation is \(x, t\)",
        net,
    )


@pytest.mark.parametrize(
    ("output", "loss", "message"),
    [
        (
            "softmax",
            "softmax_cross_entropy",
            "ends in 'softmax', but SoftmaxCrossEntropy.*applies the softmax itself. Remove the act",
        ),
        ("sigmoid", "softmax_cross_entropy", "ends in 'sigmoid'"),
        ("sigmoid", "binary_cross_entropy", "ends in 'sigmoid', but BinaryCrossEntropy"),
        ("softmax", "binary_cross_entropy", "ends in 'softmax', but BinaryCrossEntropy"),
        ("softmax", "hinge", "ends in 'softmax', but Hinge"),
        ("exp", "poisson", "ends in 'exp', but Poisson"),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_an_output_that_the_loss_applies_itself(output, loss, message, inside):
    layers = [fc.Dense(3, 2, output)] if inside else [fc.Dense(3, 2), fc.Activation(output)]
    net = fc.Network(layers, seed=0)
    t = CLASSES if loss in ("softmax_cross_entropy", "hinge") else np.eye(2)[CLASSES]
    for call in (net.evaluate, net.gradients, lambda *given: fc.fit(net, *given)):
        refused(lambda call=call: call(X, t, loss), ConfigError, message, net)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "hinge"])
def test_one_output_for_classes(loss):
    net = fc.mlp([3, 1], seed=0)
    refused(lambda: fc.fit(net, X, CLASSES, loss), ConfigError, "takes 2 outputs or more and the network has 1", net)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 1, -1, 1], DataError, r"sample_weight\[2\] is -1.0; weights are 0 or more"),
        ([0, 0, 0, 0], DataError, "every sample_weight is zero"),
        ([1, 1, np.nan, 1], DataError, r"sample_weight\[2\] is nan"),
        ([1, 1, np.inf, 1], DataError, r"sample_weight\[2\] is inf"),
        ([1e308] * 4, DataError, "sum of sample_weight is too large"),
        ([1, 1, 1], ShapeError, r"x has 4 rows and sample_weight has shape \(3,\)"),
        (np.ones((4, 2)), ShapeError, r"sample_weight has shape \(4, 2\); one number per row is wanted: \(4,\)"),
        (1.0, ShapeError, r"sample_weight has shape \(\)"),
        (["a"] * 4, InputTypeError, "sample_weight has dtype <U1"),
        ("balanced", InputTypeError, "sample_weight has dtype"),
        ({0: 1, 1: 2}, InputTypeError, "sample_weight has dtype object"),
    ],
)
def test_weights(weights, error, message):
    net = fc.mlp([3, 2], seed=0)
    refused(lambda: net.evaluate(X, T, "half_squared_error", sample_weight=weights), error, message, net)
    refused(lambda: net.gradients(X, T, "half_squared_error", sample_weight=weights), error, message, net)
    refused(lambda: fc.fit(net, X, T, "half_squared_error", sample_weight=weights), error, message, net)
    refused(
        lambda: fc.fit(net, X, T, "half_squared_error", validation=(X, T, weights)),
        error,
        "validation sample_weight",
        net,
    )


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, ConfigError, "epochs must be 1 or more; got 0"),
        ({"epochs": -3}, ConfigError, "epochs must be 1 or more; got -3"),
        ({"epochs": 2.0}, InputTypeError, "epochs is a whole number; got 2.0 of type float"),
        ({"epochs": "10"}, InputTypeError, "epochs is a whole number; got '10'"),
        ({"epochs": True}, InputTypeError, "epochs is a whole number; got True"),
        ({"epochs": None}, InputTypeError, "epochs is a whole number; got None"),
        ({"batch_size": 0}, ConfigError, "batch_size must be 1 or more; got 0"),
        ({"batch_size": -1}, ConfigError, "batch_size must be 1 or more"),
        ({"batch_size": 32.0}, InputTypeError, "batch_size is a whole number; got 32.0"),
        ({"batch_size": "auto"}, InputTypeError, "batch_size is a whole number; got 'auto'"),
        ({"batch_size": None}, InputTypeError, "batch_size is a whole number; got None"),
        ({"l2": -0.1}, ConfigError, "l2 must be 0 or more, and finite; got -0.1"),
        ({"l2": np.nan}, ConfigError, "l2 must be 0 or more, and finite; got nan"),
        ({"l2": np.inf}, ConfigError, "l2 must be 0 or more"),
        ({"alpha": -1}, ConfigError, "alpha must be 0 or more, and finite; got -1"),
        ({"alpha": np.inf}, ConfigError, "alpha must be 0 or more, and finite; got inf"),
        ({"alpha": "1e-4"}, InputTypeError, "alpha is a number; got '1e-4'"),
        ({"l2": None}, InputTypeError, "l2 is a number; got None"),
        ({"l2": "0.1"}, InputTypeError, "l2 is a number; got '0.1'"),
        ({"patience": 0}, ConfigError, "patience must be 1 or more; got 0"),
        ({"patience": 2.5}, InputTypeError, "patience is a whole number; got 2.5"),
        ({"max_grad_norm": 0}, ConfigError, "max_grad_norm must be more than 0"),
        ({"max_grad_norm": -1.0}, ConfigError, "max_grad_norm must be more than 0, and finite; got -1.0"),
        ({"max_grad_norm": "1"}, InputTypeError, "max_grad_norm is a number; got '1'"),
        ({"schedule": 0.9}, InputTypeError, "schedule is a function of the epoch, such as fc.StepDecay.*got 0.9"),
        ({"schedule": "cosine"}, InputTypeError, "schedule is a function.*got 'cosine'"),
        ({"schedule": [0.1, 0.01]}, InputTypeError, "schedule is a function"),
        ({"shuffle": "yes"}, InputTypeError, "shuffle is True or False.*got 'yes'"),
        ({"shuffle": None}, InputTypeError, "shuffle is True or False.*got None"),
        ({"shuffle": 1}, InputTypeError, "shuffle is True or False.*got 1"),
        ({"engine": "nunpy"}, UnknownNameError, "no engine 'nunpy'; did you mean 'numpy'"),
        ({"engine": "gpu"}, UnknownNameError, "no engine 'gpu'.*Known: auto"),
        ({"engine": None}, InputTypeError, "engine is the name of an engine, or 'auto'; got None"),
        ({"optimizer": "adma"}, UnknownNameError, "no optimizer 'adma'; did you mean 'adam'"),
        ({"optimizer": "Adam"}, UnknownNameError, "no optimizer 'Adam'; did you mean 'adam'"),
        ({"optimizer": fc.Adam}, InputTypeError, r"Adam is a class; call it: Adam\(\)"),
        ({"optimizer": 0.01}, InputTypeError, "expected an optimizer or the name of one.*got 0.01"),
        ({"optimizer": fc.HalfSquaredError()}, InputTypeError, "got HalfSquaredError"),
        ({"seed": "0"}, InputTypeError, "seed is an int, None or a numpy.random.Generator; got '0'"),
        ({"checkpoint": 5}, (InputTypeError, TypeError), "5|int"),
    ],
    ids=str,
)
def test_settings_of_fit(settings, error, message):
    net = fc.mlp([3, 2], seed=0)
    before = net.theta.copy()
    with pytest.raises(error, match=message):
        fc.fit(net, X, T, "half_squared_error", **settings)
    assert np.array_equal(net.theta, before)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (fc.StepDecay, r"the schedule StepDecay is a class; call it: StepDecay\(...\)"),
        (lambda epoch, step: 1.0, r"the schedule '<lambda>' is called with \(epoch\), but takes \(epoch, step\)"),
        (lambda: 1.0, r"the schedule '<lambda>' is called with \(epoch\), but takes \(\)"),
    ],
    ids=range(3),
)
def test_schedules_that_cannot_be_called(schedule, message):
    net = fc.mlp([3, 2], seed=0)
    refused(lambda: fc.fit(net, X, T, "half_squared_error", schedule=schedule), InputTypeError, message, net)


@pytest.mark.parametrize("net", [fc.mlp, [fc.Dense(3, 2)], None, fc.Dense(3, 2)])
def test_something_else_than_a_network(net):
    refused(
        lambda: fc.fit(net, X, T, "half_squared_error"),
        InputTypeError,
        "the first argument is the Network to train; got",
    )
    refused(lambda: fc.epochs(net, X, T, "half_squared_error"), InputTypeError, "the first argument is the Network")


def test_arguments_in_another_order():
    """Keras's and scikit-learn's users begin with the data."""
    refused(
        lambda: fc.fit(X, T, fc.mlp([3, 2]), "half_squared_error"), InputTypeError, "the first argument is the Network"
    )


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: fc.Dense(0, 3), ConfigError, "n_in of Dense must be 1 or more; got 0"),
        (lambda: fc.Dense(2, -1), ConfigError, "n_out of Dense must be 1 or more; got -1"),
        (lambda: fc.Dense(2.0, 3), InputTypeError, "n_in of Dense is a whole number; got 2.0 of type float"),
        (lambda: fc.Dense(2, "3"), InputTypeError, "n_out of Dense is a whole number; got '3' of type str"),
        (lambda: fc.Dense(True, 3), InputTypeError, "n_in of Dense is a whole number; got True of type bool"),
        (lambda: fc.Dense(None, 3), InputTypeError, "n_in of Dense is a whole number; got None"),
        (lambda: fc.Dense(np.float64(2), 3), InputTypeError, "n_in of Dense is a whole number"),
        (lambda: fc.Dense([2], 3), InputTypeError, "n_in of Dense is a whole number"),
        (lambda: fc.Dense(2, 3, "rellu"), UnknownNameError, "no activation 'rellu'; did you mean 'relu'"),
        (lambda: fc.Dense(2, 3, "ReLU"), UnknownNameError, "no activation 'ReLU'; did you mean 'relu'"),
        (lambda: fc.Dense(2, 3, "swish"), UnknownNameError, "no activation 'swish'.*Known: elu"),
        (lambda: fc.Dense(2, 3, np.tanh), InputTypeError, "expected an activation.*got <ufunc 'tanh'>"),
        (lambda: fc.Dense(2, 3, (np.tanh,)), InputTypeError, r"the pair \(f, derivative of f\)"),
        (
            lambda: fc.Dense(2, 3, ("relu", "relu")),
            InputTypeError,
            r"the pair \(f, derivative of f\); got \('relu', 'relu'\)",
        ),
        (lambda: fc.Dense(2, 3, 5), InputTypeError, "expected an activation.*got 5"),
        (lambda: fc.Dense(2, 3, bias=1), InputTypeError, "bias is True or False; got 1"),
        (lambda: fc.Activation("tanhh"), UnknownNameError, "did you mean 'tanh'"),
        (lambda: fc.Activation(None), InputTypeError, "expected an activation.*got None"),
        (lambda: fc.Activation("relu", n_in=2.5), InputTypeError, "n_in of Activation is a whole number"),
        (lambda: fc.Dropout("0.5"), InputTypeError, "rate of Dropout is a number; got '0.5'"),
        (lambda: fc.Dropout(50), ConfigError, "less than 1, and finite; got 50"),
        (lambda: fc.Dropout(True), InputTypeError, "rate of Dropout is a number; got True"),
        (lambda: fc.LayerNorm(n_in="4"), InputTypeError, "n_in of LayerNorm is a whole number; got '4'"),
        (lambda: fc.mlp([2, 3, 1], "reluu"), UnknownNameError, "did you mean 'relu'"),
        (lambda: fc.mlp([2, 3, 1], ["relu", "tanh"]), InputTypeError, "expected an activation.*got"),
        (lambda: fc.mlp([2, 3], output_activation="softmx"), UnknownNameError, "did you mean 'softmax'"),
    ],
)
def test_layers(build, error, message):
    refused(build, error, message)


@pytest.mark.parametrize(
    ("path", "error"),
    [("no such file", FileNotFoundError), (".", OSError), (5, TypeError)],
)
def test_loading_what_is_not_there(path, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        fc.load(path)


def test_masked_arrays_are_not_read_through_their_mask():
    """What is masked is missing: to train on the numbers under the mask would be to train on what is not there."""
    x = np.ma.masked_array(X, mask=X == 5)
    net = fc.mlp([3, 2], seed=0)
    refused(lambda: net.predict(x), DataError, "x.*mask", net)
    refused(lambda: fc.fit(net, x, T, "half_squared_error"), DataError, "x.*mask", net)
    assert np.array_equal(net.predict(np.ma.masked_array(X)), net.predict(X))


def test_sparse_matrices_are_named_where_rows_have_to_be_dense():
    sparse = pytest.importorskip("scipy.sparse", reason="a sparse matrix of SciPy")
    net = fc.mlp([3, 2], seed=0)
    refused(
        lambda: net.gradients(sparse.csr_array(X), T, "half_squared_error"),
        InputTypeError,
        r"x is a sparse csr_array; a dense array is wanted: x.toarray\(\)",
        net,
    )


def remedy(call, error, *wanted):
    """Whatever a newcomer writes is refused with what to write instead."""
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, errors.FullyConnectedError)
    for words in wanted:
        assert words in str(caught.value)


class TestNewcomers:
    NET = fc.mlp([4, 8, 3], seed=0)
    X4, CLASSES3 = np.random.default_rng(0).normal(size=(9, 4)), np.arange(9) % 3

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("fit", "fc.fit(net, x, t, loss, optimizer, epochs=10)"),
            ("train", "fc.fit(net"),
            ("partial_fit", "fc.fit(net"),
            ("compile", "given to fc.fit"),
            ("predict_proba", "net.predictions(x)"),
            ("predict_classes", "net.predict(x).argmax(axis=1)"),
            ("score", "net.evaluate(x, t, loss, metrics)"),
            ("forward", "net.predict(x)"),
            ("backward", "net.gradients(x, t, loss)"),
            ("zero_grad", "net.gradients"),
            ("parameters", "net.theta"),
            ("weights", "net.params[0].W"),
            ("coefs_", "net.params[0].W"),
            ("state_dict", "net.get_weights()"),
            ("load_state_dict", "net.set_weights"),
            ("load", "fc.load(path)"),
            ("add", "fc.Network([*net.layers"),
            ("eval", "never apply dropout"),
            ("to", "dtype=np.float64"),
            ("n_features_in_", "net.n_in"),
            ("history", "history = fc.fit"),
            ("predct", "did you mean net.predict?"),
            ("Predict", "did you mean net.predict?"),
            ("evalute", "did you mean net.evaluate?"),
            ("gradient", "net.gradients"),
            ("n_param", "did you mean net.n_params?"),
            ("set_weight", "did you mean net.set_weights?"),
            ("nonsense", "a Network has no attribute 'nonsense'"),
        ],
    )
    def test_a_method_of_another_library(self, name, wanted):
        remedy(lambda: getattr(self.NET, name), AttributeError, name, wanted)
        assert not hasattr(self.NET, name)

    def test_a_network_is_not_called(self):
        remedy(lambda: self.NET(self.X4), InputTypeError, "net.predict(x)")

    def test_a_network_is_still_copied_pickled_and_looked_at(self):
        assert np.array_equal(pickle.loads(pickle.dumps(self.NET)).theta, self.NET.theta)
        assert np.array_equal(copy.deepcopy(self.NET).theta, self.NET.theta)
        for name in ("__wrapped__", "_repr_png_", "__array__", "_ipython_display_", "__len__"):
            assert not hasattr(self.NET, name)

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("Linear", "fc.Dense(n_in, n_out)"),
            ("ReLU", 'fc.Dense(n_in, n_out, "relu")'),
            ("Sigmoid", '"sigmoid"'),
            ("CrossEntropyLoss", "fc.SoftmaxCrossEntropy()"),
            ("SparseCategoricalCrossentropy", "fc.SoftmaxCrossEntropy()"),
            ("BCEWithLogitsLoss", "fc.BinaryCrossEntropy()"),
            ("MSELoss", "fc.MeanSquaredError()"),
            ("L1Loss", "fc.AbsoluteError()"),
            ("Sequential", "fc.Network(["),
            ("Classifier", "fc.MLPClassifier()"),
            ("BatchNorm1d", "fc.BatchNorm()"),
            ("BatchNormalization", "fc.BatchNorm()"),
            ("EarlyStopping", "patience=10"),
            ("train", "fc.fit(net, x, t, loss"),
            ("predict", "net.predict(...)"),
            ("save", "net.save(...)"),
            ("nn", "fc.Dense"),
            ("dense", "did you mean fc.Dense?"),
            ("Dens", "did you mean fc.Dense?"),
            ("MeanSquareError", "did you mean fc.MeanSquaredError?"),
            ("softmax_cross_entropy", "did you mean fc.SoftmaxCrossEntropy?"),
            ("adam", "did you mean fc.Adam?"),
            ("AveragedModel", "average=fc.EMA(0.999)"),
            ("Ftt", "has no attribute 'Ftt'"),
        ],
    )
    def test_a_class_of_another_library(self, name, wanted):
        remedy(lambda: getattr(fc, name), AttributeError, "module 'fullyconnected' has no attribute", name, wanted)

    @pytest.mark.parametrize(
        ("setting", "wanted"),
        [
            ({"lr": 0.1}, "fc.Adam(0.01)"),
            ({"learning_rate": 0.1}, "fc.Adam(0.01)"),
            ({"verbose": 0}, "progress=False"),
            ({"validation_data": (X, T)}, "validation=(x_validation, t_validation)"),
            ({"validation_split": 0.2}, "validation="),
            ({"callbacks": []}, "fc.epochs"),
            ({"max_iter": 100}, "epochs=10"),
            ({"early_stopping": True}, "patience=10"),
            ({"class_weight": {}}, "sample_weight="),
            ({"class_weight": {}}, "fc.SoftmaxCrossEntropy(class_weight="),
            ({"label_smoothing": 0.1}, "fc.SoftmaxCrossEntropy(label_smoothing="),
            ({"random_state": 0}, "seed=0"),
            ({"regularization": 1e-4}, "l2=1e-4"),
            ({"freeze": ["dense_1"]}, 'factors=fc.Factors(lr={"dense_1": 0})'),
            ({"use_ema": True}, "average=fc.EMA(0.999)"),
            ({"swa_start": 0.75}, "average=fc.SWA(0.75)"),
            ({"batchsize": 8}, "batch_size"),
            ({"pacience": 8}, "did you mean patience?"),
            ({"zzz": 8}, "Known: alpha, average, batch_size, "),
        ],
    )
    def test_a_setting_of_another_library(self, setting, wanted):
        (name,) = setting
        net = fc.mlp([3, 2])
        remedy(
            lambda: fc.fit(net, X, T, "half_squared_error", **setting),
            TypeError,
            f"fit has no setting {name!r}",
            wanted,
        )
        if "epochs" not in wanted:
            remedy(lambda: fc.epochs(net, X, T, "half_squared_error", **setting), TypeError, wanted)

    @pytest.mark.parametrize(
        ("build", "wanted"),
        [
            (lambda: fc.mlp(4, 8, 3), "fc.mlp([4, 8, 3])"),
            (lambda: fc.mlp(4, 8, 8, 3), "fc.mlp([4, 8, 8, 3])"),
            (lambda: fc.mlp(4, 3), "fc.mlp([4, 3])"),
            (lambda: fc.mlp(4, [8, 8], 3), "fc.mlp([4, 8, 8, 3])"),
            (lambda: fc.mlp((4, 8), 3), "fc.mlp([4, 8, 3])"),
            (lambda: fc.Network([fc.Dense(2, 3), "relu"]), 'fc.Activation("relu")'),
            (lambda: fc.Network([fc.Dense(2, 3), fc.Dropout]), "call it, Dropout(...)"),
            (lambda: fc.Dense(2, 3, fc.Activation("relu")), 'by its name, such as "relu"'),
            (lambda: fc.Adam(nonsense=1), "Known: beta1, beta2, epsilon, epsilon_hat, lr."),
            (lambda: fc.Network(fc.Dense(2, 3), fc.Dense(3, 1)), "fc.Network([fc.Dense(2, 3), fc.Dense(3, 1)])"),
            (lambda: fc.Network(fc.Dense(2, 3)), "fc.Network(["),
            (lambda: fc.Adam(learning_rate=0.1), "did you mean 'lr'?"),
            (lambda: fc.SGD(rate=0.1), "did you mean 'lr'?"),
            (lambda: fc.Adam(eps=0.1), "did you mean 'epsilon'?"),
            (lambda: fc.Dropout(p=0.1), "did you mean 'rate'?"),
            (lambda: fc.Dense(in_features=2, out_features=3), "did you mean 'n_in'?"),
            (lambda: fc.Dense(2, 3, use_bias=False), "did you mean 'bias'?"),
            (lambda: fc.BatchNorm(num_features=3), "did you mean 'n_in'?"),
            (lambda: fc.LeakyReLU(negative_slope=0.1), "did you mean 'slope'?"),
            (lambda: fc.Dense(2, 3, "swish"), "did you mean 'silu'?"),
            (lambda: fc.Dense(2, 3, "linear"), "did you mean 'identity'?"),
            (lambda: fc.Dense(2, 3, np.tanh), "give its name instead: 'tanh'"),
            (lambda: fc.Dense(2, 3, init="xavier"), "did you mean 'glorot_uniform'?"),
        ],
    )
    def test_arguments_of_another_library(self, build, wanted):
        remedy(build, (TypeError, ValueError), wanted)

    @pytest.mark.parametrize(
        ("t", "loss", "wanted"),
        [
            (np.array(["a", "b", "c"] * 3), "softmax_cross_entropy", ["labels, t = np.unique(t, return_inverse=True)"]),
            (["a", "b", "c"] * 3, "hinge", ["such as 'a'", "np.unique(t"]),
            (np.array(["a", "b", "c"] * 3, object), "softmax_cross_entropy", ["np.unique(t, return_inverse=True)"]),
            (np.array([b"a", b"b", b"c"] * 3), "softmax_cross_entropy", ["np.unique(t, return_inverse=True)"]),
            (np.array(["0", "1", "2"] * 3), "softmax_cross_entropy", ["t.astype(float)"]),
            (CLASSES3 + 1, "softmax_cross_entropy", ["there is no class 3", "Classes count from 0: t - 1"]),
            (CLASSES3 + 1, "hinge", ["Classes count from 0: t - 1"]),
            (CLASSES3 + 7, "softmax_cross_entropy", ["Classes count from 0: t - 7"]),
            (CLASSES3 + 1.0, "softmax_cross_entropy", ["t.astype(int)", "Classes count from 0: t - 1"]),
            (CLASSES3 * 10, "softmax_cross_entropy", ["np.unique(t, return_inverse=True)"]),
            (2 * (CLASSES3 // 2) - 1, "hinge", ["no class -1", "(t + 1) // 2"]),
            (np.arange(9), "softmax_cross_entropy", ["There are 9 classes in t", "an output for each"]),
            (CLASSES3 + 0.5, "softmax_cross_entropy", ["0.5 is none", "MeanSquaredError"]),
            (CLASSES3, "half_squared_error", ["SoftmaxCrossEntropy()", "np.eye(3)[t.ravel()]"]),
            (CLASSES3[:, None], "mean_squared_error", ["SoftmaxCrossEntropy()", "np.eye(3)[t.ravel()]"]),
            (np.zeros((9, 2)), "half_squared_error", ["the last layer needs 2 outputs"]),
            (CLASSES3, "binary_cross_entropy", ["use SoftmaxCrossEntropy"]),
            (CLASSES3, 0.01, ["expected a loss or the name of one"]),
            (CLASSES3, fc.Adam(), ["are two arguments swapped?"]),
            (CLASSES3, lambda z, t: 0, ["a loss of your own is a class"]),
            (CLASSES3, "mse", ["did you mean 'mean_squared_error'?"]),
            (CLASSES3, "cross_entropy", ["did you mean 'softmax_cross_entropy'?"]),
            (CLASSES3, "bce", ["did you mean 'binary_cross_entropy'?"]),
        ],
    )
    def test_targets(self, t, loss, wanted):
        remedy(lambda: fc.fit(self.NET, self.X4, t, loss), (TypeError, ValueError), *wanted)
        remedy(lambda: self.NET.evaluate(self.X4, t, loss), (TypeError, ValueError), *wanted)

    def test_what_the_message_says_of_labels_works(self):
        t = np.array(["cat", "dog", "bird"] * 3)
        labels, t = np.unique(t, return_inverse=True)
        assert labels[self.NET.predict(self.X4).argmax(axis=1)].shape == (9,)
        assert fc.fit(self.NET.copy(), self.X4, t, "softmax_cross_entropy", epochs=1, progress=False).loss

    def test_what_belongs_to_rows(self):
        for weights in ("balanced", {0: 1.0, 1: 2.0}):
            how = {"sample_weight": weights}
            remedy(lambda how=how: fc.fit(self.NET, self.X4, self.CLASSES3, "hinge", **how), TypeError, "[t]")
        remedy(
            lambda: fc.fit(self.NET, self.X4, self.CLASSES3, "hinge", validation=0.2), TypeError, "permutation(len(x))"
        )

    def test_where_the_numbers_are(self):
        remedy(lambda: self.NET.params[0].weight, AttributeError, "only W, b")
        remedy(lambda: self.NET.layer, AttributeError, "did you mean net.layers?")

    def test_one_output(self):
        net = fc.mlp([4, 1])
        signs = 2 * (self.CLASSES3 > 0) - 1
        remedy(lambda: fc.fit(net, self.X4, signs, "binary_cross_entropy"), ValueError, "(t + 1) / 2")
        remedy(lambda: fc.fit(net, self.X4, (signs + 3) // 2, "binary_cross_entropy"), ValueError, "t - 1")
        remedy(lambda: fc.fit(net, self.X4, signs, "hinge"), ValueError, "BinaryCrossEntropy")
        remedy(
            lambda: fc.fit(net, self.X4, np.eye(3)[self.CLASSES3], "half_squared_error"), ValueError, "needs 3 outputs"
        )

    def test_data_in_another_shape(self):
        net, images = self.NET, fc.mlp([784, 10])
        for x, t in ((self.CLASSES3, self.X4), (self.CLASSES3[:, None], self.X4)):
            remedy(lambda x=x, t=t: fc.fit(net, x, t, "softmax_cross_entropy"), ValueError, "are x and t swapped?")
        remedy(lambda: net.predict(self.X4[0]), ValueError, "For a single row: x[None]")
        remedy(lambda: net.predict(self.X4.T), ValueError, "Rows are samples: x.T")
        remedy(lambda: images.predict(np.zeros((28, 28))), ValueError, "For a single row: x[None]")
        remedy(lambda: fc.mlp([1, 1]).predict(np.arange(5.0)), ValueError, "For a column: x[:, None]")
        assert images.predict(np.zeros((5, 28, 28))).shape == (5, 10)

    def test_arguments_in_the_order_of_scikit_learn(self):
        remedy(lambda: fc.fit(self.X4, self.CLASSES3, self.NET), TypeError, "fc.fit(net, x, t, loss, optimizer)")
        remedy(lambda: fc.fit(self.NET, self.X4, self.CLASSES3), TypeError, "for classes: SoftmaxCrossEntropy()")
        remedy(lambda: fc.epochs(self.X4, self.CLASSES3, self.NET), TypeError, "fc.fit(net, x, t, loss, optimizer)")
        remedy(lambda: fc.fit(self.NET, self.X4, self.CLASSES3, "hinge", 0.01), TypeError, "fc.Adam(0.01)")
        remedy(lambda: fc.fit(self.NET, self.X4, self.CLASSES3, "hinge", fc.Hinge()), TypeError, "swapped?")

    def test_a_table_with_columns_of_text(self):
        pandas = pytest.importorskip("pandas", reason="a table of pandas")
        x = pandas.DataFrame(self.X4[:, :2], columns=["length", "width"]).assign(
            colour=["red", "green", "blue"] * 3, day=pandas.Timestamp("2024-01-01")
        )
        for call in (lambda: self.NET.predict(x), lambda: fc.fit(self.NET, x, self.CLASSES3, "hinge")):
            remedy(call, TypeError, "columns 'colour' (text), 'day' (datetime64", "pandas.get_dummies(x)")
        remedy(lambda: self.NET.predict(x.drop(columns="day").assign(b=1)), TypeError, "column 'colour' (text) of x")
        for t in (x["colour"], x["colour"].astype("category"), x[["colour"]]):
            remedy(lambda t=t: fc.fit(self.NET, self.X4, t, "hinge"), TypeError, "such as 'red'", "np.unique(t")


class Frame:
    """A table as pandas, polars and others have it: columns with names, and an array on request."""

    def __init__(self, values, columns):
        self.values, self.columns = np.asarray(values), columns

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __getitem__(self, names):
        return Frame(self.values[:, [self.columns.index(name) for name in names]], names)


class TestColumns:
    """Rows are taken by position: a table whose columns come in another order would be predicted nonsense for."""

    def frames(self, kind, values, names):
        if kind == "own":
            return Frame(values, list(names))
        library = pytest.importorskip(kind, reason="a table of that library")
        return library.DataFrame(dict(zip(names, np.transpose(values), strict=True)))

    def trained(self, x, t=None, net=None, **settings):
        net = net or fc.mlp([3, 4, 2], seed=0)
        fc.fit(net, x, T if t is None else t, "half_squared_error", epochs=2, progress=False, **settings)
        return net

    @pytest.mark.parametrize("kind", ["own", "pandas", "polars"])
    def test_names_are_remembered_and_checked(self, kind):
        x = self.frames(kind, X, "abc")
        turned, other = x[["c", "b", "a"]], self.frames(kind, X, "abd")
        fewer, more = x[["a", "b"]], self.frames(kind, np.c_[X, X[:, 0]], "abcd")
        net = self.trained(x)
        assert net.columns.x == ("a", "b", "c")
        wanted = net.predict(X)
        assert np.array_equal(net.predict(x), wanted)
        assert np.array_equal(net.predict(turned[list(net.columns.x)]), wanted)
        assert np.array_equal(net.predict(X.tolist()), wanted)  # without names there is nothing to check
        for table, error, words in (
            (turned, DataError, ["another order", "column 0 is 'c', where 'a' belongs", "x[list(net.columns.x)]"]),
            (other, DataError, ["lacks 'c' and has 'd' in addition"]),
            (fewer, ShapeError, ["lacks 'c'"]),
            (more, ShapeError, ["has 'd' in addition"]),
        ):
            for call in (
                lambda table=table: net.predict(table),
                lambda table=table: net.evaluate(table, T, "half_squared_error"),
                lambda table=table: net.gradients(table, T, "half_squared_error"),
                lambda table=table: self.trained(table, net=net),
                lambda table=table: self.trained(x, validation=(table, T)),
                lambda table=table: fc.check_gradients(net, table, T, "half_squared_error"),
                lambda table=table: fc.explain(net, table, T, "half_squared_error"),
                lambda table=table: fc.draw(net, table),
            ):
                remedy(call, error, "x has", *words)
        assert np.array_equal(net.predict(X), wanted)

    def test_files_copies_and_checkpoints_keep_them(self, tmp_path):
        x, t = Frame(X, ["a", "b", "größe"]), Frame(T, ["left", "right"])
        net = self.trained(x, t, checkpoint=tmp_path / "run")
        net.save(tmp_path / "net")
        wanted = (("a", "b", "größe"), ("left", "right"))
        for other in (
            fc.load(tmp_path / "net"),
            fc.load(tmp_path / "run"),
            net.copy(),
            pickle.loads(pickle.dumps(net)),
        ):
            assert other.columns == wanted
            remedy(lambda other=other: other.predict(x[["b", "a", "größe"]]), DataError, "another order")
        plain = self.trained(X)
        plain.save(tmp_path / "plain")
        assert fc.load(tmp_path / "plain").columns == (None, None)
        assert b"trained_with" not in (tmp_path / "plain").read_bytes()  # the file is that of earlier releases

    def test_accents_may_be_put_together_in_another_way(self):
        composed, apart = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
        net = self.trained(Frame(X, ["a", "b", composed]))
        assert np.array_equal(net.predict(Frame(X, ["a", "b", apart])), net.predict(X))
        remedy(lambda: net.predict(Frame(X, ["a", apart, "b"])), DataError, "another order")

    def test_of_targets(self):
        t = Frame(T, ["left", "right"])
        net = self.trained(X, t)
        assert net.columns == (None, ("left", "right"))
        turned = t[["right", "left"]]
        remedy(lambda: net.evaluate(X, turned, "half_squared_error"), DataError, "t has its columns in another order")
        remedy(lambda: self.trained(X, t, validation=(X, turned)), DataError, "validation t has its columns in another")
        net = self.trained(X, Frame(T[:, :1], ["y"]), net=fc.mlp([3, 1]))  # of a single one the name says nothing
        assert net.evaluate(X, Frame(T[:, :1], ["z"]), "half_squared_error").loss >= 0

    def test_columns_that_are_counted_have_no_names(self):
        net = self.trained(Frame(X, [0, 1, 2]))
        assert net.columns.x is None
        assert net.predict(Frame(X, ["a", "b", "c"])).shape == (4, 2)
        net = self.trained(Frame(X, [5, 7, 9]), net=net)
        assert net.columns.x == ("5", "7", "9")

    def test_a_fit_that_is_refused_remembers_nothing(self):
        net = fc.mlp([3, 4, 2])
        remedy(lambda: self.trained(Frame(X, ["a", "b", "c"]), net=net, patience=0), ConfigError, "patience")
        assert net.columns.x is None
        self.trained(X, net=net)
        assert self.trained(Frame(X, ["a", "b", "c"]), net=net).columns.x == ("a", "b", "c")

    def test_other_columns_may_be_set_by_hand(self):
        net = self.trained(Frame(X, ["a", "b", "c"]))
        net.columns = net.columns._replace(x=None)
        assert net.predict(Frame(X, ["c", "b", "a"])).shape == (4, 2)


def test_every_error_is_of_one_base_and_of_a_built_in():
    for name in errors.__all__:
        error = getattr(errors, name)
        if isinstance(error, type) and error is not errors.FullyConnectedError:
            assert issubclass(error, errors.FullyConnectedError)
            assert any(
                base.__module__ == "builtins" and base not in (Exception, BaseException, object)
                for base in error.__mro__
            ), name
