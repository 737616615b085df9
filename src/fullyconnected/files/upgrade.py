"""Files of earlier versions of the format, brought to the present one: what was renamed gets its new name.

Version 1: as release 0.1.0 wrote it. Version 2: other names of losses, of settings of rules, and of the parameters and
running statistics of normalisation.
"""

import re
from collections.abc import Set
from typing import Any

from fullyconnected.core.arrays import Array

__all__ = ["upgrade"]

TENSORS = {"gamma": "gain", "beta": "shift", "running_mean": "mean", "running_var": "variance"}
# Of a run's settings, which are texts of what it was begun with. A class of the user's own, which the text says is "of
# code", may be called as one of the library's was.
LOSSES = {"SquaredError": "HalfSquaredError", "LogisticLoss": "BinaryCrossEntropy"}
RULE = re.compile(r"\b(?:(Momentum|Nesterov)|RMSProp)\(lr=[^=()]*, decay(?==)")
LOSS = re.compile(rf"\b({'|'.join(LOSSES)})(?=\(\)(?! of )|[,)\]}}]|$)")


def upgrade(version: int, tensors: dict[str, Array], wanted: Set[str], extras: dict[str, Any]) -> None:
    """Bring the tensors and the extras of a file to the present version, in place.

    ``wanted`` are the names of the tensors that the file is to have, by the layers that it describes.
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
    text = RULE.sub(lambda found: found[0].removesuffix("decay") + ("momentum" if found[1] else "rho"), text)
    return LOSS.sub(lambda found: LOSSES[found[1]], text)
