"""Findings about the data: scales, what is constant or repeated, and classes that are too rare."""

from collections.abc import Iterator, Sequence

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.diagnosis.chance import Level, targets_of
from fullyconnected.diagnosis.findings import Finding
from fullyconnected.network import Network
from fullyconnected.program.data import Data
from fullyconnected.training import scales

__all__ = ["of_classes", "of_columns", "of_scales"]

LEARNED = 0.9  # a network that has learned this much copes with its features
FEW = 10  # columns with fewer rows are not compared
RARE = 0.5  # a class is rare below this share of what it would have if all were equally frequent
SHOWN = 5  # columns that are named


def of_scales(net: Network, data: Data, level: Level, names: tuple[str, ...] | None) -> Iterator[Finding]:
    """Yield what is wrong with the scale of features and targets."""

    def outputs(rows: Rows) -> Array:
        return net.predict(data.x.taken(rows, net.program.input_dtype(net.dtype)), engine="numpy")

    remarks = {
        "features_unscaled": scales.of_inputs(data.x, net.program, names),
        "targets_unscaled": scales.of_targets(data.t, data.loss, net.program, outputs),
    }
    for name, remark in remarks.items():
        if remark is not None:
            yield Finding(name, "note" if level.learned >= LEARNED else "warning", *remark)


def of_columns(data: Data, x: Array, names: tuple[str, ...] | None) -> Iterator[Finding]:
    """Yield columns that are constant, or equal to another one but for scale and offset; x is a sample of the rows.

    Of columns with missing values, only those are told of that are missing in each row.
    """
    rows, columns = x.shape
    if rows < FEW:
        return
    targets = data.t.reshape(len(data.t), -1)
    if (targets == targets[0]).all():
        yield Finding(
            "targets_constant",
            "warning",
            "t",
            f"t is {', '.join(f'{value:.6g}' for value in targets[0][:SHOWN])} in each of the {len(targets):,} rows",
            "There is nothing to learn from such rows: check how t was made, and whether the rows are sorted by it.",
        )
    low, high = x.min(axis=0), x.max(axis=0)
    compared = low < high
    if rows < len(data.x):  # what is rare may be in other rows, or in the same few as something else that is rare
        compared &= np.count_nonzero(x != np.median(x, axis=0), axis=0) >= FEW
        if (low == high).any():
            low, high = (each.astype(x.dtype) for each in data.x.extremes())
    gone = np.isnan(x).all(axis=0)
    if rows < len(data.x) and gone.any():
        for _, block in data.x.blocks():
            gone &= np.isnan(np.fmax.reduce(block, axis=0))  # without a copy of the block
    constant = np.flatnonzero((low == high) | gone)
    if len(constant):
        seen = f"{_are(len(constant), columns)} constant on these rows: {_listed(constant, names)}"
        change = "The network learns nothing from them, and they can be left out."
        severity = "note" if len(constant) < columns else "warning"
        yield Finding("features_constant", severity, _place(constant, names), seen, change)
    varies = np.flatnonzero(compared)
    repeats = _repeats(x[:, varies])
    if repeats:
        later, earlier = (varies[[pair[i] for pair in repeats]] for i in (0, 1))
        same = ", ".join(
            f"{scales.column_of('x', a, names)} as {scales.column_of('x', b, names)}"
            for a, b in list(zip(later, earlier, strict=True))[:SHOWN]
        )
        yield Finding(
            "features_duplicate",
            "note",
            _place(later, names),
            f"{_are(len(later), columns)} the same as another one but for scale and offset: {same}"
            + ", ..." * (len(later) > SHOWN),
            "They tell the network nothing new, and can be left out.",
        )


def _repeats(x: Array) -> list[tuple[int, int]]:
    """Return each column that equals an earlier one but for scale and offset, with the first such column.

    Columns are brought to mean 0, norm 1 and the same sign, and sorted by their product with a random vector, so that
    equal ones are neighbours.
    """
    x = x.astype(np.float64)
    with np.errstate(all="ignore"):
        x -= x.mean(axis=0)
        x /= np.linalg.norm(x, axis=0)
        turned = np.random.default_rng(0).normal(size=len(x)) @ x
    x *= np.sign(turned)
    turned = np.abs(turned)
    order = np.argsort(turned, kind="stable")
    found = []
    groups: list[list[int]] = []
    for i in order:
        if groups and np.abs(x[:, i] - x[:, groups[-1][0]]).max() < 1e-6:  # float32 keeps seven digits
            groups[-1].append(int(i))
        else:
            groups.append([int(i)])
    for group in groups:
        first, *others = sorted(group)
        found += [(other, first) for other in others]
    return sorted(found)


def of_classes(data: Data, z: Array) -> Iterator[Finding]:
    """Yield rare classes that are never predicted; ``z`` are the outputs for the rows."""
    t = targets_of(data.t, z.shape[1])
    if not data.loss.link.tells_classes or len(z) < FEW or t.shape != z.shape:
        return
    if data.loss.link.predicts == "labels" or z.shape[1] == 1:
        labels = t > (0.5 if t.min() >= 0 else 0)  # they are 0 and 1, or -1 and 1
        for j, (column, answers) in enumerate(zip(labels.T, (z > 0).T, strict=True)):
            rare = column.mean() < 0.5
            if not (answers == rare).any():
                yield from _rare(int((column == rare).sum()), len(z), 2, f"t[:, {j}]", f"t[:, {j}] = {int(rare)}")
        return
    predicted = np.bincount(z.argmax(axis=1), minlength=z.shape[1])
    counts = np.bincount(t.argmax(axis=1), minlength=z.shape[1])
    for c in np.flatnonzero(predicted == 0):
        yield from _rare(int(counts[c]), len(z), z.shape[1], f"class {c}", f"class {c}")


def _rare(count: int, rows: int, classes: int, where: str, what: str) -> Iterator[Finding]:
    if 0 < count < RARE * rows / classes:
        yield Finding(
            "class_imbalance",
            "warning",
            where,
            f"{what} is never predicted, and has only {count:,} of {rows:,} rows: the others outweigh it in the loss",
            "Give its rows more weight, for class numbers by sample_weight=(1 / np.bincount(t))[t], or train for more "
            "epochs.",
        )


def _are(n: int, of: int) -> str:
    return f"{n} of the {of} features {'is' if n == 1 else 'are'}"


def _place(columns: Sequence[int] | Array, names: tuple[str, ...] | None) -> str:
    return scales.column_of("x", int(columns[0]), names) if len(columns) == 1 else "x"


def _listed(columns: Array, names: tuple[str, ...] | None) -> str:
    shown = ", ".join(scales.column_of("x", int(i), names) for i in columns[:SHOWN])
    return shown + ", ..." * (len(columns) > SHOWN)
