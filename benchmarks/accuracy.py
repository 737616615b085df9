"""Compare the estimators for tables with trees, linear models and other networks: scores, ranks, and times.

    python benchmarks/accuracy.py [--tables DIR | --openml] [--models a,b] [--only table,...] [--threads 1]
                                  [--results results.csv] [--page docs/accuracy.md]

All have their default settings, the same rows, and one thread for a fit. Without a folder of tables (accuracy_tables.py
says in what form), these are scikit-learn's own sets, in five folds for each of five seeds. A score that the results
have is not computed again, so that a run can be ended and taken up. What others scored, if the folder has it, is ranked
with the rest. A model whose package is not installed is left out, and named.

The page has for each table the means over its splits, and the mean rank of each model over all splits, among those that
have a score there: 1 is best. Log-loss is of probabilities of 1e-7 or more. Needs pandas, and the dependency group
``trees`` for the models that scikit-learn does not have.
"""

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_models import FAST, MODELS, OURS
from accuracy_results import append, read
from accuracy_tables import Table, bundled, from_folder, from_openml, published
from scipy.stats import rankdata
from sklearn.metrics import r2_score, root_mean_squared_error

COLUMNS = ["table", "split", "model", "accuracy", "logloss", "r2", "rmse", "fit_s", "predict_s", "n_train", "n_test"]
FIRST, SECOND = ("accuracy", "r2"), ("logloss", "rmse")  # the larger the better; the smaller the better
LEAST = 1e-7
HEAD = """# Accuracy on tables

`python benchmarks/accuracy.py` has written this page: {} splits of {} tables. All models have their default settings,
the same rows, and one thread for a fit. The lines of a table are means over its splits. The mean rank is over all
splits, among the models that have a score there (their number is in brackets); 1 is best. Seconds are those of machines
that others used, too, so that they only say how far apart the models are."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--tables", type=Path, metavar="DIR", help="a folder of tables")
    where.add_argument("--openml", action="store_true", help="sets of OpenML, which are fetched")
    usual = [name for name in MODELS if name != FAST]  # that is compared with others by its time
    parser.add_argument("--models", type=lambda text: text.split(","), default=usual, help=",".join(MODELS))
    parser.add_argument("--only", type=lambda text: text.split(","), help="tables, by name")
    parser.add_argument("--threads", type=int, default=1, help="threads of a fit (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path("results.csv"), help="default: %(default)s")
    parser.add_argument("--page", type=Path, help="a Markdown page to write")
    given = parser.parse_args()
    if unknown := [name for name in given.models if name not in MODELS]:
        parser.error(f"there is no model {unknown[0]!r}; there are {', '.join(MODELS)}")
    source = from_folder(given.tables) if given.tables else from_openml() if given.openml else bundled()
    tables = dict(source)
    if unknown := [name for name in given.only or () if name not in tables]:
        parser.error(f"there is no table {unknown[0]!r}; there are {', '.join(tables)}")
    run({name: load for name, load in tables.items() if not given.only or name in given.only}, given)
    rows = [*read(given.results), *(published(given.tables) if given.tables else [])]
    text = page(rows)
    print(text)
    if given.page:
        given.page.write_text(text, encoding="utf-8")


def run(tables: dict[str, Callable[[], Table]], given: argparse.Namespace) -> None:
    """Compute the scores that the results do not have, and append each to them."""
    done = {(row["table"], row["split"], row["model"]) for row in read(given.results)}
    absent = set()
    for name, load in tables.items():
        table = load()
        for split, (train, test) in table.splits.items():
            for model in given.models:
                if (name, split, model) in done or model in absent:
                    continue
                try:
                    scores = score(table, train, test, model, int(split.partition(".")[0]), given.threads)
                except ImportError as error:
                    absent.add(model)
                    print(f"{model} is left out: {error}", flush=True)
                    continue
                append(given.results, {"table": name, "split": split, "model": model, **scores}, COLUMNS)
                print(name, split, model, *(f"{key} {value}" for key, value in scores.items()), flush=True)


def score(table: Table, train: np.ndarray, test: np.ndarray, model: str, seed: int, threads: int) -> dict[str, Any]:
    """Fit a model on the training rows, and judge it by the test rows."""
    estimator, x = MODELS[model](table.x, table.classes is not None, seed, threads)
    part = x.iloc if hasattr(x, "iloc") else x
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(part[train], table.y[train])
        between = time.perf_counter()
        y = estimator.predict(part[test]) if table.classes is None else estimator.predict_proba(part[test])
    times = {"fit_s": round(between - began, 3), "predict_s": round(time.perf_counter() - between, 4)}
    t, sizes = table.y[test], {"n_train": len(train), "n_test": len(test)}
    if table.classes is None:
        scores = {"r2": r2_score(t, np.ravel(y)), "rmse": root_mean_squared_error(t, np.ravel(y))}
    else:
        p = np.zeros((len(t), len(table.classes)))
        p[:, np.asarray(estimator.classes_, int)] = y  # a class may have no row in training
        scores = {"accuracy": (p.argmax(axis=1) == t).mean(), "logloss": log_loss(p, t)}
    return {**{key: round(float(value), 6) for key, value in scores.items()}, **times, **sizes}


def log_loss(p: np.ndarray, t: np.ndarray) -> float:
    p = np.maximum(p, LEAST)
    return -np.log(p[np.arange(len(t)), t] / p.sum(axis=1)).mean()


def page(rows: list[dict[str, str]]) -> str:
    """Return the tables of scores, ranks and times as Markdown; of a model that was run twice, the first row counts."""
    found: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        found[row["table"], row["split"]].setdefault(row["model"], row)
    found = {key: models for key, models in found.items() if OURS in models}
    models = sorted({model for each in found.values() for model in each}, key=lambda name: (name != OURS, name))
    said = [HEAD.format(len(found), len({table for table, _ in found}))]
    for names, title in ((FIRST, "Accuracy, or R2 for numbers"), (SECOND, "Log-loss, or RMSE for numbers")):
        said += ["", f"## {title}", "", *_scores(found, models, names)]
    said += ["", "## Seconds of a fit", "", *_scores(found, models, ("fit_s",), digits=1), ""]
    return "\n".join(said)


def _scores(found: Any, models: list[str], names: tuple[str, ...], digits: int = 4) -> list[str]:
    """Return the lines of a table: the means over the splits of each table, and the mean rank over all splits."""
    lines = [f"| table | {' | '.join(models)} |", f"| --- |{' ---: |' * len(models)}"]
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    ranks: dict[str, list[float]] = defaultdict(list)
    for (table, _), each in found.items():
        here = {
            model: float(value) for model, row in each.items() if (value := next((row[n] for n in names if row[n]), ""))
        }
        signs = -1 if names == FIRST else 1
        for model, rank in zip(here, rankdata([signs * value for value in here.values()]), strict=True):
            ranks[model].append(rank)
            values[table][model].append(here[model])
    for table, each in values.items():
        cells = (f"{np.mean(each[model]):.{digits}f}" if each[model] else "" for model in models)
        lines.append(f"| {table} | {' | '.join(cells)} |")
    means = (f"**{np.mean(ranks[model]):.2f}** ({len(ranks[model])})" if ranks[model] else "" for model in models)
    return [*lines, f"| mean rank (splits) | {' | '.join(means)} |"]


if __name__ == "__main__":
    main()
