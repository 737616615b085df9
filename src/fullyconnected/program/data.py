"""Rows, targets, weights and a loss, checked once against a network and each other before anything is computed."""

import math
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.base import Loss, encoded_by, in_dtype
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import (
    UNNAMED,
    Columns,
    as_array,
    as_rows,
    as_weights,
    columns_of,
    require_finite,
    same_columns,
    same_rows,
)
from fullyconnected.errors import ConfigError, ShapeError
from fullyconnected.losses import LOSSES
from fullyconnected.program.program import Program

__all__ = ["Data", "check_data", "check_loss", "require_rows"]


class Data(NamedTuple):
    """Checked rows (rows, n_in), targets as the loss encodes them, weights (rows,), and the loss they are for."""

    x: Array
    t: Array
    weights: Array | None
    loss: Loss


def check_loss(program: Program, loss: Any) -> Loss:
    """Return the loss that is given, or that a name stands for; or raise where it does not fit a network's outputs."""
    loss = LOSSES.get(loss)
    n_out = program.n_out
    if n_out < loss.min_outputs:
        raise ConfigError(
            f"{type(loss).__name__} takes {loss.min_outputs} outputs or more and the network has {n_out}"
            + (": one for each class. (For two classes by a single output: BinaryCrossEntropy)" if n_out == 1 else "")
        )
    if (output := output_activation(program)) in loss.link.refuses:
        raise ConfigError(
            f"the network ends in {output!r}, and {type(loss).__name__} takes what comes before it: "
            f"{loss.link.takes}. Take the activation off the last layer"
        )
    return loss


def check_data(
    program: Program,
    dtype: np.dtype[Any],
    x: Any,
    t: Any,
    loss: Any,
    sample_weight: Any = None,
    what: str = "",
    columns: Columns = UNNAMED,
) -> Data:
    """Return data that a network of this program and dtype can be trained on or judged by, or raise.

    ``what`` stands before the names of the arrays in messages: ``"validation "``. ``columns`` are those that the
    network was trained with.
    """
    same_columns(columns.x, columns_of(x), f"{what}x", "net.columns.x")
    same_columns(columns.t, columns_of(t), f"{what}t", "net.columns.t")
    loss, n_out = check_loss(program, loss), program.n_out
    try:
        x = as_rows(x, program.n_in, f"{what}x")
    except ShapeError as error:
        if not _fits(t, program.n_in):
            raise
        raise ShapeError(f"{error}. {what}t has that shape: are {what}x and {what}t swapped?") from None
    require_finite(x, f"{what}x", dtype)
    t = same_rows(len(x), as_array(t, f"{what}t"), f"{what}t")
    require_finite(t, f"{what}t", dtype)
    t = in_dtype(encoded_by(loss, t, n_out), dtype)
    weights = None if sample_weight is None else as_weights(sample_weight, len(x), f"{what}sample_weight")
    return Data(np.ascontiguousarray(x), t, weights, loss)


def require_rows(program: Program, rows: int, given: str) -> None:
    """Raise where a batch in training has too few rows for a layer that looks across them; ``given`` says of what."""
    for op in program.operations:
        if rows < op.layer.least_rows:
            raise ConfigError(
                f"{op.name} looks across the rows of a batch, and needs {op.layer.least_rows} or more of them in "
                f"training; got {given}. (The output of BatchNorm over a single row is the same whatever the row "
                f"holds. LayerNorm looks at each row alone)"
            )


def _fits(t: Any, n_in: int) -> bool:
    """Whether targets have the shape of inputs."""
    try:
        shape = np.shape(t)
    except ValueError:  # rows of different lengths
        return False
    return len(shape) > 1 and math.prod(shape[1:]) == n_in


def output_activation(program: Program) -> str | None:
    """Name the activation that the outputs come from, past layers that predict what they are given."""
    layers = [op.layer for op in program.operations if op.kind != "dropout"]
    activation = getattr(layers[-1], "activation", None) if layers else None
    return None if activation is None else str(activation.name)
