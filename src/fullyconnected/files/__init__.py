"""Files: the description of a network and its tensors, in one of several formats, written atomically."""

from fullyconnected.files.checkpoint import read_checkpoint, write_checkpoint
from fullyconnected.files.format import Format
from fullyconnected.files.formats import FORMATS, read_model, write_model
from fullyconnected.files.model import Model

__all__ = [
    "FORMATS",
    "Format",
    "Model",
    "read_checkpoint",
    "read_model",
    "write_checkpoint",
    "write_model",
]
