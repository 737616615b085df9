"""The parameters of the estimators: what each may be, and what it does; checks and docstrings are made of this."""

from __future__ import annotations

import inspect
import os
from math import inf
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_parameter_constraints

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.base import ActivationFunction, Loss, Optimizer, Solver
from fullyconnected.comm.base import Comm
from fullyconnected.core.registry import Registry
from fullyconnected.optimizers import OPTIMIZERS

__all__ = ["CLASSIFIER", "COMM", "REGRESSOR", "SHARED", "Parameter", "check_entries", "constraints", "described"]

C = TypeVar("C", bound=type[Any])


class Parameter(NamedTuple):
    """One parameter of an estimator."""

    allowed: list[Any]
    kind: str
    text: str


def _interval(kind: type, low: float, high: float | None, closed: str) -> Interval:
    return Interval(kind, low, high, closed=closed)


class Names(StrOptions):
    """scikit-learn's names, and those in a registry, to which a caller's own classes are added at any time."""

    def __init__(self, theirs: set[str], registry: Registry[Any]) -> None:
        self.theirs, self.registry = theirs, registry
        super().__init__(theirs)

    @property
    def options(self) -> set[str]:
        return self.theirs | set(self.registry.classes)

    @options.setter
    def options(self, given: set[str]) -> None:
        self.theirs = given

    def is_satisfied_by(self, val: Any) -> bool:
        return isinstance(val, str) and (val in self.theirs or val in self.registry.classes)


SIZE = [_interval(Integral, 1, None, "left")]
ACTIVATION = [Names({"identity", "logistic"}, ACTIVATIONS), ActivationFunction]
RATE = [_interval(Real, 0, 1, "left")]

COMM = Parameter(
    [str, Comm, None],
    "str, Comm or None",
    'The processes that fit this estimator together, each by this call with the same data and parameters: "mpi", '
    '"torch" or "auto", as in ``fc.fit``. All of them end with the same estimator.',
)
SHARED = {
    "hidden_layer_sizes": Parameter(
        ["array-like", *SIZE],
        "int or sequence of int",
        "Units of each hidden layer; an empty sequence is a linear model.",
    ),
    "activation": Parameter(
        [*ACTIVATION, list, tuple],
        "str, ActivationFunction or list of them",
        'Activation of the hidden layers: "identity", "logistic", "tanh", "relu", or any other of the library\'s; or a '
        "list with one for each layer.",
    ),
    "solver": Parameter(
        [Names({"sgd", "adam", "lbfgs"}, OPTIMIZERS), Optimizer, Solver],
        "str, Optimizer or Solver",
        '"sgd" (with ``momentum``), "adam", "lbfgs" (all rows at once), another of the library\'s or a registered one '
        "by name, or an optimizer, which has its own settings.",
    ),
    "alpha": Parameter(
        [_interval(Real, 0, None, "left")],
        "float",
        "Strength of the L2 penalty: adds ``alpha / 2 sum(W^2)`` to the sum of the losses of each batch. Its effect on "
        "a step depends on the batch size; that of ``weight_decay`` does not.",
    ),
    "batch_size": Parameter(
        [StrOptions({"auto"}), _interval(Integral, 1, None, "left")],
        'int or "auto"',
        'Rows of a batch; "auto" takes 200, or all rows if there are fewer. Not used by "lbfgs".',
    ),
    "learning_rate": Parameter(
        [StrOptions({"constant", "invscaling", "adaptive"})],
        '{"constant", "invscaling", "adaptive"}',
        'For "sgd": "constant"; "invscaling", ``learning_rate_init / (t_ + 1)^power_t`` from one epoch to the next; '
        '"adaptive", divided by 5 whenever more than ``n_iter_no_change`` epochs bring no improvement.',
    ),
    "learning_rate_init": Parameter([_interval(Real, 0, None, "neither")], "float", "The learning rate."),
    "power_t": Parameter([_interval(Real, 0, None, "left")], "float", 'The exponent of "invscaling".'),
    "max_iter": Parameter(
        [_interval(Integral, 1, None, "left")], "int", 'Maximum number of epochs; of iterations for "lbfgs".'
    ),
    "shuffle": Parameter(["boolean"], "bool", "Whether to shuffle the rows in each epoch."),
    "random_state": Parameter(
        ["random_state"],
        "int, RandomState or None",
        "What the initial weights, the validation split and the order of the rows are drawn from.",
    ),
    "tol": Parameter(
        [_interval(Real, 0, None, "left")],
        "float",
        'What counts as an improvement of the loss, or of the validation score. For "lbfgs", training ends when no '
        "entry of the gradient is larger.",
    ),
    "verbose": Parameter(["verbose"], "bool or int", "Whether to print the loss of each epoch."),
    "warm_start": Parameter(
        ["boolean"], "bool", "Whether a further call of ``fit`` begins with the weights of the call before."
    ),
    "momentum": Parameter([_interval(Real, 0, 1, "both")], "float", 'The momentum of "sgd".'),
    "nesterovs_momentum": Parameter(["boolean"], "bool", "Whether that momentum is Nesterov's."),
    "early_stopping": Parameter(
        ["boolean"],
        "bool",
        "Whether rows are held out (or ``X_val`` is given) whose score decides when to stop; the weights of the best "
        'epoch are restored. Not used by "lbfgs".',
    ),
    "validation_fraction": Parameter(
        [_interval(Real, 0, 1, "left")], "float", "The share of the rows that early stopping holds out."
    ),
    "beta_1": Parameter([_interval(Real, 0, 1, "left")], "float", 'The factor on the previous mean of "adam".'),
    "beta_2": Parameter([_interval(Real, 0, 1, "left")], "float", 'The factor on the previous mean square of "adam".'),
    "epsilon": Parameter([_interval(Real, 0, None, "neither")], "float", 'What "adam" adds to the root it divides by.'),
    "n_iter_no_change": Parameter(
        [_interval(Integral, 1, None, "left"), Options(Real, {inf})],
        "int or inf",
        "Training stops after more than this number of epochs without improvement.",
    ),
    "max_fun": Parameter(
        [_interval(Integral, 1, None, "left")], "int", 'Maximum number of evaluations of the loss by "lbfgs".'
    ),
    "scale": Parameter(
        ["boolean"],
        "bool",
        "Whether the network begins with ``fc.Standardize``, with the weighted mean and standard deviation of the "
        "features in the training rows (not in those held out) of the first call of ``fit`` or ``partial_fit``.",
    ),
    "scoring": Parameter(
        [str, callable, None],
        "str, callable or None",
        'What early stopping watches: None takes accuracy or R2 as scikit-learn, "loss" the validation loss, and any '
        "other scikit-learn's scorer of that name, or a function of (estimator, X, y), and of sample_weight where "
        "rows have weights.",
    ),
    "dropout": Parameter(
        [*RATE, list, tuple],
        "float or list of float",
        "Probability with which a hidden unit is dropped in training; a list has one for each layer.",
    ),
    "batch_norm": Parameter(["boolean"], "bool", "Whether hidden layers normalise each unit over the batch."),
    "layer_norm": Parameter(["boolean"], "bool", "Whether hidden layers normalise each row over its units."),
    "residual": Parameter(
        ["boolean"], "bool", "Whether a hidden layer that is as wide as its input adds that input to its output."
    ),
    "weight_decay": Parameter(
        [_interval(Real, 0, None, "left")],
        "float",
        'Shrinks weights in each step, whatever the batch size: for "adam" apart from the gradient (AdamW), for others '
        "by ``weight_decay / 2 sum(W^2)`` in the mean loss.",
    ),
    "max_grad_norm": Parameter(
        [_interval(Real, 0, None, "neither"), None],
        "float or None",
        "Scale gradients of a larger norm down to this norm.",
    ),
    "schedule": Parameter(
        [callable, None],
        "callable or None",
        "A function from the epochs trained so far to a factor on the learning rate, such as ``fc.CosineDecay(200)``.",
    ),
    "dtype": Parameter(
        [StrOptions({"float32", "float64"}), type, np.dtype, None],
        "float32, float64 or None",
        "The type of the computations; None takes float32 for float32 inputs, else float64.",
    ),
    "engine": Parameter([str], "str", '"native", "numpy" or "auto", as in ``fc.fit``.'),
    "n_jobs": Parameter(
        [Integral, None], "int or None", "Number of threads; -1 takes all. None takes what ``fc.fit`` takes by itself."
    ),
    "max_time": Parameter(
        [_interval(Real, 0, None, "neither"), str, None],
        "float, str or None",
        'Seconds, or "30s", "5m" or "1h": after the first epoch, ``max_iter`` is lowered to what fits.',
    ),
    "checkpoint": Parameter(
        [str, os.PathLike, None],
        "path or None",
        "A file from which a killed ``fit`` is resumed, with the same bits; needs an int as ``random_state``. A file "
        "is for one fit, not for those of a search.",
    ),
    "comm": COMM,
    "progress": Parameter(
        ["boolean", StrOptions({"auto"})], 'bool or "auto"', "Whether to show the progress, as in ``fc.fit``."
    ),
    "callback": Parameter(
        [callable, None], "callable or None", "Called after each epoch with its record, an ``fc.Epoch``."
    ),
}
CLASSIFIER = SHARED | {
    "loss": Parameter(
        [StrOptions({"log_loss", "hinge"}), Loss],
        "str or Loss",
        '"log_loss", "hinge" (no probabilities), or a loss of the library or your own, such as '
        "``fc.SoftmaxCrossEntropy(label_smoothing=0.1)``, whose smoothing is left out in validation.",
    ),
    "class_weight": Parameter(
        [dict, list, StrOptions({"balanced"}), None],
        'dict, "balanced", list of these or None',
        'Factors on the weights of the rows by class; "balanced" makes the sums of all classes equal. A list has one '
        "for each label of several. They count in the validation score, too, unlike the class weights of a loss, which "
        "cannot be given in addition.",
    ),
}
REGRESSOR = SHARED | {
    "scale": SHARED["scale"]._replace(
        text=f"{SHARED['scale'].text} The targets are scaled alike, and the network ends in ``fc.Rescale``: all it "
        'predicts is in the unit of y, and the losses and the ``delta`` of "huber" are in standard deviations. With '
        'an ``output_activation``, with "poisson", and with a loss of your own, the features alone are scaled.'
    ),
    "loss": Parameter(
        [StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"}), Loss],
        "str or Loss",
        '"squared_error" (half the square, summed over the outputs), "poisson" (outputs are logarithms of rates), '
        '"absolute_error", "huber", "quantile", or a loss of the library or your own.',
    ),
    "quantile": Parameter(
        [_interval(Real, 0, 1, "neither")], "float", 'The quantile that ``loss="quantile"`` estimates.'
    ),
    "output_activation": Parameter(
        [*ACTIVATION, None],
        "str, ActivationFunction or None",
        'Activation of the output layer, which bounds predictions: "logistic" between 0 and 1, "softplus" above 0. Not '
        'for "poisson", whose predictions are above 0 anyway.',
    ),
}


# what the entries of those parameters may be that can be lists
ENTRIES = {
    "hidden_layer_sizes": SIZE,
    "activation": ACTIVATION,
    "dropout": RATE,
    "class_weight": [dict, StrOptions({"balanced"}), None],
}


def check_entries(estimator: Any) -> None:
    """Raise scikit-learn's error for an entry of a list that the parameter cannot have."""
    for name, allowed in ENTRIES.items():
        given: Any = getattr(estimator, name, None)
        if not isinstance(given, str | dict) and hasattr(given, "__iter__"):
            for i, entry in enumerate(given):
                if type(entry) is not int or entry < 1 or name != "hidden_layer_sizes":  # the check is slow
                    each = f"{name}[{i}]"
                    validate_parameter_constraints({each: allowed}, {each: entry}, type(estimator).__name__)


def constraints(parameters: dict[str, Parameter]) -> dict[str, list[Any]]:
    """Return what scikit-learn checks parameters with."""
    return {name: parameter.allowed for name, parameter in parameters.items()}


def described(parameters: dict[str, Parameter]) -> Any:
    """Return a decorator that puts the descriptions of a class's parameters where its docstring says [parameters]."""

    def decorate(cls: C) -> C:
        lines = ["Parameters", "----------"]
        signature = inspect.signature(cls.__init__)
        for name, given in list(signature.parameters.items())[1:]:
            lines += [f"{name} : {parameters[name].kind}, default={given.default!r}", f"    {parameters[name].text}"]
        cls.__doc__ = inspect.cleandoc(cls.__doc__ or "").replace("[parameters]", "\n".join(lines))
        return cls

    return decorate
