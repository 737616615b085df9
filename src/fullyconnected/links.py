"""What raw outputs mean to a loss: a loss of your own sets ``link`` to one of these, or to a ``Link`` of its own.

Each turns outputs into predictions by the code of an activation function, with the same bits as a network that ends
in that activation.

>>> import fullyconnected as fc
>>> fc.BinaryCrossEntropy.link is LOGIT
True
"""

from typing import Any

from fullyconnected.activations import Exp, Sigmoid, Softmax
from fullyconnected.base import IDENTITY, Link, Loss
from fullyconnected.core import deprecation

__all__ = ["IDENTITY", "LOG", "LOGIT", "MULTINOMIAL_LOGIT", "SCORES", "Link"]

LOG = Link("log", "rates", Exp(), "logarithms of rates, and applies the exponential itself", ("exp",))
LOGIT = Link("logit", "labels", Sigmoid(), "logits, and applies the sigmoid itself", ("sigmoid", "softmax"))
MULTINOMIAL_LOGIT = Link(
    "multinomial logit", "classes", Softmax(), "logits, and applies the softmax itself", ("softmax", "sigmoid")
)
SCORES = Link("scores", "scores", None, "scores of any size, between which it wants a margin", ("softmax", "sigmoid"))


def _converted(cls: Any, loss: Loss) -> Link:
    """Return the link of a user's loss that says in the words of version 0.1.0 what outputs mean."""
    before: Link = super(cls, loss).link
    said: dict[str, Any] = {"own_output": before.refuses, "takes": before.takes, "several_labels": before.tells_labels}
    own = {name for name in said if deprecation.present_name(type(loss), name) == name}
    refuses, takes, several = (getattr(loss, name) if name in own else said[name] for name in said)
    refuses = (refuses,) if isinstance(refuses, str) else tuple(refuses)
    link = Link("own output", "rates") if refuses else IDENTITY
    if {"sigmoid", "softmax"} & {*refuses}:
        link = LOGIT if several else SCORES
    if all(getattr(link, kind) == getattr(before, kind) for kind in ("is_identity", "tells_labels", "tells_classes")):
        link = before  # which may have an inverse
    return Link(link.name, link.predicts, link.inverse, takes, refuses)


deprecation.CONVERSIONS["link"] = _converted
