"""How good a saved model is on the rows of a table whose targets are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fullyconnected.assessment.assess import OURS, TRIVIAL, Part, Scored
from fullyconnected.assessment.outcomes import Confusion, Residuals, confusion_of, residuals_of
from fullyconnected.assessment.problem import Problem, Roles, problem_of
from fullyconnected.assessment.stored import Facts, facts_in
from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, DataError
from fullyconnected.files import Model
from fullyconnected.tables.column import text_of
from fullyconnected.tables.frame import Frame
from fullyconnected.tables.levels import key_of_level
from fullyconnected.tables.model import TABLE
from fullyconnected.tabular.tasks import CLASSES, NUMBERS

__all__ = ["Evaluation", "codes_of", "evaluate", "target_in"]


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on some rows.

    Attributes
    ----------
    problem : Problem
        The rows and their targets.
    models : tuple of Scored
        The scores of the model, then those of a trivial prediction, in ``test``.
    confusion : Confusion or None
        Of classes.
    residuals : Residuals or None
        Of numbers.
    unknown : int
        Rows whose class the model does not know; they are not scored.
    facts : Facts or None
        What the file of the model says of its training.
    """

    problem: Problem
    models: tuple[Scored, ...]
    confusion: Confusion | None
    residuals: Residuals | None
    unknown: int
    facts: Facts | None


def target_in(model: Model, given: str | None = None) -> str:
    """Return the column that a model in a file predicts, unless it is given; raise if the file does not name it."""
    facts, earlier = facts_in(model), model.extras.get(TABLE)
    if given is not None:
        return given
    if facts is not None:
        return facts.roles.target
    if isinstance(earlier, dict) and isinstance(earlier.get("target"), str):
        return str(earlier["target"])
    raise ConfigError("the file does not name the column that is predicted; name it: --target COLUMN")


def evaluate(
    frame: Frame, model: Model, predictor: Any, *, target: str | None = None, weight: str | None = None
) -> Evaluation:
    """Return how good a model is on the rows of a table that have a target.

    Parameters
    ----------
    frame : Frame
        The table, with the target.
    model : Model
        What the file holds.
    predictor : Predictor
        What predicts by it, or an estimator's like with ``classes``.
    target, weight : str, optional
        The columns of targets and weights; the target that the file names if None.

    Raises
    ------
    ConfigError
        If the file names no target, or the table has no such column.
    DataError
        If no row has a target that the model could predict.
    """
    classes, facts = predictor.classes, facts_in(model)
    roles = Roles(target_in(model, target), weight=weight)
    task = "regression" if classes is None else "classification"
    known = () if classes is None else {str(each) for each in classes.tolist()}
    problem = problem_of(frame, roles, task=task, labels=known, learned=False)
    w = np.ones(len(problem.y)) if problem.weights is None else problem.weights
    if classes is None:
        t = np.asarray(problem.y, np.float64)
        part = Part(t, np.asarray(predictor.predict(problem.frame), np.float64)[:, None], w)
        usual = np.array(facts.usual) if facts is not None else np.array([np.average(t, weights=w)])
    else:
        codes = codes_of(problem.y, classes)
        there = codes >= 0
        if not there.any():
            raise DataError(
                f"{problem.source}: no row has a class that the model knows: {_some(classes)}; column "
                f"{problem.roles.target!r:.80} has {_some(np.unique(problem.y))}"
            )
        p = predictor.predict_proba(problem.frame)
        part = Part(codes[there], p[there], w[there], int(np.count_nonzero(~there)))
        counts = np.bincount(part.t, part.w, minlength=len(classes))
        usual = np.array(facts.usual) if facts is not None else counts / counts.sum()
    trivial = part._replace(p=np.broadcast_to(usual, part.p.shape))
    kind = NUMBERS if classes is None else CLASSES
    return Evaluation(
        problem,
        (Scored(OURS, None, part.scores(kind)), Scored(TRIVIAL, None, trivial.scores(kind))),
        None if classes is None else confusion_of(part.t, part.p, classes),
        residuals_of(part.t, part.p[:, 0]) if classes is None else None,
        part.unknown,
        facts,
    )


def codes_of(y: Array, classes: Array) -> Array:
    """Return the number of each label among the classes, or -1; labels are equal if they are written alike."""
    places = {_written(each): i for i, each in enumerate(classes.tolist())}
    return np.array([places.get(_written(each), -1) for each in y.tolist()], np.intp)


def _written(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else key_of_level(text_of(label))


def _some(labels: Array) -> str:
    shown = [f"{each!r:.40}" for each in labels.tolist()[:6]]
    return printable(", ".join(shown) + ", ..." * (len(labels) > 6))
