"""Upgrades of files of earlier versions, in which parts have old names.

Release 0.1.0 wrote version 1. Version 2 has new names for losses, for settings of optimizers, and for the parameters
and running statistics of normalisation.
"""

import re
from collections.abc import Set
from typing import Any

from fullyconnected.core.arrays import Array

__all__ = ["upgrade"]

TENSORS = {"gamma": "gain", "beta": "shift", "running_mean": "mean", "running_var": "variance"}
# Old names in the settings of a run, which are texts such as "Momentum(lr=0.1, decay=0.9)". A user's class may have the
# old name of a loss: its text continues with " of code", and is left as it is.
LOSSES = {"SquaredError": "HalfSquaredError", "LogisticLoss": "BinaryCrossEntropy"}
OPTIMIZER = re.compile(r"\b(?:(Momentum|Nesterov)|RMSProp)\(lr=[^=()]*, decay(?==)")
LOSS = re.compile(rf"\b({'|'.join(LOSSES)})(?=\(\)(?! of )|[,)\]}}]|$)")


def upgrade(version: int, tensors: dict[str, Array], wanted: Set[str], extras: dict[str, Any]) -> None:
    """Upgrade the tensors and the extras of a file to the present version, in place.

    ``wanted`` are the names that the tensors should have, according to the layers in the description.
    """
    if version == 1:
        for name in wanted - tensors.keys():
            layer, _, part = name.rpartition(".")
            if (old := f"{layer}.{TENSORS.get(part)}") in tensors:
                tensors[name] = tensors.pop(old)
    run = extras.get("run")
    settings = run.get("settings") if isinstance(run, dict) else None
    if version == 1 and isinstance(settings, dict):
        settings.update((key, _text(text)) for key, text in settings.items() if isinstance(text, str))


def _text(text: str) -> str:
    text = OPTIMIZER.sub(lambda found: found[0].removesuffix("decay") + ("momentum" if found[1] else "rho"), text)
    return LOSS.sub(lambda found: LOSSES[found[1]], text)
