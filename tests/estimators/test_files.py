"""Estimators in files, and their predictions with NumPy alone."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.preprocessing import scale

import fullyconnected as fc

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = scale(load_iris().data), load_iris().target
XR, yr = scale(load_diabetes().data), scale(load_diabetes().target)
A, many = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 15, "random_state": 0}
NAMES = np.array(["setosa", "versicolor", "virginica"])

FITTED = {
    "strings": lambda: fc.MLPClassifier(**QUICK).fit(X, NAMES[y]),
    "objects": lambda: fc.MLPClassifier(**QUICK).fit(X, NAMES.astype(object)[y]),
    "two classes": lambda: fc.MLPClassifier(**QUICK, class_weight={3: 2.0}).fit(X, np.where(y > 0, 3, -1)),
    "bools": lambda: fc.MLPClassifier(**QUICK, early_stopping=True).fit(X, y > 0),
    "one class": lambda: fc.MLPClassifier(**QUICK).fit(X, np.full(150, "only")),
    "labels": lambda: fc.MLPClassifier(**QUICK).fit(A, many),
    "hinge": lambda: fc.MLPClassifier(**QUICK, loss="hinge").fit(X, y),
    "one against the rest": lambda: fc.MLPClassifier(**QUICK, loss=fc.BinaryCrossEntropy()).fit(X, y),
    "float32, norms": lambda: fc.MLPClassifier(**QUICK, batch_norm=True, dropout=0.1, residual=True).fit(
        X.astype("f4"), y
    ),
    "numbers": lambda: fc.MLPRegressor(**QUICK).fit(XR, yr),
    "several outputs": lambda: fc.MLPRegressor(**QUICK, activation=["gelu"]).fit(XR, np.stack([yr, -yr], axis=1)),
    "counts": lambda: fc.MLPRegressor("poisson", **QUICK).fit(XR, np.round(np.exp(yr))),
    "objects as settings": lambda: fc.MLPRegressor(fc.Huber(0.5), **QUICK, solver=fc.RMSProp(0.01)).fit(XR, yr),
    "sgd": lambda: fc.MLPRegressor(**QUICK, solver="sgd", early_stopping=True, n_iter_no_change=np.inf).fit(XR, yr),
}


@pytest.mark.parametrize("name", FITTED)
def test_an_estimator_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    model = FITTED[name]()
    path = tmp_path / "model.safetensors"
    model.save(path)
    rows = {"labels": A, "numbers": XR}.get(name, X if isinstance(model, fc.MLPClassifier) else XR)
    again, predictor = fc.load_estimator(path), fc.Predictor(path)
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    for one in (again, predictor):
        found = one.predict(rows)
        assert found.dtype == model.predict(rows).dtype
        np.testing.assert_array_equal(found, model.predict(rows))
        if hasattr(model, "predict_proba"):
            np.testing.assert_array_equal(one.predict_proba(rows), model.predict_proba(rows))
    for attribute in ("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "n_outputs_"):
        assert getattr(again, attribute) == getattr(model, attribute)
    if isinstance(model, fc.MLPClassifier):
        np.testing.assert_array_equal(predictor.classes, model.classes_)
    else:
        assert predictor.classes is None
    again.set_params(early_stopping=False).partial_fit(rows, model.predict(rows))  # with new moments


def test_the_file_is_small_and_holds_no_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = fc.MLPClassifier((200, 100), max_iter=3, random_state=0).fit(
        rng.normal(size=(300, 100)), rng.integers(0, 5, 300)
    )
    model.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_size < 1.1 * model.network_.theta.nbytes
    with pytest.warns(UserWarning, match="callback=.* is not stored"):
        fc.MLPClassifier(**QUICK, callback=lambda epoch: None).fit(X, y).save(tmp_path / "other")
    assert fc.load_estimator(tmp_path / "other").callback is None
    assert fc.load(tmp_path / "model").n_params == model.network_.n_params


def test_a_predictor_reads_tables_and_dicts_by_name(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = fc.MLPClassifier(**QUICK).fit(table, NAMES[y])
    model.save(tmp_path / "model")
    predictor = fc.Predictor(tmp_path / "model")
    assert predictor.features == ("a", "b", "c", "d")
    wanted = model.predict_proba(table)
    for given in (table, table[["d", "a", "c", "b"]], table.to_dict("list"), X):
        np.testing.assert_array_equal(predictor.predict_proba(given), wanted)
    np.testing.assert_array_equal(
        predictor.predict(dict(zip("dcba", X[7, ::-1], strict=True))), model.predict(table[7:8])
    )
    for given, message in [({"a": 1, "b": 2, "c": 3}, "'d' is missing"), (dict.fromkeys("abcd", "x"), "not numbers"),
                           ({"a": [1, 2], "b": 1, "c": 1, "d": 1}, "differ in length"), (X[:, :3], "4"),
                           (X * np.nan, "NaN|nan|finite")]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            predictor.predict(given)


def test_a_predictor_is_pickled_and_copied_and_stays_as_it_is(tmp_path: Path) -> None:
    FITTED["strings"]().save(tmp_path / "model")
    predictor = fc.Predictor(tmp_path / "model")
    for again in (pickle.loads(pickle.dumps(predictor)), copy.copy(predictor), copy.deepcopy(predictor), predictor):
        np.testing.assert_array_equal(again.predict_proba(X), predictor.predict_proba(X))
        assert repr(again) == "<Predictor: 4 features, classes ['setosa', 'versicolor', 'virginica']>"
        for change in (lambda p: setattr(p, "classes", None), lambda p: delattr(p, "classes")):
            with pytest.raises(AttributeError, match="cannot be changed"):
                change(again)
        with pytest.raises(ValueError, match="read-only"):
            again.classes[0] = "x"


def test_a_predictor_needs_numpy_alone(tmp_path: Path) -> None:
    model = fc.MLPClassifier(**QUICK).fit(X, NAMES[y])
    model.save(tmp_path / "model")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "p.npy", model.predict_proba(X))
    code = """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("sklearn", "scipy", "pandas", "joblib", "threadpoolctl", "matplotlib"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Refuse())
        import numpy as np, fullyconnected as fc
        predictor = fc.Predictor("model")
        p = predictor.predict_proba(np.load("x.npy"))
        np.testing.assert_allclose(p, np.load("p.npy"), rtol=1e-6)
        assert predictor.predict([[0.0, 0, 0, 0]])[0] in ("setosa", "versicolor", "virginica")
        try:
            fc.MLPClassifier
        except ImportError as error:
            assert "pip install" in str(error) and "sklearn" in str(error), error
        else:
            raise AssertionError
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path)


def test_a_predictor_serves_several_threads(tmp_path: Path) -> None:
    model = fc.MLPClassifier(**QUICK).fit(X, y)
    model.save(tmp_path / "model")
    predictor, wanted, wrong = fc.Predictor(tmp_path / "model"), model.predict_proba(X), []

    def work() -> None:
        for i in range(300):
            if not np.array_equal(predictor.predict_proba(X[i % 150 : i % 150 + 1])[0], wanted[i % 150]):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong or np.allclose(predictor.predict_proba(X), wanted, rtol=1e-12)


def altered(path: Path, change: Any) -> Path:
    """Return a copy of a file whose description of the estimator is changed."""
    content = path.read_bytes()
    n = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n])
    key = next(key for key, value in header["__metadata__"].items() if "estimator" in value)
    described = json.loads(header["__metadata__"][key])
    change(described["extras"]["estimator"])
    header["__metadata__"][key] = json.dumps(described)
    text = json.dumps(header).encode()
    path = path.with_name("altered")
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + n :])
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.pop("class"),
        lambda e: e.update({"class": "Pipeline"}),
        lambda e: e["parameters"].update(nonsense=1),
        lambda e: e["parameters"].update(hidden_layer_sizes={"optimizer": "sgd"}),
        lambda e: e["labels"].update(classes=["a"]),
        lambda e: e["labels"].update(dtype="V8"),
        lambda e: e["labels"].update(dtype="<U100000000"),
        lambda e: e["labels"].update(kind="other"),
        lambda e: e["labels"].update(classes=[[1], [2], [3]]),
        lambda e: e.update(labels=None),
        lambda e: e.update(labels=3),
        lambda e: e["fitted"].update(n_features_in_=7),
        lambda e: e.update(fitted=None),
        lambda e: e.update(features=["a"]),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change: Any, tmp_path: Path) -> None:
    fc.MLPClassifier(**QUICK).fit(X, NAMES[y]).save(tmp_path / "model")
    with pytest.raises(fc.errors.FileFormatError):
        fc.load_estimator(altered(tmp_path / "model", change))


def test_a_file_of_a_network_is_no_estimator(tmp_path: Path) -> None:
    fc.mlp([2, 3, 1], seed=0).save(tmp_path / "net")
    for read in (fc.load_estimator, fc.Predictor):
        with pytest.raises(fc.errors.FileFormatError, match="holds a network, and no estimator"):
            read(tmp_path / "net")
    with pytest.raises(ValueError, match="not fitted"):
        fc.MLPClassifier().save(tmp_path / "net")
