"""What each part of the estimators for tables is worth: by rows held out from training parts, never by test rows.

    python benchmarks/ablation.py [--tables DIR] [--rows 1000] [--only table,...] [--variants name,...]
                                  [--results ablation.csv] [--page docs/ablation.md]

Of each table's first training part, three quarters train and a quarter judges (three draws for tables of at most 1,500
rows). Each variant differs from the default in one thing. The page has the mean over the tables of the loss relative to
the default's (log-loss, or squared error), how many tables are worse and better by more than a hundredth, and the ratio
of the times of a fit. A score that the results have is not computed again. Without a folder of tables, these
are scikit-learn's own sets.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from accuracy_results import append, read
from accuracy_tables import Table, bundled, from_folder
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

import fullyconnected as fc
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.vocabulary import Vocabulary
from fullyconnected.tabular import training
from fullyconnected.tabular.ensemble import Ensemble
from fullyconnected.tabular.recipe import PRESETS, Recipe
from fullyconnected.tabular.tasks import CLASSES, NUMBERS
from fullyconnected.tabular.training import Trained

SMALL = 1500  # a table of at most as many rows is judged by three draws
COLUMNS = ["table", "draw", "variant", "loss", "fit_s", "rows"]
HEAD = """# What each part is worth

`python benchmarks/ablation.py` has written this page: {} tables, of at most {} training rows each. Three quarters of a
table's training part train, and a quarter judges; no test row was looked at. Each line differs from the default in one
thing. The loss is log-loss or squared error, relative to the default's, as a geometric mean over the tables: above 1 is
worse. Worse and better are tables whose loss differs by more than a hundredth. The time is what a fit takes of the
processor, relative to the default's, as a median.
"""


@dataclass(frozen=True)
class Variant:
    """A recipe, what its training is changed by, and how its trained ensemble is changed before it predicts."""

    text: str
    recipe: Recipe = PRESETS["default"]
    options: Callable[[dict[str, Any], str], dict[str, Any]] = lambda settings, task: {}
    change: Callable[[Ensemble], Ensemble] = lambda ensemble: ensemble

    def trained(self, x: np.ndarray, t: np.ndarray, features: Any, task: str, n_out: int, **settings: Any) -> Trained:
        """Return the ensemble that is trained with the changed settings of :func:`fullyconnected.fit`."""
        run, recipe = training._run, self.recipe.for_table(len(x), task, n_out)

        def changed(net: Any, x: Any, t: Any, epochs: int, given: dict[str, Any], **score: Any) -> Any:
            return run(net, x, t, epochs, {**given, **self.options(given, task)}, **score)

        with mock.patch.object(training, "_run", changed):
            return training.train(x, t, features, task, n_out, recipe, **settings)


def at(change: Callable[[float], float]) -> Callable[[Ensemble], Ensemble]:
    return lambda ensemble: replace(ensemble, temperature=change(ensemble.temperature))


def decaying(settings: dict[str, Any], task: str) -> dict[str, Any]:
    return {"optimizer": fc.AdamW(settings["optimizer"].lr, 0.9, 0.95, weight_decay=0.01)}


def muon(settings: dict[str, Any], task: str) -> dict[str, Any]:
    return {"optimizer": fc.Muon(0.02, rest=settings["optimizer"])}


VARIANTS = {
    "default": Variant("the default"),
    "cold": Variant("no temperature", change=at(lambda t: 1.0)),
    "hot": Variant("the whole temperature above 1, too", change=at(lambda t: max(t, t * t))),
    "smooth": Variant("numbers as they are, alone (`smooth`)", Recipe(views=("smooth",))),
    "bends": Variant("with their bins, alone (`bends`)", Recipe(views=("bends",))),
    "bins 16": Variant("16 bins", Recipe(bins=16)),
    "bins 64": Variant("64 bins", Recipe(bins=64)),
    "plain labels": Variant("labels not smoothed", Recipe(smoothing=0.0)),
    "smoother": Variant("labels smoothed by 0.1", Recipe(smoothing=0.1)),
    "no logarithm": Variant("no logarithm of a long tail", Recipe(logarithm=False)),
    "own": Variant("epochs by a member's own held-out rows", options=lambda k, task: {"best_per_member": True}),
    "constant": Variant("a constant learning rate", options=lambda k, task: {"schedule": None}),
    "decay": Variant("weight decay of 0.01", options=decaying),
    "muon": Variant("Muon for the hidden matrices", options=muon),
    "ema": Variant("averaged weights", options=lambda k, task: {"average": fc.EMA(0.99)}),
    "members 2": Variant("2 members", Recipe(members=2)),
    "members 4": Variant("4 members", Recipe(members=4)),
    "members 16": Variant("16 members", Recipe(members=16)),
    "width 32": Variant("32 units a layer", Recipe(hidden=(32,) * 3)),
    "width 128": Variant("128 units a layer", Recipe(hidden=(128,) * 3)),
    "width 256": Variant("256 units a layer", Recipe(hidden=(256,) * 3)),
    "one layer": Variant("one hidden layer", Recipe(hidden=(64,))),
    "two layers": Variant("two hidden layers", Recipe(hidden=(64, 64))),
    "epochs 16": Variant("16 epochs", Recipe(epochs=16)),
    "epochs 32": Variant("32 epochs", Recipe(epochs=32)),
    "epochs 128": Variant("128 epochs", Recipe(epochs=128)),
    "fast": Variant('`preset="fast"`', PRESETS["fast"]),
    "best": Variant('`preset="best"`', PRESETS["best"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, metavar="DIR", help="a folder of tables")
    parser.add_argument("--rows", type=int, default=1000, help="training rows of a table (default: %(default)s)")
    parser.add_argument("--only", type=lambda text: text.split(","), help="tables, by name")
    parser.add_argument("--variants", type=lambda text: text.split(","), default=list(VARIANTS), help="by name")
    parser.add_argument("--threads", type=int, default=1, help="threads of a fit (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path("ablation.csv"), help="default: %(default)s")
    parser.add_argument("--page", type=Path, help="a Markdown page to write")
    given = parser.parse_args()
    if unknown := [name for name in given.variants if name not in VARIANTS]:
        parser.error(f"there is no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}")
    tables = dict(from_folder(given.tables) if given.tables else bundled())
    loaded = {name: load() for name, load in tables.items() if not given.only or name in given.only}
    for variant in given.variants:  # one variant after the other, so that a run that is ended has whole lines
        for table in loaded.values():
            for draw in range(3 if len(next(iter(table.splits.values()))[0]) <= SMALL else 1):
                run(table, draw, variant, given)
    text = page(read(given.results), given.rows)
    print(text)
    if given.page:
        given.page.write_text(text, encoding="utf-8")


def run(table: Table, draw: int, name: str, given: argparse.Namespace) -> None:
    """Append the losses of a variant to the results, with all variants that need the same fit."""
    done = {(row["table"], row["draw"], row["variant"]) for row in read(given.results)}
    if (table.name, str(draw), name) in done:
        return
    x, t, features, task, n_out, learn, judged = parts(table, draw, given.rows)
    made = VARIANTS[name]
    began = time.process_time()
    trained = made.trained(x[learn], t[learn], features, task, n_out, seed=draw, n_threads=given.threads)
    took = time.process_time() - began
    for each, variant in VARIANTS.items():
        same = (variant.recipe, variant.options) == (made.recipe, made.options)
        if same and (table.name, str(draw), each) not in done:
            value = loss(variant.change(trained.ensemble).predict(x[judged], given.threads), t[judged], task)
            row = {"table": table.name, "draw": draw, "variant": each, "loss": f"{value:.6g}"}
            append(given.results, {**row, "fit_s": f"{took:.3f}", "rows": len(learn)}, COLUMNS)
            print(*row.values(), f"{took:.1f} s", flush=True)


def parts(table: Table, draw: int, most: int) -> tuple[Any, ...]:
    """Return the encoded training part, its targets, and the rows that train and that judge."""
    rows = next(iter(table.splits.values()))[0]
    frame, y = table.x.iloc[rows], table.y[rows]
    n = min(most, len(rows) * 3 // 4)
    kind = ShuffleSplit if table.classes is None else StratifiedShuffleSplit
    learn, judged = next(kind(1, train_size=n, test_size=len(rows) // 4, random_state=draw).split(frame, y))
    seen = frame_of(frame.iloc[learn])
    vocabulary = Vocabulary.of(seen, judge(seen, "from_dtype"))
    x = vocabulary.encode(frame_of(frame))
    if table.classes is None:
        return x, y[:, None], vocabulary.features, NUMBERS, 1, learn, judged
    present = np.unique(y[learn])
    judged = judged[np.isin(y[judged], present)]
    return x, np.searchsorted(present, y), vocabulary.features, CLASSES, len(present), learn, judged


def loss(p: np.ndarray, t: np.ndarray, task: str) -> float:
    """Return the mean squared error, or the log-loss of probabilities of 1e-7 or more."""
    if task == NUMBERS:
        return float(np.mean((p - t) ** 2))
    return float(np.mean(-np.log(np.maximum(p[np.arange(len(t)), t], 1e-7))))


def page(rows: list[dict[str, str]], most: int) -> str:
    """Return the ratios of losses and times as Markdown."""
    losses: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        losses[row["variant"]][row["table"]].append(float(row["loss"]))
        times[row["variant"]][row["table"]].append(float(row["fit_s"]))
    base, began = losses["default"], times["default"]
    lines = ["| | loss | worse | better | time |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, variant in VARIANTS.items():
        if name not in losses:
            continue
        same = [table for table in base if len(losses[name].get(table, ())) == len(base[table])]
        if len(same) < len(base):  # a run that was ended in the middle of a variant
            continue
        ratios = np.array([np.mean(losses[name][table]) / np.mean(base[table]) for table in same])
        took = np.median([np.mean(times[name][table]) / np.mean(began[table]) for table in same])
        worse, better = (ratios > 1.01).sum(), (ratios < 0.99).sum()
        lines.append(f"| {variant.text} | {np.exp(np.log(ratios).mean()):.3f} | {worse} | {better} | {took:.2f} |")
    return "\n".join([HEAD.format(len(base), f"{most:,}"), *lines, ""])


if __name__ == "__main__":
    main()
