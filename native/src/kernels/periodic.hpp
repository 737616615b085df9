// Embeddings of columns by waves, each with a linear map of its own. A vector holds one column in several rows, so that
// all sums over waves are sums of vectors. Threads share the columns: each sums up the gradients of its own.
#pragma once

#include "columns.hpp"
#include "math.hpp"

namespace {

// The parameters and the buffers of one column. Rows past the last one, up to a whole vector, are computed as if x were
// 0.
template <class T>
struct Waves {
    ptrdiff_t n, size, k;      // waves; outputs of the linear map; how many numbers of a wave it multiplies, 1 or 2
    const T *w, *phi, *W, *b;  // W: first for the cosines, then for the sines
    ptrdiff_t at;              // the column's first output
    Rows<T> x, dx, e;          // the column, a row each; e: its outputs, or their gradients
    Rows<T> cosines, sines;    // a row for each wave; null in prediction

    Waves(const Operation<T>& op, const T* theta, ptrdiff_t j) : n(op.frequencies) {
        const ptrdiff_t given = op.n_out / op.n_in;
        size = given - op.phases, k = op.phases ? 1 : 2, at = j * given;
        const Part &of_w = op.phases ? op.third : op.second, &of_b = op.phases ? op.fourth : op.third;
        w = theta + op.first.at + j * n, phi = op.phases ? theta + op.second.at + j * n : nullptr;
        W = theta + of_w.at + j * n * k * size, b = theta + of_b.at + j * size;
        const ptrdiff_t row = op.kept.row;
        x = {op.kept.data + j * (given + 2) * row, row};
        dx = {x.data + row, row}, e = {dx.data + row, row};
        cosines = {op.inner.data ? op.inner.data + j * 2 * n * op.inner.row : nullptr, op.inner.row};
        sines = {cosines.data ? cosines.data + n * op.inner.row : nullptr, op.inner.row};
    }
};

template <class T>
void periodic_forward(const Operation<T>& op, const T* theta, ptrdiff_t rows, Range columns) {
    for (ptrdiff_t j = columns.from; j < columns.to; j++) {
        const Waves<T> c(op, theta, j);
        gather_column(op.x, j, c.x.data, rows);
        for (ptrdiff_t i = 0; i < rows; i += lanes<T>) {
            const V<T> x = load(c.x.data + i);
            for (ptrdiff_t l = 0; l < c.size; l++) store(c.e.data + l * c.e.row + i, all(c.b[l]));
            for (ptrdiff_t q = 0; q < c.n; q++) {
                V<T> turns = x * c.w[q];
                __asm__("" : "+m"(turns));  // rounded, as in NumPy: not one operation with the difference that follows
                turns -= whole<T>(turns);
                if (c.phi) turns += all<T>(c.phi[q] * T(0.15915494309189533577));
                const Wave<T> v = wave<T>(turns);
                if (c.cosines.data) {
                    store(c.cosines.data + q * c.cosines.row + i, v.cosine);
                    store(c.sines.data + q * c.sines.row + i, v.sine);
                }
                for (ptrdiff_t l = 0; l < c.size; l++) {
                    T* e = c.e.data + l * c.e.row + i;
                    V<T> sum = load(e) + v.cosine * c.W[q * c.size + l];
                    if (c.k == 2) sum += v.sine * c.W[(c.n + q) * c.size + l];
                    store(e, sum);
                }
            }
        }
        for (ptrdiff_t i = 0; i < rows; i++) {
            T* y = op.y.data + i * op.y.row + c.at;
            if (op.phases) *y++ = c.x.data[i];
            for (ptrdiff_t l = 0; l < c.size; l++) {
                const T e = c.e.data[l * c.e.row + i];
                y[l] = op.rectified && e <= 0 ? 0 : e;  // NaN passes
            }
        }
    }
}

template <class T>
void periodic_backward(const Operation<T>& op, const T* theta, T* gradient, ptrdiff_t rows, Range columns) {
    constexpr T turn = T(6.28318530717958647692);
    for (ptrdiff_t j = columns.from; j < columns.to; j++) {
        const Waves<T> c(op, theta, j);
        auto of = [&](const T* parameter) { return gradient + (parameter - theta); };
        auto total = [&](auto term) {  // the sum over the rows
            V<T> sums = {};
            for (ptrdiff_t i = 0; i < rows; i += lanes<T>) sums += term(i);
            return sum<T>(sums);
        };
        for (ptrdiff_t l = 0; l < c.size; l++) {
            T* e = c.e.data + l * c.e.row;
            const ptrdiff_t at = c.at + op.phases + l;
            gather_column(op.dy, at, e, rows);
            for (ptrdiff_t i = 0; op.rectified && i < rows; i++)
                if (!(op.y.data[i * op.y.row + at] > 0)) e[i] = 0;
            of(c.b)[l] = total([&](ptrdiff_t i) { return load(e + i); });
        }
        gather_column(op.dy, c.at, c.dx.data, rows);  // what reaches the column itself, beside the waves
        for (ptrdiff_t i = 0; !op.phases && i < rows; i += lanes<T>) store(c.dx.data + i, V<T>{});
        for (ptrdiff_t q = 0; q < c.n; q++) {
            const T *cosine = c.cosines.data + q * c.cosines.row, *sine = c.sines.data + q * c.sines.row;
            const T *Wc = c.W + q * c.size, *Ws = c.W + (c.n + q) * c.size;
            V<T> dw = {}, dphi = {};
            for (ptrdiff_t i = 0; i < rows; i += lanes<T>) {
                V<T> dc = {}, ds = {};
                for (ptrdiff_t l = 0; l < c.size; l++) {
                    const V<T> de = load(c.e.data + l * c.e.row + i);
                    dc += de * Wc[l];
                    if (c.k == 2) ds += de * Ws[l];
                }
                V<T> dz = ds * load(cosine + i) - dc * load(sine + i);
                dphi += dz;
                dz *= turn;
                dw += dz * load(c.x.data + i);
                store(c.dx.data + i, load(c.dx.data + i) + dz * c.w[q]);
            }
            of(c.w)[q] = sum<T>(dw);
            if (c.phi) of(c.phi)[q] = sum<T>(dphi);
            for (ptrdiff_t l = 0; l < c.size; l++) {
                const T* e = c.e.data + l * c.e.row;
                of(Wc)[l] = total([&](ptrdiff_t i) { return load(cosine + i) * load(e + i); });
                if (c.k == 2) of(Ws)[l] = total([&](ptrdiff_t i) { return load(sine + i) * load(e + i); });
            }
        }
        for (ptrdiff_t i = 0; op.dx.data && i < rows; i++) op.dx.data[i * op.dx.row + j] = c.dx.data[i];
    }
}

}  // namespace
