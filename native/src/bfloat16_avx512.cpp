// Products of bfloat16 by the instructions of AVX512-BF16.
#include <immintrin.h>

#include "bfloat16.hpp"

namespace {

constexpr int rows = 8;  // whose sums are in registers

void nothing() {}

template <int wide>
void multiply(const Bfloat16Tile& t, const uint16_t* a, float* c) {
    const uint16_t* b = t.b;
    __m512 sums[rows][wide];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < wide; v++)
            sums[r][v] = t.add ? _mm512_loadu_ps(c + r * t.c_row + v * panel_size) : _mm512_setzero_ps();
    for (ptrdiff_t s = 0; s < t.steps; s++, a += step_size, b += step_size)
        for (ptrdiff_t pair = 0; pair < step_k; pair += 2) {
            __m512i columns[wide];
#pragma GCC unroll 2
            for (int v = 0; v < wide; v++) columns[v] = _mm512_loadu_si512(b + v * t.b_panel + pair * panel_size);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                int both;
                __builtin_memcpy(&both, a + r * step_k + pair, sizeof both);
                const __m512i left = _mm512_set1_epi32(both);
#pragma GCC unroll 2
                for (int v = 0; v < wide; v++)
                    sums[r][v] = _mm512_dpbf16_ps(sums[r][v], (__m512bh)left, (__m512bh)columns[v]);
            }
        }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < wide; v++) _mm512_storeu_ps(c + r * t.c_row + v * panel_size, sums[r][v]);
}

void tile(const Bfloat16Tile& t) {
    for (ptrdiff_t i = 0; i < t.high * panel_size; i += rows) {
        const uint16_t* a = t.a + i / panel_size * t.a_panel + i % panel_size * step_k;
        t.wide > 1 ? multiply<2>(t, a, t.c + i * t.c_row) : multiply<1>(t, a, t.c + i * t.c_row);
    }
}

}  // namespace

const Bfloat16 bfloat16_avx512 = {"avx512_bf16", nothing, tile, nothing, largest_block / 2};
