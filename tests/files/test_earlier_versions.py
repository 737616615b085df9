"""Files that earlier versions wrote, in golden/files_VERSION: they load, predict as they did, and their runs go on."""

import csv
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc

GOLDEN = Path(__file__).parents[1] / "golden"

spec = importlib.util.spec_from_file_location("earlier", GOLDEN / "earlier.py")
earlier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(earlier)  # what is in the files, in the words of this version

EXPECTED = {
    folder: json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    for folder in sorted(GOLDEN.glob("files_*"))
}
PREDICTED = {np.float32: 1e-5, np.float64: 1e-10}  # how far a number may be off, relative to the largest beside it,
TRAINED = {np.float32: 1e-4, np.float64: 1e-9}  # since other processors and BLAS round otherwise


def every(kind):
    """Every file of a kind, of every version: its path, and what is expected of it."""
    cases = [(folder, name) for folder, expected in EXPECTED.items() for name in expected[kind]]
    return pytest.mark.parametrize(
        ("path", "expected"),
        [(folder / kind / f"{name}.safetensors", EXPECTED[folder][kind][name]) for folder, name in cases],
        ids=[f"{folder.name.removeprefix('files_')}-{name}" for folder, name in cases],
    )


def agrees(ours, expected, tolerance):
    expected = np.asarray(expected, float)
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(np.asarray(ours, float), expected, rtol=0, atol=tolerance * largest, strict=True)


def test_every_file_is_expected():
    assert "files_0.1.0" in {folder.name for folder in EXPECTED}
    for folder, expected in EXPECTED.items():
        there = {(path.parent.name, path.stem) for path in folder.glob("*/*")}
        assert there == {(kind, name) for kind, names in expected.items() for name in names}


@pytest.mark.parametrize("engine", ["auto", "numpy"])
@every("models")
def test_model(tmp_path, path, expected, engine):
    model, net = earlier.MODELS[path.stem], fc.load(path)
    assert net.layers == model.network().layers
    assert net.dtype == model.dtype
    assert net.loss == (None if path.parts[-3] == "files_0.1.0" else fc.AbsoluteError())
    assert net.columns == ((None, None) if model.names is None else tuple(map(tuple, model.names)))
    x = earlier.numbers(earlier.ROWS, net.n_in)
    agrees(net.predict(x, engine=engine), expected["z"], PREDICTED[model.dtype])
    net.save(tmp_path / "again")
    again = fc.load(tmp_path / "again")
    assert (again.layers, again.columns) == (net.layers, net.columns)
    assert again.theta.tobytes() == net.theta.tobytes()
    assert again.state.tobytes() == net.state.tobytes()


@pytest.mark.parametrize("engine", ["auto", "numpy"])
@every("runs")
def test_a_run_goes_on(tmp_path, path, expected, engine):
    run = earlier.RUNS[path.stem]
    then, tolerance = fc.load(path), TRAINED[run.dtype]
    agrees(then.predict(earlier.X[: earlier.ROWS]), expected["z when it was stopped"], PREDICTED[run.dtype])
    copy, net = shutil.copy(path, tmp_path), run.network()
    for _ in range(2):  # the second time it is at its end, by a file that this version has written
        history = run.fit(net, copy, earlier.TOTAL, engine=engine)
        agrees(net.theta, expected["theta"], tolerance)
        agrees(net.state, expected["state"], tolerance)
        agrees(history.loss, expected["loss"], tolerance)
        agrees(history.validation_loss, expected["validation_loss"], tolerance)
        assert list(history.metrics) == list(expected["metrics"])
        for name, values in expected["metrics"].items():
            agrees(history.metrics[name], values, tolerance)
        assert history.best_epoch == expected["best_epoch"]


@pytest.mark.parametrize(
    ("setting", "change"), [("optimizer", {"optimizer": fc.SGD(0.123)}), ("batch_size", {"batch_size": 15})]
)
@every("runs")
def test_a_run_does_not_go_on_with_other_settings(tmp_path, path, expected, setting, change):
    run, copy = earlier.RUNS[path.stem], Path(shutil.copy(path, tmp_path))
    with pytest.raises(fc.errors.CheckpointError, match=f"was begun with {setting}="):
        run.fit(run.network(), copy, earlier.TOTAL, **change)
    assert copy.read_bytes() == path.read_bytes()


@every("tables")
def test_table_model(tmp_path, path, expected):
    table = tmp_path / "table.csv"
    earlier.write_table(table, earlier.TABLES[path.stem])
    more = ["--probabilities"] if path.stem == "classification" else []
    command = [sys.executable, "-W", "error", "-m", "fullyconnected", "predict", path, table, *more]
    done = subprocess.run(command, check=True, capture_output=True)
    (head, *rows), (header, *wanted) = (csv.reader(lines) for lines in (done.stdout.decode().splitlines(), expected))
    assert head == header
    if more:
        assert [row.pop(0) for row in rows] == [row.pop(0) for row in wanted]
    agrees(np.array(rows, float), np.array(wanted, float), PREDICTED[np.float32])  # it prints six digits or more
