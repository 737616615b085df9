"""The tables of benchmarks/accuracy.py: a folder of CSV files, data sets of scikit-learn, or of OpenML."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold

__all__ = ["Table", "bundled", "from_folder", "from_openml", "published"]

BUNDLED = {
    "breast cancer": "load_breast_cancer",
    "digits": "load_digits",
    "wine": "load_wine",
    "diabetes": "load_diabetes",
}
SEEDS = 5  # of the folds of scikit-learn's sets
OPENML = {
    "adult": 1590,
    "bank-marketing": 1461,
    "kin8nm": 44980,
    "phoneme": 1489,
    "cpu_activity": 44978,
}


class Table(NamedTuple):
    """A table as a DataFrame, whose categories have pandas' dtype for them; its target; and how it is split."""

    name: str
    x: pd.DataFrame
    y: np.ndarray  # class numbers, or float
    classes: list[str] | None
    splits: dict[str, tuple[np.ndarray, np.ndarray]]  # by name: the rows of the training and of the test part


def from_folder(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name of each table NAME.csv.gz in a folder, and what reads it.

    ``NAME.json`` has the ``target``, the ``classes`` or null, and under ``categorical`` the ``levels`` of each column.
    ``splits.npz`` has the numbers of the rows: ``NAME_SEED_train`` and ``NAME_SEED_test``.
    """
    files = np.load(folder / "splits.npz")
    for path in sorted(folder.glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        yield name, lambda name=name, path=path: _read(name, path, files)


def _read(name: str, path: Path, files: Any) -> Table:
    about = json.loads(path.with_name(f"{name}.json").read_text(encoding="utf-8"))
    levels = {column: each["levels"] for column, each in about["categorical"].items()}
    texts = [*levels, *([about["target"]] if about["classes"] else [])]
    header = pd.read_csv(path, nrows=0).columns
    frame = pd.read_csv(
        path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values={name: [""] for name in header}
    )
    y = frame.pop(about["target"])
    for column, known in levels.items():
        frame[column] = pd.Categorical(frame[column], categories=known)
    numbers = [column for column in frame.columns if column not in levels]
    frame[numbers] = frame[numbers].astype(float)
    code = {label: i for i, label in enumerate(about["classes"] or [])}
    y = np.array([code[label] for label in y]) if about["classes"] else y.to_numpy(float)
    seeds = [seed for seed in range(100) if f"{name}_{seed}_train" in files]
    splits = {str(seed): (files[f"{name}_{seed}_train"], files[f"{name}_{seed}_test"]) for seed in seeds}
    return Table(name, frame, y, about["classes"], splits)


def published(folder: Path) -> list[dict[str, str]]:
    """Return the scores of others that a folder has in ``baselines.csv``, in the columns of the results; or none."""
    path = folder / "baselines.csv"
    if not path.exists():
        return []
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")


def bundled() -> Iterator[tuple[str, Any]]:
    """Yield the names of scikit-learn's own sets, and functions that load them: five folds for each of five seeds."""
    for name, loader in BUNDLED.items():
        yield name, lambda name=name, loader=loader: _folded(name, getattr(datasets, loader)(as_frame=True))


def from_openml() -> Iterator[tuple[str, Any]]:
    """Yield the names of some sets of OpenML, and functions that fetch them."""
    for name, number in OPENML.items():
        yield (
            name,
            lambda name=name, number=number: _folded(name, datasets.fetch_openml(data_id=number, as_frame=True), 1),
        )


def _folded(name: str, loaded: Any, seeds: int = SEEDS) -> Table:
    y, classes = loaded.target, None
    if not pd.api.types.is_float_dtype(y) and y.nunique() <= 30:
        y, classes = pd.factorize(y, sort=True)
    y = np.asarray(y, None if classes is not None else float)
    kind = KFold if classes is None else StratifiedKFold
    splits = {
        f"{seed}.{fold}": rows
        for seed in range(seeds)
        for fold, rows in enumerate(kind(5, shuffle=True, random_state=seed).split(loaded.data, y))
    }
    return Table(name, loaded.data, y, None if classes is None else [str(each) for each in classes], splits)
