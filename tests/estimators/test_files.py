"""Estimators in files, and their predictions with NumPy alone."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.preprocessing import scale

import fullyconnected as fc
from fullyconnected.optimizers import OPTIMIZERS

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


@pytest.mark.parametrize(
    "schedule",
    [
        fc.CosineDecay(20, end=0.1),
        fc.LinearDecay(7),
        fc.StepDecay(0.5, every=3),
        fc.ExponentialDecay(0.9),
        fc.Warmup(3, then=fc.Warmup(2, then=fc.CosineDecay(20))),
        fc.Warmup(2),
    ],
)
def test_the_librarys_schedules_are_in_files(schedule: Any, tmp_path: Path) -> None:
    model = fc.MLPClassifier(**QUICK, schedule=schedule, solver=fc.AdamW(0.01, epsilon_hat=True)).fit(X, y)
    model.save(tmp_path / "model")  # without a warning
    again = fc.load_estimator(tmp_path / "model")
    assert again.get_params() == model.get_params()
    assert type(again.schedule) is type(schedule)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_that_are_no_plain_values_are_none_with_a_warning_and_sizes_of_any_kind_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OPTIMIZERS, "classes", dict(OPTIMIZERS.classes))

    @fc.register
    class Own(fc.Optimizer):  # not a dataclass: a file would lose what it holds
        name = "one_of_its_own"

        def __init__(self, lr: float) -> None:
            self.lr = lr

        def update(self, theta: Any, g: Any, s: Any, c: Any, *, lr: float, step: int, decays: bool) -> None:
            theta -= lr * g

    for name, value in (
        ("schedule", lambda epoch: 1.0),
        ("schedule", fc.Warmup(2, then=lambda epoch: 1.0)),
        ("scoring", lambda *given: 1.0),
        ("solver", Own(0.1)),
        ("random_state", np.random.RandomState(0)),
    ):
        model = fc.MLPClassifier(**{**QUICK, name: value}).fit(X, y)
        with pytest.warns(UserWarning, match=f"{name}=.* is not stored"):
            model.save(tmp_path / "model")
        assert getattr(fc.load_estimator(tmp_path / "model"), name) is None
    for sizes in (range(3, 5), np.array([3, 4]), (np.int64(3), 4), [3, True], np.int32(4), ()):
        model = fc.MLPClassifier(sizes, max_iter=2).fit(X, y)
        model.save(tmp_path / "model")
        again = fc.load_estimator(tmp_path / "model").partial_fit(X, y)
        assert [W.shape for W in again.coefs_] == [W.shape for W in model.coefs_]


@pytest.mark.parametrize("kind", [str, Path])
def test_the_path_of_a_checkpoint_is_of_one_fit_and_not_in_a_file(kind: Any, tmp_path: Path) -> None:
    model = fc.MLPClassifier(**QUICK, checkpoint=kind(tmp_path / "run")).fit(X, y)
    model.save(tmp_path / "model")  # without a warning
    assert str(tmp_path / "run") not in (tmp_path / "model").read_bytes().decode("latin-1")
    assert fc.load_estimator(tmp_path / "model").checkpoint is None
    older = altered(tmp_path / "model", lambda e: e["parameters"].update(checkpoint="elsewhere"))
    assert fc.load_estimator(older).checkpoint is None


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


@pytest.mark.parametrize("name", ["gr\u00f6\u00dfe", "gro\u0308\u00dfe"])
def test_names_are_read_in_any_form_of_unicode(name: str, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", name, "d"])
    model = fc.MLPClassifier(**QUICK).fit(table, y)
    model.save(tmp_path / "model")
    wanted = model.predict_proba(table)
    np.testing.assert_array_equal(fc.load_estimator(tmp_path / "model").predict_proba(table), wanted)
    for form in ("NFC", "NFD"):
        other = table.rename(columns={name: unicodedata.normalize(form, name)})
        for given in (other, other[other.columns[::-1]], other.to_dict("list")):
            np.testing.assert_array_equal(fc.Predictor(tmp_path / "model").predict_proba(given), wanted)


def test_a_predictor_takes_rows_of_numbers_in_any_form_and_refuses_the_rest_clearly(tmp_path: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = fc.MLPClassifier(**QUICK).fit(table, y)
    model.save(tmp_path / "model")
    predictor, turned = fc.Predictor(tmp_path / "model"), ["d", "b", "c", "a"]
    wanted, twice = model.predict_proba(table), pandas.concat([table, table[["a"]]], axis=1)
    other = polars.DataFrame({name: table[name].to_numpy() for name in turned})
    more = pandas.concat([table, table.assign(z=1)[["z", "z"]]], axis=1)
    for given in (table.astype(object)[turned], X.astype(object), other, X.tolist(), table.convert_dtypes(), more):
        np.testing.assert_array_equal(predictor.predict_proba(given), wanted)
    missing = table.astype(object)[turned]
    missing.iloc[3, 1] = None
    for given, error, message in [
        (twice, fc.errors.ShapeError, "the column 'a' is in the table more than once"),
        (table.astype(str)[turned], fc.errors.DataError, "the column 'a' holds .*, not numbers"),
        (table.astype(str).astype(object)[turned], fc.errors.DataError, "the column 'a' holds objects, not numbers"),
        (missing, fc.errors.DataError, "the column 'b'.3. is (None|nan), a missing value"),
        (X[:, :, None], fc.errors.ShapeError, r"X has shape \(150, 4, 1\); \(rows, 4\) is wanted"),
        (X.reshape(150, 2, 2).tolist(), fc.errors.ShapeError, r"X has shape \(150, 2, 2\)"),
        (other.lazy(), fc.errors.InputTypeError, r"is a LazyFrame, whose rows are not there yet: x.collect\(\)"),
    ]:
        with pytest.raises(error, match=message):
            predictor.predict(given)
    with pytest.raises(fc.errors.InputTypeError, match=r"x is a LazyFrame.*x.collect\(\)"):
        model.network_.predict(other.lazy())


@pytest.mark.parametrize("labels", [NAMES, NAMES.astype(object), np.array([1, 5, 7])])
def test_the_labels_of_a_predictor_cannot_be_changed(labels: Any, tmp_path: Path) -> None:
    model = fc.MLPClassifier(**QUICK).fit(X, labels[y])
    model.save(tmp_path / "model")
    predictor = fc.Predictor(tmp_path / "model")
    mine = predictor.classes
    mine.setflags(write=True)
    mine[:] = labels[0]
    np.testing.assert_array_equal(predictor.classes, model.classes_)
    np.testing.assert_array_equal(predictor.predict(X), model.predict(X))


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

    def work(_: int) -> None:
        for i in range(300):
            if not np.array_equal(predictor.predict_proba(X[i % 150 : i % 150 + 1])[0], wanted[i % 150]):
                wrong.append(i)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
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
        lambda e: e["labels"].update(classes=["versicolor", "setosa", "virginica"]),
        lambda e: e["labels"].update(classes=["setosa", "setosa", "virginica"]),
        lambda e: e["labels"].update(dtype="<U1"),
        lambda e: e["labels"].update(classes=[2, 1, 0], dtype="<i8"),
        lambda e: e["labels"].update(classes=[0, 1, 2.5], dtype="<i8"),
        lambda e: e["labels"].update(classes=[0.0, 1.0, float("nan")], dtype="<f8"),
        lambda e: e["labels"].update(classes=["a", "b", 1], dtype="O"),
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


@pytest.mark.parametrize("values", [["b", "a"], ["a", "a"]])
def test_labels_that_are_not_those_of_a_classifier_are_refused_by_both_readers(values: Any, tmp_path: Path) -> None:
    fc.MLPClassifier(**QUICK).fit(X, np.where(y > 0, "b", "a")).save(tmp_path / "model")
    path = altered(tmp_path / "model", lambda e: e["labels"].update(classes=values))
    for read in (fc.load_estimator, fc.Predictor):
        with pytest.raises(fc.errors.FileFormatError, match="they are not sorted, not distinct"):
            read(path)


def test_a_file_of_a_network_is_no_estimator(tmp_path: Path) -> None:
    fc.mlp([2, 3, 1], seed=0).save(tmp_path / "net")
    for read in (fc.load_estimator, fc.Predictor):
        with pytest.raises(fc.errors.FileFormatError, match="holds a network, and no estimator"):
            read(tmp_path / "net")
    with pytest.raises(ValueError, match="not fitted"):
        fc.MLPClassifier().save(tmp_path / "net")


@pytest.mark.parametrize("scoring", ["accuracy", lambda model, X, y: 1000.0 + model.score(X, y)])
def test_a_warm_start_after_a_file_compares_scores_of_one_kind(scoring: Any, tmp_path: Path) -> None:
    """A file holds no function: the best score by it says nothing of those that come."""
    settings = {**QUICK, "early_stopping": True, "warm_start": True, "n_iter_no_change": 20, "solver": "sgd"}
    model = fc.MLPClassifier(**settings, scoring=scoring).fit(X, y)
    if callable(scoring):
        with pytest.warns(UserWarning, match="scoring=.* is not stored in the file"):
            model.save(tmp_path / "model")
    else:
        model.save(tmp_path / "model")
    loaded = fc.load_estimator(tmp_path / "model")
    before = loaded.best_validation_score_
    loaded.set_params(max_iter=40, learning_rate_init=0.1).fit(X, y)
    if callable(scoring):
        assert loaded.best_validation_score_ <= 1 < before
        assert loaded.score(X, y) > model.score(X, y)
    else:
        assert loaded.best_validation_score_ >= before
