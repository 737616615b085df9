"""The classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.estimators import sources
from fullyconnected.estimators.base import BaseMLP, store
from fullyconnected.estimators.parameters import CLASSIFIER, constraints, described
from fullyconnected.estimators.rows import class_factors, of_rows, stratified
from fullyconnected.labels import Labels
from fullyconnected.losses import LOSSES, BinaryCrossEntropy, SoftmaxCrossEntropy

if TYPE_CHECKING:
    from fullyconnected.annotations import (
        ArrayLike,
        ClassWeightLike,
        CommLike,
        DTypeLike,
        LossLike,
        OptimizerLike,
        PathLike,
        ProgressLike,
        RowsLike,
    )
    from fullyconnected.base import ActivationFunction
    from fullyconnected.schedules import Schedule
    from fullyconnected.training.history import Epoch

__all__ = ["MLPClassifier"]


@described(CLASSIFIER)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """scikit-learn's ``MLPClassifier``, trained by this library.

    With the same parameters, data and ``random_state`` it draws the same weights and the same order of rows, and trains
    to the same weights within rounding. It differs in two points: the validation rows of three or more classes, or of
    several labels, are stratified, as scikit-learn's documentation says and its code does not do; and the reported log
    loss is exact where scikit-learn clips probabilities.

    [parameters]

    Attributes
    ----------
    classes_ : array
        The labels, in the order of the columns of ``predict_proba``.
    network_ : Network
        The trained network, for ``fc.explain``, ``fc.check_gradients`` and the like. Its outputs are logits.
    coefs_, intercepts_ : list of array
        Weights (inputs, outputs) and biases of each dense layer: views of the network's.
    loss_, best_loss_, loss_curve_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_
        As in scikit-learn; "lbfgs" has a ``loss_curve_``, too.
    validation_scores_, best_validation_score_, validation_loss_curve_
        What early stopping watches after each epoch, its best, and the loss of the validation rows.

    Raises
    ------
    ValueError
        For parameters or data that cannot be used, in scikit-learn's words, or if training diverges.
    MissingPackageError
        On first use, where scikit-learn is not installed (extra ``sklearn``).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = fc.MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> float(model.score(X, y)) > 0.97
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = constraints(CLASSIFIER)

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: ActivationFunction | str | Sequence[ActivationFunction | str] = "relu",
        *,
        solver: OptimizerLike = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: LossLike = "log_loss",
        class_weight: ClassWeightLike = None,
        scale: bool = False,
        scoring: str | Callable[..., float] | None = None,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
        layer_norm: bool = False,
        residual: bool = False,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        schedule: Schedule | None = None,
        dtype: DTypeLike | None = None,
        engine: str = "auto",
        n_jobs: int | None = None,
        max_time: float | str | None = None,
        checkpoint: PathLike | None = None,
        comm: CommLike = None,
        progress: ProgressLike = False,
        callback: Callable[[Epoch], object] | None = None,
    ) -> None:
        store(self, locals())

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = sources.checked_with_y(self, X, y, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset and not incremental:
            self._label_binarizer = _binarizer_of(y)
            self.classes_ = self._label_binarizer.classes_
        elif "classes_" in vars(self):
            classes = unique_labels(y)
            if self.warm_start and not incremental and set(classes) != set(self.classes_):
                raise ValueError(
                    f"warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
            if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
                )
        return X, self._targets(y)

    def _loss_and_outputs(self, t: Array) -> tuple[Loss, int]:
        loss, classes = self._loss_object(), len(self.classes_)
        if not loss.link.tells_classes:
            raise ValueError(f"loss={self.loss!r} is for numbers; a classifier takes 'log_loss', 'hinge' or the like.")
        if self.class_weight is not None and getattr(loss, "class_weight", None) is not None:
            raise ValueError(
                f"class_weight is given twice, here and in loss={self.loss!r:.200}: leave out one of them. That of the "
                f"loss is in the loss alone; that of the classifier is in the validation score, too."
            )
        if loss.link.predicts == "labels":
            return loss, classes if self._is_multilabel or classes > 2 else 1
        if self._is_multilabel:
            raise ValueError(f"loss={self.loss!r} knows one class a row; for several labels use loss='log_loss'.")
        if classes < loss.min_outputs:
            raise ValueError(f"loss={self.loss!r} needs {loss.min_outputs} classes or more; y has {classes}.")
        return loss, classes

    def _loss_object(self) -> Loss:
        if isinstance(self.loss, Loss):
            return self.loss
        if self.loss != "log_loss":
            return LOSSES.get(self.loss)
        return SoftmaxCrossEntropy() if len(self.classes_) > 2 and not self._is_multilabel else BinaryCrossEntropy()

    @property
    def _is_multilabel(self) -> bool:
        return self._label_binarizer.y_type_.startswith("multilabel")

    @property
    def _label_reader(self) -> Labels:
        return Labels(self._label_binarizer.y_type_, self.classes_, self._loss_.link.predicts)

    def _targets(self, y: Any) -> Array:
        if self._is_multilabel:
            t = self._label_binarizer.transform(y)
            return np.asarray(t.toarray() if hasattr(t, "toarray") else t, np.float64)
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if (wrong := self.classes_[codes] != y).any():
            raise ValueError(
                f"`y` has the label {y[wrong][0]!r:.80}, which NumPy reads as another one in the array of the classes, "
                f"{self.classes_!r:.200}: convert the labels to plain strings or numbers"
            )
        if self._loss_object().link.predicts != "labels":
            return codes
        return codes[:, None].astype(np.float64) if len(self.classes_) <= 2 else np.eye(len(self.classes_))[codes]

    def _codes(self, t: Array) -> Array:
        """Return class numbers (rows,), or the indicators of several labels (rows, labels)."""
        if t.ndim == 1:
            return t
        if self._is_multilabel:
            return t.astype(int)
        return t[:, 0].astype(int) if t.shape[1] == 1 else t.argmax(axis=1)

    def _labels(self, t: Array) -> Array:
        """Return the caller's labels."""
        codes = self._codes(t)
        return codes if self._is_multilabel else self.classes_[codes]

    def _weights(self, given: Any, X: Any, t: Array, incremental: bool | None) -> Array | None:
        w = super()._weights(given, X, t, incremental)
        if self.class_weight is None:
            return w
        codes = self._codes(t)
        if incremental is not None:  # the validation rows have the factors of the training rows
            if incremental and self.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit, which sees a part of the data. Give the "
                    "weights of the classes as a dict."
                )
            self._class_factors = class_factors(self.class_weight, self.classes_, codes, w)
        factors = of_rows(self._class_factors, codes)
        w = factors if w is None else w * factors
        if incremental is not None and not w.any():
            raise ValueError("No row has a weight: sample_weight and class_weight are zero for one or the other.")
        return w

    def _split(self, t: Array, groups: Any, random: np.random.RandomState) -> tuple[Array, Array]:
        codes = self._codes(t)
        if codes.ndim == 1 and len(self.classes_) <= 2:
            codes = codes.astype(bool)
        return stratified(codes, self.validation_fraction, groups, random)

    def _score_of(self, z: Array, t: Array, w: Array) -> float:
        if not np.isfinite(z).all():
            return float("nan")
        found, right = self._label_reader.decide(z), self._codes(t)
        hits = (found == right).all(axis=1) if found.ndim == 2 else found == right
        return float(np.average(hits, weights=w))

    @available_if(lambda self: self._check_solver())
    def partial_fit(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on these rows, in the order that ``fit`` would take; see there for the arguments.

        ``classes`` are the labels of all calls to come; the first call needs them.
        """
        self._validate_params()
        with self._unchanged_without_an_epoch():
            X, y, sample_weight = sources.apart(X, y, sample_weight)
            if _check_partial_fit_first_call(self, classes):
                self._label_binarizer = LabelBinarizer()
                self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
            return self._fit(X, y, sample_weight, incremental=True)

    def score(self, X: RowsLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on these rows, the share of those whose labels are all right.

        ``y`` and ``sample_weight`` are as in ``fit``: of a source, None takes its own.
        """
        return float(super().score(*sources.apart(X, y, sample_weight)))

    def predict(self, X: RowsLike) -> Array:
        """Return the predicted classes (rows,), or the indicators of the predicted labels (rows, labels).

        These are sparse if those of the training were.
        """
        z = self._outputs(X)
        found = self._label_reader.of(z)
        return csr_matrix(found) if self._label_binarizer.sparse_input_ else found

    def decision_function(self, X: RowsLike) -> Array:
        """Return the outputs before the logistic function or softmax: (rows,) for two classes, else (rows, classes)."""
        z = self._outputs(X)
        return z[:, 0] if z.shape[1] == 1 else z

    def _check_probabilities(self) -> bool:
        loss = vars(self).get("_loss_", self.loss)
        if loss == "hinge" or (isinstance(loss, Loss) and loss.link.predicts == "scores"):
            raise AttributeError("the hinge loss trains scores, not probabilities; use decision_function")
        return True

    @available_if(_check_probabilities)
    def predict_proba(self, X: RowsLike) -> Array:
        """Return the probability of each class (rows, classes), in the order of ``classes_``."""
        z = self._outputs(X)
        return self._label_reader.probabilities(z, self._loss_.link.predictions(z))

    @available_if(_check_probabilities)
    def predict_log_proba(self, X: RowsLike) -> Array:
        """Return the logarithm of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _binarizer_of(y: Array) -> LabelBinarizer:
    """Return a LabelBinarizer that is fitted to checked labels; for plain class numbers in a tenth of the time."""
    if y.ndim == 1 and y.dtype.kind in "iu":
        classes = np.unique(y)
        if 2 <= len(classes) <= len(y) / 2:  # else scikit-learn may have something to say
            binarizer = LabelBinarizer()
            binarizer.classes_, binarizer.sparse_input_ = classes, False
            binarizer.y_type_ = "binary" if len(classes) == 2 else "multiclass"
            return binarizer
    return LabelBinarizer().fit(y)
