"""The names of a worked example: as in a textbook, Dense layers are counted, and an activation belongs to its layer.

``z1`` is what the first Dense layer computes, and ``y1`` what its activation makes of it; without an activation, what
the layer computes is ``y1``. The last layer's activation may be in the loss, as softmax is. Every other layer has a
word with a number of its own: ``gamma_norm1``, ``y_drop1``.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fullyconnected.core.wording import printable
from fullyconnected.program.description import Operation
from fullyconnected.symbolic.expression import Name
from fullyconnected.symbolic.names import identifier

__all__ = ["WORDS", "Called", "called", "wires"]

# the words of kinds of layers; another kind has its registered name
WORDS = {
    "activation": "act",
    "add": "sum",
    "batch_norm": "norm",
    "concatenate": "join",
    "dropout": "drop",
    "embedding": "emb",
    "layer_norm": "norm",
    "member_batch_norm": "norm",
    "member_layer_norm": "norm",
    "member_rms_norm": "norm",
    "member_scale": "member",
    "one_hot": "hot",
    "parametric": "act",
    "periodic_embedding": "wave",
    "piecewise_linear_embedding": "bend",
    "piecewise_linear_encoding": "bin",
    "rescale": "unit",
    "rms_norm": "norm",
    "select": "part",
    "standardize": "std",
}
FUNCTIONS = ("activation", "parametric")
# layers that may stand between a Dense layer and its activation
BETWEEN = {
    "batch_norm", "dropout", "layer_norm", "member_batch_norm", "member_layer_norm", "member_rms_norm", "rms_norm",
    "scale",
}  # fmt: skip


class Called(NamedTuple):
    """How an operation's output is called, ``z`` or ``y``, and the index of all names of the operation."""

    letter: str
    number: str


def called(operations: Sequence[Operation], *, activated: bool = False) -> list[Called]:
    """Return how each operation of a program is called, with every activation as an operation of its own.

    ``activated`` says that the loss has the activation of the last layer in itself.
    """
    numbers: dict[int, str] = {}  # of Dense layers
    for i, op in enumerate(operations):
        if op.is_dense:
            numbers[i] = str(len(numbers) + 1)
    owners: dict[int, int] = {}  # of activations: their Dense layers
    for i, op in enumerate(operations):
        owner = _owner(i, operations)
        if op.kind in FUNCTIONS and owner is not None and owner not in owners.values():
            owners[i] = owner
    found: list[Called] = []
    counts: dict[str, int] = {}
    for i, op in enumerate(operations):
        if i in numbers:
            ends = activated and i == len(operations) - 1
            found.append(Called("z" if i in owners.values() or ends else "y", numbers[i]))
        elif i in owners:
            found.append(Called("y", numbers[owners[i]]))
        else:
            word = WORDS.get(op.kind) or identifier(op.layer.name)
            counts[word] = counts.get(word, 0) + 1
            found.append(Called("y", f"{word}{counts[word]}"))
    return found


def wires(operations: Sequence[Operation], *, activated: bool = False) -> list[Name]:
    """Return the names of the input and of each operation's output, every activation being an operation of its own.

    Their full names are those of the library: ``dense_1.y`` is what the layer dense_1 gives, and ``dense_1.z`` what it
    has before its own activation.
    """
    found = [Name("x", full="x")]
    for i, (op, (letter, number)) in enumerate(zip(operations, called(operations, activated=activated), strict=True)):
        before = i + 1 < len(operations) and operations[i + 1].name == op.name
        found.append(Name(letter, number, full=f"{printable(op.name)}.{'z' if before else 'y'}"))
    return found


def _owner(i: int, operations: Sequence[Operation]) -> int | None:
    """Return the Dense layer whose result reaches an operation alone, past layers that may stand between."""
    while True:
        source = operations[i].reads[0]
        if source < 0 or sum(source in op.reads for op in operations) > 1:
            return None
        if operations[source].is_dense:
            return source
        if operations[source].kind not in BETWEEN:
            return None
        i = source
