"""The parameters of the estimators for tables: what each may be, and what it does."""

from __future__ import annotations

import os
from math import inf
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from fullyconnected.errors import ConfigError
from fullyconnected.estimators.parameters import COMM, Parameter

__all__ = ["TABULAR_CLASSIFIER", "TABULAR_REGRESSOR", "hidden_sizes"]

TABULAR_REGRESSOR = {
    "preset": Parameter(
        [StrOptions({"fast", "default", "best"})],
        '{"fast", "default", "best"}',
        'What ``n_members``, ``hidden`` and ``epochs`` are unless they are given, and the number of networks: "fast" '
        'is small and takes about a twentieth of the time of "default", and "best" takes several times as long.',
    ),
    "n_members": Parameter(
        [Interval(Integral, 2, None, closed="left"), None],
        "int or None",
        "Members of each network. Each of them learns from all rows but a share, by which the others are judged. None "
        "takes the preset's number, as for the next two.",
    ),
    "hidden": Parameter(
        [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "int, sequence of int or None",
        "Units of each hidden layer of a member; an empty sequence is a linear model of the encoded columns.",
    ),
    "epochs": Parameter(
        [Interval(Integral, 1, None, closed="left"), None],
        "int or None",
        "Number of times that the rows are learned from. Each member keeps the weights of its best epoch, which the "
        "other members' held-out rows tell.",
    ),
    "max_time": Parameter(
        [Interval(Real, 0, inf, closed="neither"), str, None],
        "float, str or None",
        'Seconds, or "30s", "5m" or "1h", that ``fit`` may take, about: lowers the epochs, and then the members and '
        "units that are not given, to what fits.",
    ),
    "cv": Parameter(
        ["cv_object"],
        "int, splitter, iterable or None",
        "How rows are held out from the members. None: in a part for each member. An int: in so many parts, of which "
        "each member has one. A splitter of scikit-learn, which gets the groups, or (train, test) indices of rows: "
        "member i learns from the training rows of split i and is judged by its test rows, and members beyond the last "
        "split begin with the first again.",
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither"), None],
        "float or None",
        "Instead of ``cv``: the share of the rows that is held out from all members.",
    ),
    "scoring": Parameter(
        [str, callable, None],
        "str, callable or None",
        "What the best epoch is the best by, for predictions of held-out rows: None takes the loss, and else a scorer "
        "of scikit-learn, by name or as a function of (estimator, X, y), and of sample_weight where rows have weights.",
    ),
    "checkpoint": Parameter(
        [str, os.PathLike, None],
        "path or None",
        "A folder in which the training is kept while it runs. ``fit`` with the same data and parameters goes on from "
        "there, with the same bits; it needs an int as ``random_state``. A folder is for one fit, not for those of a "
        "search.",
    ),
    "categorical_features": Parameter(
        ["array-like", StrOptions({"from_dtype"}), None],
        'array-like of bool, int or str, "from_dtype" or None',
        "Columns that are categories whatever they hold: those of a categorical dtype, those of a mask, of numbers or "
        "of names, or none. Text is a category without being named.",
    ),
    "random_state": Parameter(
        ["random_state"],
        "int, RandomState or None",
        "Seed of the rows held out, the initial weights and the order of the rows. The same int gives the same bits "
        "with the same number of threads.",
    ),
    "n_jobs": Parameter(
        [Integral, None], "int or None", "Number of threads; -1 takes all. None takes what ``fc.fit`` takes by itself."
    ),
    "comm": COMM,
    "verbose": Parameter(["verbose"], "int", "Whether to show the progress of each network, as ``fc.fit`` does."),
}
TABULAR_CLASSIFIER = TABULAR_REGRESSOR | {
    "class_weight": Parameter(
        [dict, list, StrOptions({"balanced"}), None],
        'dict, "balanced", list of these or None',
        'Factors on the weights of the rows by class; "balanced" makes the sums of all classes equal. A list has one '
        "for each label of several.",
    ),
}


def hidden_sizes(given: Any) -> tuple[int, ...] | None:
    """Return the units of each hidden layer, or None if they are not given; or raise.

    >>> hidden_sizes(64), hidden_sizes([128, 64]), hidden_sizes(())
    ((64,), (128, 64), ())
    """
    if given is None:
        return None
    sizes = [given] if isinstance(given, Integral) else list(given)
    if not all(type(each) is not bool and isinstance(each, Integral) and int(each) >= 1 for each in sizes):
        raise ConfigError(f"hidden has the units of each hidden layer, whole numbers from 1 on; got {given!r:.80}")
    return tuple(int(each) for each in sizes)
