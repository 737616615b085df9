"""The random numbers of masks, drawn on the card: NumPy's own, for the same seed, step, layer, row and unit."""

from functools import cache
from typing import Any

import numpy as np

from fullyconnected.core.randomness import FLOATS, MASK, Uniforms
from fullyconnected.engine.cuda.numbers import Numbers

__all__ = ["SOURCE", "CardUniforms"]

THREADS = 128  # of a block of the card

# A thread writes what one block of Philox 4x64 gives: eight numbers, or a part of them in the first and the last one.
SOURCE = """
extern "C" __global__ void uniforms(float* out, long long size, long long width, unsigned long long seed,
                                    unsigned long long purpose, unsigned long long layer, const long long* step,
                                    const long long* row) {
    const long long first = *row * width;
    const long long block = first / 8 + (long long)blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long c0 = block + 1, c1 = *step, c2 = layer, c3 = 0, k0 = seed, k1 = purpose;
    for (int round = 0; round < 10; round++) {
        const unsigned long long a = 0xD2E7470EE14C6C93ull * c0, b = 0xCA5A826395121157ull * c2;
        const unsigned long long above_a = __umul64hi(0xD2E7470EE14C6C93ull, c0);
        const unsigned long long above_b = __umul64hi(0xCA5A826395121157ull, c2);
        c0 = above_b ^ c1 ^ k0;
        c1 = b;
        c2 = above_a ^ c3 ^ k1;
        c3 = a;
        k0 += 0x9E3779B97F4A7C15ull;
        k1 += 0xBB67AE8584CAA73Bull;
    }
    const unsigned long long words[4] = {c0, c1, c2, c3};
    for (int i = 0; i < 8; i++) {
        const long long at = 8 * block + i - first;
        const unsigned int half = (unsigned int)(words[i / 2] >> (32 * (i % 2)));
        if (at >= 0 && at < size) out[at] = (float)(half >> 8) * 5.9604644775390625e-8f;
    }
}
"""


@cache
def kernel(cupy: Any) -> Any:
    """Return the kernel, which CuPy compiles when it is first called."""
    return cupy.RawKernel(SOURCE, "uniforms")


class CardUniforms(Uniforms):
    """The random numbers of one layer's masks, written by the card.

    The step and the first row are read from ``numbers``, if they are given; else they are those that are set.
    """

    def __init__(self, cupy: Any, numbers: Numbers | None, layer: int, copies: int = 1) -> None:
        super().__init__(layer, copies)
        self.cupy, self.numbers = cupy, numbers

    def fill(self, out: Any) -> None:
        numbers, cupy = self.numbers, self.cupy
        if numbers is None:
            step, row = (cupy.full((), value, np.int64) for value in (self.step, self.row))
        else:
            step, row = numbers.step, numbers.row
        words = tuple(np.uint64(word) for word in (self.seed, MASK, self.layer))
        sizes = np.int64(out.size), np.int64(self.copies * out.shape[1])
        blocks = -(-(out.size // FLOATS + 2) // THREADS)  # of the stream, the first and the last are used in part
        kernel(cupy)((blocks,), (THREADS,), (out, *sizes, *words, step, row))
