"""The regressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import assert_all_finite, column_or_1d

from fullyconnected.base import Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.contracts import is_foreign
from fullyconnected.estimators import sources
from fullyconnected.estimators.base import BaseMLP, store
from fullyconnected.estimators.parameters import REGRESSOR, constraints, described
from fullyconnected.estimators.rows import shuffled
from fullyconnected.losses import LOSSES, Quantile

if TYPE_CHECKING:
    from fullyconnected.annotations import (
        ArrayLike,
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

__all__ = ["MLPRegressor"]

NAMES = {"squared_error": "half_squared_error"}  # scikit-learn's names of losses


@described(REGRESSOR)
class MLPRegressor(RegressorMixin, BaseMLP):
    """scikit-learn's ``MLPRegressor``, trained by this library.

    With the same parameters, data and ``random_state`` it draws the same weights and the same order of rows, and trains
    to the same weights within rounding. It differs in one point: for several outputs, ``loss_`` is half the square
    summed over the outputs, which is the function that both libraries' gradients belong to; scikit-learn reports its
    mean over the outputs.

    [parameters]

    Attributes
    ----------
    network_ : Network
        The trained network, for ``fc.explain``, ``fc.check_gradients`` and the like.
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
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = fc.MLPRegressor("quantile", (8,), quantile=0.9, solver="lbfgs", random_state=0).fit(X, y)
    >>> 0.85 < float((y <= model.predict(X)).mean()) < 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = constraints(REGRESSOR)

    def __init__(
        self,
        loss: LossLike = "squared_error",
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
        quantile: float = 0.5,
        output_activation: ActivationFunction | str | None = None,
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
        X, y = sources.checked_with_y(self, X, y, reset=reset, y_numeric=True)
        if y.dtype.kind not in "biuf":
            raise TypeError(
                f"y has dtype {y.dtype}, such as {y.flat[0]!r}; numbers are wanted, y.astype(float). For labels, use "
                f"MLPClassifier"
            )
        assert_all_finite(y, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y if y.ndim == 2 else y[:, None]

    def _loss_and_outputs(self, t: Array) -> tuple[Loss, int]:
        loss = self.loss
        if loss == "quantile":
            loss = Quantile(self.quantile)
        elif isinstance(loss, str):
            loss = LOSSES.get(NAMES.get(loss, loss))
        if self.output_activation not in (None, "identity") and not loss.link.is_identity:
            raise ValueError(
                f"output_activation={self.output_activation!r} bounds predictions, but loss={self.loss!r} takes "
                f"{loss.link.takes}. Set output_activation=None"
            )
        return loss, t.shape[1]

    def _constant(self, t: Array, w: Array | None) -> float:
        if self._loss_.name != "poisson":
            return 0.0
        return float(np.average(np.sum(xlogy(t, t) - t, axis=1), weights=w))

    def _output(self) -> Any:
        return self.output_activation

    def _scales_targets(self) -> bool:
        free = self.output_activation in (None, "identity")
        return free and self._loss_.link.is_identity and not is_foreign(self._loss_)

    def _out_activation(self) -> str:
        if self.output_activation is None:
            return super()._out_activation()
        f = self.output_activation
        return f if isinstance(f, str) else str(f.name)

    def _split(self, t: Array, groups: Any, random: np.random.RandomState) -> tuple[Array, Array]:
        return shuffled(len(t), self.validation_fraction, groups, random)

    def _score_of(self, z: Array, t: Array, w: Array) -> float:
        found = self._loss_.link.predictions(z)
        return float(r2_score(t, found, sample_weight=w)) if np.isfinite(found).all() else float("nan")

    def _labels(self, t: Array) -> Array:
        return t[:, 0] if t.shape[1] == 1 else t

    def score(self, X: RowsLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return R2 on these rows; ``y`` and ``sample_weight`` are as in ``fit``: of a source, None takes its own."""
        return float(super().score(*sources.apart(X, y, sample_weight)))

    def predict(self, X: RowsLike) -> Array:
        """Return the predictions (rows,), or (rows, outputs) for several outputs."""
        z = self._outputs(X)
        y = self._loss_.link.predictions(z)
        return y[:, 0] if y.shape[1] == 1 else y
