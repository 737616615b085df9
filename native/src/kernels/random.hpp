// Counter-based random numbers: Philox 4x64, the same as NumPy's, from any place in the stream.
//
// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include "simd.hpp"

namespace {

constexpr uint64_t purpose_mask = 2;  // MASK in fullyconnected/core/randomness.py

// Eight uniform numbers in [0, 1), numbers 8 * block .. 8 * block + 7 of the stream of (seed, step, layer).
FC_INLINE void uniforms(uint64_t seed, uint64_t step, uint64_t layer, uint64_t block, float out[8]) {
    uint64_t c[4] = {block + 1, step, layer, 0}, key[2] = {seed, purpose_mask};  // NumPy counts first, then draws
    for (int round = 0; round < 10; round++) {
        const unsigned __int128 a = (unsigned __int128)c[0] * 0xD2E7470EE14C6C93u;
        const unsigned __int128 b = (unsigned __int128)c[2] * 0xCA5A826395121157u;
        const uint64_t next[4] = {(uint64_t)(b >> 64) ^ c[1] ^ key[0], (uint64_t)b, (uint64_t)(a >> 64) ^ c[3] ^ key[1],
                                  (uint64_t)a};
        for (int i = 0; i < 4; i++) c[i] = next[i];
        key[0] += 0x9E3779B97F4A7C15u;
        key[1] += 0xBB67AE8584CAA73Bu;
    }
    for (int i = 0; i < 4; i++) {  // the lower half of each word first
        out[2 * i] = (float)((uint32_t)c[i] >> 8) * 0x1p-24f;
        out[2 * i + 1] = (float)(uint32_t)(c[i] >> 40) * 0x1p-24f;
    }
}

// The mask of some rows of n units: 0 with probability `rate`, else 1 / (1 - rate). The first row of the mask is number
// `first` of the batch.
template <class T>
void draw_mask(uint64_t seed, int64_t step, int layer, double rate, Rows<T> mask, ptrdiff_t from, ptrdiff_t to,
               ptrdiff_t n, ptrdiff_t first) {
    const float limit = (float)rate;
    const T stays = (T)(1 / (1 - rate));
    float numbers[8];
    uint64_t drawn = UINT64_MAX;
    for (ptrdiff_t i = from; i < to; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            const uint64_t at = (uint64_t)((first + i) * n + j);
            if (at / 8 != drawn) uniforms(seed, (uint64_t)step, (uint64_t)layer, drawn = at / 8, numbers);
            mask.data[i * mask.row + j] = numbers[at % 8] >= limit ? stays : 0;
        }
}

}  // namespace
