// Products with columns of x that stand for a code, or for the bins of a value. Of those of a code one is 1, or none;
// of those of a value, the ones of the bins below it are 1, and that of its own bin is its share; all others are 0. So
// their part of x W is a sum of rows of W, and they are not even written. The rows of W below each bin are added up
// once for all rows of x; in the gradient, a row of x adds to its own bin alone, and the sums over the bins above are
// added up at the end. A weight that is not finite reaches only the rows of x that need it.
#pragma once

#include "columns.hpp"

namespace {

constexpr ptrdiff_t few_lookups = 2;  // for so few rows of x, rows of W are added up as they come

// Writes the sums of the rows of W below each bin, for some columns of W.
template <class T>
void sums_below(const Operation<T>& op, const T* W, Range c, T* to) {
    const ptrdiff_t n = c.to - c.from;
    for (const Lookup<T>* one = op.lookups; one < op.lookups + op.n_lookups; one++) {
        if (one->codes) continue;
        zero(to, n);
        for (ptrdiff_t k = 1; k < one->size; k++) {
            const T *before = to + (k - 1) * n, *w = W + (one->at + k - 1) * op.n_out + c.from;
            each<T>(n, [&](Place<T> p) { p.put(to + k * n, p.get(before) + p.get(w)); });
        }
        to += one->size * n;
    }
}

// The sum for row i of x, at the place of one vector or of several whole ones.
template <int vectors, class T>
FC_INLINE void sum_of_row(const Operation<T>& op, const T* W, const T* below, ptrdiff_t n, ptrdiff_t i, T* to,
                          Place<T> place) {
    V<T> sums[vectors] = {};
    auto get = [&](const T* from, int v) __attribute__((always_inline)) {
        return vectors == 1 ? place.get(from) : load(from + place.at + v * lanes<T>);
    };
    for (const Lookup<T>* one = op.lookups; one < op.lookups + op.n_lookups; one++) {
        const T* rows = W + one->at * op.n_out;
        if (one->codes) {
            if (one->codes[i] < 0) continue;
            const T* row = rows + one->codes[i] * op.n_out;
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sums[v] += get(row, v);
            continue;
        }
        const ptrdiff_t k = (ptrdiff_t)one->bin[i];
        const V<T> share = all(one->share[i]);
        const T* row = rows + k * op.n_out;
        if (below) {
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sums[v] += get(below + k * n, v);
            below += one->size * n;
        } else {  // in the same order, so that a row gets the same bits whatever the other rows are
            V<T> total[vectors] = {};
            for (const T* w = rows; w < row; w += op.n_out)
#pragma GCC unroll 8
                for (int v = 0; v < vectors; v++) total[v] += get(w, v);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sums[v] += total[v];
        }
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sums[v] += get(row, v) * share;
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        if (vectors == 1)
            place.put(to, sums[v]);
        else
            store(to + place.at + v * lanes<T>, sums[v]);
    }
}

// Writes the sums for some rows of x and columns of W into y, whose first row and column are theirs.
template <class T>
void lookups_forward(const Operation<T>& op, const T* W, Range r, Range c, T* memory, Rows<T> y) {
    constexpr int side_by_side = 8;
    constexpr ptrdiff_t wide = side_by_side * lanes<T>;
    const ptrdiff_t n = c.to - c.from;
    const T* below = r.to - r.from > few_lookups ? memory : nullptr;
    if (below) sums_below(op, W, c, memory);
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        T* to = y.data + (i - r.from) * y.row;
        ptrdiff_t j = 0;
        for (; j + wide <= n; j += wide) sum_of_row<side_by_side>(op, W + c.from, below, n, i, to, Place<T>{j, 0});
        each<T>(n - j, [&](Place<T> p) { sum_of_row<1>(op, W + c.from, below, n, i, to, Place<T>{p.at + j, p.part}); });
    }
}

// Writes the gradient of the rows of W that are added up, times a factor, for some columns of W.
template <class T>
void lookups_backward(const Operation<T>& op, T* dW, ptrdiff_t rows, Range c, T* memory, T factor) {
    const ptrdiff_t n = c.to - c.from;
    const Rows<T> dy = {op.dy.data + c.from, op.dy.row};
    for (const Lookup<T>* one = op.lookups; one < op.lookups + op.n_lookups; one++) {
        T* own = dW + one->at * op.n_out + c.from;
        for (ptrdiff_t k = 0; k < one->size; k++) zero(own + k * op.n_out, n);
        if (one->codes) {
            for (ptrdiff_t i = 0; i < rows; i++) {
                if (one->codes[i] < 0) continue;
                const T* d = dy.data + i * dy.row;
                T* to = own + one->codes[i] * op.n_out;
                each<T>(n, [&](Place<T> p) { p.put(to, p.get(to) + p.get(d)); });
            }
        } else {
            zero(memory, one->size * n);
            for (ptrdiff_t i = 0; i < rows; i++) {
                const ptrdiff_t k = (ptrdiff_t)one->bin[i];
                const T *d = dy.data + i * dy.row, share = one->share[i];
                T *to = own + k * op.n_out, *whole = memory + k * n;
                each<T>(n, [&](Place<T> p) {
                    const V<T> v = p.get(d);
                    p.put(whole, p.get(whole) + v);
                    p.put(to, p.get(to) + v * share);
                });
            }
            each<T>(n, [&](Place<T> p) {
                V<T> above = {};
                for (ptrdiff_t k = one->size - 1; k >= 0; k--) {
                    p.put(own + k * op.n_out, p.get(own + k * op.n_out) + above);
                    above += p.get(memory + k * n);
                }
            });
        }
        if (factor != 1)
            for (ptrdiff_t k = 0; k < one->size; k++)
                each<T>(n, [&](Place<T> p) { p.put(own + k * op.n_out, p.get(own + k * op.n_out) * factor); });
    }
}

}  // namespace
