"""The settings of fit are one record: each is named, checked and described once."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

OF_FIT_ALONE = {"epochs", "progress"}
OTHERS = {  # for each setting another value than its default
    "batch_size": 3,
    "l2": 0.5,
    "alpha": 0.5,
    "shuffle": False,
    "streams": 2,
    "window": 1,
    "seed": 4,
    "sample_weight": [1.0, 2.0],
    "validation": ([[1.0]], [1.0]),
    "metrics": ["r2"],
    "monitor": "r2",
    "patience": 2,
    "best_per_member": True,
    "max_time": 60.0,
    "max_grad_norm": 0.5,
    "schedule": fc.StepDecay(0.5),
    "weight_decay_schedule": fc.CosineDecay(5),
    "dropout_schedule": fc.Warmup(2),
    "checkpoint": "run",
    "checkpoint_every": "5s",
    "average": fc.EMA(0.9),
    "factors": fc.Factors(lr={"bias": 0.5}),
    "warn": False,
    "engine": "numpy",
    "n_threads": 1,
    "precision": "tf32",
    "comm": "auto",
}


def test_fit_has_each_setting_with_the_same_default_and_type_and_describes_it():
    record, given = inspect.signature(FitSettings).parameters, inspect.signature(fc.fit).parameters
    settings = {name: each for name, each in given.items() if each.default is not each.empty}
    settings = {name: each for name, each in settings.items() if name not in OF_FIT_ALONE | {"t", "loss", "optimizer"}}
    assert [(n, p.default, p.annotation) for n, p in settings.items()] == [
        (n, p.default, p.annotation) for n, p in record.items()
    ]
    for name in settings:
        assert f"\n{name} : " in inspect.getdoc(fc.fit)


def test_every_setting_reaches_the_run_by_fit_and_by_epochs(monkeypatch):
    assert set(OTHERS) == set(FitSettings.names())
    seen = []

    def noted(self, net, x, t, loss, optimizer, settings, total=None):
        seen.append(settings)
        raise ZeroDivisionError

    monkeypatch.setattr(Run, "__init__", noted)
    for function in (fc.fit, fc.epochs):
        with pytest.raises(ZeroDivisionError):
            function(None, None, None, **OTHERS)
    assert vars(seen[0]) == vars(seen[1]) == OTHERS


def test_the_record_is_checked_frozen_and_can_be_made_anew():
    settings = FitSettings(batch_size=np.int64(3), l2=1, checkpoint_every="2m")
    assert (type(settings.batch_size), type(settings.l2), settings.every) == (int, float, 120.0)
    assert replace(settings, patience=3).every == 120.0
    with pytest.raises(AttributeError):
        settings.l2 = 2.0
    with pytest.raises(errors.ConfigError, match="batch_size must be 1 or more"):
        FitSettings(batch_size=0)
    with pytest.raises(TypeError, match=r"batch_sise.*batch_size"):
        FitSettings(batch_sise=1)


def test_nothing_is_drawn_from_a_generator_before_a_run_begins():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert FitSettings(seed=rng).seed is rng
    assert rng.bit_generator.state == before


def test_a_checkpoint_compares_every_setting_but_those_that_may_change(tmp_path):
    """Also one that is added later: a file that knows nothing of it was begun with its default."""

    def fit(path, **settings):
        net = fc.Network([fc.Dense(1, 3), fc.Dropout(0.5), fc.Dense(3, 1)], seed=0)
        fc.fit(net, [[1.0], [3.0]], [1.0, 2.0], "half_squared_error", fc.AdamW(), epochs=2, progress=False,
               checkpoint=path, **settings)  # fmt: skip

    fit(tmp_path / "run")
    # best_per_member needs an ensemble, and precision a GPU: tests/layers/test_members.py, tests/cuda/test_engine.py
    for name in set(OTHERS) - {"best_per_member", "precision"} - set(FitSettings.MAY_CHANGE):
        changed = {name: OTHERS[name]} | ({"metrics": (), "patience": 2} if name == "monitor" else {})
        with pytest.raises(errors.CheckpointError, match=f"was begun with {name}=" if len(changed) == 1 else "begun"):
            fit(tmp_path / "run", **changed)
    for name in ("warn", "engine", "checkpoint_every"):
        fit(tmp_path / "run", **{name: OTHERS[name]})
