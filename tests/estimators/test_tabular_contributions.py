"""Contributions of columns to predictions: that they add up, and that they are those of the columns."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.files import read_model, write_model
from fullyconnected.tabular import contributions as module

QUICK = {"n_members": 3, "hidden": (16, 8), "epochs": 6, "random_state": 0, "n_jobs": 1}
RANDOM = np.random.default_rng(0)
ROWS = 120
SIZE = RANDOM.normal(size=ROWS)
TABLE: dict[str, Any] = {
    "country": ["NO"] * ROWS,
    "size": SIZE,
    "gap": [None if i % 7 == 3 else each for i, each in enumerate(RANDOM.normal(size=ROWS).tolist())],
    "city": RANDOM.choice(["Oslo", "Bergen", "Narvik"], ROWS).tolist(),
    "day": np.datetime64("2024-01-01") + RANDOM.integers(0, 700, ROWS),
}
VALUES = 2 * SIZE + 1.5 * (np.array(TABLE["city"]) == "Oslo") + np.array([each is None for each in TABLE["gap"]])
MODELS = {
    "numbers": lambda: fc.TabularRegressor(**QUICK).fit(TABLE, VALUES),
    "a long tail": lambda: fc.TabularRegressor(**QUICK).fit(TABLE, np.exp(VALUES)),
    "several": lambda: fc.TabularRegressor(**QUICK).fit(TABLE, np.column_stack([VALUES, 1e6 - SIZE, np.exp(VALUES)])),
    "two classes": lambda: fc.TabularClassifier(**QUICK).fit(TABLE, VALUES > 0),
    "four classes": lambda: fc.TabularClassifier(**QUICK).fit(TABLE, np.digitize(VALUES, [-1, 0, 2])),
    "labels": lambda: fc.TabularClassifier(**QUICK).fit(TABLE, np.column_stack([VALUES > 0, SIZE < 1]).astype(int)),
    "without hidden layers": lambda: fc.TabularRegressor(**{**QUICK, "hidden": ()}).fit(TABLE, VALUES),
    "one view": lambda: fc.TabularClassifier(**QUICK, preset="fast").fit(TABLE, VALUES > 0),
}
NEW = {
    "country": ["SE", None, "NO"],
    "size": [None, 1e9, -3.0],  # in training, none was missing
    "gap": [None, 0.5, -1e300],
    "city": ["Paris", None, "Oslo"],
    "day": [None, np.datetime64("1900-01-01"), np.datetime64("2024-05-17")],
}


def predicted(model: Any, table: Any) -> np.ndarray:
    return model.predict(table) if isinstance(model, fc.TabularRegressor) else model.predict_proba(table)


@pytest.fixture(scope="module", params=MODELS)
def model(request: Any) -> Any:
    return MODELS[request.param]()


def test_they_add_up_to_the_prediction(model: Any) -> None:
    for table, rows in ((TABLE, ROWS), (NEW, 3), ({name: cells[:0] for name, cells in TABLE.items()}, 0)):
        p, found = predicted(model, table), model.contributions(table)
        assert found.shape == (rows, 6, *p.shape[1:])
        np.testing.assert_allclose(found.sum(axis=1), p, rtol=1e-9, atol=1e-9)
        assert (found[:, 0] == 0).all()  # the country, which is left out
        assert (found[:, 5] == found[:1, 5]).all()  # the base value is one for all rows
    if isinstance(model, fc.TabularClassifier) and model.ensemble_.task == "classes":
        np.testing.assert_allclose(found[:, :5].sum(axis=2), 0, atol=1e-9)


def test_what_the_integral_misses_is_little(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = []
    of_block = module._of_block

    def seen(*given: Any) -> Any:
        missed.append(of_block(*given)[1])
        return of_block(*given)

    monkeypatch.setattr(module, "_of_block", seen)
    exact = model.contributions(TABLE)
    assert 0 <= max(missed) <= 1e-3
    monkeypatch.setattr(module, "NODES", (64,))
    fine = model.contributions(TABLE)
    unit = model.ensemble_.unit
    wide = 1.0 if unit is None else unit.high - unit.low
    assert (np.abs(exact - fine).max(axis=(0, 1)) < 5e-3 * wide).all()


def test_it_is_the_gradient_that_is_integrated(model: Any) -> None:
    ensemble, rows = model.ensemble_, np.arange(8)
    paths = [module._Path(ensemble, j) for j in range(len(ensemble.networks))]
    for path in paths:
        path.lead_to(next(model._encoded(TABLE))[:8])
        for member in path.members:
            member.way = member.way * 1e-2  # a step in the direction of the row
    module._integrate(ensemble, paths, rows, np.zeros(1), np.ones(1))
    slope = sum(path.total(rows) for path in paths)
    after, before = (ensemble.finished(module._mixed(ensemble, paths, rows, np.array([at]))[0]) for at in (0.5, -0.5))
    np.testing.assert_allclose(slope, after - before, rtol=0.05, atol=2e-4 * np.abs(before).max())


def test_a_linear_problem_has_the_known_answer() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, size=(200, 3))
    model = fc.TabularRegressor(**{**QUICK, "hidden": (), "epochs": 40}).fit(x, 100 + x @ [30.0, -20.0, 0.0])
    inside = np.abs(x).max(axis=1) < 0.7  # where predictions are not cut at the range
    found = model.contributions(x)[inside]
    want = (x - x.mean(axis=0)) * [30.0, -20.0, 0.0]
    np.testing.assert_allclose(found[:, :3], want[inside], atol=2)
    np.testing.assert_allclose(found[:, 3], 100 + x.mean(axis=0) @ [30.0, -20.0, 0.0], atol=1)
    other = x.copy()
    other[:, 0] = x[::-1, 0]
    both = inside & inside[::-1]
    changed = model.contributions(other)[both] - model.contributions(x)[both]
    step = model.predict(other)[both] - model.predict(x)[both]
    np.testing.assert_allclose(changed[:, 0], step, atol=1e-3)  # without interactions, that of the column alone
    np.testing.assert_allclose(changed[:, 1:], 0, atol=1e-3)


def test_the_base_is_the_mean_of_rows_by_their_weight() -> None:
    x, w = np.random.default_rng(1).normal(size=(100, 2)), np.where(np.arange(100) < 50, 1.0, 1e-9)
    x[:50, 0] += 5
    model = fc.TabularRegressor(**QUICK).fit(x, x[:, 0], w)
    for net, base in zip(model.ensemble_.networks, model.ensemble_.bases, strict=True):
        want = module._columns_alone(net).predict(x)[:50].mean(axis=0)
        np.testing.assert_allclose(base, want, atol=1e-5)
        assert base.dtype == np.float32


def test_a_column_that_no_weight_reads_contributes_nothing() -> None:
    model = MODELS["two classes"]()
    place = list(TABLE).index("gap")
    for net in model.ensemble_.networks:
        own = np.array([model.vocabulary_.features[i].source == "gap" for i in module._inputs_of(net.layers[0])])
        assert own.sum() >= 2  # its value and its indicator, and the bins of both
        first = net.program.tensors[0].of(net.theta)
        first[:, own] = 0
    found = model.contributions(TABLE)
    assert np.abs(found[:, place]).max() < 1e-12
    assert np.abs(found[:, 1]).max() > 0.1


def test_networks_that_are_very_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fc.TabularClassifier(**{**QUICK, "epochs": 30}).fit(TABLE, VALUES > 0.5)
    for net in model.ensemble_.networks:
        for tensor in net.program.tensors[-2:]:
            tensor.of(net.theta)[:] *= 300
    p, some = model.predict_proba(TABLE)[:30], {name: cells[:30] for name, cells in TABLE.items()}
    assert np.sort(p, axis=1)[:, -1].mean() > 0.9
    assert 0.1 < p[:, 1].mean() < 0.9
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = model.contributions(some)
    np.testing.assert_allclose(found.sum(axis=1), p, atol=1e-9)
    assert all("missed up to" in str(each.message) for each in seen)
    monkeypatch.setattr(module, "NODES", (1,))
    with pytest.warns(UserWarning, match=r"contributions to some predictions missed up to .* of the range") as seen:
        found = model.contributions(some)
    assert seen[0].filename == __file__
    np.testing.assert_allclose(found.sum(axis=1), p, atol=1e-9)


def test_a_constant_target_has_no_contributions() -> None:
    model = fc.TabularRegressor(**QUICK).fit(TABLE, np.full(ROWS, 7.0))
    found = model.contributions(TABLE)
    np.testing.assert_allclose(found.sum(axis=1), 7.0)
    np.testing.assert_allclose(found[:, :5], 0, atol=1e-6)


def test_a_loaded_estimator_says_the_same_and_one_of_an_earlier_version_nothing(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = fc.load_estimator(tmp_path / "model")
    np.testing.assert_array_equal(again.contributions(NEW), model.contributions(NEW))
    held = read_model(tmp_path / "model")
    bases = [name for name in held.vectors if name.startswith("base_")]
    assert len(bases) == len(model.ensemble_.networks)
    for name in bases:
        del held.vectors[name]
    write_model(tmp_path / "earlier", held)
    earlier = fc.load_estimator(tmp_path / "earlier")
    np.testing.assert_array_equal(earlier.predict(TABLE), model.predict(TABLE))
    with pytest.raises(ValueError, match=r"no contributions: its file is of a version .* Fit it again"):
        earlier.contributions(TABLE)


def test_bases_of_a_file_are_checked(tmp_path: Path) -> None:
    MODELS["two classes"]().save(tmp_path / "model")
    for wrong in (np.zeros(3, np.float32), np.full(1000, np.nan, np.float32), None):
        held = read_model(tmp_path / "model")
        if wrong is None:
            del held.vectors["base_2"]
        else:
            held.vectors["base_1"] = wrong
        write_model(tmp_path / "altered", held)
        with pytest.raises(fc.errors.FileFormatError):
            fc.load_estimator(tmp_path / "altered")


def test_before_fit() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        fc.TabularRegressor().contributions(TABLE)
    with pytest.raises(ValueError, match="not fitted"):
        fc.TabularClassifier().contributions(TABLE)
