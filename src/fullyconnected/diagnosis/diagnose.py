"""``diagnose``: why a network does not learn, as a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from unicodedata import normalize

import numpy as np

from fullyconnected.core.checks import columns_of, same_columns
from fullyconnected.diagnosis.examine import Examination, examine
from fullyconnected.diagnosis.findings import Finding, by_importance
from fullyconnected.diagnosis.report import Diagnosis
from fullyconnected.errors import ConfigError, DataError, InputTypeError
from fullyconnected.losses import LOSSES
from fullyconnected.network import Network
from fullyconnected.program.data import check_data
from fullyconnected.program.sources import is_sparse
from fullyconnected.training import scales
from fullyconnected.training.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fullyconnected.annotations import ArrayLike, LossLike, RowsLike, SparseLike

__all__ = ["diagnose"]


class HasNetwork(Protocol):
    """A fitted estimator: it has a network."""

    @property
    def network_(self) -> Network:
        """The network."""
        ...


def diagnose(
    net_or_estimator: Network | HasNetwork,
    x: RowsLike,
    t: ArrayLike | SparseLike,
    loss: LossLike | None = None,
    history: History | Sequence[float] | None = None,
) -> Diagnosis:
    """Return why a network does not learn, or not as well as it could: findings, each with what to change.

    It looks at a sample of the rows (2,000 at most, fewer for a large network, drawn with a fixed seed), at one step of
    training on them, and at the curves of the training. On a copy it tries whether the network can learn ten rows by
    heart, unless it has already learned. The network stays as it is. For a healthy network there are no findings, or
    notes at most.

    Parameters
    ----------
    net_or_estimator : Network, or an object with a ``network_``
        The network, or a fitted estimator. Of an estimator, ``classes_``, ``feature_names_in_``, ``loss_curve_`` and
        ``validation_loss_curve_`` are used where it has them.
    x : array (rows, ...), or sparse matrix of SciPy
        The rows that it is trained on; those of a sparse matrix that are looked at are made dense.
    t : array
        Their targets; for an estimator with ``classes_``, their labels, which may be sparse if there are several.
    loss : Loss or str, optional
        None takes the loss that the network was last trained with.
    history : History, or sequence of float, optional
        What :func:`fullyconnected.fit` returned, or the loss of each epoch. None takes an estimator's curves.

    Returns
    -------
    Diagnosis
        Prints as a table, and has ``.findings`` and ``.ok``.

    Raises
    ------
    InputTypeError
        For something that is no network and has none, or is no history.
    ConfigError
        If no loss is given and the network has none.
    ShapeError, DataError
        For x and t that do not fit the network, as in :func:`fullyconnected.fit`.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> x = np.random.default_rng(0).normal(size=(100, 4)) * [1, 1, 1, 1e6]
    >>> report = fc.diagnose(fc.mlp([4, 16, 1], seed=0), x, x[:, 0] > 0, "binary_cross_entropy")
    >>> [(found.name, found.where) for found in report.findings][0]
    ('features_unscaled', 'x[:, 3]')
    """
    estimator: Any = None if isinstance(net_or_estimator, Network) else net_or_estimator
    net = net_or_estimator if estimator is None else getattr(estimator, "network_", None)
    if not isinstance(net, Network):
        raise InputTypeError(
            f"a Network is diagnosed, or a fitted estimator with one, network_; got a {type(estimator).__name__}: "
            f"fc.diagnose(net, x, t, loss)"
            + "; of a pipeline, its last step: fc.diagnose(model[-1], model[:-1].transform(x), t)"
            * hasattr(estimator, "named_steps")
        )
    loss = net.loss if loss is None else loss
    if loss is None:
        raise ConfigError(
            "the network has no loss, since it has not been trained: give one, fc.diagnose(net, x, t, loss), such as "
            "fc.SoftmaxCrossEntropy() for classes or fc.HalfSquaredError() for numbers"
        )
    names, given = net.columns.x or columns_of(x), t
    if estimator is not None:
        if (known := getattr(estimator, "feature_names_in_", None)) is not None:
            names = tuple(normalize("NFC", str(name)) for name in known)
            same_columns(names, columns_of(x), "x", "estimator.feature_names_in_")
        t = _encoded(estimator, t, net, loss)
    data = check_data(net.program, net.dtype, x, t, loss, columns=net.columns, sparse=True)
    if net.unset:  # its first training would begin so
        net = net.copy()
        net.adapt_to(data)
    curves = _history(history, estimator)
    found = examine(net, data, curves, names)
    findings = found.findings
    if (remark := scales.of_order(x, given)) is not None:
        findings = by_importance([Finding("rows_in_another_order", "warning", *remark), *findings])
    return Diagnosis(tuple(findings), _about(found, len(data.x)), tuple(_left_out(found, curves)))


def _encoded(estimator: Any, t: Any, net: Network, loss: LossLike) -> Any:
    """Return the labels of an estimator as the loss takes them; several labels are indicators already."""
    t = t.toarray() if is_sparse(t) else t
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, np.ndarray) or np.shape(t)[1:] not in ((), (1,)):
        return t
    t = np.ravel(t)
    unknown = ~np.isin(t, classes)
    if unknown.any():
        raise DataError(f"t has the label {t[unknown][0]!r}, which is none of the estimator's classes: {classes}")
    codes = np.searchsorted(classes, t)
    each_against_the_rest = net.n_out > 1 and LOSSES.get(loss).link.predicts == "labels"
    return np.eye(net.n_out)[codes] if each_against_the_rest else codes


def _history(given: Any, estimator: Any) -> History | None:
    if given is None and estimator is not None:
        curve = getattr(estimator, "loss_curve_", None)
        if curve is not None:
            early = getattr(estimator, "early_stopping", False) and estimator.n_iter_ < estimator.max_iter
            return History(
                loss=list(curve),
                validation_loss=list(getattr(estimator, "validation_loss_curve_", ()) or ()),
                stopped="patience" if early else "epochs",
            )
    if given is None or isinstance(given, History):
        return given
    try:
        curve = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        curve = np.zeros((0, 0))
    if curve.ndim != 1:
        raise InputTypeError(
            f"history is what fc.fit returned, or a list with the loss of each epoch; got {given!r:.80}"
        )
    return History(loss=curve.tolist())


def _about(found: Examination, rows: int) -> str:
    looked = f"{found.rows:,} rows" if found.rows == rows else f"{found.rows:,} of {rows:,} rows, drawn at random"
    level = found.level
    return f"{looked}; the loss on them is {level.loss:.4g}, that of a constant prediction {level.chance:.4g}"


def _left_out(found: Examination, history: History | None) -> list[str]:
    left = []
    if history is None:
        left.append("the curves of the training, for there is no history: fc.diagnose(..., history=history)")
    if found.untried:
        left.append(f"whether it can learn ten rows by heart, for {found.untried}")
    if not found.trained:
        left.append("what it has learned, for it has not been trained")
    return left
