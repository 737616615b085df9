// The activation functions y = f(z), and dL/dz = f'(z) dL/dy, on blocks of rows. The derivative is computed from y; if
// that is not possible, forward keeps it.
#pragma once

#include "columns.hpp"
#include "math.hpp"

namespace {

template <class T>
struct ActivationParams {
    Function function;
    T setting, scale;
};

// y = f(z); the derivative is written only for functions that keep it.
template <Function f, class T>
FC_INLINE V<T> value(ActivationParams<T> params, V<T> z, [[maybe_unused]] V<T>& derivative) {
    const V<T> zero = {}, one = all<T>(1);
    if constexpr (f == Function::identity) return z;
    if constexpr (f == Function::relu) return z <= zero ? zero : z;  // NaN passes
    if constexpr (f == Function::leaky_relu) return z > zero ? z : z * params.setting;
    if constexpr (f == Function::elu)
        return z > zero ? z * params.scale : expm1<T>(z > zero ? zero : z) * (params.scale * params.setting);
    if constexpr (f == Function::softplus) return softplus<T>(z);
    if constexpr (f == Function::sigmoid) return sigmoid<T>(z);
    if constexpr (f == Function::tanh) return tanh<T>(z);
    if constexpr (f == Function::exp) return exp<T>(z);
    if constexpr (f == Function::silu) {
        V<T> s = sigmoid<T>(z), y = z * s;
        derivative = s + y * (one - s);
        return y;
    }
    if constexpr (f == Function::gelu) {
        Normal<T> normal_z = normal<T>(z);
        derivative = normal_z.cdf + z * normal_z.density;
        return z * normal_z.cdf;
    }
    if constexpr (f == Function::mish) {  // t = n / (n + 2) with n = e^z (e^z + 2); beyond 20, t is 1
        V<T> e = exp<T>(z > all<T>(20) ? all<T>(20) : z), n = e * (e + 2), t = n / (n + 2);
        derivative = t + z * sigmoid<T>(z) * (1 - t * t);
        return z * t;
    }
    return z;
}

// f'(z), from y.
template <Function f, class T>
FC_INLINE V<T> derivative_from(ActivationParams<T> params, V<T> y) {
    const V<T> zero = {}, one = all<T>(1);
    if constexpr (f == Function::relu) return where<T>(y > zero, one);
    if constexpr (f == Function::leaky_relu) return y <= zero ? all(params.setting) : one;
    if constexpr (f == Function::elu) return y > zero ? all(params.scale) : y + params.scale * params.setting;
    if constexpr (f == Function::softplus) return -expm1<T>(-y);
    if constexpr (f == Function::sigmoid) return (one - y) * y;
    if constexpr (f == Function::tanh) return one - y * y;
    if constexpr (f == Function::exp) return y;
    return one;
}

template <Function f, class T>
FC_INLINE void activate_as(ActivationParams<T> params, const T* bias, Rows<T> y, Rows<T> kept, ptrdiff_t rows,
                           ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        auto body = [&](Place<T> p) {
            V<T> z = p.get(y.data + i * y.row), derivative = {};
            if (bias) z += p.get(bias);
            p.put(y.data + i * y.row, value<f, T>(params, z, derivative));
            if (kept.data && keeps_derivative(f)) p.put(kept.data + i * kept.row, derivative);
        };
        if constexpr (f == Function::identity || f == Function::relu || f == Function::leaky_relu)
            each<T>(n, body);
        else
            each_in_turn<T>(n, body);
    }
}

// y = f(y + bias) in place, for a block of rows; writes f'(z) into `kept` if wanted.
template <class T>
void activate(ActivationParams<T> params, const T* bias, Rows<T> y, Rows<T> kept, ptrdiff_t rows, ptrdiff_t n) {
    switch (params.function) {
        case Function::softmax:  // works on whole rows, later
        case Function::identity:
            if (bias) activate_as<Function::identity>(params, bias, y, kept, rows, n);
            return;
#define FC_ACTIVATE(name, kept_) \
    case Function::name:         \
        return activate_as<Function::name>(params, bias, y, kept, rows, n);
            FC_FUNCTIONS(FC_ACTIVATE)
    }
}

template <Function f, class T>
FC_INLINE void derive_as(ActivationParams<T> params, Rows<T> y, Rows<T> kept, Rows<T> dy, T* sums, ptrdiff_t rows,
                         ptrdiff_t n) {
    each<T>(n, [&](Place<T> p) {
        V<T> total = sums ? p.get(sums) : V<T>{};
        for (ptrdiff_t i = 0; i < rows; i++) {
            T* to = dy.data + i * dy.row;
            V<T> d = p.get(to);
            if constexpr (f != Function::identity) {
                d *= keeps_derivative(f) ? p.get(kept.data + i * kept.row)
                                         : derivative_from<f, T>(params, p.get(y.data + i * y.row));
                p.put(to, d);
            }
            total += d;
        }
        if (sums) p.put(sums, total);
    });
}

// dy *= f'(z) for a block of rows; adds the sum over the rows to `sums` if wanted.
template <class T>
void derive(ActivationParams<T> params, Rows<T> y, Rows<T> kept, Rows<T> dy, T* sums, ptrdiff_t rows, ptrdiff_t n) {
    switch (params.function) {
        case Function::softmax:
        case Function::identity:
            if (sums) derive_as<Function::identity>(params, y, kept, dy, sums, rows, n);
            return;
#define FC_DERIVE(name, kept_) \
    case Function::name:       \
        return derive_as<Function::name>(params, y, kept, dy, sums, rows, n);
            FC_FUNCTIONS(FC_DERIVE)
    }
}

template <class T>
FC_INLINE T largest_of(const T* from, ptrdiff_t n) {  // NaN if any is NaN
    T largest = from[0];
    for (ptrdiff_t j = 0; j < n; j++) largest = from[j] > largest || from[j] != from[j] ? from[j] : largest;
    return largest;
}

// Writes exp(from - the largest of from) into `to`, and returns the sum.
template <class T>
FC_INLINE T exponentials(const T* from, T* to, T largest, ptrdiff_t n) {
    V<T> total = {};
    each_in_turn<T>(n, [&](Place<T> p) {
        V<T> e = exp<T>(p.get(from) - largest);
        p.put(to, e);
        // lanes past the last number must not be added
        total += p.part ? load_part(to + p.at, p.part) : e;
    });
    return sum<T>(total);
}

template <class T>
void softmax(Rows<T> y, ptrdiff_t from, ptrdiff_t to, ptrdiff_t n) {
    for (ptrdiff_t i = from; i < to; i++) {
        T* row = y.data + i * y.row;
        T total = exponentials(row, row, largest_of(row, n), n);
        each<T>(n, [&](Place<T> p) { p.put(row, p.get(row) / total); });
    }
}

// dy = y (dy - sum of dy y): the whole Jacobian.
template <class T>
void softmax_back(Rows<T> y, Rows<T> dy, ptrdiff_t from, ptrdiff_t to, ptrdiff_t n) {
    for (ptrdiff_t i = from; i < to; i++) {
        const T* p_row = y.data + i * y.row;
        T* d_row = dy.data + i * dy.row;
        V<T> total = {};
        each<T>(n, [&](Place<T> p) { total += p.get(d_row) * p.get(p_row); });
        T all_of_it = sum<T>(total);
        each<T>(n, [&](Place<T> p) { p.put(d_row, (p.get(d_row) - all_of_it) * p.get(p_row)); });
    }
}

}  // namespace
