"""What a model file holds of the training on a table beside the estimator: the columns' roles, and the scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.assessment.assess import Assessment, Scored
from fullyconnected.assessment.problem import Problem, Roles
from fullyconnected.core.version import __version__
from fullyconnected.errors import FileFormatError
from fullyconnected.files import Model, write_model
from fullyconnected.tables.described import taken
from fullyconnected.tabular.stored import number
from fullyconnected.tabular.tasks import CLASSES, NUMBERS

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["Facts", "facts_in", "facts_of", "save"]

TRAINED = "trained"  # the name of the extras
FORMAT = 1


@dataclass(frozen=True)
class Facts:
    """What is known of the training.

    Attributes
    ----------
    roles : Roles
        What columns were for.
    task : str
        ``"classes"`` or ``"numbers"``.
    table : str
        The name of the table's file, without its folder.
    rows, test_rows, lacking : int
        The rows that were learned from, the test part, and the rows without a target, which were left out.
    models : tuple of Scored
        The scores of the estimator and of simpler models; empty if it was interrupted before.
    usual : tuple of float
        What a trivial model predicts: the share of each class, or the mean.
    version : str
        The version of the library.
    """

    roles: Roles
    task: str
    table: str
    rows: int
    test_rows: int
    lacking: int
    models: tuple[Scored, ...]
    usual: tuple[float, ...]
    version: str = __version__


def facts_of(problem: Problem, held: Any, found: Assessment | None = None) -> Facts:
    """Return what is to be kept of a training, with the scores if there are some."""
    from os.path import basename

    learned = problem.at(~held)
    w = np.ones(len(learned.y)) if learned.weights is None else learned.weights
    if problem.task == CLASSES:
        counts = np.bincount(np.unique(learned.y, return_inverse=True)[1], w)
        usual = counts[counts > 0] / counts.sum()  # a class without weight is not learned
    else:
        usual = np.array([np.average(np.asarray(learned.y, np.float64), weights=w)])
    test_rows, models = int(np.count_nonzero(held)), () if found is None else found.models
    return Facts(
        problem.roles, problem.task, basename(problem.source), len(learned.y), test_rows, problem.lacking, models,
        tuple(usual.tolist()),
    )  # fmt: skip


def save(estimator: Any, facts: Facts, path: PathLike) -> None:
    """Write an estimator and what is known of its training to a file, which ``fc.load_estimator`` reads."""
    from fullyconnected.estimators.files import parameters_of
    from fullyconnected.estimators.tabular_files import model_file

    described = {"format": FORMAT, **asdict(facts), "models": [each._asdict() for each in facts.models]}
    model = model_file(estimator, parameters_of(estimator))
    model.extras[TRAINED] = described
    write_model(path, model)


def facts_in(model: Model) -> Facts | None:
    """Return what a file holds of a training on a table, or None if it does not.

    Raises
    ------
    FileFormatError
        If it is damaged, or of another version.
    """
    described = model.extras.get(TRAINED)
    if described is None:
        return None
    if taken(described, "format", int) != FORMAT:
        raise FileFormatError(f"the facts of a training are of format {described['format']}, not {FORMAT}")
    task = taken(described, "task", str)
    if task not in (CLASSES, NUMBERS):
        raise FileFormatError(f"the task of a training is {task!r:.80}")
    roles = taken(described, "roles", dict)
    ignore, ids = (tuple(_texts(taken(roles, name, list))) for name in ("ignore", "ids"))
    alone = [None if roles.get(name) is None else taken(roles, name, str) for name in ("weight", "group", "time")]
    models = [
        Scored(taken(each, "name", str), _scores(each.get("validation")), _scores(each.get("test")),
               None if each.get("seconds") is None else number(each["seconds"]))
        for each in taken(described, "models", list)
    ]  # fmt: skip
    rows, test_rows, lacking = (taken(described, name, int) for name in ("rows", "test_rows", "lacking"))
    return Facts(
        Roles(taken(roles, "target", str), ignore, ids, *alone),
        task,
        taken(described, "table", str),
        rows,
        test_rows,
        lacking,
        tuple(models),
        tuple(number(each) for each in taken(described, "usual", list)),
        taken(described, "version", str),
    )


def _texts(values: list[Any]) -> list[str]:
    if not all(isinstance(each, str) for each in values):
        raise FileFormatError("the names of columns are texts")
    return values


def _scores(described: Any) -> dict[str, float] | None:
    if described is None:
        return None
    if not isinstance(described, dict):
        raise FileFormatError("scores are a name and a number each")
    return {str(name): number(value) for name, value in described.items()}
