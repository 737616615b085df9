"""An estimator is trained on a part of a table, and judged beside simpler models on the rows that were held out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fullyconnected.assessment.leaks import Suspect, repeated, suspects
from fullyconnected.assessment.outcomes import Confusion, Residuals, confusion_of, residuals_of
from fullyconnected.assessment.problem import Problem
from fullyconnected.assessment.splitting import MOST_SPLITS, in_time
from fullyconnected.core.arrays import Array
from fullyconnected.core.mapped import is_mapped, taken
from fullyconnected.tabular.scores import scores_of
from fullyconnected.tabular.tasks import CLASSES, NUMBERS

if TYPE_CHECKING:
    from fullyconnected.estimators import TabularClassifier, TabularRegressor

__all__ = ["LINEAR", "OURS", "TRIVIAL", "Assessment", "Part", "Scored", "assess", "judged", "train"]

OURS, LINEAR, TRIVIAL = "this model", "linear model", "trivial"
FEWEST = 2  # members that an ensemble has whatever its time
MOST_ROWS = 50_000  # of a table on which the linear baseline is also trained for every fold
ENTRIES = 1 << 22  # rows times columns that other models learn from, of a table in a file


class Scored(NamedTuple):
    """A model and its scores, by name, for rows held out in training and for the test part; None if there are none."""

    name: str
    validation: Mapping[str, float] | None
    test: Mapping[str, float] | None
    seconds: float | None = None


class Part(NamedTuple):
    """Rows with known targets and what is predicted for them.

    ``t`` are class numbers or numbers (rows,), ``p`` probabilities (rows, classes) or values (rows, 1), ``w`` the
    weights, and ``unknown`` the rows left out since training has not seen their class.
    """

    t: Array
    p: Array
    w: Array
    unknown: int = 0

    def scores(self, task: str) -> dict[str, float]:
        """Return the scores by name, the first of which is better the larger it is."""
        return {each.name: each.value for each in scores_of(self.p, self.shaped(task), self.w, task)[1]}

    def at(self, rows: Array) -> Part:
        """Return some of the rows."""
        return Part(self.t[rows], self.p[rows], self.w[rows], self.unknown)

    def shaped(self, task: str) -> Array:
        """Return the targets as scores take them."""
        return self.t[:, None] if task == NUMBERS else self.t


@dataclass(frozen=True)
class Assessment:
    """What was found in a table, and how well an estimator predicts it.

    Attributes
    ----------
    problem : Problem
        What was learned, with the rows of all parts.
    estimator : TabularClassifier or TabularRegressor
        What was trained, on the rows that are not held out.
    held : array (rows,) of bool
        The test part.
    models : tuple of Scored
        The estimator first, then simpler or other models, and a trivial prediction last.
    judged : Part
        The rows of the test part, or if there is none those held out in training, and what is predicted for them.
    judged_by : str
        ``"test"`` or ``"held-out"``: which rows these are.
    confusion : Confusion or None
        Of classes.
    residuals : Residuals or None
        Of numbers.
    suspects : tuple of Suspect
        Columns that tell the target by themselves.
    repeated, duplicates : int
        Rows of the test part that equal a training row in all columns, and training rows that equal another.
    unknown : int
        Rows of the test part whose class training has not seen; they are not scored.
    importances : tuple of (column, value)
        How much the estimator relies on each column, the largest first.
    compared : int or None
        How many of the training rows the other models have learned from, if these lie in a file and are too many.
    """

    problem: Problem
    estimator: TabularClassifier | TabularRegressor
    held: Array
    models: tuple[Scored, ...]
    judged: Part
    judged_by: str
    confusion: Confusion | None
    residuals: Residuals | None
    suspects: tuple[Suspect, ...]
    repeated: int = 0
    duplicates: int = 0
    unknown: int = 0
    importances: tuple[tuple[str, float], ...] = ()
    compared: int | None = None

    @property
    def training_rows(self) -> int:
        """The rows that were learned from."""
        return int(np.count_nonzero(~self.held))

    @property
    def test_rows(self) -> int:
        """The rows of the test part."""
        return int(np.count_nonzero(self.held))


def train(problem: Problem, held: Array, settings: Mapping[str, Any]) -> TabularClassifier | TabularRegressor:
    """Return an estimator that has learned from the rows that are not held out.

    Parameters
    ----------
    problem : Problem
    held : array (rows,) of bool
        The test part.
    settings : mapping
        Parameters of the estimator.
    """
    from fullyconnected.estimators import TabularClassifier, TabularRegressor

    learned = problem.at(~held)
    kind: Any = TabularClassifier if problem.task == CLASSES else TabularRegressor
    estimator = kind(**settings)
    estimator.set_params(cv=None if learned.times is None else _in_time(learned.times, estimator))
    estimator.fit(learned.frame, learned.y, learned.weights, groups=learned.groups)
    return estimator.set_params(cv=None)  # which is of these rows alone, and would not be in a file


def assess(
    problem: Problem,
    estimator: TabularClassifier | TabularRegressor,
    held: Array,
    *,
    compare: bool = False,
    seconds: float | None = None,
    say: Callable[[str], None] | None = None,
) -> Assessment:
    """Return what was found and how well the estimator predicts, beside a linear model and a trivial prediction.

    Parameters
    ----------
    problem : Problem
    estimator : TabularClassifier or TabularRegressor
        As :func:`train` returns it.
    held : array (rows,) of bool
        The test part, which is scored once.
    compare : bool
        Whether boosted trees and a random forest are trained as well, on the same rows.
    seconds : float, optional
        How long the estimator was trained.
    say : function, optional
        Is told the name of each further model before it is trained, and why one cannot be.
    """
    from fullyconnected.estimators.rivals import RIVALS, Rival

    learned, tested = problem.at(~held), problem.at(held)
    oof = estimator.oof_predictions_
    if learned.weights is not None:  # a row of weight 0 is as if it were not there
        counts = np.asarray(learned.weights > 0)
        learned, oof = learned.at(counts), oof[counts]
    whole = _part(learned, oof if oof.ndim == 2 else oof[:, None], estimator)
    judged_rows = np.asarray(~np.isnan(whole.p).any(axis=1))  # a split in time judges the later rows alone
    validation, test = whole.at(judged_rows), judged(tested, estimator) if len(tested.y) else None
    task, n_out = problem.task, whole.p.shape[1]
    models = [Scored(OURS, validation.scores(task), None if test is None else test.scores(task), seconds)]
    x, features = estimator.vocabulary_.encode(learned.frame), estimator.vocabulary_.features
    x_test = x[:0] if test is None else estimator.vocabulary_.encode(tested.frame)
    if test is not None and test.unknown:
        x_test = x_test[_known(tested, estimator)]
    seed = int(estimator.random_state) if isinstance(estimator.random_state, int) else 0
    splits = _splits(learned, whole.shaped(task), estimator, seed)
    of_parts = splits if compare or len(x) <= MOST_ROWS else None
    rows = _Rows(x, whole, judged_rows, of_parts, x_test, test, _some(x, seed))
    for name in RIVALS if compare else RIVALS[:1]:
        if say is not None:
            say(name)
        try:
            models.append(_rival(partial(Rival, name, features, task, n_out, seed), name, rows, task, n_out))
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:  # such as numbers that are too large
            if say is not None:
                say(f"the {name} cannot learn this table: {error!s:.100}")
    models.append(_trivial(whole, validation, test, task, n_out))
    part, by = (validation, "held-out") if test is None else (test, "test")
    classes = task == CLASSES
    return Assessment(
        problem,
        estimator,
        held,
        tuple(models),
        part,
        by,
        confusion_of(part.t, part.p, estimator.classes_) if classes else None,
        None if classes else residuals_of(part.t, part.p[:, 0]),
        suspects(learned, estimator.vocabulary_),
        repeated(x_test, x),
        repeated(x),
        0 if test is None else test.unknown,
        _importances(estimator),
        None if rows.some is None else len(rows.some),
    )


def judged(problem: Problem, model: Any) -> Part:
    """Return the rows of a problem with what a fitted model predicts for them; those of unknown classes are left out.

    ``model`` has ``predict``, or for classes ``predict_proba`` and ``classes_`` or ``classes``.
    """
    if problem.task == NUMBERS:
        return _part(problem, np.asarray(model.predict(problem.frame), np.float64)[:, None], model)
    return _part(problem, model.predict_proba(problem.frame), model)


def _part(problem: Problem, p: Array, model: Any) -> Part:
    w = np.ones(len(problem.y)) if problem.weights is None else problem.weights
    if problem.task == NUMBERS:
        return Part(np.asarray(problem.y, np.float64), p, w)
    known = _known(problem, model)
    t = np.searchsorted(_classes(model), problem.y[known])
    return Part(t, p[known], w[known], int(np.count_nonzero(~known)))


def _classes(model: Any) -> Array:
    classes = getattr(model, "classes_", None)
    return np.asarray(model.classes if classes is None else classes)


def _known(problem: Problem, model: Any) -> Array:
    known = {*_classes(model).tolist()}
    return np.array([each in known for each in problem.y.tolist()], bool)


class _Rows(NamedTuple):
    """The encoded rows that models are compared on: those to learn from, how they are split, and the test part."""

    x: Array
    whole: Part
    judged: Array
    splits: Sequence[tuple[Array, Array]] | None
    x_test: Array
    test: Part | None
    some: Array | None  # of which the models learn, if not of all


def _in_time(times: Array, estimator: Any) -> list[tuple[Array, Array]]:
    """Return splits in time for an estimator: each member has one, and a budget of time may leave few members."""
    return in_time(times, estimator.n_members or (MOST_SPLITS if estimator.max_time is None else FEWEST))


def _splits(learned: Problem, t: Array, estimator: Any, seed: int) -> list[tuple[Array, Array]]:
    """Return the splits of the training rows by which the estimator was judged, as indices."""
    if learned.times is not None:
        return _in_time(learned.times, estimator)
    from fullyconnected.estimators.rivals import fold_of_rows

    fold = fold_of_rows(t, len(estimator.report_.networks[0].kept), seed, learned.groups)
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in np.unique(fold)]


def _some(x: Array, seed: int) -> Array | None:
    """Return the numbers of the rows that other models learn from, as many of a file as memory is spent on, or None."""
    most = max(MOST_ROWS, ENTRIES // max(1, x.shape[1]))
    if len(x) <= most or not is_mapped(x):
        return None
    return np.sort(np.random.default_rng((seed, 4)).choice(len(x), most, replace=False))


def _predicted(model: Any, x: Array) -> Array:
    """Return what a model says of rows, a part of those of a file at a time."""
    if not is_mapped(x):
        return np.asarray(model.predict(x))
    return np.concatenate([model.predict(x[start : start + MOST_ROWS]) for start in range(0, len(x), MOST_ROWS)])


def _rival(make: Callable[[], Any], name: str, rows: _Rows, task: str, n_out: int) -> Scored:
    """Return the scores of another model on the same splits and the same test rows."""
    validation = tested = None
    x, t, w = rows.x, rows.whole.t, rows.whole.w
    began = time.perf_counter()
    some = slice(None) if rows.some is None else rows.some
    model = make().fit(x[some], t[some], w[some])
    seconds = time.perf_counter() - began
    if rows.test is not None:
        tested = rows.test._replace(p=_predicted(model, rows.x_test)).scores(task)
    if rows.splits is not None:
        p = np.zeros_like(rows.whole.p)
        for train, out in rows.splits:
            if task == CLASSES and (t[train] == t[train][0]).all():  # which scikit-learn refuses
                p[out] = np.eye(n_out)[t[train][0]]
            else:
                train = train if rows.some is None else np.intersect1d(train, rows.some)
                p[out] = _predicted(make().fit(x[train], t[train], w[train]), taken(x, out))
        validation = rows.whole._replace(p=p).at(rows.judged).scores(task)
    return Scored(name, validation, tested, seconds)


def _trivial(whole: Part, validation: Part, test: Part | None, task: str, n_out: int) -> Scored:
    """Return the scores of the most frequent class and the classes' shares, or of the mean, in the training rows."""
    if task == CLASSES:
        usual = np.bincount(whole.t, whole.w, minlength=n_out) / whole.w.sum()
    else:
        usual = np.array([np.average(whole.t, weights=whole.w)])
    scores = [
        None if part is None else part._replace(p=np.broadcast_to(usual, part.p.shape)).scores(task)
        for part in (validation, test)
    ]
    return Scored(TRIVIAL, scores[0], scores[1])


def _importances(estimator: Any) -> tuple[tuple[str, float], ...]:
    pairs = zip(estimator.feature_names_in_.tolist(), estimator.feature_importances_.tolist(), strict=True)
    return tuple(sorted(pairs, key=lambda pair: -pair[1]))
