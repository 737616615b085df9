// The matrix product C = A B by tiles; a function is applied to each tile of C while it is in the first-level cache.
//
// A tile is tile_rows x (tile_vectors vectors) of C, kept in registers over a block of k. Both matrices are copied into
// panels, so that the innermost loop reads contiguous memory: A block by block, B panel by panel; a panel of B stays in
// the first-level cache for all rows of A's block. What stays in the first-level cache anyway is read in place: B if A
// has not many rows, and A if B has not many columns. While a tile is computed, it prefetches what comes next.
//
// Source: Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008; Van Zee and van de Geijn,
// "BLIS", 2015. The order of the loops differs: with a few hundred rows, A's block and not B's stays in the
// second-level cache.
#pragma once

#include "columns.hpp"

namespace {

constexpr ptrdiff_t tile_rows = 6;
constexpr ptrdiff_t tile_vectors = vector_bytes == 64 ? 4 : 2;  // 24 sums of 32 registers, or 12 of 16

template <class T>
constexpr ptrdiff_t tile_columns = tile_vectors * lanes<T>;

// The depth of a block decides in which order a sum is computed, so it is the same on every processor: a panel of B
// takes 16 kB, of the widest vectors 64 kB.
constexpr ptrdiff_t block_k = 256;
constexpr ptrdiff_t longest_k = 512;    // the longest block, for products that keep no C
constexpr ptrdiff_t few_rows = 12;      // for so few rows of A, B is read in place
constexpr ptrdiff_t some_rows = 40;     // and for so many, if B stays in the first-level cache
constexpr ptrdiff_t few_columns = 256;  // for fewer columns of B, a block of A that lies along memory is read in place
template <class T>
constexpr ptrdiff_t cached_a = 16384 / (ptrdiff_t)sizeof(T);
template <class T>
constexpr ptrdiff_t cached_b = 32768 / (ptrdiff_t)sizeof(T);

constexpr ptrdiff_t few_products = 128;  // so few are computed by a plain loop

// Element (i, j) of a matrix lies at data[i * row + j * column].
template <class T>
struct Matrix {
    T* data;
    ptrdiff_t row, column;

    FC_INLINE T* at(ptrdiff_t i, ptrdiff_t j) const { return data + i * row + j * column; }
};

template <class T>
constexpr ptrdiff_t least_a = tile_rows * longest_k;  // the smallest block of A
template <class T>
constexpr ptrdiff_t scratch_size_b = tile_columns<T> * longest_k;
template <class T>
constexpr ptrdiff_t scratch_size_tile = tile_columns<T> * tile_rows;

// Whether a tile prefetches a few cache lines in each turn of its loop. Those of wide tiles are many: all at once, they
// would wait for each other, and the loop for them. Narrow tiles leave no room in their loop, and few lines at once
// cost nothing.
constexpr bool spreads = tile_vectors == 4;

// Cache lines that are prefetched for the tiles that follow, `in_a_turn` of the tile's loop.
template <int in_a_turn, bool to_write>
struct Prefetching {
    static constexpr int most = spreads ? longest_k / 4 * in_a_turn : 1;
    const char* at[most];  // what a tile prefetches; beyond n, what one before has prefetched already
    int n = 0;

    FC_INLINE void fetch() const {
        for (int i = 0; i < n; i++) to_write ? __builtin_prefetch(at[i], 1) : __builtin_prefetch(at[i], 0, 2);
    }
    FC_INLINE void fill(const void* any) {
        for (const char*& line : at) line = (const char*)any;
    }
    // Adds some rows of n numbers, which begin `row` numbers apart.
    template <class T>
    FC_INLINE void add(const T* from, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t columns) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            const char* line = (const char*)((uintptr_t)(from + i * row) & ~(uintptr_t)63);
            for (const char* end = (const char*)(from + i * row + columns); line < end; line += 64) {
                if (!spreads)
                    to_write ? __builtin_prefetch(line, 1) : __builtin_prefetch(line, 0, 2);
                else if (n < most)
                    at[n++] = line;
            }
        }
    }
};

using Written = Prefetching<3, true>;
using Read = Prefetching<1, false>;  // into the second-level cache

// The inputs and the output of one tile.
template <class T>
struct TileOf {
    ptrdiff_t k;
    const T* a;  // element (i, l) of A's rows at a[i * a_row + l * a_k]
    ptrdiff_t a_row, a_k;
    const T* b;  // row l of B's panel at b + l * b_row
    ptrdiff_t b_row;
    T* c;
    ptrdiff_t c_row;
    ptrdiff_t cols;              // the number of columns used of the last vector; 0 means all
    bool add;                    // to what C holds
    T* panel;                    // where the rows of B are copied to, if they are packed
    const char* const* written;  // of whole tiles of panels: what is prefetched to be written soon,
    const char* const* read;     // and to be read
};

// How A and B lie in memory. What the compiler knows of it needs no arithmetic in the loop over k.
enum class LayoutA {
    panel,    // copied into rows of tile_rows numbers, one for each k
    along_k,  // k runs along memory
    across_k  // the rows of a tile do
};
enum class LayoutB {
    panel,         // copied into rows of tile_columns numbers
    packed,        // read where it is, and copied into a panel for the next tiles
    in_place,      // read where it is
    in_place_part  // the same, and only a part of the last vector is read
};

template <class T, int rows, int vectors, LayoutA a_is, LayoutB b_is>
void tile(const TileOf<T>& t) {
    V<T> sums[rows][vectors] = {};
    const T *a = t.a, *b = t.b;
    const ptrdiff_t a_row = a_is == LayoutA::along_k ? t.a_row : 1;
    const ptrdiff_t a_k = a_is == LayoutA::along_k ? 1 : a_is == LayoutA::panel ? tile_rows : t.a_k;
    const ptrdiff_t b_row = b_is == LayoutB::panel ? tile_columns<T> : t.b_row;
    constexpr int unrolled = b_is == LayoutB::in_place_part ? 1 : 4;
    ptrdiff_t k = t.k;
    constexpr bool prefetches = spreads && a_is == LayoutA::panel && rows == tile_rows;
    const char* const* written = prefetches ? t.written : nullptr;
    const char* const* read = prefetches ? t.read : nullptr;
    if constexpr (!prefetches) {  // C alone, at once
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            __builtin_prefetch(t.c + r * t.c_row, 1);
            __builtin_prefetch(t.c + r * t.c_row + vectors * lanes<T> - 1, 1);
        }
    }
    T* panel = t.panel;
    const T* from[rows];  // the next element of each row of A
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) from[r] = a + r * a_row;
    auto step = [&](ptrdiff_t l) __attribute__((always_inline)) {
        V<T> row[vectors];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const T* at = b + l * b_row + v * lanes<T>;
            row[v] = b_is == LayoutB::in_place_part && v == vectors - 1 ? load_part(at, t.cols) : load(at);
            if constexpr (b_is == LayoutB::packed) store(panel + l * tile_columns<T> + v * lanes<T>, row[v]);
        }
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            V<T> left = all((a_is == LayoutA::along_k ? from[r] : a + r)[l * a_k]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sums[r][v] += left * row[v];
        }
    };
    for (; k >= unrolled; k -= unrolled, a += unrolled * a_k, b += unrolled * b_row) {
        if constexpr (a_is == LayoutA::along_k) {  // prefetch for the next tile, a cache line of each row at a time
            if (k % (64 / (ptrdiff_t)sizeof(T)) < unrolled) {
#pragma GCC unroll 6
                for (int r = 0; r < rows; r++) __builtin_prefetch(from[r] + tile_rows * a_row);
            }
        }
        if constexpr (prefetches) {
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) __builtin_prefetch(*written++, 1);
            __builtin_prefetch(*read++, 0, 2);
        }
#pragma GCC unroll 4
        for (int l = 0; l < unrolled; l++) step(l);
        if constexpr (b_is == LayoutB::packed) panel += unrolled * tile_columns<T>;
        if constexpr (a_is == LayoutA::along_k) {
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                from[r] += unrolled;
                __asm__("" : "+r"(from[r]));  // offsets from one pointer would need too many registers
            }
        }
    }
    for (; k > 0; k--, a += a_k, b += b_row) {
        step(0);
        if constexpr (b_is == LayoutB::packed) panel += tile_columns<T>;
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) from[r]++;
    }
    T* c = t.c;
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++, c += t.c_row) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            T* to = c + v * lanes<T>;
            if (v == vectors - 1 && t.cols) {
                if (t.add) sums[r][v] += load_part(to, t.cols);
                store_part(to, sums[r][v], t.cols);
            } else {
                if (t.add) sums[r][v] += load(to);
                store(to, sums[r][v]);
            }
        }
    }
}

template <class T>
using Tile = void (*)(const TileOf<T>&);

template <class T, int vectors, LayoutA a_is, LayoutB b_is>
constexpr Tile<T> tiles_of[tile_rows] = {tile<T, 1, vectors, a_is, b_is>, tile<T, 2, vectors, a_is, b_is>,
                                         tile<T, 3, vectors, a_is, b_is>, tile<T, 4, vectors, a_is, b_is>,
                                         tile<T, 5, vectors, a_is, b_is>, tile<T, 6, vectors, a_is, b_is>};

template <class T, LayoutA a_is, LayoutB b_is>
FC_INLINE const Tile<T>* tiles_as(ptrdiff_t vectors) {
    if constexpr (tile_vectors == 4) {
        if (vectors == 4) return tiles_of<T, 4, a_is, b_is>;
        if (vectors == 3) return tiles_of<T, 3, a_is, b_is>;
    }
    return vectors == 2 ? tiles_of<T, 2, a_is, b_is> : tiles_of<T, 1, a_is, b_is>;
}

// The tile at the top of a panel of B, which it also copies.
template <class T>
constexpr Tile<T> copying_tile = tile<T, tile_rows, tile_vectors, LayoutA::panel, LayoutB::packed>;

template <class T, LayoutA a_is>
FC_INLINE const Tile<T>* tiles_of_b(ptrdiff_t vectors, LayoutB b_is) {
    switch (b_is) {
        case LayoutB::panel:
            return tiles_as<T, a_is, LayoutB::panel>(vectors);
        case LayoutB::in_place:
            return tiles_as<T, a_is, LayoutB::in_place>(vectors);
        default:
            return tiles_as<T, a_is, LayoutB::in_place_part>(vectors);
    }
}

// The tile functions for this number of vectors, for 1 to tile_rows rows. Where A is copied, B is, too.
template <class T>
FC_INLINE const Tile<T>* tiles_for(ptrdiff_t vectors, LayoutA a_is, LayoutB b_is) {
    switch (a_is) {
        case LayoutA::panel:
            return tiles_as<T, LayoutA::panel, LayoutB::panel>(vectors);
        case LayoutA::along_k:
            return tiles_of_b<T, LayoutA::along_k>(vectors, b_is);
        default:
            return tiles_of_b<T, LayoutA::across_k>(vectors, b_is);
    }
}

// Of every two blocks of `half` lanes: a's first and b's first, or a's second and b's second.
template <class T, int half, int... j>
FC_INLINE V<T> first_blocks(V<T> a, V<T> b, Indices<j...>) {
    return __builtin_shufflevector(a, b, (j & half ? j - half + (int)lanes<T> : j)...);
}

template <class T, int half, int... j>
FC_INLINE V<T> second_blocks(V<T> a, V<T> b, Indices<j...>) {
    return __builtin_shufflevector(a, b, (j & half ? j + (int)lanes<T> : j + half)...);
}

// Swaps entries across the diagonal, in blocks of half the square, then within each block.
template <class T, int half>
FC_INLINE void swap_across(V<T> (&rows)[lanes<T>]) {
    typename UpTo<(int)lanes<T>>::type all_lanes;
#pragma GCC unroll 16
    for (int i = 0; i < (int)lanes<T>; i++) {
        if (i & half) continue;
        V<T> upper = rows[i], lower = rows[i + half];
        rows[i] = first_blocks<T, half>(upper, lower, all_lanes);
        rows[i + half] = second_blocks<T, half>(upper, lower, all_lanes);
    }
    if constexpr (half > 1) swap_across<T, half / 2>(rows);
}

// Transposes a square of lanes x lanes numbers.
template <class T>
FC_INLINE void transpose_square(const T* from, ptrdiff_t from_row, T* to, ptrdiff_t to_row) {
    V<T> rows[lanes<T>];
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < lanes<T>; i++) rows[i] = load(from + i * from_row);
    swap_across<T, (int)lanes<T> / 2>(rows);
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < lanes<T>; i++) store(to + i * to_row, rows[i]);
}

// Copies a panel of B, k x n, into rows of `width` numbers, padded with zeros.
template <class T>
void pack(Matrix<const T> b, ptrdiff_t k, ptrdiff_t n, T* to, ptrdiff_t width) {
    if (b.column == 1) {
        for (ptrdiff_t i = 0; i < k; i++, to += width) {
            const T* from = b.data + i * b.row;
            ptrdiff_t j = 0;
            for (; j + lanes<T> <= n; j += lanes<T>) store(to + j, load(from + j));
            if (j < n) store(to + j, load_part(from + j, n - j)), j += lanes<T>;
        }
        return;
    }
    ptrdiff_t j = 0;  // k runs along memory: each column of the panel is contiguous
    for (; j + lanes<T> <= n; j += lanes<T>) {
        ptrdiff_t i = 0;
        for (; i + lanes<T> <= k; i += lanes<T>) transpose_square(b.at(i, j), b.column, to + i * width + j, width);
        for (; i < k; i++)
            for (ptrdiff_t l = 0; l < lanes<T>; l++) to[i * width + j + l] = *b.at(i, j + l);
    }
    for (ptrdiff_t left = j; left < (n + lanes<T> - 1) / lanes<T> * lanes<T>; left++)
        for (ptrdiff_t i = 0; i < k; i++) to[i * width + left] = left < n ? *b.at(i, left) : 0;
}

// Copies the first six rows of A, each along memory, so that those of each k follow each other.
template <class T>
FC_INLINE void interleave(const T* from, ptrdiff_t row, ptrdiff_t k, T* to) {
    static_assert(tile_rows == 6);
    constexpr int many = 16 / sizeof(T);  // in registers of 16 bytes, which every processor has
    typedef T Short __attribute__((vector_size(16)));
    constexpr int half = many / 2;
    ptrdiff_t j = 0;
    for (; j + many <= k; j += many, to += many * tile_rows) {
#pragma GCC unroll 3
        for (int pair = 0; pair < 3; pair++) {
            Short a, b, low, high;
            __builtin_memcpy(&a, from + 2 * pair * row + j, 16);
            __builtin_memcpy(&b, from + (2 * pair + 1) * row + j, 16);
            if constexpr (many == 4) {
                low = __builtin_shufflevector(a, b, 0, 4, 1, 5), high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
            } else {
                low = __builtin_shufflevector(a, b, 0, 2), high = __builtin_shufflevector(a, b, 1, 3);
            }
#pragma GCC unroll 2
            for (int i = 0; i < half; i++) {
                __builtin_memcpy(to + i * tile_rows + 2 * pair, (const T*)&low + 2 * i, 2 * sizeof(T));
                __builtin_memcpy(to + (half + i) * tile_rows + 2 * pair, (const T*)&high + 2 * i, 2 * sizeof(T));
            }
        }
    }
    for (; j < k; j++, to += tile_rows)
        for (int r = 0; r < tile_rows; r++) to[r] = from[r * row + j];
}

// Copies a block of A, m x k, into panels of tile_rows; the last one is padded with zeros.
template <class T>
void pack_rows(Matrix<const T> a, ptrdiff_t m, ptrdiff_t k, T* to) {
    ptrdiff_t i = 0;
    if (a.column == 1) {
        for (; i + tile_rows <= m; i += tile_rows, to += tile_rows * k) interleave(a.at(i, 0), a.row, k, to);
    } else {  // the rows run along memory
        for (; i + tile_rows + 2 <= m; i += tile_rows, to += tile_rows * k)
            for (ptrdiff_t j = 0; j < k; j++) {
                const T* from = a.at(i, j);
                __builtin_memcpy(to + j * tile_rows, from, tile_rows * sizeof(T));
            }
    }
    for (; i < m; i += tile_rows, to += tile_rows * k)
        for (ptrdiff_t j = 0; j < k; j++)
            for (ptrdiff_t r = 0; r < tile_rows; r++) to[j * tile_rows + r] = i + r < m ? *a.at(i + r, j) : 0;
}

// The functions applied to each tile of C: `before` the sums are computed, which adds what is prefetched meanwhile, and
// `then`, when they are in the tile.
template <class T>
struct Nothing {
    FC_INLINE void before(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Written&) const {}
    FC_INLINE void then(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Rows<T>) const {}
};

FC_INLINE bool stopped(const Stop* stop) { return stop && __atomic_load_n(&stop->now, __ATOMIC_RELAXED); }

// C = A B for matrices so small that blocks, panels and tiles would take longer than the product.
template <class T, class Done>
void small_product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, Matrix<const T> a, Matrix<const T> b, Rows<T> c, Done done,
                   bool adds) {
    for (ptrdiff_t i = 0; i < m; i++) {
        T* to = c.data + i * c.row;
        if (b.column == 1) {
            each<T>(n, [&](Place<T> p) {
                V<T> sums = {};
                for (ptrdiff_t l = 0; l < k; l++) sums += *a.at(i, l) * p.get(b.at(l, 0));
                p.put(to, adds ? sums + p.get(to) : sums);
            });
        } else {
            for (ptrdiff_t j = 0; j < n; j++) {
                T total = 0;
                for (ptrdiff_t l = 0; l < k; l++) total += *a.at(i, l) * *b.at(l, j);
                to[j] = adds ? total + to[j] : total;
            }
        }
    }
    done.then(0, m, 0, n, c);
}

// The depth of blocks that cut k into parts of about the same size, of at most `most`.
FC_INLINE ptrdiff_t depth_of(ptrdiff_t k, ptrdiff_t most) {
    if (k <= most) return k;
    const ptrdiff_t blocks = (k + most - 1) / most;
    return (k + blocks - 1) / blocks;
}

// Eight vectors of columns of one row of C and one block of k, with B read in place: enough sums side by side to hide
// the latency of each. What `streams` is fetched into the first cache alone: what passes through the second one in each
// call and is never found there only costs the way out of it.
template <class T, bool streams>
FC_INLINE void row_stripe(ptrdiff_t k, Matrix<const T> a, const T* b, ptrdiff_t b_row, T* c, bool adds) {
    constexpr int side_by_side = 8;
    constexpr ptrdiff_t line = 64 / sizeof(T), rows_ahead = 4;
    V<T> sums[side_by_side] = {};
    for (ptrdiff_t l = 0; l < k; l++, b += b_row) {
        const V<T> left = all(*a.at(0, l));
        if constexpr (streams) {
#pragma GCC unroll 8
            for (ptrdiff_t j = 0; j < side_by_side * lanes<T>; j += line)
                __builtin_prefetch(b + rows_ahead * b_row + j, 0, 0);
        }
#pragma GCC unroll 8
        for (int v = 0; v < side_by_side; v++) sums[v] += left * load(b + v * lanes<T>);
    }
#pragma GCC unroll 8
    for (int v = 0; v < side_by_side; v++) {
        T* place = c + v * lanes<T>;
        store(place, adds ? sums[v] + load(place) : sums[v]);
    }
}

// Fewer vectors, and all of k, of which two blocks go side by side. Of the last vector, `part` columns are used, if
// that is_part.
template <class T, int vectors, bool is_part>
void narrow_stripe(ptrdiff_t k, Matrix<const T> a, const T* b, ptrdiff_t b_row, T* c, ptrdiff_t part, bool adds) {
    const ptrdiff_t deep = depth_of(k, block_k);
    const Place<T> end = {(vectors - 1) * lanes<T>, is_part ? part : 0};
    V<T> total[vectors] = {};
#pragma GCC unroll 4
    for (int v = 0; adds && v < vectors; v++) total[v] = v == vectors - 1 ? end.get(c) : load(c + v * lanes<T>);
    for (ptrdiff_t from = 0; from < k; from += 2 * deep) {
        V<T> first[vectors] = {}, second[vectors] = {};
        auto add = [&](V<T>(&sums)[vectors], ptrdiff_t l) __attribute__((always_inline)) {
            const V<T> left = all(*a.at(0, l));
            const T* row = b + l * b_row;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                const T* at = row + v * lanes<T>;
                sums[v] += left * (is_part && v == vectors - 1 ? load_part(at, part) : load(at));
            }
        };
        const ptrdiff_t left = k - from, one = left < deep ? left : deep, two = left - one < deep ? left - one : deep;
        for (ptrdiff_t l = from; l < from + two; l++) add(first, l), add(second, l + deep);
        for (ptrdiff_t l = from + two; l < from + one; l++) add(first, l);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            total[v] = adds || from ? first[v] + total[v] : first[v];
            if (two) total[v] = second[v] + total[v];
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) v == vectors - 1 ? end.put(c, total[v]) : store(c + v * lanes<T>, total[v]);
}

// Fewer than eight vectors of columns of one row of C.
template <class T>
[[gnu::noinline]] void narrow_row(ptrdiff_t n, ptrdiff_t k, Matrix<const T> a, const T* b, ptrdiff_t b_row, T* c,
                                  bool adds) {
    constexpr ptrdiff_t one = lanes<T>;
    auto next = [&](auto stripe, ptrdiff_t columns) {
        stripe(k, a, b, b_row, c, columns % one, adds);
        n -= columns, b += columns, c += columns;
    };
    if (n >= 4 * one) next(narrow_stripe<T, 4, false>, 4 * one);
    if (n >= 2 * one) next(narrow_stripe<T, 2, false>, 2 * one);
    if (n == one) next(narrow_stripe<T, 1, false>, one);
    if (n > one) next(narrow_stripe<T, 2, true>, n);
    if (n > 0) next(narrow_stripe<T, 1, true>, n);
}

// One row of C, from a row of A. The blocks of k are those of a larger product, so that a row gets the same bits
// whatever the other rows are.
template <class T>
void row_product(ptrdiff_t n, ptrdiff_t k, Matrix<const T> a, Matrix<const T> b, T* c, bool streams, bool adds) {
    constexpr ptrdiff_t wide = 8 * lanes<T>;
    const ptrdiff_t deep = depth_of(k, block_k), stripes = n / wide * wide;
    for (ptrdiff_t from = 0; from < k && stripes; from += deep) {
        const ptrdiff_t depth = k - from < deep ? k - from : deep;
        const Matrix<const T> left = {a.at(0, from), a.row, a.column};
        for (ptrdiff_t j = 0; j < stripes; j += wide)
            if (streams)
                row_stripe<T, true>(depth, left, b.at(from, j), b.row, c + j, adds || from);
            else
                row_stripe<T, false>(depth, left, b.at(from, j), b.row, c + j, adds || from);
    }
    if (n > stripes) narrow_row(n - stripes, k, a, b.at(0, stripes), b.row, c + stripes, adds);
}

template <class Done>
void bfloat16_product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, Matrix<const float> a, Matrix<const float> b,
                      Rows<float> c, const Scratch<float>& scratch, Done done, Stop* stop, bool polls, bool adds);

// C = A B for A (m, k), B (k, n) and C (m, n), with C's columns along memory. Without c.data, `then` uses
// each tile and C is not kept, which needs k up to longest_k. A thread polls only if `polls` is set. The product `adds`
// to what C holds, if that is asked for.
template <class T, class Done>
void product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, Matrix<const T> a, Matrix<const T> b, Rows<T> c, Scratch<T> scratch,
             Done done, Stop* stop = nullptr, bool polls = false, bool adds = false) {
    if (stopped(stop)) return;  // its inputs may be incomplete
    if constexpr (sizeof(T) == 4 && vector_bytes == 64)
        if (scratch.bfloat16) return bfloat16_product(m, n, k, a, b, c, scratch, done, stop, polls, adds);
    if (m * n * k <= few_products && c.data) return small_product(m, n, k, a, b, c, done, adds);
    if (m == 1 && b.column == 1 && c.data) {
        row_product(n, k, a, b, c.data, scratch.streams, adds);
        return done.then(0, 1, 0, n, c);
    }
    const bool pays = a.column == 1 ? n >= few_columns && k > block_k : n > tile_columns<T> && k > 16;
    const bool pack_a = pays && m * k > cached_a<T> && m > tile_rows;
    const bool pack_b = pack_a || b.column != 1 || m > (k * n <= cached_b<T> ? some_rows : few_rows);
    const LayoutA a_is = pack_a ? LayoutA::panel : a.column == 1 ? LayoutA::along_k : LayoutA::across_k;
    const ptrdiff_t deep = depth_of(k, c.data ? block_k : longest_k);
    ptrdiff_t high = (m + tile_rows - 1) / tile_rows * tile_rows;
    if (high * deep > scratch.size_a) high = scratch.size_a / deep / tile_rows * tile_rows;
    Written written;
    Read read;
    if (pack_a) written.fill(b.data), read.fill(b.data);
    for (ptrdiff_t k_from = 0; k_from < k; k_from += deep) {
        const ptrdiff_t depth = k - k_from < deep ? k - k_from : deep;
        const bool last = k_from + depth == k;
        for (ptrdiff_t i_from = 0; i_from < m; i_from += high) {
            const ptrdiff_t i_to = i_from + high < m ? i_from + high : m;
            if (pack_a) pack_rows<T>({a.at(i_from, k_from), a.row, a.column}, i_to - i_from, depth, scratch.a);
            for (ptrdiff_t j = 0; j < n; j += tile_columns<T>) {
                const ptrdiff_t columns = n - j < tile_columns<T> ? n - j : tile_columns<T>, left = n - j - columns;
                const ptrdiff_t vectors = (columns + lanes<T> - 1) / lanes<T>, rest = columns % lanes<T>;
                const LayoutB b_is = pack_b ? LayoutB::panel : rest ? LayoutB::in_place_part : LayoutB::in_place;
                TileOf<T> of = {depth,     nullptr,    a.row,  a.column, b.at(k_from, j),
                                b.row,     nullptr,    c.row,  rest,     adds || k_from > 0,
                                scratch.b, written.at, read.at};
                // the first tile of whole panels copies B, whose loads it does not have to wait for
                const bool copies = pack_a && b.column == 1 && columns == tile_columns<T> && i_to - i_from >= tile_rows;
                if (pack_b && !copies) {
                    of.b_row = tile_columns<T>;
                    pack<T>({of.b, b.row, b.column}, depth, columns, scratch.b, of.b_row);
                    of.b = scratch.b;
                }
                if (!c.data) of.c = scratch.tile, of.c_row = tile_columns<T>;
                const Tile<T>* tiles = tiles_for<T>(vectors, a_is, b_is);
                // the next panel of B, of which each tile prefetches a few rows
                const T* next = b.at(k_from, j + columns);
                const ptrdiff_t next_columns = left < tile_columns<T> ? left : tile_columns<T>;
                ptrdiff_t next_rows = pack_a && b.column == 1 && left ? depth : 0;
                const ptrdiff_t share = next_rows * tile_rows / (i_to - i_from) + 1;
                for (ptrdiff_t i = i_from; i < i_to; i += tile_rows) {
                    const ptrdiff_t rows = i_to - i < tile_rows ? i_to - i : tile_rows;
                    of.a = pack_a ? scratch.a + (i - i_from) * depth : a.at(i, k_from);
                    if (c.data) of.c = c.data + i * c.row + j;
                    if (pack_a && rows == tile_rows) {
                        written.n = read.n = 0;
                        if (spreads && c.data) written.add(of.c, c.row, rows, columns);
                        if (last) done.before(i, rows, j, columns, written);
                        const ptrdiff_t some = next_rows < share ? next_rows : share;
                        read.add(next, b.row, some, next_columns);
                        next += some * b.row, next_rows -= some;
                    }
                    if (copies && i == i_from) {
                        copying_tile<T>(of);
                        of.b = scratch.b, of.b_row = tile_columns<T>;
                    } else {
                        tiles[rows - 1](of);
                    }
                    if (last) done.then(i, rows, j, columns, {of.c, of.c_row});
                }
                if (polls && depth * (i_to - i_from) > 20000) stop->poll(stop->engine);
                if (stopped(stop)) return;
            }
        }
    }
}

}  // namespace
