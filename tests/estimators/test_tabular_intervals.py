"""Intervals of the regressor for tables: what they contain, and where they come from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import fullyconnected as fc
from fullyconnected.files import read_model, write_model

QUICK = {"n_members": 4, "hidden": (16,), "epochs": 8, "random_state": 0, "n_jobs": 1}
X, Y = load_diabetes(return_X_y=True)


def regressor(**settings: Any) -> Any:
    return fc.TabularRegressor(**{**QUICK, **settings})


@pytest.fixture(scope="module")
def model() -> Any:
    return regressor().fit(X[::2], Y[::2])


def test_new_targets_are_in_their_intervals(model: Any) -> None:
    for coverage in (0.5, 0.8, 0.9):
        around = model.predict_interval(X[1::2], coverage)
        assert around.shape == (221, 2)
        np.testing.assert_allclose(around.mean(axis=1), model.predict(X[1::2]))
        share = ((around[:, 0] <= Y[1::2]) & (Y[1::2] <= around[:, 1])).mean()
        # both the rows that it was learned from and the new ones are few
        assert abs(share - coverage) < 4 * (2 * coverage * (1 - coverage) / 221) ** 0.5
    default = model.predict_interval(X[1::2])
    np.testing.assert_array_equal(default, around)
    assert (default[:, 1] - default[:, 0]).mean() < 2 * 1.645 * Y.std()


def test_errors_of_a_member_are_those_of_rows_that_it_has_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(120, 20)), rng.normal(size=120)  # which a network can learn by heart
    model = regressor(hidden=(64,), epochs=60).fit(x, noise)
    around = model.predict_interval(rng.normal(size=(2000, 20)), 0.9)
    new = rng.normal(size=2000)
    assert ((around[:, 0] <= new) & (new <= around[:, 1])).mean() > 0.83


def test_groups_and_weights() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 8)
    x, y = rng.normal(size=(30, 3))[group], rng.normal(size=30)[group]  # all rows of a group are one
    by_group, blind = (regressor(epochs=30).fit(x, y, groups=g) for g in (group, None))
    wide, narrow = (np.ptp(each.predict_interval(x, 0.9), axis=1).mean() for each in (by_group, blind))
    assert wide > 1.5 * narrow
    with pytest.raises(
        ValueError, match=r"the errors of 30 \(rows of equal weight, or groups\) tell intervals of a cov"
    ):
        by_group.predict_interval(x, 0.99)
    loud = np.arange(240) % 2 == 0
    y = np.where(loud, 10.0, 1.0) * rng.normal(size=240)
    even, quiet = (regressor().fit(x, y, w) for w in (None, np.where(loud, 0.001, 1.0)))
    assert (
        np.ptp(quiet.predict_interval(x, 0.8), axis=1).mean()
        < 0.4 * np.ptp(even.predict_interval(x, 0.8), axis=1).mean()
    )


def test_several_outputs() -> None:
    model = regressor().fit(X[::2], np.column_stack([Y, 1000 * Y])[::2])
    around = model.predict_interval(X[1::2])
    assert around.shape == (221, 2, 2)
    width = np.ptp(around, axis=2).mean(axis=0)
    assert width[1] == pytest.approx(1000 * width[0], rel=0.2)


def test_rows_that_no_member_holds_out_or_all_hold_out() -> None:
    model = regressor(validation_fraction=0.25).fit(X[::2], Y[::2])
    around = model.predict_interval(X[1::2], 0.9)
    assert 0.8 < ((around[:, 0] <= Y[1::2]) & (Y[1::2] <= around[:, 1])).mean() <= 1
    with pytest.raises(ValueError, match="takes more held-out rows than there were: the errors of 5"):
        model.predict_interval(X, 0.99)


def test_a_file_has_them_and_a_predictor(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        fc.load_estimator(tmp_path / "model").predict_interval(X, 0.8), model.predict_interval(X, 0.8)
    )
    predictor = fc.Predictor(tmp_path / "model")
    np.testing.assert_allclose(predictor.predict_interval(X, coverage=0.8), model.predict_interval(X, 0.8))
    assert predictor.predict_interval(X[0].tolist()).shape == (1, 2)
    several = regressor(epochs=2).fit(X, np.column_stack([Y, Y]))
    several.save(tmp_path / "several")
    assert fc.Predictor(tmp_path / "several").predict_interval(X).shape == (442, 2, 2)
    with pytest.raises(ValueError, match="coverage is the share"):
        predictor.predict_interval(X, 90)


def changed(model: Any, path: Path, change: Any) -> Path:
    model.save(path)
    held = read_model(path)
    described = json.loads(json.dumps(held.extras["tabular"]))
    change(described["ensemble"])
    held.extras["tabular"] = described
    write_model(path, held)
    return path


def test_a_file_of_a_version_without_them(model: Any, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "earlier", lambda e: e.pop("intervals"))
    again = fc.load_estimator(path)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for each in (again, fc.Predictor(path)):
        with pytest.raises(ValueError, match=r"no intervals: its file is of a version .* Fit it again"):
            each.predict_interval(X)
    again.save(tmp_path / "again")
    assert fc.load_estimator(tmp_path / "again").ensemble_.intervals is None


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(errors=[]),
        lambda e: e.update(rows=0),
        lambda e: e.update(rows=None),
        lambda e: e["errors"][0].pop("at"),
        lambda e: e["errors"][0]["at"].pop(),
        lambda e: e["errors"][0].update(at=[], size=[]),
        lambda e: e["errors"][0]["at"].reverse(),
        lambda e: e["errors"][0]["size"].__setitem__(0, 0.0),
        lambda e: e["errors"][0]["levels"].__setitem__(-1, 0.5),
        lambda e: e["errors"][0]["levels"].__setitem__(-1, 1.5),
        lambda e: e["errors"][0]["quotients"].__setitem__(0, -1.0),
        lambda e: e["errors"][0]["quotients"].__setitem__(0, "much"),
        lambda e: e["errors"][0]["quotients"].reverse(),
        lambda e: e["errors"][0].update(levels=[], quotients=[]),
    ],
)
def test_what_does_not_fit_in_a_file_is_refused(change: Any, model: Any, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "altered", lambda e: change(e["intervals"]))
    for read in (fc.load_estimator, fc.Predictor):
        with pytest.raises(fc.errors.FileFormatError):
            read(path)


@pytest.mark.filterwarnings("ignore:.*onverge")
def test_a_classifier_and_another_estimator_have_none(tmp_path: Path) -> None:
    classifier = fc.TabularClassifier(**QUICK).fit(X, Y > 150)
    assert not hasattr(classifier, "predict_interval")
    classifier.save(tmp_path / "classes")
    fc.MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=2, tol=1.0).fit(X, Y).save(tmp_path / "other")
    for name in ("classes", "other"):
        with pytest.raises(ValueError, match="has no intervals"):
            fc.Predictor(tmp_path / name).predict_interval(X)
    with pytest.raises(ValueError, match="not fitted"):
        regressor().predict_interval(X)
