"""The labels of a classifier: how outputs stand for them, and how they are read from a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.errors import FileFormatError
from fullyconnected.network import Network

__all__ = ["Labels", "labels_of"]

LARGEST = 1 << 26  # bytes of labels
KINDS = ("binary", "multiclass", "multilabel-indicator")


class Labels:
    """The classes of a classifier, and how its outputs stand for them."""

    def __init__(self, kind: str, classes: Array, tells: str) -> None:
        self.kind, self.classes, self.tells = kind, classes, tells

    def decide(self, z: Array) -> Array:
        """Return class numbers (rows,), or for several labels their indicators (rows, labels)."""
        if self.kind == "multilabel-indicator":
            return (z > 0).astype(int)
        if z.shape[1] > 1:
            return np.asarray(z.argmax(axis=1))
        return (z[:, 0] > 0).astype(int) if len(self.classes) > 1 else np.zeros(len(z), int)

    def of(self, z: Array) -> Array:
        """Return the labels that outputs stand for."""
        found = self.decide(z)
        return found if found.ndim == 2 else self.classes[found]

    def probabilities(self, z: Array, p: Array) -> Array:
        """Return the probabilities of all classes (rows, classes) from outputs and the loss's predictions of them."""
        if p.shape[1] == 1 and self.kind != "multilabel-indicator":
            return np.concatenate([1 - p, p], axis=1)
        if self.tells == "labels" and self.kind == "multiclass":  # each class against the rest
            if not (total := p.sum(axis=1, keepdims=True)).all():  # far below 0, where the sigmoid is exp
                p = np.where(total > 0, p, np.exp(z - z.max(axis=1, keepdims=True)))
                total = p.sum(axis=1, keepdims=True)
            return p / total
        return p


def labels_of(described: dict[str, Any], net: Network) -> Labels | None:
    """Return the labels of a described classifier, or None for a regressor; raise if they do not fit the network."""
    given = described.get("labels")
    if given is None:
        return None
    try:
        kind, dtype, values = given["kind"], str(given["dtype"]), list(given["classes"])
        if kind not in KINDS or np.dtype(dtype).kind not in "biufUO":
            raise ValueError(f"{kind!r:.80} of {dtype!r:.80}")
        if np.dtype(dtype).itemsize * len(values) > LARGEST:
            raise ValueError(f"{len(values)} of {dtype!r:.80}")
        classes = np.empty(len(values), object)
        classes[:] = values
        classes = classes.astype(dtype)
        if classes.tolist() != values or not np.array_equal(np.unique(classes), classes):
            raise ValueError(f"they are not sorted, not distinct, or no {dtype}: {values!r:.80}")
        outputs = len(values) if kind == "multilabel-indicator" or net.n_out > 1 else 1
        if net.n_out != outputs or not 1 <= len(values) <= max(2, net.n_out):
            raise ValueError(f"{len(values)} for {net.n_out} outputs")
    except Exception as error:
        raise FileFormatError(f"the classes of the estimator cannot be read: {error!s:.200}") from None
    assert net.loss is not None
    return Labels(kind, classes, net.loss.link.predicts)
