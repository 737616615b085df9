"""Counter-based random numbers.

Every draw is a function of its purpose: initial weights of (seed, layer), also those that depend on training rows, a
shuffle of (seed, epoch), where rows come window by window of (seed, epoch, stream, window), and the order of pieces of
(seed, epoch, stream); a dropout mask of (seed, step, layer), with the position in the stream given by row and unit. So
a resumed run, another engine or another number of threads draws the same. The generator is Philox, whose n-th number is
a function of a key and n.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fullyconnected.errors import ConfigError, InputTypeError

__all__ = ["ADAPT", "INIT", "MASK", "PIECES", "SHUFFLE", "Uniforms", "as_seed", "check_seed", "generator"]

INIT, SHUFFLE, MASK, ADAPT, PIECES = 0, 1, 2, 3, 4  # the purpose of a draw: the second word of the key
FLOATS = 8  # float32 numbers in a block of Philox, whose counter counts blocks


def as_seed(seed: Any) -> int:
    """Return a seed in [0, 2**64): the int given, one drawn from a Generator, or a new one for None.

    >>> as_seed(7)
    7
    """
    seed = check_seed(seed)
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    return seed if isinstance(seed, int) else int(seed.integers(2**64, dtype=np.uint64))


def check_seed(seed: Any) -> int | np.random.Generator | None:
    """Return a valid seed as it was given, without drawing from a Generator; or raise."""
    if seed is None or isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InputTypeError(f"seed is an int, None or a numpy.random.Generator; got {seed!r}")
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed is from 0 to 2**64 - 1; got {seed}")
    return int(seed)


def generator(seed: int, purpose: int, *index: int, block: int = 0) -> np.random.Generator:
    """Return the generator for a purpose and index, such as (seed, SHUFFLE, epoch), from a block of its stream on."""
    counter = np.array([block, *index, *[0] * (3 - len(index))], np.uint64)  # word 0 counts the position in the stream
    return np.random.Generator(np.random.Philox(key=np.array([seed, purpose], np.uint64), counter=counter))


class Uniforms:
    """The random numbers of one layer's masks: float32, uniform in [0, 1), others in each step.

    ``copies`` is the number of copies of each row in the input of the layer; ``dropout`` is the factor on the rate of
    dropout in the step, if a schedule gives one.
    """

    def __init__(self, layer: int, copies: int = 1) -> None:
        self.layer, self.copies = layer, copies
        self.seed = self.step = self.row = 0  # set by the workspace before a step
        self.dropout: Any = None

    def fill(self, out: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Overwrite ``out`` (rows, n), in C order, with the numbers of this seed, step and layer from ``row`` on."""
        block, place = divmod(self.row * self.copies * out.shape[1], FLOATS)
        numbers = generator(self.seed, MASK, self.step, self.layer, block=block)
        if place:
            numbers.random(place, dtype=np.float32)
        numbers.random(dtype=np.float32, out=out)
