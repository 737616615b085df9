// Columns by bins: the shares of the bins alone, or an embedding by lines that bend at their edges. A vector holds
// outputs of one column. The shares of the bins below a value are 1: what they add to an output of the embedding is the
// same for all values of a bin, and is added up once. In backward, a value adds to its own bin alone, and the sums over
// the bins above are added up at the end. Threads share the columns: each sums up the gradients of its own, row by row.
#pragma once

#include "columns.hpp"

namespace {

// The bins and the buffers of one column.
template <class T>
struct Bins {
    ptrdiff_t n, all, size, at;  // bins in use; of all columns; outputs, of which the first is at this place
    const T* edges;
    T *x, *bin, *share;  // for each row the value, the bin in which it lies, and how much of that is below it

    Bins(const Operation<T>& op, ptrdiff_t j)
        : n(op.used[j]), all(op.bins), size(op.n_out / op.n_in), at(j * size), edges(op.edges + j * (op.bins + 1)) {
        x = op.kept.data + lines_of_bins * j * op.kept.row;
        bin = x + line_of_bin * op.kept.row, share = x + line_of_share * op.kept.row;
    }

    // Half the width of a bin, not 0 where its edges are one number in this type.
    FC_INLINE T width(ptrdiff_t k) const {
        const T found = edges[k + 1] * T(0.5) - edges[k] * T(0.5);
        return found > T(1e-37) ? found : T(1e-37);
    }

    // The derivative of the share by x.
    FC_INLINE T slope(ptrdiff_t k) const { return n ? T(0.5) / width(k) : 0; }
};

// Adds NaN to n numbers where another n are not finite, and else nothing: what NumPy's products with a share of 0 do.
template <class T>
FC_INLINE void spread(const T* from, T* to, ptrdiff_t n) {
    each<T>(n, [&](Place<T> p) { p.put(to, p.get(to) + p.get(from) * T(0)); });
}

// The bin of each row, by the number of edges between bins that are below its value, and its share of it; the share of
// no bin is 0.
template <class T>
void find_bins(const Operation<T>& op, ptrdiff_t j, const Bins<T>& c, ptrdiff_t rows) {
    const T far = c.n ? T(1e30) : 0;
    gather_column(op.x, j, c.x, rows);
    for (ptrdiff_t i = 0; i < rows; i += lanes<T>) {
        const V<T> x = load(c.x + i), one = all<T>(1);
        V<T> below = {};
        for (ptrdiff_t k = 1; k < c.n; k++) below += where<T>(x > c.edges[k], one);
        store(c.bin + i, below);
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        const ptrdiff_t k = (ptrdiff_t)c.bin[i];
        const T share = c.n ? (c.x[i] * T(0.5) - c.edges[k] * T(0.5)) / c.width(k) : c.x[i];
        c.share[i] = share > far ? far : share < -far ? 0 - far : share;  // NaN passes
    }
}

template <class T>
void encoding_forward(const Operation<T>& op, ptrdiff_t rows, Range columns) {
    for (ptrdiff_t j = columns.from; j < columns.to; j++) {
        const Bins<T> c(op, j);
        find_bins(op, j, c, rows);
        for (ptrdiff_t i = 0; i < rows && !op.unwritten; i++) {
            const ptrdiff_t k = (ptrdiff_t)c.bin[i];
            const V<T> rest = all<T>(c.share[i] - c.share[i]);  // 0, or NaN for NaN
            T* y = op.y.data + i * op.y.row + c.at;
            each<T>(c.size, [&](Place<T> p) { p.put(y, where<T>(first_lanes<T>(k - p.at), all<T>(1)) + rest); });
            y[k] = c.share[i];
        }
    }
}

template <class T>
void encoding_backward(const Operation<T>& op, Range rows) {
    for (ptrdiff_t j = 0; j < op.n_in; j++) {
        const Bins<T> c(op, j);
        for (ptrdiff_t i = rows.from; i < rows.to; i++) {
            const ptrdiff_t k = (ptrdiff_t)c.bin[i];
            const T* dy = op.dy.data + i * op.dy.row + c.at;
            V<T> rest = {};  // NaN where one of them is not finite, as in NumPy, which multiplies the others by 0
            each<T>(c.size, [&](Place<T> p) { rest += p.get(dy) * T(0); });
            op.dx.data[i * op.dx.row + j] = (dy[k] + sum<T>(rest)) * c.slope(k);
        }
    }
}

// The parameters of the lines of one column, and sums for each of its bins.
template <class T>
struct Lines : Bins<T> {
    const T *w, *W, *b;
    Rows<T> sums;

    Lines(const Operation<T>& op, const T* theta, ptrdiff_t j)
        : Bins<T>(op, j),
          w(theta + op.first.at + this->at),
          W(theta + op.second.at + this->at * op.bins),
          b(theta + op.third.at + this->at),
          sums{op.inner.data + j * op.bins * op.inner.row, op.inner.row} {}
};

template <class T>
void piecewise_forward(const Operation<T>& op, const T* theta, ptrdiff_t rows, Range columns) {
    for (ptrdiff_t j = columns.from; j < columns.to; j++) {
        const Lines<T> c(op, theta, j);
        find_bins(op, j, c, rows);
        for (ptrdiff_t k = 0; k == 0 || k < c.n; k++)
            each<T>(c.size, [&](Place<T> p) {
                const ptrdiff_t before = k - 1;
                p.put(c.sums.data + k * c.sums.row,
                      k ? p.get(c.sums.data + before * c.sums.row) + p.get(c.W + before * c.size) : p.get(c.b));
            });
        for (ptrdiff_t k = 0; k < c.all; k++)
            if (!is_finite((double)sum_of(c.W + k * c.size, c.size)))
                for (ptrdiff_t q = 0; q == 0 || q < c.n; q++)
                    spread(c.W + k * c.size, c.sums.data + q * c.sums.row, c.size);
        for (ptrdiff_t i = 0; i < rows; i++) {
            const ptrdiff_t k = (ptrdiff_t)c.bin[i];
            const T *sums = c.sums.data + k * c.sums.row, *W = c.W + k * c.size, x = c.x[i], share = c.share[i];
            T* y = op.y.data + i * op.y.row + c.at;
            each<T>(c.size, [&](Place<T> p) { p.put(y, p.get(sums) + p.get(W) * share + p.get(c.w) * x); });
        }
    }
}

template <class T>
void piecewise_backward(const Operation<T>& op, const T* theta, T* gradient, ptrdiff_t rows, Range columns) {
    for (ptrdiff_t j = columns.from; j < columns.to; j++) {
        const Lines<T> c(op, theta, j);
        T *dw = gradient + (c.w - theta), *dW = gradient + (c.W - theta), *db = gradient + (c.b - theta);
        zero(dw, c.size), zero(db, c.size), zero(dW, c.all * c.size);
        for (ptrdiff_t k = 0; k < c.all; k++) zero(c.sums.data + k * c.sums.row, c.size);
        for (ptrdiff_t i = 0; i < rows; i++) {
            const ptrdiff_t k = (ptrdiff_t)c.bin[i];
            const T *dy = op.dy.data + i * op.dy.row + c.at, *W = c.W + k * c.size, x = c.x[i], share = c.share[i];
            const T slope = c.slope(k);
            T *sums = c.sums.data + k * c.sums.row, *own = dW + k * c.size;
            V<T> dx = {};
            each<T>(c.size, [&](Place<T> p) {
                const V<T> d = p.get(dy);
                p.put(sums, p.get(sums) + d);
                p.put(own, p.get(own) + d * share);
                p.put(dw, p.get(dw) + d * x);
                dx += d * (p.get(c.w) + p.get(W) * slope);
            });
            if (op.dx.data) op.dx.data[i * op.dx.row + j] = sum<T>(dx);
        }
        if (!c.n) zero(dW, c.size);
        for (ptrdiff_t k = c.n ? c.n - 1 : 0; k >= 0; k--)  // the sum of the bins above is in db
            each<T>(c.size, [&](Place<T> p) {
                if (c.n) p.put(dW + k * c.size, p.get(dW + k * c.size) + p.get(db));
                p.put(db, p.get(db) + p.get(c.sums.data + k * c.sums.row));
            });
        const T shares = sum_of(c.share, rows) * T(0);  // NaN if a value is
        for (ptrdiff_t k = 0; k < c.all && !is_finite((double)(sum_of(db, c.size) + shares)); k++) {
            spread(db, dW + k * c.size, c.size);
            for (ptrdiff_t l = 0; l < c.size; l++) dW[k * c.size + l] += shares;
        }
    }
}

}  // namespace
