"""What raw outputs mean to a loss: a loss of your own sets ``link`` to one of these, or to a ``Link`` of its own.

Each turns outputs into predictions by the code of an activation function, with the same bits as a network that ends
in that activation.

>>> import fullyconnected as fc
>>> fc.BinaryCrossEntropy.link is LOGIT
True
"""

from fullyconnected.activations import Exp, Sigmoid, Softmax
from fullyconnected.base import Link, Loss

__all__ = ["IDENTITY", "LOG", "LOGIT", "MULTINOMIAL_LOGIT", "SCORES", "Link"]

IDENTITY = Loss.link
LOG = Link("log", "rates", Exp(), "logarithms of rates, and applies the exponential itself", ("exp",))
LOGIT = Link("logit", "labels", Sigmoid(), "logits, and applies the sigmoid itself", ("sigmoid", "softmax"))
MULTINOMIAL_LOGIT = Link(
    "multinomial logit", "classes", Softmax(), "logits, and applies the softmax itself", ("softmax", "sigmoid")
)
SCORES = Link("scores", "scores", None, "scores of any size, between which it wants a margin", ("softmax", "sigmoid"))
