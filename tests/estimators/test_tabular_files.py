"""Estimators for tables in files."""

import copy
import json
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.files import read_model, write_model

QUICK = {"n_members": 3, "hidden": (24,), "epochs": 12, "random_state": 0, "n_jobs": 1}
RNG = np.random.default_rng(0)
CITY = RNG.choice(["Oslo", "Bergen", "Troms\xf8"], 80)
TABLE: dict[str, list[Any]] = {
    "size": [None if i % 9 == 4 else each for i, each in enumerate(RNG.normal(size=80).tolist())],
    "city": CITY.tolist(),
    "member": (RNG.random(80) > 0.5).tolist(),
    "price": [f"{each:,.2f} \u20ac" for each in RNG.lognormal(7, 2, 80)],
    "day": (np.datetime64("2024-01-01") + RNG.integers(0, 700, 80)).tolist(),
    "country": ["NO"] * 80,
}
VALUES = np.nan_to_num(np.array(TABLE["size"], float)) + 2 * (CITY == "Oslo")
LABELS = np.where(VALUES > 1, "high", "low")
MANY = np.column_stack([VALUES > 1, VALUES < 3]).astype(int)
ROWS = [list(row) for row in zip(*TABLE.values(), strict=True)]


def classifier(**settings: Any) -> Any:
    return fc.TabularClassifier(**{**QUICK, **settings})


def regressor(**settings: Any) -> Any:
    return fc.TabularRegressor(**{**QUICK, **settings})


FITTED = {
    "text": lambda: classifier().fit(TABLE, LABELS),
    "three": lambda: classifier(categorical_features=["member"]).fit(TABLE, np.digitize(VALUES, [0, 2])),
    "bools, without names": lambda: classifier(class_weight={True: 2.0, False: 1.0}).fit(ROWS, VALUES > 1),
    "labels": lambda: classifier().fit(TABLE, MANY),
    "numbers": lambda: regressor(max_time=5).fit(TABLE, 1e6 + VALUES),
    "tail": lambda: regressor().fit(TABLE, np.exp(VALUES)),
    "several": lambda: regressor(hidden=8).fit(TABLE, np.column_stack([VALUES, -VALUES])),
}


@pytest.mark.parametrize("name", FITTED)
def test_an_estimator_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    model, rows = FITTED[name](), ROWS if "without" in name else TABLE
    model.save(tmp_path / "model.safetensors")
    again = fc.load_estimator(tmp_path / "model.safetensors")
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert again.predict(rows).dtype == model.predict(rows).dtype
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    if name not in ("numbers", "tail", "several"):
        np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
        np.testing.assert_array_equal(again.classes_, model.classes_)
    assert again.vocabulary_ == model.vocabulary_
    assert str(again.report_) == str(model.report_)
    assert again.report_ == model.report_
    np.testing.assert_array_equal(again.feature_importances_, model.feature_importances_)
    for attribute in ("n_iter_", "n_outputs_", "n_features_in_"):
        assert getattr(again, attribute) == getattr(model, attribute)
    assert hasattr(again, "feature_names_in_") == hasattr(model, "feature_names_in_")
    assert not hasattr(again, "oof_predictions_")  # which are of the training rows
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_one_network_of_an_estimator_is_not_loaded_alone(saved: Any) -> None:
    for path in saved:
        with pytest.raises(
            fc.errors.FileFormatError, match=r"a model for a table.*load_estimator.*ensemble_\.networks"
        ):
            fc.load(path)


def test_what_a_file_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted"):
        classifier().save(tmp_path / "model")

    class Own(fc.TabularRegressor):
        pass

    with pytest.raises(fc.errors.ConfigError, match="of your own"):
        Own(epochs=2, hidden=()).fit(TABLE, VALUES).save(tmp_path / "model")
    days = np.where(VALUES > 1, np.datetime64("2024-01-01"), np.datetime64("2025-01-01"))
    with pytest.raises(fc.errors.ConfigError, match="classes that are strings, numbers or bools"):
        classifier(epochs=2).fit(TABLE, days).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    model = classifier(epochs=2, random_state=np.random.RandomState(0)).fit(TABLE, LABELS)
    with pytest.warns(UserWarning, match="random_state=.* is not stored") as seen:
        model.save(tmp_path / "model")
    assert seen[0].filename == __file__
    assert fc.load_estimator(tmp_path / "model").random_state is None


@pytest.fixture(scope="module")
def saved(tmp_path_factory: Any) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    classifier(epochs=2).fit(TABLE, LABELS).save(folder / "classes")
    regressor(epochs=2).fit(TABLE, VALUES).save(folder / "numbers")
    return folder / "classes", folder / "numbers"


def test_a_file_of_a_version_that_measured_less(saved: tuple[Path, Path], tmp_path: Path) -> None:
    def forget(described: dict[str, Any]) -> None:
        for name in ("importances", "linear"):
            del described["report"][name]
        for score in described["report"]["scores"]:
            del score["linear"]

    for path in saved:
        model = fc.load_estimator(altered(path, forget, tmp_path / "earlier.safetensors"))
        assert not hasattr(model, "feature_importances_")
        assert "important" not in str(model.report_)
        assert "linear" not in str(model.report_)
        model.save(tmp_path / "again.safetensors")
        assert fc.load_estimator(tmp_path / "again.safetensors").report_ == model.report_


def altered(path: Path, change: Any, to: Path) -> Path:
    model = read_model(path)
    described = json.loads(json.dumps(model.extras["tabular"]))
    change(described)
    model.extras["tabular"] = described
    write_model(to, model)
    return to


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.clear(),
        lambda e: e.update(format=2),
        lambda e: e.update({"class": "MLPClassifier"}),
        lambda e: e.update({"class": "TabularRegressor"}),
        lambda e: e["parameters"].update(nonsense=1),
        lambda e: e.update(labels=None),
        lambda e: e["labels"].update(classes=["high"]),
        lambda e: e["labels"].update(kind="multilabel-indicator"),
        lambda e: e.update(vocabulary=None),
        lambda e: e["vocabulary"]["columns"].pop(0),
        lambda e: e["vocabulary"]["columns"].append({"name": "more", "kind": "unused"}),
        lambda e: e["ensemble"].update(task="numbers"),
        lambda e: e["ensemble"].update(task=["classes"]),
        lambda e: e["ensemble"].update(shares=[]),
        lambda e: e["ensemble"]["shares"].__setitem__(0, 0.3),
        lambda e: e["ensemble"].update(temperature=0),
        lambda e: e["ensemble"].update(temperature=True),
        lambda e: e["ensemble"].update(temperature="warm"),
        lambda e: e["ensemble"].update(fill=[1.0]),
        lambda e: e["ensemble"]["fill"].__setitem__(0, "a"),
        lambda e: e["ensemble"].update(others=[[]]),
        lambda e: e["ensemble"]["others"].append([{"layer": "dense", "n_in": 2, "n_out": 2}]),
        lambda e: e.pop("fitted"),
        lambda e: e["fitted"].update(n_outputs_=3),
        lambda e: e["fitted"].update(n_iter_="two"),
        lambda e: e.pop("report"),
        lambda e: e["report"].update(rows="many"),
        lambda e: e["report"].update(networks=[]),
        lambda e: e["report"]["networks"][0].update(kept=[]),
        lambda e: e["report"]["columns"][0].update(kind="colour"),
        lambda e: e["report"]["columns"][0].pop("levels"),
        lambda e: e["report"]["scores"][0].update(value=None),
        lambda e: e["report"]["scores"][0].update(linear="good"),
        lambda e: e["report"].update(linear=None),
        lambda e: e["report"]["importances"].pop(),
        lambda e: e["report"]["importances"].__setitem__(0, "much"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change: Any, saved: Any, tmp_path: Path) -> None:
    with pytest.raises(fc.errors.FileFormatError):
        fc.load_estimator(altered(saved[0], change, tmp_path / "altered"))


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e["ensemble"].update(unit=None),
        lambda e: e["ensemble"]["unit"].update(scale=[0.0]),
        lambda e: e["ensemble"]["unit"].update(low=[1e9]),
        lambda e: e["ensemble"]["unit"].update(mean=[1.0, 2.0]),
        lambda e: e.update(labels={"kind": "binary", "dtype": "<i8", "classes": [0, 1]}),
        lambda e: e.update({"class": "TabularClassifier"}),
    ],
)
def test_a_description_of_a_regressor_that_does_not_fit_is_refused(change: Any, saved: Any, tmp_path: Path) -> None:
    with pytest.raises(fc.errors.FileFormatError):
        fc.load_estimator(altered(saved[1], change, tmp_path / "altered"))


@pytest.mark.parametrize(
    "change",
    [
        lambda e, log: e.update(logarithms=[]) or e.update(logarithms=[log]),
        lambda e, log: e.update(logarithms="no"),
        lambda e, log: log.update(scale=[0.0]),
        lambda e, log: log.update(factor=[-1.0]),
        lambda e, log: log.update(shift=[-1.0]),
        lambda e, log: log.update(mean=["1"]),
        lambda e, log: log.update(high=[1e3]),
        lambda e, log: log.update(low=[9.0], high=[1.0]),
        lambda e, log: log.update(skewed=[1, 1]),
        lambda e, log: log.pop("factor"),
    ],
)
def test_a_logarithm_that_does_not_fit_is_refused(change: Any, tmp_path: Path) -> None:
    FITTED["tail"]().save(tmp_path / "tail")

    def changed(described: Any) -> None:
        of = described["ensemble"]
        change(of, next(each for each in of["logarithms"] if each is not None))

    with pytest.raises(fc.errors.FileFormatError):
        fc.load_estimator(altered(tmp_path / "tail", changed, tmp_path / "altered"))


def test_a_file_of_before_logarithms_is_read(saved: Any, tmp_path: Path) -> None:
    path = altered(saved[1], lambda e: e["ensemble"].pop("logarithms"), tmp_path / "earlier")
    np.testing.assert_array_equal(fc.load_estimator(path).predict(TABLE), fc.load_estimator(saved[1]).predict(TABLE))


def test_parameters_of_a_further_network_are_checked(saved: Any, tmp_path: Path) -> None:
    model = read_model(saved[0])
    further = {name: vector for name, vector in model.vectors.items() if name.startswith("network_")}
    assert len(further) == len(fc.load_estimator(saved[0]).ensemble_.networks) - 1
    for name, vector in further.items():
        for wrong in (vector[:-1], np.append(vector[1:], np.float32(np.nan))):
            model.vectors[name] = wrong
            write_model(tmp_path / "altered", model)
            with pytest.raises(fc.errors.FileFormatError, match="numbers"):
                fc.load_estimator(tmp_path / "altered")


@pytest.mark.parametrize("name", FITTED)
def test_a_predictor_predicts_as_the_estimator(name: str, tmp_path: Path) -> None:
    model, named = FITTED[name](), "without" not in name
    model.save(tmp_path / "model")
    predictor = fc.Predictor(tmp_path / "model")
    assert predictor.features == (tuple(TABLE) if named else None)
    forms: list[Any] = [ROWS, ROWS[:1], [tuple(row) for row in ROWS[3:5]], np.array(ROWS, object)]
    if named:
        forms = [TABLE, {k: np.array(v, object) for k, v in TABLE.items()}]
        forms += [{k: v[i] for k, v in TABLE.items()} for i in range(12)]
        forms += [[{k: v[i] for k, v in TABLE.items()} for i in range(12)]]
    for form in forms:
        wanted = model.predict(form)
        assert predictor.predict(form).dtype == wanted.dtype
        np.testing.assert_array_equal(predictor.predict(form), wanted)
        if hasattr(model, "classes_"):
            np.testing.assert_array_equal(predictor.predict_proba(form), model.predict_proba(form))
    for row in ROWS[:12]:  # the cells of one row, in the order of the training table
        wanted = model.predict(dict(zip(TABLE, row, strict=True)) if named else [row])
        for form in (row, tuple(row)):
            np.testing.assert_array_equal(predictor.predict(form), wanted)
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(predictor.classes, model.classes_)
        with pytest.raises(ValueError, match="read-only"):
            predictor.classes[0] = predictor.classes[-1]  # type: ignore[index]
        assert repr(predictor) == f"<Predictor: 6 features, classes {model.classes_.tolist()}>"
    else:
        assert predictor.classes is None
        assert repr(predictor) == "<Predictor: 6 features>"
        with pytest.raises(fc.errors.ConfigError, match="has no probabilities: its loss is MeanSquaredError"):
            predictor.predict_proba(forms[0])


def test_a_predictor_reads_dataframes_by_the_names_of_columns(saved: Any) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    predictor, model = fc.Predictor(saved[0]), fc.load_estimator(saved[0])
    frame, turned = pandas.DataFrame(TABLE), list(TABLE)[::-1]
    wanted = model.predict_proba(frame)
    more = frame[turned].assign(other="text").drop(columns="country")  # of which nothing was learned
    for table in (frame, frame[turned], more, polars.DataFrame(TABLE)[turned]):
        np.testing.assert_array_equal(predictor.predict_proba(table), wanted)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({k: v[0] for k, v in TABLE.items() if k != "city"}, fc.errors.ShapeError, "a column is missing: 'city'"),
        ({k: v for k, v in TABLE.items() if k != "city"}, fc.errors.ShapeError, "a column is missing: 'city'"),
        ({**TABLE, "city": "Oslo"}, fc.errors.ShapeError, "'city' is a single value, and 'size' is not"),
        ({**{k: v[0] for k, v in TABLE.items()}, "size": np.inf}, fc.errors.DataError, "size"),
        ({**{k: v[0] for k, v in TABLE.items()}, "size": "wide"}, fc.errors.DataError, "size.*does not fit"),
        ({}, fc.errors.ShapeError, "missing"),
        ([], fc.errors.ShapeError, "0 feature"),
        (ROWS[0][:5], fc.errors.ShapeError, "the row has 5 cells; in training there were 6 columns"),
        ([ROWS[0][:5]], fc.errors.ShapeError, "5 columns"),
        (np.zeros((2, 7)), fc.errors.ShapeError, "7 columns"),
        (np.zeros(6), fc.errors.ShapeError, "Reshape"),
        (np.zeros((1, 6), complex), fc.errors.InputTypeError, "complex"),
        ("Oslo", fc.errors.InputTypeError, "."),
        (None, fc.errors.InputTypeError, "."),
    ],
)
def test_a_predictor_refuses_what_is_no_table_of_its_columns(given: Any, error: Any, message: str, saved: Any) -> None:
    with pytest.raises(error, match=message):
        fc.Predictor(saved[0]).predict(given)


def test_a_predictor_of_tables_is_pickled_copied_forked_and_shared(saved: Any) -> None:
    predictor = fc.Predictor(saved[0])
    rows = [dict(zip(TABLE, row, strict=True)) for row in ROWS]
    wanted, found = [predictor.predict_proba(row) for row in rows], {}
    for again in (pickle.loads(pickle.dumps(predictor)), copy.copy(predictor), copy.deepcopy(predictor)):
        assert repr(again) == repr(predictor)
        np.testing.assert_array_equal(again.predict_proba(rows[0]), wanted[0])
        with pytest.raises(AttributeError, match="cannot be changed"):
            again.features = None

    def work(i: int) -> None:
        found[i] = [predictor.predict_proba(row) for row in rows]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found.values():
        np.testing.assert_array_equal(each, wanted)
    if "fork" in multiprocessing.get_all_start_methods():
        read, write = (context := multiprocessing.get_context("fork")).Pipe(duplex=False)
        child = context.Process(target=lambda: write.send(predictor.predict_proba(rows[0])))
        child.start()
        assert read.poll(60)
        np.testing.assert_array_equal(read.recv(), wanted[0])
        child.join()


def test_a_predictor_of_tables_needs_numpy_alone(saved: Any, tmp_path: Path) -> None:
    table = {name: list(map(str, cells)) if name == "day" else cells for name, cells in TABLE.items()}
    (tmp_path / "table.json").write_text(json.dumps(table), encoding="utf-8")
    code = """
        import json, sys
        refused = ("sklearn", "scipy", "pandas", "polars", "narwhals", "joblib", "threadpoolctl")
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in refused:
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Refuse())
        import numpy as np, fullyconnected as fc
        with open("table.json", encoding="utf-8") as file:
            table = json.load(file)
        rows = [list(row) for row in zip(*table.values())]
        for path in sys.argv[1:]:
            predictor = fc.Predictor(path)
            y = predictor.predict(table)
            assert (y == predictor.predict(rows)).all() and (y == predictor.predict(np.array(rows, object))).all()
            assert (y[:3] == predictor.predict([dict(zip(table, row)) for row in rows[:3]])).all()
            assert len(predictor.predict(dict(zip(table, rows[0])))) == len(predictor.predict(rows[0])) == 1
        room = "fullyconnected."
        trains = ("estimators", "training", "tabular.training", "tabular.recipe", "tabular.folds", "tables.model")
        loaded = [name for name in sys.modules if name.startswith(tuple(room + each for each in trains))]
        assert not loaded, loaded
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, saved)]
    subprocess.run(command, check=True, cwd=tmp_path)


def test_a_damaged_file_is_refused_by_a_predictor(saved: Any, tmp_path: Path) -> None:
    for change in (
        lambda e: e.clear(),
        lambda e: e.update(vocabulary=None),
        lambda e: e.update(labels=None),
        lambda e: e["labels"].update(classes=["high"]),
        lambda e: e["ensemble"].update(task=["classes"]),
        lambda e: e["ensemble"].update(shares=[]),
        lambda e: e["ensemble"].update(others=[[]]),
        lambda e: e["ensemble"]["others"].append([{"layer": "dense", "n_in": 2, "n_out": 2}]),
        lambda e: e["vocabulary"]["columns"][1]["levels"].append("Paris"),  # whose code no network knows
        lambda e: e["ensemble"]["fill"].__setitem__(2, None),  # a gap in a column that has had none
    ):
        with pytest.raises(fc.errors.FileFormatError, match="altered"):
            fc.Predictor(altered(saved[0], change, tmp_path / "altered"))
