"""What both estimators for tables share: the table, the weights of its rows, the training, and its report."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fullyconnected.comm.choice import choose
from fullyconnected.core.arrays import Array, of_usual_size
from fullyconnected.core.checks import duration
from fullyconnected.core.mapped import taken
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError
from fullyconnected.estimators.sources import with_own
from fullyconnected.estimators.tabular_parameters import hidden_sizes
from fullyconnected.estimators.targets import groups_of, plain_targets
from fullyconnected.estimators.warning import warn
from fullyconnected.program.sources import Source
from fullyconnected.tables.dataframes import is_dataframe
from fullyconnected.tables.frame import Frame, frame_of
from fullyconnected.tables.gathered import frame_of_source, is_source, parts_of, placed
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.vocabulary import Vocabulary

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, PathLike, TableLike
    from fullyconnected.tabular.ensemble import Ensemble
    from fullyconnected.tabular.report import TabularReport

__all__ = ["BaseTabular", "Targets"]

LISTED = 5  # names of columns in a message, as scikit-learn has it


class Targets(NamedTuple):
    """The targets of the rows that are learned from.

    ``t`` are class numbers (rows,), labels of 0 and 1 (rows, labels), or numbers (rows, outputs), for one of the tasks
    of ``tabular/tasks.py``; ``fitted`` are the attributes that the estimator has of them, and ``factor`` gives the
    factors of the rows by the classes.
    """

    task: str
    t: Array
    n_out: int
    fitted: dict[str, Any]
    factor: Callable[[Array], Array]


class BaseTabular(BaseEstimator):
    """The common part of the estimators for tables; a subclass says what targets and predictions are."""

    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": False}  # unless asked, groups are for a splitter

    ensemble_: Ensemble
    vocabulary_: Vocabulary
    report_: TabularReport
    oof_predictions_: Array
    feature_importances_: Array
    n_features_in_: int
    n_outputs_: int
    n_iter_: int

    # what a subclass defines

    def _targets(self, y: Array) -> Targets:
        """Return checked targets as the training takes them."""
        raise NotImplementedError

    def _in_shape(self, predicted: Array) -> Array:
        """Return predictions (rows, outputs) as the estimator gives them."""
        return predicted

    # training

    def fit(
        self,
        X: TableLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train on the rows of a table.

        Parameters
        ----------
        X : DataFrame, Arrow table, dict, list of rows, array, or what ``read_frame`` gives
            Numbers, text, booleans, dates and missing cells, as they are. A source such as ``fc.Parquet("rows/",
            target="price")``, or an array that is mapped from a file, may be larger than memory: it is read once, and
            what networks read of it is kept in a temporary file.
        y : array (rows,) or (rows, outputs), optional
            Labels, or numbers; a column each for several labels (0 or 1) or outputs. None may be missing. A source may
            have them itself.
        sample_weight : array (rows,), optional
            Weights, 0 or more; None takes those of a source. A row of weight 0 is as if it were not there.
        groups : array (rows,), optional
            Rows of the same group are held out together.

        Returns
        -------
        self
        """
        began = time.perf_counter()
        self._validate_params()
        seconds = None if self.max_time is None else duration("max_time", self.max_time)
        sizes = self.n_members, hidden_sizes(self.hidden), self.epochs
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ConfigError(
                f"checkpoint needs an int as random_state, so that a fit that goes on has the same seed; got "
                f"{self.random_state!r:.80}"
            )
        y, sample_weight = with_own(X, y, sample_weight)
        if y is None:
            _frame(X)  # what X is comes first
            raise ShapeError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        frame = _frame(X)
        if not frame.rows:
            raise DataError("Found array with 0 sample(s) while a minimum of 1 is required: X has no rows")
        weights = _weights(sample_weight, frame.rows)
        given, group = plain_targets(y, weights > 0), groups_of(groups, weights > 0)
        rows = np.flatnonzero(weights)
        targets = self._targets(given)
        learned = of_usual_size(weights[rows] * targets.factor(weights[rows]))
        kept = learned > 0  # a class may weigh nothing
        if not kept.any():
            raise ConfigError("No row has a weight: sample_weight and class_weight are zero for one or the other.")
        rows, learned, t = rows[kept], learned[kept], targets.t[kept]
        is_whole = len(rows) == frame.rows
        if len(rows) < 2:
            raise DataError(
                "one sample alone has a weight (n_samples=1); an estimator for tables holds rows out, and needs two"
            )
        learned_from = frame if is_whole else frame.at(rows)
        with placed(X, rows):
            decisions = judge(learned_from, self.categorical_features)
            vocabulary = Vocabulary.of(learned_from, decisions)
        with placed(X):
            x = vocabulary.encode(frame)
        if isinstance(X, Source):  # a splitter and a score get the numbers of its rows
            X = np.arange(frame.rows)[:, None]
        learned_x = x if is_whole else taken(x, rows)
        comm = choose(self.comm)
        seed = comm.broadcast(int(check_random_state(self.random_state).randint(2**31 - 1)))
        kept_groups = None if group is None else group[kept]
        counts = np.isin(np.arange(frame.rows), rows)
        # what trains is loaded when it is first used
        from fullyconnected.estimators.tabular_linear import linear_predictions
        from fullyconnected.estimators.tabular_scoring import HeldOutScore
        from fullyconnected.estimators.tabular_splits import hold_out_of
        from fullyconnected.tabular.importances import importances
        from fullyconnected.tabular.recipe import PRESETS, SMOOTH
        from fullyconnected.tabular.report import TabularReport, TrainedNetwork
        from fullyconnected.tabular.scores import scores_of
        from fullyconnected.tabular.tasks import CLASSES, NUMBERS
        from fullyconnected.tabular.training import train
        from fullyconnected.training.identity import stable_repr

        recipe = PRESETS[self.preset].for_table(len(rows), targets.task, targets.n_out).but(*sizes)
        hold_out = hold_out_of(
            self.cv, self.validation_fraction, X, given[kept], kept_groups, counts, classes=targets.task == CLASSES
        )
        score, w = None, weights[rows]
        if self.scoring is not None:
            known, given_w = targets.fitted.get("classes_"), None if (w == w[0]).all() else w
            score = HeldOutScore(self.scoring, targets.task, known, X, rows, given[kept], given_w)
        trained = train(
            learned_x,
            t,
            vocabulary.features,
            targets.task,
            targets.n_out,
            recipe,
            sample_weight=learned,
            groups=kept_groups,
            hold_out=hold_out,
            score=score,
            seed=seed,
            max_time=None if seconds is None else seconds - (time.perf_counter() - began),
            kept=[name for name in ("n_members", "hidden") if getattr(self, name) is not None],
            checkpoint=self.checkpoint,
            identity={
                "max_time": seconds,
                "scoring": stable_repr(self.scoring) if callable(self.scoring) else self.scoring,
                "random_state": int(self.random_state) if isinstance(self.random_state, Integral) else None,
            },
            progress=bool(self.verbose),
            n_threads=self._n_threads(),
            comm=comm,
        )
        ensemble = trained.ensemble
        predicted = np.empty((frame.rows, targets.n_out))
        predicted[rows] = trained.predicted
        if not is_whole:  # no member has learned from the others
            others = np.delete(np.arange(frame.rows), rows)
            predicted[others] = ensemble.predict(taken(x, others), self._n_threads())
        matters = importances(
            trained, learned_x, t, w, vocabulary.features, frame.names, seed=seed, n_threads=self._n_threads()
        )
        linear, model = linear_predictions(
            recipe.columns(SMOOTH, vocabulary.features),
            learned_x,
            t,
            learned,
            trained.split,
            targets.task,
            targets.n_out,
            seed=seed,
            n_threads=self._n_threads(),
        )
        out = trained.split.judged
        baseline, scores = scores_of(
            trained.predicted[out],
            t[out],
            w[out],
            targets.task,
            None if linear is None else linear[out],
        )
        networks = tuple(
            TrainedNetwork(view, share, len(history.loss), tuple(history.best_epochs or ()))
            for view, share, history in zip(trained.views, trained.shares, trained.histories, strict=True)
        )
        temperature = None if targets.task == NUMBERS else ensemble.temperature
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(
            targets.fitted,
            ensemble_=ensemble,
            vocabulary_=vocabulary,
            report_=TabularReport(
                len(rows),
                decisions,
                networks,
                temperature,
                baseline,
                scores,
                trained.interrupted,
                tuple(matters.tolist()),
                model,
                trained.recipe.hidden,
                trained.recipe != recipe,
            ),
            feature_importances_=matters,
            n_features_in_=len(frame.columns),
            n_outputs_=targets.n_out,
            n_iter_=max(each.epochs for each in networks),
            **({"feature_names_in_": np.array(frame.names, object)} if frame.named else {}),
        )
        self.oof_predictions_ = self._in_shape(predicted)
        if trained.interrupted:
            warn(
                f"Training interrupted by user: the estimator has the networks {', '.join(trained.views)}, the last "
                f"after {networks[-1].epochs} of {trained.recipe.epochs} epochs, each with its best weights."
                + " A fit with the same data goes on from the checkpoint."
                * (self.checkpoint is not None)
            )
        return self

    def _n_threads(self) -> int | None:
        """Return the number of threads, or None for the library's own choice."""
        return None if self.n_jobs is None else effective_n_jobs(self.n_jobs)

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator to a file, which ``fc.load_estimator`` reads.

        It holds the networks, the parameters, the labels, the names and levels of the columns and the report, and no
        code and no rows: ``oof_predictions_`` is not in it. An old file is replaced in one step.
        """
        check_is_fitted(self, "ensemble_")
        from fullyconnected.estimators.tabular_files import save

        save(self, path)

    # predictions

    def _predicted(self, X: Any) -> Array:
        """Return what the ensemble predicts for the rows of a table, (rows, outputs)."""
        parts = [self.ensemble_.predict(x, self._n_threads(), checked=True) for x in self._encoded(X)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _contributions(self, X: Any) -> Array:
        """Return what each column of the table contributes to predictions (rows, columns + 1, outputs)."""
        parts = self._encoded(X)
        from fullyconnected.tabular.contributions import contributions

        place = {name: i for i, name in enumerate(self.vocabulary_.names)}
        owners = [place[each.source] for each in self.vocabulary_.features]
        found = []
        for x in parts:  # and no comprehension, a frame of its own, since a warning names the caller's line
            found.append(contributions(self.ensemble_, x, owners, len(place), self._n_threads()))
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _encoded(self, X: Any) -> Iterator[Array]:
        """Return the rows of a table as the networks read them: those of a source a few at a time."""
        check_is_fitted(self)
        parts = parts_of(X) if is_source(X) and len(X) else iter([(0, _frame(X))])
        at, first = next(parts)
        self._require_columns(first, is_dataframe(X) and not isinstance(X, np.ndarray | Frame | Source))

        def encoded(at: int, frame: Frame) -> Array:
            with placed(X, at):
                return self.vocabulary_.encode(frame)

        return itertools.starmap(encoded, itertools.chain([(at, first)], parts))

    def _require_columns(self, frame: Frame, ordered: bool) -> None:
        """Raise in scikit-learn's words if the columns are not those of the training table.

        Columns that were not there, or that nothing was learned from, may be absent or anywhere.
        """
        name, known = type(self).__name__, vars(self).get("feature_names_in_")
        if known is None or not frame.named:
            if known is not None:
                warnings.warn(
                    f"X does not have valid feature names, but {name} was fitted with feature names", stacklevel=5
                )
            elif frame.named:
                warnings.warn(f"X has feature names, but {name} was fitted without feature names", stacklevel=5)
            if len(frame.columns) != self.n_features_in_:
                raise ShapeError(
                    f"X has {len(frame.columns)} features, but {name} is expecting {self.n_features_in_} features as "
                    f"input."
                )
            return
        wanted = [each.name for each in self.vocabulary_.encoders]
        said = "The feature names should match those that were passed during fit.\n"
        try:
            found = self.vocabulary_.places(frame.names)
        except ShapeError as error:
            unseen, missing = sorted(set(frame.names) - set(known)), sorted(set(wanted) - set(frame.names))
            for head, names in (("unseen at fit time", unseen), ("seen at fit time, yet now missing", missing)):
                if names:
                    more = "- ...\n" if len(names) > LISTED else ""
                    said += f"Feature names {head}:\n" + "".join(f"- {each}\n" for each in names[:LISTED]) + more
            raise ShapeError(f"{said}{error}") from None
        if ordered and found != sorted(found):
            raise ShapeError(
                f"{said}Feature names must be in the same order as they were in fit.\n"
                f"Put them in it: X[list(model.feature_names_in_)]"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = (
            True  # not `string`: with that, scikit-learn's checks want objects of any type to fit
        )
        return tags

    def _more_tags(self) -> dict[str, Any]:
        return {"allow_nan": True, "multilabel": True, "multioutput": True}  # as scikit-learn before 1.6 reads them


def _frame(X: Any) -> Frame:
    """Return a table as columns, with errors in scikit-learn's words where it has some."""
    if isinstance(X, np.ndarray) and X.dtype.kind == "c":
        raise DataError(f"Complex data not supported: X has the dtype {X.dtype}; give two columns of numbers")
    try:
        return frame_of_source(X) if is_source(X) else frame_of(X)
    except InputTypeError as error:
        if str(error).startswith("column "):
            raise InputTypeError(f"{error}. (A cell's argument must be a string, a number, or a date.)") from None
        raise


def _weights(given: Any, rows: int) -> Array:
    """Return the weights of the rows, which are 1 if none are given."""
    w = np.asarray(_check_sample_weight(given, np.empty(rows)), np.float64)
    if (w < 0).any():
        raise DataError("Negative values in data passed to `sample_weight`")
    if not w.any():
        raise DataError("Sample weights must contain at least one non-zero number.")
    return of_usual_size(w)
