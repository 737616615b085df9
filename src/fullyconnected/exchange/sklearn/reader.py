"""A multi-layer perceptron of scikit-learn, and the pipeline before it, as an estimator of this library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, InputTypeError, missing
from fullyconnected.exchange.sklearn.proof import require_same_predictions
from fullyconnected.exchange.sklearn.scalers import class_of, inverse_of
from fullyconnected.exchange.sklearn.steps import Cell, Feature, Number, features_after, number_of

if TYPE_CHECKING:
    from fullyconnected.annotations import SklearnLike
    from fullyconnected.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor

__all__ = ["from_sklearn"]

MLPS = ("MLPClassifier", "MLPRegressor")


@dataclass
class Source:
    """What a model of scikit-learn consists of: the steps before its perceptron, and what scales its targets."""

    mlp: Any = None
    steps: list[tuple[str, Any]] = field(default_factory=list)
    targets: list[tuple[str, Any]] = field(default_factory=list)


def from_sklearn(model: SklearnLike) -> MLPClassifier | MLPRegressor | TabularClassifier | TabularRegressor:
    """Return a fitted estimator of this library that predicts what a fitted one of scikit-learn does.

    A perceptron alone, or behind steps that scale each column, becomes an ``MLPClassifier`` or ``MLPRegressor``, with
    ``scale=True`` if its columns are scaled: the network begins with their constants. It keeps the weights bit for bit,
    the parameters, and the state of the optimizer, and can be trained on. A pipeline that encodes levels, fills missing
    cells, or drops columns becomes a ``TabularClassifier`` or ``TabularRegressor``, which takes the same tables; that
    is an ensemble of one network, and a further ``fit`` trains one of its own kind.

    Parameters
    ----------
    model : estimator of scikit-learn
        A fitted ``MLPClassifier`` or ``MLPRegressor``; a ``Pipeline`` that ends in one, of ``StandardScaler``,
        ``MinMaxScaler``, ``MaxAbsScaler``, ``RobustScaler``, ``SimpleImputer``, ``OneHotEncoder`` and
        ``ColumnTransformer`` or pipelines of these; a ``TransformedTargetRegressor`` of such a scaler; or a search,
        whose best estimator is taken.

    Returns
    -------
    MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor

    Raises
    ------
    InputTypeError
        For what is no estimator of scikit-learn, a subclass among them, which may compute something else.
    ConfigError
        If the model is not fitted, if a step cannot be held exactly, which the error names, or if the estimator does
        not predict what the model does for rows made of what the steps have seen.
    MissingPackageError
        Where scikit-learn is not installed (extra ``sklearn``).

    Examples
    --------
    >>> import fullyconnected as fc
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> perceptron = MLPClassifier((8,), learning_rate_init=0.05, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), perceptron).fit(X, y)
    >>> model = from_sklearn(pipeline)
    >>> model
    MLPClassifier(hidden_layer_sizes=(8,), learning_rate_init=0.05, random_state=0, scale=True)
    >>> bool((model.predict(X) == pipeline.predict(X)).all())
    True
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise missing("scikit-learn", "sklearn", "to read its models") from error
    from fullyconnected.exchange.sklearn.mlp import estimator_of, weights_of
    from fullyconnected.exchange.sklearn.tables import table_estimator_of

    source = Source()
    _take_apart(model, source, "the model")
    weights = weights_of(source.mlp)
    width, n_out = len(weights[0][0]), weights[-1][0].shape[1]
    n_in, names = _columns(model, source, width)
    given: Sequence[Feature] = [Cell(i) for i in range(n_in)]
    for where, step in source.steps:
        try:
            given = features_after(step, given, where)
        except AttributeError as error:
            raise ConfigError(f"{where} is damaged, or pickled by too old a version: {error}") from error
    if len(given) != width:
        raise ConfigError(f"the steps give {len(given)} columns, and the perceptron reads {width}")
    features = [number_of(f, "the perceptron") if isinstance(f, Cell) else f for f in given]
    unit = _unit(source, n_out)
    plain = _plain(features, n_in)
    made: Any
    if plain is not None and (unit is None or source.mlp.out_activation_ == "identity"):
        made = estimator_of(source.mlp, weights, plain, unit, names)
    else:
        rows = next((int(n) for _, step in source.steps if (n := _rows_seen(step))), 0)
        made = table_estimator_of(source.mlp, weights, features, unit, names, n_in, rows)
    by_names = any(map(_is_by_columns, source.steps))
    require_same_predictions(model, made, features, names, n_in, by_names=by_names)
    return made


def _take_apart(model: Any, source: Source, where: str) -> None:
    """Collect the parts of a model, from the outside to the perceptron; or raise for what is none of scikit-learn's."""
    name = class_of(model)
    if hasattr(model, "best_estimator_") and "refit" in vars(model) and name:
        _take_apart(model.best_estimator_, source, where)
    elif name == "Pipeline":
        *steps, (last, end) = model.steps
        source.steps += [(f"the step {label!r:.80}", step) for label, step in steps]
        _take_apart(end, source, f"the step {last!r:.80}")
    elif name == "TransformedTargetRegressor":
        if not hasattr(model, "regressor_"):
            raise ConfigError(f"{where}, a TransformedTargetRegressor, is not fitted: call fit first")
        source.targets.append((f"the transformer of {where}", model.transformer_))
        _take_apart(model.regressor_, source, f"the regressor of {where}")
    elif name in MLPS:
        source.mlp = model
    elif name:
        if name.endswith("SearchCV"):
            raise ConfigError(f"{where} is a {name} without a best_estimator_: fit it, with refit=True")
        raise ConfigError(f"{where} is a {name}; it has to end in an {' or '.join(MLPS)}")
    else:
        kind = model if isinstance(model, type) else type(model)
        bases = [base.__name__ for base in kind.__mro__[1:] if base.__name__ in (*MLPS, "Pipeline")]
        of = f", a class of its own that derives from {bases[0]} and may predict something else" if bases else ""
        said = printable(f"{'the class' if kind is model else 'a'} {kind.__module__}.{kind.__qualname__}")
        raise InputTypeError(
            f"{where} is {said}{of}; a fitted {', '.join(MLPS)} or a Pipeline of scikit-learn's own is wanted"
        )


def _columns(model: Any, source: Source, width: int) -> tuple[int, list[str] | None]:
    """Return the number of columns of the table, and their names if it has some."""
    inner = [step for _, step in source.steps if not isinstance(step, str | None)]
    first = [each for each in (*inner, source.mlp) if hasattr(each, "n_features_in_")]
    names = getattr(first[0], "feature_names_in_", None) if first else None
    n_in = int(first[0].n_features_in_) if first else width  # which versions before 0.24 do not keep
    return n_in, None if names is None else [str(name) for name in names]


def _unit(source: Source, n_out: int) -> tuple[list[float], list[float]] | None:
    """Return mean and scale of the targets, by ``y = mean + scale z``, or None if they are as they are."""
    if not source.targets:
        return None
    mean, scale = np.zeros(n_out), np.ones(n_out)
    for where, step in reversed(source.targets):  # the innermost is the first
        shift, times = inverse_of(step, n_out, where)
        mean, scale = np.array(shift) + np.array(times) * mean, np.array(times) * scale
    return mean.tolist(), scale.tolist()


def _plain(features: Sequence[Feature], n_in: int) -> list[tuple[int, Number]] | None:
    """Return the feature of each column, with its place; None if one is not used once, or more than scaled."""
    found = {
        f.column: (i, f) for i, f in enumerate(features) if isinstance(f, Number) and f.fill is None and not f.clipped
    }
    return [found[i] for i in range(n_in)] if len(found) == len(features) == n_in else None


def _rows_seen(step: Any) -> int:
    """Return the number of rows that a step was fitted to, if it knows."""
    seen = getattr(step, "n_samples_seen_", 0)
    if class_of(step) in ("Pipeline", "ColumnTransformer"):
        inner = [each[1] for each in (step.steps if hasattr(step, "steps") else step.transformers_)]
        return max(map(_rows_seen, inner), default=0)
    return int(np.max(seen))


def _is_by_columns(step: tuple[str, Any]) -> bool:
    """Whether a step may read its columns by name."""
    inner = [each[1] for each in getattr(step[1], "steps", ())]
    return class_of(step[1]) == "ColumnTransformer" or any(_is_by_columns(("", each)) for each in inner)
