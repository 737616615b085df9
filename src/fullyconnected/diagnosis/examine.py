"""All findings about a network, its data and its history, the most important first."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.diagnosis.chance import Level, level_of
from fullyconnected.diagnosis.findings import Finding, by_importance
from fullyconnected.diagnosis.of_data import of_classes, of_columns, of_scales
from fullyconnected.diagnosis.of_history import of_history
from fullyconnected.diagnosis.of_step import of_step
from fullyconnected.diagnosis.trial import LEARNED, of_trial, steps_of
from fullyconnected.network import Network
from fullyconnected.program.data import BatchLoader, Data
from fullyconnected.program.program import Program
from fullyconnected.program.sources import ArraySource, Chosen, spread
from fullyconnected.program.workspace import Workspace
from fullyconnected.training.history import History

__all__ = ["Examination", "examine"]

ROWS = 2000  # most rows that are looked at
FEW, SOME, ENTRIES = 32, 200, 40_000  # for a quick look: a few milliseconds, and less memory than a batch of training
MANY = 100_000  # targets with which those of a few places are compared
UNLIKE = 0.3  # deviations by which a mean of targets is another one: four of its own errors in SOME rows
WORK, MEMORY = 2e9, 2e7  # parameters times rows, and entries of activations: about half a second, and 200 MB
NOTHING = 0.02  # what has learned less than this has learned nothing


class Examination(NamedTuple):
    """What was found, and from what."""

    findings: list[Finding]
    rows: int  # that were looked at
    level: Level  # on these rows
    trained: bool
    untried: str  # why there was no trial on ten rows; empty if there was, or if it was known to succeed


def examine(
    net: Network,
    data: Data,
    history: History | None = None,
    names: tuple[str, ...] | None = None,
    *,
    quick: bool = False,
) -> Examination:
    """Return the findings, the most important first; the network stays as it is.

    Parameters
    ----------
    net, data
        A network, and rows that were checked against it.
    history : History, optional
        The history of its training.
    names : tuple of str, optional
        The names of the features.
    quick : bool
        Whether to look at few rows, and not at each column; and not to try if the network can learn ten rows by heart.
    """
    # with smoothed labels, the loss of a perfect answer is no measure of what can be learned
    data = data._replace(loss=data.loss.for_evaluation())
    program, dtype = net.program, net.program.input_dtype(net.dtype)
    sample = sampled(data, program, dtype, max(FEW, min(SOME, ENTRIES // net.n_in)) if quick else ROWS, near=quick)
    x = sample.x.block(0, len(sample.x))
    workspace = Workspace(program, net.theta.copy(), net.state.copy(), len(x), loss=data.loss, input_gradient=True)
    batch = BatchLoader(sample, workspace).load_all()
    with np.errstate(all="ignore"):
        batch.forward(train=False)
    z = batch.outputs().copy()
    level = level_of(sample, z)
    trained = history is not None or _is_trained(net)
    found = list(of_scales(net, data, level, names))
    scaled = not found
    found += of_step(batch, sample, net.state, scaled=scaled)
    finite = np.isfinite(z).all() and not any(each.name == "not_finite" for each in found)
    untried = "" if steps_of(program) else "it is too large to try"
    untried = "the scales of features or targets must be mended first" if not scaled else untried
    untried = "" if level.learned >= LEARNED or not finite else untried
    found += () if quick else of_columns(data, x, names)
    if history is not None:
        found += of_history(history, level)
    if finite and trained:
        # biases that somebody has set are not known from those that are trained in a loop of one's own
        found += _of_level(level, "note" if history is None and net.loss is None else "warning")
        found += of_classes(sample, z)
    if not quick and finite and not untried and level.learned < LEARNED:
        found += of_trial(program, sample, net.theta, net.state)
    return Examination(by_importance(found), len(sample.x), level, trained, untried)


def _of_level(level: Level, severity: str) -> Iterator[Finding]:
    if level.learned < NOTHING:
        yield Finding(
            "loss_above_chance",
            severity,
            "the network",
            f"the loss on these rows is {level.loss:.4g}, and that of a constant prediction is {level.chance:.4g}: "
            f"nothing has been learned from x",
            "Check that each row of t belongs to the same row of x, and look at the other findings; or try another "
            "learning rate and more epochs.",
        )


def sampled(data: Data, program: Program, dtype: np.dtype[Any], most: int, *, near: bool = False) -> Data:
    """Return some rows of positive weight, drawn with a fixed seed, in their order, in the dtype of its input.

    With ``near`` they are from a few places, if they have to be read, unless their targets are unlike those of others.
    """
    most = min(most, max(64, int(WORK // max(1, program.n_params))), max(16, int(MEMORY // program.entries_a_row)))
    rows = np.arange(len(data.x)) if (w := data.row_weights) is None else np.flatnonzero(w)
    if len(rows) > most:
        places = rows[spread(Chosen(data.x, rows), most)] if near and not data.x.in_memory else rows[:0]
        if len(places) < min(FEW, most) or not _alike(data.t[places], data.t[rows[:: 1 + len(rows) // MANY]]):
            places = rows[np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))]
        rows = places
    weights = None if data.weights is None else data.weights[rows]
    return Data(ArraySource(data.x.taken(rows, dtype)), data.t[rows], weights, data.loss)


def _alike(some: Array, others: Array) -> bool:
    """Whether some targets, each (rows, ...), have about the classes, or the means and deviations, of others."""
    if some.ndim == 1 and some.dtype.kind in "iu":
        counts = [np.bincount(t, minlength=int(others.max()) + 1) / len(t) for t in (some, others)]
        return len(counts[0]) == len(counts[1]) and bool(np.abs(counts[0] - counts[1]).max() < UNLIKE / 2)
    with np.errstate(all="ignore"):
        deviation = others.std(axis=0, dtype=np.float64)
        off = np.abs(some.mean(axis=0, dtype=np.float64) - others.mean(axis=0, dtype=np.float64))
        narrow = some.std(axis=0, dtype=np.float64) < deviation / 2
    return bool((off <= UNLIKE * deviation).all()) and not narrow.any()


def _is_trained(net: Network) -> bool:
    """Whether training seems to have changed the network: biases and gains are no longer those of a new one.

    These begin with the same values in each network, unless ``bias_init`` is random, or depends on the training rows.
    """
    new = Network(net.layers, dtype=net.dtype, seed=0).theta
    others = [tensor for tensor in net.program.tensors if not tensor.param.decays and np.isfinite(tensor.of(new)).all()]
    if not others:
        return net.loss is not None
    return any(not np.array_equal(tensor.of(new), tensor.of(net.theta)) for tensor in others)
