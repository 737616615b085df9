"""A path in place of an array is refused with what reads a file of that name, wherever rows, targets or weights go."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import functional
from fullyconnected.errors import InputTypeError
from fullyconnected.exchange import to_c

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(20, 2))
T = X[:, 0]
LOSS = "half_squared_error"
QUICK: dict[str, Any] = {"epochs": 1, "progress": False}
ESTIMATOR: dict[str, Any] = {"max_iter": 2, "hidden_layer_sizes": (2,)}


def net(first: Any = None) -> fc.Network:
    return fc.Network([first, fc.Dense(int(first.n_out), 1)], seed=0) if first else fc.mlp([2, 1], seed=0)


def fitted() -> fc.MLPRegressor:
    return fc.MLPRegressor(**ESTIMATOR).fit(X, T)


def saved(folder: Path) -> fc.Predictor:
    fitted().save(folder / "m.safetensors")
    return fc.Predictor(folder / "m.safetensors")


class Rows(fc.Source):
    shape, dtype = X.shape, X.dtype

    def __init__(self, t: Any = None, w: Any = None) -> None:
        self.t, self.w = t, w

    def block(self, start: int, stop: int) -> Any:
        return X[start:stop]

    def targets(self) -> Any:
        return self.t

    def weights(self) -> Any:
        return self.w


# each with the name of the argument in the message
CALLS: dict[str, tuple[str, Callable[[Any, Path], Any]]] = {
    "fit x": ("x", lambda a, _: fc.fit(net(), a, T, LOSS, **QUICK)),
    "fit x alone": ("x", lambda a, _: fc.fit(net(), a, loss=LOSS, **QUICK)),
    "fit t": ("t", lambda a, _: fc.fit(net(), X, a, LOSS, **QUICK)),
    "fit t of a source": ("t", lambda a, _: fc.fit(net(), Rows(), a, LOSS, **QUICK)),
    "fit sample_weight": ("sample_weight", lambda a, _: fc.fit(net(), X, T, LOSS, sample_weight=a, **QUICK)),
    "fit validation x": ("validation x", lambda a, _: fc.fit(net(), X, T, LOSS, validation=(a, T), **QUICK)),
    "fit validation t": ("validation t", lambda a, _: fc.fit(net(), X, T, LOSS, validation=(X, a), **QUICK)),
    "fit validation w": (
        "validation sample_weight",
        lambda a, _: fc.fit(net(), X, T, LOSS, validation=(X, T, a), **QUICK),
    ),
    "fit targets of a source": ("t", lambda a, _: fc.fit(net(), Rows(a), loss=LOSS, **QUICK)),
    "fit weights of a source": ("sample_weight", lambda a, _: fc.fit(net(), Rows(T, a), loss=LOSS, **QUICK)),
    "epochs x": ("x", lambda a, _: next(iter(fc.epochs(net(), a, T, LOSS)))),
    "epochs t": ("t", lambda a, _: next(iter(fc.epochs(net(), X, a, LOSS)))),
    "predict": ("x", lambda a, _: net().predict(a)),
    "evaluate x": ("x", lambda a, _: net().evaluate(a, T, LOSS)),
    "evaluate x alone": ("x", lambda a, _: net().evaluate(a, loss=LOSS)),
    "evaluate t": ("t", lambda a, _: net().evaluate(X, a, LOSS)),
    "evaluate w": ("sample_weight", lambda a, _: net().evaluate(X, T, LOSS, sample_weight=a)),
    "gradients x": ("x", lambda a, _: net().gradients(a, T, LOSS)),
    "gradients t": ("t", lambda a, _: net().gradients(X, a, LOSS)),
    "gradients w": ("sample_weight", lambda a, _: net().gradients(X, T, LOSS, sample_weight=a)),
    "adapt x": ("x", lambda a, _: net(fc.Standardize(2)).adapt(a)),
    "adapt t": ("t", lambda a, _: net(fc.Standardize(2)).adapt(X, t=a)),
    "adapt w": ("sample_weight", lambda a, _: net(fc.Standardize(2)).adapt(X, sample_weight=a)),
    "Standardize x": ("x", lambda a, _: fc.Standardize.fit(a)),
    "Standardize robust": ("x", lambda a, _: fc.Standardize.fit(a, robust=True)),
    "Standardize w": ("sample_weight", lambda a, _: fc.Standardize.fit(X, a)),
    "adapt bins": ("x", lambda a, _: net(fc.PiecewiseLinearEncoding(2, 3)).adapt(a)),
    "loss z": ("z", lambda a, _: fc.HalfSquaredError()(a, T)),
    "loss t": ("t", lambda a, _: fc.HalfSquaredError()(X[:, :1], a)),
    "loss w": ("sample_weight", lambda a, _: fc.HalfSquaredError()(X[:, :1], T[:, None], a)),
    "trace x": ("x", lambda a, _: fc.trace(net(), a, T, LOSS)),
    "trace t": ("t", lambda a, _: fc.trace(net(), X, a, LOSS)),
    "explain x": ("x", lambda a, _: fc.explain(net(), a, T, LOSS)),
    "explain t": ("t", lambda a, _: fc.explain(net(), X, a, LOSS)),
    "explain w": ("sample_weight", lambda a, _: fc.explain(net(), X, T, LOSS, sample_weight=a)),
    "draw x": ("x", lambda a, _: fc.draw(net(), a)),
    "diagnose x": ("x", lambda a, _: fc.diagnose(net(), a, T, LOSS)),
    "diagnose t": ("t", lambda a, _: fc.diagnose(net(), X, a, LOSS)),
    "check_gradients x": ("x", lambda a, _: fc.check_gradients(net(), a, T, LOSS)),
    "check_gradients t": ("t", lambda a, _: fc.check_gradients(net(), X, a, LOSS)),
    "check_gradients w": ("sample_weight", lambda a, _: fc.check_gradients(net(), X, T, LOSS, sample_weight=a)),
    "plot x": ("x", lambda a, _: fc.plot.decision_boundary(net(), a, T)),
    "plot t": ("t", lambda a, _: fc.plot.decision_boundary(net(), X, a)),
    "affine_forward": ("x", lambda a, _: functional.affine_forward(a, X, T)),
    "softmax_loss x": ("z", lambda a, _: functional.softmax_loss(a, T)),
    "softmax_loss y": ("t", lambda a, _: functional.softmax_loss(X, a)),
    "relu_forward": ("x", lambda a, _: functional.relu_forward(a)),
    "to_c": ("x", lambda a, path: to_c(net(), path / "net.c", "int8", a)),
    "to_c of an estimator": ("X", lambda a, path: to_c(fitted(), path / "net.c", "int8", a)),
    "predictor": ("X", lambda a, path: saved(path).predict(a)),
    "MLP fit X": ("X", lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(a, T)),
    "MLP fit X alone": ("X", lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(a)),
    "MLP fit y": ("y", lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(X, a)),
    "MLP fit y of a class": ("y", lambda a, _: fc.MLPClassifier(**ESTIMATOR).fit(X, a)),
    "MLP fit w": ("sample_weight", lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(X, T, a)),
    "MLP fit X_val": ("X_val", lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(X, T, X_val=a)),
    "MLP fit y_val": ("y_val", lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(X, T, X_val=X, y_val=a)),
    "MLP fit w_val": (
        "sample_weight_val",
        lambda a, _: fc.MLPRegressor(**ESTIMATOR).fit(X, T, X_val=X, y_val=T, sample_weight_val=a),
    ),
    "MLP partial_fit y": ("y", lambda a, _: fc.MLPRegressor(**ESTIMATOR).partial_fit(X, a)),
    "MLP predict": ("X", lambda a, _: fitted().predict(a)),
    "MLP score X": ("X", lambda a, _: fitted().score(a, T)),
    "MLP score y": ("y", lambda a, _: fitted().score(X, a)),
    "MLP score w": ("sample_weight", lambda a, _: fitted().score(X, T, a)),
}


@pytest.mark.parametrize(
    ("path", "told"), [("numbers.npy", "np.load(path"), (Path("numbers.npy"), "np.load(path"), ("a.csv", "read it")]
)
@pytest.mark.parametrize("call", CALLS)
def test_a_path_in_place_of_an_array(call: str, path: Any, told: str, tmp_path: Path) -> None:
    what, run = CALLS[call]
    with pytest.raises(InputTypeError) as caught:
        run(path, tmp_path)
    wanted = "rows" if what.split()[-1] in ("x", "X", "X_val") else "numbers"
    assert str(caught.value).startswith(f"{what} is the path {str(path)!r}, and {wanted} are wanted: {told}")


def test_a_pattern_and_a_folder_say_what_reads_them(tmp_path: Path) -> None:
    for path in ("rows/*.parquet", "t.parquet", tmp_path):
        with pytest.raises(InputTypeError, match=r"^x is the path .*: fc\.Parquet\(path, target=\.\.\.\)$"):
            fc.Standardize.fit(path)  # type: ignore[arg-type]
        with pytest.raises(InputTypeError, match=r"^t is the path .* in place of the rows has their targets"):
            fc.fit(net(), X, path, LOSS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weights", "told"), [("balanced", "It is one number per row"), ("0.5", "one number"), ("", "one number")]
)
def test_a_text_that_names_no_file_is_told_as_before(weights: str, told: str) -> None:
    with pytest.raises(InputTypeError, match=f"sample_weight has dtype .*{told}"):
        fc.fit(net(), X, T, LOSS, sample_weight=weights, **QUICK)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match=r"t has dtype .*; numbers are wanted"):
        fc.fit(net(), X, "yes", LOSS, **QUICK)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match=r"labels, t = np\.unique\(t"):
        fc.fit(net(), X[:2], ["a.csv", "b.csv"], LOSS, **QUICK)
    model = fc.MLPClassifier(**ESTIMATOR).fit(X[:2], ["a.csv", "b.csv"])  # labels are what they are
    assert model.classes_.tolist() == ["a.csv", "b.csv"]
