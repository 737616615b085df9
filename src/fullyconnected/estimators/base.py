"""What both estimators share: checks of the input, the network, and the call of the training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, signature
from math import inf
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fullyconnected.base import Loss, Optimizer, Solver
from fullyconnected.comm.choice import choose
from fullyconnected.core.arrays import Array
from fullyconnected.estimators import architecture, scaling, sources
from fullyconnected.estimators.architecture import Weights
from fullyconnected.estimators.callbacks import DURING_FIT, CallbackSupportMixin, with_callbacks
from fullyconnected.estimators.parameters import check_entries
from fullyconnected.layers.statistics import F64
from fullyconnected.network import Network
from fullyconnected.optimizers import LBFGS, OPTIMIZERS, SGD, Adam, AdamW, Momentum, Nesterov, RMSProp
from fullyconnected.program.data import as_source
from fullyconnected.program.sources import Source

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, PathLike, RowsLike

__all__ = ["BaseMLP", "store", "takes_weights"]

FTOL = 2.220446049250313e-09  # SciPy's own for L-BFGS-B, which scikit-learn leaves as it is


def store(estimator: BaseEstimator, arguments: Mapping[str, Any]) -> None:
    """Store the arguments of a constructor as they are; ``fit`` checks them."""
    estimator.__dict__.update((name, value) for name, value in arguments.items() if name not in ("self", "__class__"))


class BaseMLP(CallbackSupportMixin, BaseEstimator):
    """The estimators' common part; a subclass says what targets, losses and scores are."""

    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": False}  # unless asked, groups are for a splitter

    network_: Network
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    validation_scores_: list[float]
    _loss_: Loss
    _built_with: dict[str, Any]

    # what a subclass defines

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return checked inputs, and targets (rows, outputs), or class numbers (rows,), as the loss takes them."""
        raise NotImplementedError

    def _loss_and_outputs(self, t: Array) -> tuple[Loss, int]:
        """Return the loss, and the number of outputs that it needs for these targets."""
        raise NotImplementedError

    def _targets(self, y: Any) -> Array:
        """Return checked y as the loss takes it."""
        raise NotImplementedError

    def _score_of(self, z: Array, t: Array, w: Array) -> float:
        """Return the default validation score of outputs."""
        raise NotImplementedError

    def _split(self, t: Array, groups: Any, random: np.random.RandomState) -> tuple[Array, Array]:
        """Return the numbers of the rows for training and for validation."""
        raise NotImplementedError

    def _constant(self, t: Array, w: Array | None) -> float:
        """Return what scikit-learn's loss of these rows has in addition."""
        return 0.0

    # training

    @with_callbacks
    def fit(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: RowsLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train on these rows.

        Parameters
        ----------
        X : array, sparse matrix or Source (rows, features)
            Numbers; rows of a sparse matrix are not made dense all at once. A :class:`fullyconnected.Source`, such as
            ``fc.Parquet("rows/", target="price")``, may be larger than memory, and so may an array that is mapped from
            a file.
        y : array (rows,) or (rows, outputs), optional
            Labels, or numbers; a column each for several labels (0 or 1) or outputs. None takes the targets of a
            source.
        sample_weight : array (rows,), optional
            Weights, 0 or more; None takes those of a source. A row of weight 2 counts as two rows, and one of weight 0
            as none. (With ``batch_norm``, statistics of a batch are over its rows, whatever they weigh.)
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            Validation data: their loss is recorded after each epoch. With ``early_stopping`` they are scored, two
            rows or more, and no rows are held out. They may be a source whether X is one or not.
        groups : array (rows,), optional
            Rows of the same group stay together when rows are held out.

        Returns
        -------
        self
        """
        self._validate_params()
        with self._unchanged_without_an_epoch():
            return self._fit(X, y, sample_weight, validation=(X_val, y_val, sample_weight_val), groups=groups)

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X: RowsLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these rows, in the order that ``fit`` would take; see there for the arguments."""
        self._validate_params()
        with self._unchanged_without_an_epoch():
            return self._fit(X, y, sample_weight, incremental=True)

    def _validate_params(self) -> None:
        super()._validate_params()
        architecture.hidden_sizes(self.hidden_layer_sizes)  # scikit-learn has a message of its own for these
        check_entries(self)

    def _check_solver(self) -> bool:
        solver = OPTIMIZERS.classes.get(self.solver) if isinstance(self.solver, str) else type(self.solver)
        if issubclass(solver or object, Solver):
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        incremental: bool = False,
        validation: tuple[Any, Any, Any] = (None, None, None),
        groups: Any = None,
    ) -> Self:
        sizes = architecture.hidden_sizes(self.hidden_layer_sizes)
        if self.scoring not in (None, "loss"):
            check_scoring(self, self.scoring)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        given = vars(self).get("_given", {})
        if (incremental or self.warm_start) and len(given) == 1:
            has, lacks = ("coefs_", "intercepts_") if "coefs_" in given else ("intercepts_", "coefs_")
            raise ValueError(f"{has} was set before the first call, and {lacks} was not: set both, or neither")
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if self.checkpoint is not None and (incremental or not fresh):
            raise ValueError("a checkpoint is of one fit; partial_fit and a warm start go on without: checkpoint=None")
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                f"checkpoint needs an int as random_state, so that a resumed fit draws the same rows; got "
                f"{self.random_state!r}"
            )
        X, y, sample_weight = sources.apart(X, y, sample_weight)
        X, t = self._validate_input(X, y, incremental, fresh)
        w = self._weights(sample_weight, X, t, incremental)
        if groups is not None and np.shape(groups) != (len(t),):
            raise ValueError(f"groups has shape {np.shape(groups)}; expected ({len(t)},), a group for each row")
        comm = choose(self.comm)
        random = check_random_state(self.random_state)
        if comm.size > 1:  # all processes draw the same
            given = isinstance(self.random_state, Integral)
            random = check_random_state(comm.broadcast(self.random_state if given else random.randint(2**31 - 1)))
        loss, n_out = self._loss_and_outputs(t)
        held_out = self._validation(validation)
        self._loss_ = loss
        self._prepare(X, n_out, sizes, random, fresh)
        if w is not None and not w.all():  # a row of weight zero is as if it were not there
            kept = np.flatnonzero(w)
            X, t, w = sources.some(X, kept), t[kept], w[kept]
            groups = None if groups is None else np.asarray(groups)[kept]
        from fullyconnected.estimators.fitting import Fitting  # what trains is loaded when it is first used

        fitting = Fitting(self, self._optimizer_object(), random)
        if isinstance(fitting.optimizer, Solver):
            self._scale(X, t, w)
            fitting.solve(X, t, w, held_out)
            return self
        if held_out is not None and self.early_stopping and self.scoring != "loss":
            rows = len(held_out[1]) if held_out[2] is None else np.count_nonzero(held_out[2])
            if rows < 2:
                raise ValueError(
                    "The validation set is too small: a score needs two rows or more in X_val, with weights above "
                    'zero. Give more, or set scoring="loss".'
                )
        first = None
        if held_out is None and self.early_stopping:
            train, rest = self._split(t, groups, random)
            if sources.are_read(X):  # in their order, one after the other
                first = np.argsort(np.argsort(train))
                train, rest = np.sort(train), np.sort(rest)
            if len(rest) < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
            held_out = sources.some(X, rest), t[rest], None if w is None else w[rest]
            X, t, w = sources.some(X, train), t[train], None if w is None else w[train]
        self._scale(X, t, w, least=2 if incremental else 1)
        fitting.train(X, t, w, held_out, once=incremental, first=first)
        return self

    @contextmanager
    def _unchanged_without_an_epoch(self) -> Iterator[None]:
        """Leave the estimator as it was if an error comes before an epoch has been trained."""
        before = dict(vars(self))
        curve = before.get("loss_curve_")
        epochs = len(curve or ())
        try:
            yield
        except Exception:
            now = vars(self).get("loss_curve_")
            if len(now or ()) == (epochs if now is curve else 0):
                during = {name: value for name, value in vars(self).items() if name in DURING_FIT}
                self.__dict__ = {**before, **during}
                if "network_" in before:
                    self.network_.loss = self._loss_
            raise

    def _scale(self, X: Any, t: Array, w: Array | None, least: int = 1) -> None:
        """With ``scale=True``, give a new network the constants of its training rows."""
        if self.scale and not scaling.is_scaled(self.network_):
            if len(t) < least:
                raise ValueError(
                    "with scale=True, the rows of the first call of partial_fit set the scale, which one row does not "
                    "have: give more rows in that call, as many as stand for the data, or set scale=False"
                )
            if isinstance(X, Source):  # whose rows are checked as they are read
                X = as_source(X, self.network_.program, F64, "X")
            self.network_ = scaling.around(self.network_, X, t if self._scales_targets() else None, w)

    def _scales_targets(self) -> bool:
        """Whether ``scale=True`` scales the targets, too."""
        return False

    def _weights(self, given: Any, X: Any, t: Array, incremental: bool | None) -> Array | None:
        """Return the weights of the rows, or None if all weigh the same; incremental is None for validation rows."""
        if given is None:
            return None
        w = np.asarray(_check_sample_weight(given, X), np.float64)
        if (w < 0).any():
            raise ValueError("Negative values in data passed to `sample_weight`")
        if not w.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return w

    def _prepare(self, X: Any, n_out: int, sizes: list[int], random: np.random.RandomState, fresh: bool) -> None:
        """Make the network, unless training goes on with the one that there is."""
        if not fresh and "network_" in vars(self):
            net = self.network_
            if scaling.is_scaled(net) != bool(self.scale):
                raise ValueError(
                    f"training goes on with a network that was made with scale={scaling.is_scaled(net)}, and scale is "
                    f"{self.scale} now. To begin anew, set warm_start=False and call fit"
                )
            asked = self._architecture(sizes)
            changed = [name for name, value in asked.items() if self._built_with[name] != value]
            if net.n_out != n_out:
                changed.append(f"y, for {n_out} outputs")
            if self.dtype is not None and self._dtype(X) != net.dtype:
                changed.append("dtype")
            if changed:
                raise ValueError(
                    f"training goes on with a network of hidden layers {self._built_with['hidden_layer_sizes']} and "
                    f"{net.n_out} output(s); what has changed since: {', '.join(changed)}. To begin anew, set "
                    f"warm_start=False and call fit"
                )
            if not net.theta.flags.writeable:  # its file is mapped into memory, read-only
                self.network_ = net.copy()
            if vars(self).get("_watched", self.scoring) != self.scoring:  # another score begins anew
                self.best_validation_score_, self._no_improvement_count = None, 0
            self._watched = self.scoring
            return
        built_with = self._architecture(sizes)
        net = architecture.build(X.shape[1], n_out, self._dtype(X), **built_with)
        functions = architecture.one_for_each("activation", self.activation, len(sizes))
        given = self.__dict__.pop("_given", None)
        if fresh or given is None:
            last = functions[-1] if functions else self.activation
            architecture.draw(net, [*functions, last], random)
        self.network_, self._built_with = net, built_with
        if not fresh and given is not None:  # weights that were set before the first call of partial_fit
            self.coefs_, self.intercepts_ = given["coefs_"], given["intercepts_"]
        self.n_outputs_, self.n_layers_, self.n_iter_, self.t_ = n_out, len(sizes) + 2, 0, 0
        self.out_activation_ = self._out_activation()
        self.loss_curve_ = []
        self.validation_loss_curve_ = None  # type: ignore[assignment]
        self.validation_scores_ = [] if self.early_stopping else None  # type: ignore[assignment]
        self.best_validation_score_ = -inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else inf
        self._no_improvement_count, self._watched = 0, self.scoring
        self.__dict__.pop("_optimizer", None)

    def _architecture(self, sizes: list[int]) -> dict[str, Any]:
        """Return the settings that the layers are made of."""
        names = ("activation", "dropout", "batch_norm", "layer_norm", "residual")
        return {
            "hidden_layer_sizes": sizes,
            **{name: getattr(self, name) for name in names},
            "output_activation": self._output(),
        }

    def _dtype(self, X: Any) -> np.dtype[Any]:
        """Return the dtype of the network: by default float32 for float32 inputs, else float64."""
        dtype = np.dtype((np.float32 if X.dtype == np.float32 else np.float64) if self.dtype is None else self.dtype)
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32, float64 or None (that of X), got {self.dtype!r}.")
        return dtype

    def _output(self) -> Any:
        """Return the activation of the output layer."""
        return None

    def _out_activation(self) -> str:
        """Return the name of what turns outputs into predictions."""
        link = self._loss_.link.inverse
        name = "identity" if link is None else link.name
        return {"sigmoid": "logistic"}.get(name, name)

    def _optimizer_object(self) -> Optimizer | Solver:
        """Return the optimizer of the settings."""
        solver, lr, decay = self.solver, self.learning_rate_init, self.weight_decay
        if not isinstance(solver, str):
            return solver
        if solver == "lbfgs":
            return LBFGS(10, FTOL, self.tol, self.max_fun)
        if solver == "sgd":
            if not self.momentum:
                return SGD(lr)
            return (Nesterov if self.nesterovs_momentum else Momentum)(lr, self.momentum)
        if solver == "adam" and not decay:
            return Adam(lr, self.beta_1, self.beta_2, self.epsilon, epsilon_hat=True)
        if solver in ("adam", "adamw"):
            return AdamW(lr, self.beta_1, self.beta_2, self.epsilon, epsilon_hat=True, weight_decay=decay)
        if solver == "rmsprop":
            return RMSProp(lr, epsilon=self.epsilon)
        return OPTIMIZERS.build(solver, **({} if issubclass(OPTIMIZERS.classes[solver], Solver) else {"lr": lr}))

    def _n_threads(self) -> int | None:
        """Return the number of threads, or None for the library's own choice."""
        return None if self.n_jobs is None else effective_n_jobs(self.n_jobs)

    def _settings(self) -> dict[str, Any]:
        """Return the settings of any run."""
        adamw = self.solver in ("adam", "adamw")
        return {
            "alpha": float(self.alpha),
            "l2": 0.0 if adamw else float(self.weight_decay),
            "shuffle": bool(self.shuffle),
            "engine": self.engine,
            "n_threads": self._n_threads(),
            "max_time": self.max_time,
            "max_grad_norm": self.max_grad_norm,
            "schedule": self.schedule,
            "checkpoint": self.checkpoint,
            "comm": self.comm,
            "warn": False,
        }

    def _validation(self, given: tuple[Any, Any, Any]) -> tuple[Any, Array, Array | None] | None:
        """Return a validation set that the caller gives, checked, or None."""
        X, y, w = given
        if X is not None:
            X, y, w = sources.apart(X, y, w, ("X_val", "y_val", "sample_weight_val"))
        if X is None and y is None:
            if w is not None:
                raise ValueError("sample_weight_val was given without X_val and y_val.")
            return None
        if X is None or y is None:
            raise ValueError("Both X_val and y_val must be given, or neither.")
        X, t = self._validate_input(X, y, True, False)
        return X, t, self._weights(w, X, t, None)

    def _scorer(self, held_out: tuple[Any, Array, Array | None]) -> Callable[[Array, Array, Array], float]:
        """Return the function that scores the outputs for the validation rows."""
        if self.scoring is None:
            return self._score_of
        if self.scoring == "loss":
            loss = self._loss_.for_evaluation()
            return lambda z, t, w: -loss.of_checked(z, t, loss.row_weights(t, w))[0]
        scorer = check_scoring(self, self.scoring)
        X, t, given = held_out
        y, weights = self._labels(t), {} if given is None else {"sample_weight": given}
        if weights and not takes_weights(scorer):
            raise ValueError(
                f"scoring={self.scoring!r} takes no sample_weight, and the rows have weights, of sample_weight or "
                f"class_weight. Give a scorer that takes them: def scorer(estimator, X, y, sample_weight=None); or "
                f'scoring="loss"'
            )
        judged = copy.copy(self)
        if getattr(X, "columns", None) is None:  # a checked array has no names
            judged.__dict__.pop("feature_names_in_", None)
        return lambda z, t, w: float(scorer(judged, X, y, **weights))

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator to a file, which ``fc.load_estimator`` and ``fc.Predictor`` read.

        It holds the network, the parameters, the labels and the names of features, and no code. The state of the
        optimizer is not in it: ``partial_fit`` goes on with new moments. Nor is the path of a ``checkpoint``, which is
        of one fit. A parameter that is a function of your own is left out with a warning. An old file is replaced in
        one step.
        """
        from fullyconnected.estimators.files import save

        check_is_fitted(self)
        save(self, path)

    # weights and predictions

    def _get_weights(self, which: int) -> Weights:
        if "network_" not in vars(self):
            given = vars(self).get("_given", {}).get(("coefs_", "intercepts_")[which])
            if given is not None:
                return given
            raise AttributeError(f"{type(self).__name__} has no weights before fit")
        return Weights(pair[which] for pair in architecture.dense(self.network_))

    def _set_weights(self, which: int, given: Any) -> None:
        if "network_" not in vars(self):
            self.__dict__.setdefault("_given", {})[("coefs_", "intercepts_")[which]] = given
            return
        arrays = self._get_weights(which)
        shapes, wanted = [np.shape(each) for each in given], [each.shape for each in arrays]
        if shapes != wanted:
            raise ValueError(f"the network has arrays of the shapes {wanted}; got {shapes}")
        for array, values in zip(arrays, given, strict=True):
            array[...] = values

    @property
    def coefs_(self) -> list[Array]:
        """The weights (inputs, outputs) of each dense layer: views of the network's parameters."""
        return self._get_weights(0)

    @coefs_.setter
    def coefs_(self, given: Sequence[ArrayLike]) -> None:
        self._set_weights(0, given)

    @property
    def intercepts_(self) -> list[Array]:
        """The biases (outputs,) of each dense layer: views of the network's parameters."""
        return self._get_weights(1)

    @intercepts_.setter
    def intercepts_(self, given: Sequence[ArrayLike]) -> None:
        self._set_weights(1, given)

    def _outputs(self, X: Any) -> Array:
        """Return the network's outputs for inputs that are checked as scikit-learn checks them."""
        known = vars(self)
        if "network_" not in known:
            check_is_fitted(self)
        quick = (
            type(X) is np.ndarray
            and X.dtype.char in "fd"
            and X.ndim == 2
            and X.shape[1] == known["n_features_in_"]
            and len(X) > 0
            and "feature_names_in_" not in known
            and _is_finite(X)
        )
        if not quick:  # an array that may be wrong, or a table: scikit-learn's check takes 0.1 ms
            X = sources.checked(self, X)
        return self.network_.predict(X, engine=self.engine, n_threads=self._n_threads())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer can be called with ``sample_weight``."""
    try:
        parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    except (TypeError, ValueError):  # a function in C does not tell
        return True
    return "sample_weight" in parameters or any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())


def _is_finite(X: Array) -> bool:
    """Whether the sum of an array is finite, which holds for nearly all arrays without NaN and infinity."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.add.reduce(X, axis=None)))
