"""Estimators for tables in files."""

import json
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
    if name not in ("numbers", "several"):
        np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
        np.testing.assert_array_equal(again.classes_, model.classes_)
    assert again.vocabulary_ == model.vocabulary_
    assert str(again.report_) == str(model.report_)
    assert again.report_ == model.report_
    for attribute in ("n_iter_", "n_outputs_", "n_features_in_"):
        assert getattr(again, attribute) == getattr(model, attribute)
    assert hasattr(again, "feature_names_in_") == hasattr(model, "feature_names_in_")
    assert not hasattr(again, "oof_predictions_")  # which are of the training rows
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(fc.errors.FileFormatError, match=r"an estimator for tables: fc\.load_estimator reads it"):
        fc.Predictor(tmp_path / "model.safetensors")


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


def test_parameters_of_a_further_network_are_checked(saved: Any, tmp_path: Path) -> None:
    model = read_model(saved[0])
    assert len(model.vectors) == len(fc.load_estimator(saved[0]).ensemble_.networks) - 1
    for name, vector in list(model.vectors.items()):
        for wrong in (vector[:-1], np.append(vector[1:], np.float32(np.nan))):
            model.vectors[name] = wrong
            write_model(tmp_path / "altered", model)
            with pytest.raises(fc.errors.FileFormatError, match="numbers"):
                fc.load_estimator(tmp_path / "altered")
