"""Write files_VERSION/: a file of every kind that this version writes, and expected.json, what comes of reading them.

    .venv/bin/python tests/golden/make_files.py

``files/test_earlier_versions.py`` reads the files of all versions, so that no later one can lose the ability. A version
writes a folder of its own, once: files_0.1.0 was written by version 0.1.0, and no other version may write there. To
write it again, check out a commit of that version. Needs pandas.

    models/NAME.safetensors     networks, as ``net.save`` writes them
    runs/NAME.safetensors       checkpoints in the middle of a run
    tables/NAME.safetensors     models that ``fullyconnected train`` writes
    expected.json               predictions; of each run also how it ends
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import earlier
import numpy as np
import pandas as pd

import fullyconnected as fc


def plain(a):
    """Return an array as JSON has it, with the fewest digits that give back the same bits."""
    return [plain(row) for row in a] if np.ndim(a) else float(str(a))


def model(name, path):
    described = earlier.MODELS[name]
    net = described.network()
    x, t = earlier.numbers(48, net.n_in), earlier.numbers(48, net.n_out, start=500) / 4
    if described.names is not None:
        x, t = (pd.DataFrame(a, columns=names) for a, names in zip((x, t), described.names, strict=True))
    fc.fit(net, x, t, "absolute_error", fc.Adam(0.01), epochs=5, batch_size=16, progress=False)
    net.save(path)
    return {"z": plain(net.predict(x[: earlier.ROWS]))}


def run(name, path):
    run = earlier.RUNS[name]
    run.fit(run.network(), path, earlier.STOPPED)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(path, folder)
        net = run.network()
        history = run.fit(net, copy, earlier.TOTAL)
    return {
        "z when it was stopped": plain(fc.load(path).predict(earlier.X[: earlier.ROWS])),
        "theta": plain(net.theta),
        "state": plain(net.state),
        "loss": history.loss,
        "validation_loss": history.validation_loss,
        "metrics": history.metrics,
        "best_epoch": history.best_epoch,
    }


def table(name, path):
    command = [sys.executable, "-m", "fullyconnected"]
    settings = ["--members", "2", "--hidden", "5,4", "--epochs", "20", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        rows, target = str(Path(folder) / "table.csv"), earlier.TABLES[name]
        earlier.write_table(rows, target)
        subprocess.run([*command, "train", rows, "--target", target, "-o", str(path), *settings], check=True)
        more = ["--probabilities"] if name == "classification" else []
        done = subprocess.run([*command, "predict", str(path), rows, *more], check=True, capture_output=True)
    return done.stdout.decode().splitlines()


def main():
    folder = Path(__file__).parent / f"files_{fc.__version__}"
    if folder.exists():
        sys.exit(f"{folder} is there already: what a version has written stays as it is")
    kinds = []
    for kind, make, cases in KINDS:
        (folder / kind).mkdir(parents=True)
        made = {name: make(name, folder / kind / f"{name}.safetensors") for name in cases}
        lines = (f"{json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in made.items())
        kinds.append(f'"{kind}": {{\n' + ",\n".join(lines) + "\n}")
    (folder / "expected.json").write_text("{\n" + ",\n".join(kinds) + "\n}\n", encoding="utf-8")


KINDS = ("models", model, earlier.MODELS), ("runs", run, earlier.RUNS), ("tables", table, earlier.TABLES)

if __name__ == "__main__":
    main()
