"""``checkpoint`` of the estimators for tables: a fit that is killed goes on from its folder."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit

import fullyconnected as fc
from fullyconnected.training.run import Run

QUICK = {"n_members": 3, "hidden": (8,), "epochs": 6, "random_state": 0, "n_jobs": 1}
X = np.random.default_rng(0).normal(size=(90, 3))
VALUES = np.exp(X[:, 0])  # a long tail, so that a network learns the logarithm as well
LABELS = np.where(X[:, 0] > 0, "high", "low")


def classifier(**settings: Any) -> Any:
    return fc.TabularClassifier(**{**QUICK, **settings})


def regressor(**settings: Any) -> Any:
    return fc.TabularRegressor(**{**QUICK, **settings})


def same(one: Any, other: Any) -> bool:
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_array_equal(one.oof_predictions_, other.oof_predictions_)
    np.testing.assert_array_equal(one.feature_importances_, other.feature_importances_)
    return bool(one.report_ == other.report_)


def stop_in(network: int, epoch: int, monkeypatch: Any, error: type[BaseException] = KeyboardInterrupt) -> None:
    """Let the training end before an epoch of a network."""
    whole = Run.epoch

    def stopped(self: Any) -> Any:
        if f"network_{network}." in str(self.settings.checkpoint) and self.state.epoch == epoch:
            raise error
        return whole(self)

    monkeypatch.setattr(Run, "epoch", stopped)


@pytest.mark.parametrize(
    ("make", "y"),
    [
        (regressor, VALUES),
        (lambda **s: classifier(scoring="accuracy", validation_fraction=0.3, **s), LABELS),
        (lambda **s: classifier(cv=KFold(2), class_weight="balanced", **s), LABELS),
    ],
    ids=["numbers", "scoring", "splitter"],
)
@pytest.mark.parametrize("at", [(1, 3), (2, 0), (2, 4)])
def test_a_fit_that_is_interrupted_goes_on_with_the_same_bits(
    make: Any, y: Any, at: tuple[int, int], tmp_path: Path, monkeypatch: Any
) -> None:
    whole, folder = make().fit(X, y), tmp_path / "run"
    with monkeypatch.context() as patched:
        stop_in(*at, patched)
        with pytest.warns(UserWarning, match=r"each with its best weights\. A fit with the same data goes on from"):
            part = make(checkpoint=folder).fit(X, y)
        assert part.report_.interrupted
        assert part.n_iter_ == (6 if at[0] > 1 else 3)
    again = make(checkpoint=folder).fit(X, y)
    assert not again.report_.interrupted
    assert same(again, whole)


def test_an_error_and_an_interrupt_before_the_first_epoch_leave_what_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: Any
) -> None:
    for i, at in enumerate([(1, 0), (2, 2)]):
        with monkeypatch.context() as patched:
            stop_in(*at, patched, MemoryError if i else KeyboardInterrupt)
            model = regressor(checkpoint=tmp_path / f"run{i}")
            with pytest.raises((KeyboardInterrupt, MemoryError)):
                model.fit(X, VALUES)
            assert not hasattr(model, "ensemble_")
        assert same(model.fit(X, VALUES), regressor().fit(X, VALUES))


def test_a_finished_training_gives_its_result_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    folder = str(tmp_path / "run")
    one = regressor(checkpoint=folder).fit(X, VALUES)
    assert sorted(os.listdir(folder)) == [*(f"network_{i}.safetensors" for i in (1, 2, 3)), "run.json"]
    assert one.report_.networks[1].view == "smooth, log"

    def stopped(self: Any) -> Any:
        raise AssertionError("it trains")

    monkeypatch.setattr(Run, "epoch", stopped)
    assert same(clone(one).fit(X, VALUES), one)


def test_a_time_budget_is_spent_once(tmp_path: Path, monkeypatch: Any) -> None:
    folder, settings = tmp_path / "run", {"max_time": 0.05, "epochs": 500}
    with monkeypatch.context() as patched:
        stop_in(1, 3, patched)
        with pytest.warns(UserWarning, match="interrupted"):
            regressor(**settings, checkpoint=folder).fit(X, VALUES)
    one = regressor(**settings, checkpoint=folder).fit(X, VALUES)
    assert same(regressor(**settings, checkpoint=folder).fit(X, VALUES), one)
    assert one.n_iter_ < 500
    assert one.report_.in_time


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epochs": 7}, "begun with epochs=6 and would go on with 7"),
        ({"n_members": 4}, "begun with n_members=3 and would go on with 4"),
        ({"hidden": (8, 8)}, r"begun with hidden=\[8\] and would go on with \[8, 8\]"),
        ({"preset": "fast"}, "begun with views="),
        ({"random_state": 1}, "begun with random_state=0 and would go on with 1"),
        ({"max_time": 60}, "begun with max_time=None and would go on with 60"),
        ({"scoring": "r2"}, "begun with scoring=None and would go on with 'r2'"),
        ({"cv": 2}, "begun with cv=None and would go on with 2"),
        ({"validation_fraction": 0.5}, "begun with validation_fraction=None and would go on with 0.5"),
        ({"cv": KFold(3)}, "begun without cv"),
        ({"random_state": None}, "checkpoint needs an int as random_state"),
        ({"checkpoint": 3}, "checkpoint"),
    ],
)
def test_other_parameters_are_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    regressor(checkpoint=folder).fit(X, VALUES)
    with pytest.raises(ValueError, match=said):
        regressor(**{"checkpoint": folder, **settings}).fit(X, VALUES)


def test_other_data_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    model = regressor(checkpoint=folder).fit(X, VALUES)
    for given, said in (
        ((X + 1, VALUES), "another X"),
        ((X[:-1], VALUES[:-1]), "another X"),
        ((X, VALUES + 1), "another y"),
        ((X, VALUES, np.arange(90.0) + 1), "another weight"),
        ((X, VALUES, None, np.arange(90)), "without groups"),
    ):
        with pytest.raises(ValueError, match=f"has a training that was begun with.*{said.split()[-1]}: the result"):
            model.fit(*given[:3], **({"groups": given[3]} if len(given) > 3 else {}))  # type: ignore[arg-type]
    changing = classifier(cv=ShuffleSplit(2, test_size=0.5), checkpoint=tmp_path / "other")
    changing.fit(X, LABELS)
    with pytest.raises(ValueError, match="begun with another cv"):
        changing.fit(X, LABELS)


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="is a file; a folder is wanted"):
        regressor(checkpoint=tmp_path / "file").fit(X, VALUES)
    with pytest.raises(ValueError, match="checkpoint='' is no folder"):
        regressor(checkpoint="").fit(X, VALUES)
    with pytest.raises(OSError, match=r"checkpoint='.*below': the folder cannot be made"):
        regressor(checkpoint=tmp_path / "file" / "below").fit(X, VALUES)
    with pytest.raises(ValueError, match="a folder with other files, such as 'file'; give one that is new or empty"):
        regressor(checkpoint=tmp_path).fit(X, VALUES)
    assert os.listdir(tmp_path) == ["file"]
    for i, text in enumerate(
        ["", "[]", "{}", '{"format": 9}', '{"format": 1, "recipe": {}, "settings": 0, "data": {}}']
    ):
        folder = tmp_path / f"run{i}"
        folder.mkdir()
        (folder / "run.json").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"run\.json does not describe a training: .*; remove the folder"):
            regressor(checkpoint=folder).fit(X, VALUES)
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    regressor(checkpoint=tmp_path / "empty" / "deep").fit(X, VALUES)
    (tmp_path / "empty" / "deep" / "network_2.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="network_2"):
        regressor(checkpoint=tmp_path / "empty" / "deep").fit(X, VALUES)


def test_a_file_does_not_have_the_folder(tmp_path: Path) -> None:
    regressor(checkpoint=tmp_path / "run").fit(X, VALUES).save(tmp_path / "model")
    assert fc.load_estimator(tmp_path / "model").checkpoint is None


KILLED = """
    import sys, time
    import numpy as np
    import fullyconnected as fc
    from fullyconnected.training import checkpoint
    from fullyconnected.training.run import Run

    checkpoint.SOONEST, checkpoint.SHARE = 0.0, 1e9  # a write after each epoch
    whole = Run.epoch

    def slow(self):
        if "network_2" in str(self.settings.checkpoint) and self.state.epoch == 3:
            print("now", flush=True)
            time.sleep(60)
        return whole(self)

    Run.epoch = slow
    X = np.random.default_rng(0).normal(size=(90, 3))
    model = fc.TabularRegressor(n_members=3, hidden=(8,), epochs=6, random_state=0, n_jobs=1, checkpoint=sys.argv[1])
    model.fit(X, np.exp(X[:, 0]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process cannot be killed like this here")
def test_a_process_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert sorted(os.listdir(folder)) == ["network_1.safetensors", "network_2.safetensors", "run.json"]
    assert same(regressor(checkpoint=folder).fit(X, VALUES), regressor().fit(X, VALUES))
    assert time.monotonic() - began < 60
