// The matrix product of float32 numbers that are rounded to bfloat16, and summed in float32. Both matrices are rounded
// while they are copied into panels, in blocks as those of product.hpp; a tile of C is computed by a file that is
// compiled for the processor's own instructions. The order of a sum depends on k alone.
//
// Numbers are rounded to the nearest, and of two to the even one; NaN stays NaN, and a number below 2^-126 counts as
// zero, as everywhere in the engine.
#pragma once

#include "../bfloat16.hpp"
#include "product.hpp"

namespace {

#if defined(__AVX512F__) || defined(FC_WIDE)

constexpr ptrdiff_t deepest_k = 512;             // of a block, of which a panel of B takes 32 kB
constexpr ptrdiff_t tile_side = 2 * panel_size;  // of C
constexpr ptrdiff_t deepest_panel = deepest_k > longest_k ? deepest_k : longest_k;
constexpr ptrdiff_t packed_b = largest_block;                            // where the panels of B begin, after A's,
constexpr ptrdiff_t packed_tile = packed_b + tile_side * deepest_panel;  // and a tile
static_assert(largest_block >= tile_side * deepest_panel);
constexpr ptrdiff_t scratch_size_packed = packed_tile + tile_side * tile_side * 2;

typedef uint32_t Words __attribute__((vector_size(vector_bytes)));

// The bits of rounded numbers, in the upper halves of the words; the lower halves are of no use.
FC_INLINE Words rounded(V<float> numbers) {
    const Words bits = (Words)numbers, size = bits & 0x7fffffffu;
    const Words near = bits + 0x7fffu + (bits >> 16 & 1u);
    const Words normal = size < 0x00800000u ? bits & 0x80000000u : near;
    return size > 0x7f800000u ? bits | 0x00400000u : normal;
}

// Pairs of bfloat16, each of one number from `first` and one from `second`.
FC_INLINE V<float> pairs_of(V<float> first, V<float> second) {
    return (V<float>)(rounded(first) >> 16 | (rounded(second) & 0xffff0000u));
}

// Copies a step of a panel. Where the numbers of k of a row of A, or a column of B, are `along` memory, the next row
// or column is `apart` from it; else the next number of k is. A line has the pairs of one of them if it is `by_item`.
template <bool along, bool by_item>
FC_INLINE void pack_step(const float* from, ptrdiff_t apart, uint16_t* to) {
    V<float> lines[panel_size];
    for (int i = 0; i < panel_size; i++) {
        const float* at = from + (along ? i : 2 * i) * apart;
        V<float> first = load(at), second = load(at + (along ? lanes<float> : apart));
        if constexpr (along) {  // the even ones, and the odd ones
            const V<float> low = first, high = second;
            first = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            second = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        }
        lines[i] = pairs_of(first, second);
    }
    if constexpr (along != by_item) swap_across<float, (int)panel_size / 2>(lines);
    __builtin_memcpy(to, lines, sizeof lines);
}

// Copies n rows of A, or columns of B, with k numbers each into panels of so many steps, which zeros fill up.
template <bool along, bool by_item>
void pack_panels(const float* from, ptrdiff_t apart, ptrdiff_t n, ptrdiff_t k, ptrdiff_t steps, uint16_t* to) {
    constexpr ptrdiff_t row = along ? step_k : panel_size;
    const ptrdiff_t panels = (n + panel_size - 1) / panel_size;
    for (ptrdiff_t i = 0; i < panels * steps; i++) {  // through memory as it lies
        const ptrdiff_t panel = along ? i / steps : i % panels, step = along ? i % steps : i / panels;
        const ptrdiff_t item = panel * panel_size, l = step * step_k;
        const float* at = along ? from + item * apart + l : from + l * apart + item;
        uint16_t* place = to + (panel * steps + step) * step_size;
        if (n - item >= panel_size && k - l >= step_k) {
            pack_step<along, by_item>(at, apart, place);
            continue;
        }
        float part[step_size] = {};
        const ptrdiff_t rows = along ? n - item : k - l, columns = along ? k - l : n - item;
        for (ptrdiff_t r = 0; r < (rows < step_size / row ? rows : step_size / row); r++)
            for (ptrdiff_t c = 0; c < (columns < row ? columns : row); c++) part[r * row + c] = at[r * apart + c];
        pack_step<along, by_item>(part, row, place);
    }
}

// The same for a matrix of which either k or its rows, or columns, run along memory.
template <bool by_item>
FC_INLINE void pack_rounded(const float* from, ptrdiff_t item, ptrdiff_t along_k, ptrdiff_t n, ptrdiff_t k,
                            ptrdiff_t steps, uint16_t* to) {
    if (along_k == 1)
        pack_panels<true, by_item>(from, item, n, k, steps, to);
    else
        pack_panels<false, by_item>(from, along_k, n, k, steps, to);
}

FC_INLINE void copy_tile(const float* from, ptrdiff_t from_row, float* to, ptrdiff_t to_row, ptrdiff_t rows,
                         ptrdiff_t n) {
    for (ptrdiff_t r = 0; r < rows; r++)
        each<float>(n, [&](Place<float> p) { p.put(to + r * to_row, p.get(from + r * from_row)); });
}

// What is done with each tile, as `product` has it. It is called, not compiled into a product of each kind: a tile
// takes long enough.
struct Finishing {
    const void* done;
    void (*before)(const void* done, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns);
    void (*then)(const void* done, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<float> tile);
};

void rounded_product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, Matrix<const float> a, Matrix<const float> b, Rows<float> c,
                     const Scratch<float>& scratch, Finishing finishing, Stop* stop, bool polls, bool adds) {
    const Bfloat16& way = *scratch.bfloat16;
    uint16_t *const panels_a = scratch.packed, *const panels_b = panels_a + packed_b;
    float* const part = (float*)(panels_a + packed_tile);
    const ptrdiff_t deep = c.data ? (depth_of(k, deepest_k) + step_k - 1) / step_k * step_k : k;
    const ptrdiff_t all_steps = (deep + step_k - 1) / step_k, fits = way.block / (all_steps * step_size) * panel_size;
    const ptrdiff_t high = fits / tile_side ? fits / tile_side * tile_side : tile_side;
    way.begin();
    for (ptrdiff_t k_from = 0; k_from < k; k_from += deep) {
        const ptrdiff_t depth = k - k_from < deep ? k - k_from : deep, steps = (depth + step_k - 1) / step_k;
        const bool last = k_from + depth == k;
        for (ptrdiff_t i_from = 0; i_from < m; i_from += high) {
            const ptrdiff_t i_to = i_from + high < m ? i_from + high : m;
            pack_rounded<true>(a.at(i_from, k_from), a.row, a.column, i_to - i_from, depth, steps, panels_a);
            for (ptrdiff_t j = 0; j < n; j += tile_side) {
                const ptrdiff_t columns = n - j < tile_side ? n - j : tile_side;
                pack_rounded<false>(b.at(k_from, j), b.column, b.row, columns, depth, steps, panels_b);
                for (ptrdiff_t i = i_from; i < i_to; i += tile_side) {
                    const ptrdiff_t rows = i_to - i < tile_side ? i_to - i : tile_side;
                    const Rows<float> to =
                        c.data ? Rows<float>{c.data + i * c.row + j, c.row} : Rows<float>{part, tile_side};
                    const bool whole = rows % panel_size == 0 && columns % panel_size == 0, add = adds || k_from > 0;
                    const Rows<float> sums = whole ? to : Rows<float>{part, tile_side};
                    if (last) finishing.before(finishing.done, i, rows, j, columns);
                    if (add && !whole) copy_tile(to.data, to.row, part, tile_side, rows, columns);
                    way.tile({steps, panels_a + (i - i_from) * steps * step_k, panels_b, steps * step_size,
                              steps * step_size, (int)((rows + panel_size - 1) / panel_size),
                              (int)((columns + panel_size - 1) / panel_size), sums.data, sums.row, add});
                    if (c.data && !whole) copy_tile(part, tile_side, to.data, to.row, rows, columns);
                    if (last) finishing.then(finishing.done, i, rows, j, columns, to);
                }
                if (polls && depth * (i_to - i_from) > 20000) {
                    stop->poll(stop->engine);
                    way.begin();  // a signal handler may have left other tiles
                }
                if (stopped(stop)) return way.end();
            }
        }
    }
    way.end();
}

// C = A B, as `product` of product.hpp.
template <class Done>
void bfloat16_product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, Matrix<const float> a, Matrix<const float> b,
                      Rows<float> c, const Scratch<float>& scratch, Done done, Stop* stop, bool polls, bool adds) {
    const Finishing finishing = {
        &done,
        [](const void* d, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns) {
            Written written;
            static_cast<const Done*>(d)->before(i, rows, j, columns, written);
            written.fetch();
        },
        [](const void* d, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<float> tile) {
            static_cast<const Done*>(d)->then(i, rows, j, columns, tile);
        }};
    rounded_product(m, n, k, a, b, c, scratch, finishing, stop, polls, adds);
}

#if defined(FC_WIDE)

// The same arithmetic in plain vectors.
void tile_in_vectors(const Bfloat16Tile& t) {
    for (int i = 0; i < t.high * (int)panel_size; i++)
        for (int v = 0; v < t.wide; v++) {
            const uint16_t *a = t.a + i / panel_size * t.a_panel + i % panel_size * step_k, *b = t.b + v * t.b_panel;
            float* to = t.c + i * t.c_row + v * panel_size;
            V<float> sums = t.add ? load(to) : V<float>{};
            for (ptrdiff_t s = 0; s < t.steps; s++, a += step_size, b += step_size)
                for (ptrdiff_t pair = 0; pair < step_k; pair += 2) {
                    uint32_t left;
                    Words right;
                    __builtin_memcpy(&left, a + pair, sizeof left);
                    __builtin_memcpy(&right, b + pair * panel_size, sizeof right);
                    sums += (V<float>)(right & 0xffff0000u) * (V<float>)((Words{} + left) & 0xffff0000u);
                    sums += (V<float>)(right << 16) * (V<float>)((Words{} + left) << 16);
                }
            store(to, sums);
        }
}

void no_registers() {}

#endif

#else

constexpr ptrdiff_t scratch_size_packed = 0;

#endif

}  // namespace
