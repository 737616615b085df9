// Products of bfloat16 that are summed in float32: what the files have in common of which each is compiled for the
// instructions of one way to compute them.
#pragma once

#include <stddef.h>
#include <stdint.h>

// A panel has 16 rows of A, or 16 columns of B. It lies in steps of 32 numbers of k: 16 lines of 16 pairs of neighbours
// in k. Of A, a line has the pairs of one row; of B, it has one pair of each column.
constexpr ptrdiff_t panel_size = 16;
constexpr ptrdiff_t step_k = 32;
constexpr ptrdiff_t step_size = panel_size * step_k;

// One or two panels of A times one or two panels of B.
struct Bfloat16Tile {
    ptrdiff_t steps;
    const uint16_t *a, *b;
    ptrdiff_t a_panel, b_panel;  // the distance from the first panel to the second
    int high, wide;              // the number of panels of A and of B
    float* c;
    ptrdiff_t c_row;
    bool add;  // to what C holds
};

// A way to multiply bfloat16.
struct Bfloat16 {
    const char* name;
    void (*begin)();  // called by each thread before its tiles, and again after other code may have run
    void (*tile)(const Bfloat16Tile& tile);
    void (*end)();
    ptrdiff_t block;  // numbers of A that the second-level cache keeps
};

constexpr ptrdiff_t largest_block = 1 << 19;

extern const Bfloat16 bfloat16_amx;
extern const Bfloat16 bfloat16_avx512;
extern const Bfloat16 bfloat16_wide;  // in plain vectors, for tests on any processor
