// The losses: value and gradient of some rows of a batch, in one pass. The weights of a batch sum to 1.
#pragma once

#include "activations.hpp"

namespace {

// A loss of each output separately: e(z, t), and de/dz.
template <LossKind loss, class T>
FC_INLINE V<T> term(V<T> z, V<T> t, T setting, ptrdiff_t n, V<T>& dz) {
    const V<T> r = z - t;
    if constexpr (loss == LossKind::half_squared_error) {
        dz = r;
        return r * r * (T)0.5;
    }
    if constexpr (loss == LossKind::mean_squared_error) {
        dz = r * ((T)2 / (T)n);
        return r * r * ((T)1 / (T)n);
    }
    if constexpr (loss == LossKind::absolute_error) {
        dz = sign<T>(r);
        return absolute<T>(r);
    }
    if constexpr (loss == LossKind::huber) {
        const V<T> limit = all(setting);
        dz = r > limit ? limit : (r < -limit ? -limit : r);
        return (r - dz * (T)0.5) * dz;
    }
    if constexpr (loss == LossKind::quantile) {
        V<T> s = sign<T>(r);
        dz = s * (T)0.5 + absolute<T>(s) * ((T)0.5 - setting);
        return dz * r;
    }
    if constexpr (loss == LossKind::poisson) {
        V<T> rate = exp<T>(z);
        dz = rate - t;
        return rate - t * z;
    }
    if constexpr (loss == LossKind::binary_cross_entropy) {
        // with q = e^-|z|: log(1 + q) + ([z >= 0] - t) z, so that no number near 1 is subtracted from 1
        const V<T> away = -absolute<T>(z), small = sigmoid<T>(away);
        const auto above = z >= T(0);
        const V<T> side = (above ? all<T>(1) : V<T>{}) - t;
        dz = side + (above ? -small : small);
        return softplus<T>(away) + side * z;
    }
    dz = r;
    return r;
}

template <LossKind loss, class T>
double terms(Run<T>& run, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t n = run.n_out;
    double total = 0;
    for (ptrdiff_t i = from; i < to; i++) {
        const T *z = run.z.data + i * run.z.row, *t = run.batch_t.data + i * run.batch_t.row;
        T *dz = run.dz.data + i * run.dz.row, w = run.batch_weights[i];
        V<T> row = {};
        each<T>(n, [&](Place<T> p) {
            V<T> d, e = term<loss, T>(p.get(z), p.get(t), (T)run.loss_setting, n, d);
            p.put(dz, d * w);
            if (p.part) {  // the lanes past the last output hold the loss of zeros
                e = where<T>(first_lanes<T>(p.part), e);
            }
            row += e;
        });
        total += (double)(sum<T>(row) * w);
    }
    return total;
}

// The index of the largest number, or of a NaN if there is one.
template <class T>
ptrdiff_t place_of(const T* from, T largest, ptrdiff_t n) {
    ptrdiff_t j = 0;
    while (j < n - 1 && from[j] == from[j] && from[j] != largest) j++;
    return j;
}

// 1 - p of the right class, or of the likeliest if the targets are probabilities, is computed as the sum of the other
// p, not by a subtraction from 1: so the small value and gradient of a right answer are accurate.
template <class T>
double softmax_cross_entropy(Run<T>& run, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t n = run.n_out;
    double total = 0;
    for (ptrdiff_t i = from; i < to; i++) {
        const T* z = run.z.data + i * run.z.row;
        T *dz = run.dz.data + i * run.dz.row, w = run.batch_weights[i];
        const T largest = largest_of(z, n);
        exponentials(z, dz, largest, n);
        const ptrdiff_t apart = run.classes ? (ptrdiff_t)run.batch_classes[i] : place_of(z, largest, n);
        const T own = dz[apart];
        dz[apart] = 0;
        V<T> sums = {};
        each<T>(n, [&](Place<T> p) { sums += p.get(dz); });
        const T others = sum<T>(sums), exps = others + own, rest = others / exps;
        const T logarithm = log1p<T>(all<T>(others + (own - T(1))))[0];
        if (run.classes) {
            each<T>(n, [&](Place<T> p) { p.put(dz, p.get(dz) / exps * w); });
            dz[apart] = -rest * w;
            total += (double)((logarithm - (z[apart] - largest)) * w);
        } else {
            const T* t = run.batch_t.data + i * run.batch_t.row;
            V<T> goals = {}, e = {};
            each<T>(n, [&](Place<T> p) {
                V<T> goal = p.get(t), log_p = p.get(z) - largest - logarithm;
                goals += goal;
                e -= log_p * goal;
            });
            const T share = sum<T>(goals);
            each<T>(n, [&](Place<T> p) {
                V<T> probability = p.get(dz) / exps, goal = p.get(t);
                p.put(dz, (probability * (share - goal) - goal * (T(1) - probability)) * w);
            });
            dz[apart] = (own / exps * (share - t[apart]) - t[apart] * rest) * w;
            total += (double)(sum<T>(e) * w);
        }
    }
    return total;
}

template <class T>
double hinge(Run<T>& run, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t n = run.n_out;
    double total = 0;
    for (ptrdiff_t i = from; i < to; i++) {
        const T* z = run.z.data + i * run.z.row;
        T *dz = run.dz.data + i * run.dz.row, w = run.batch_weights[i], count = 0, e = 0;
        const int64_t right = run.batch_classes[i];
        for (ptrdiff_t j = 0; j < n; j++) {
            const T margin = z[j] - z[right] + 1, over = margin > 0 || margin != margin ? margin : 0;
            if (j == right) continue;
            const T d = over > 0 ? (T)1 : over;  // NaN for NaN
            e += over;
            count += d;
            dz[j] = d * w;
        }
        dz[right] = -count * w;
        total += (double)(e * w);
    }
    return total;
}

// Returns the loss of the rows from `from` to `to`, and writes its gradient into dz.
template <class T>
double loss_of(Run<T>& run, ptrdiff_t from, ptrdiff_t to) {
    switch (run.loss) {
#define FC_TERM(name)    \
    case LossKind::name: \
        return terms<LossKind::name>(run, from, to);
        FC_TERMS(FC_TERM)
        case LossKind::softmax_cross_entropy:
            return softmax_cross_entropy(run, from, to);
        case LossKind::hinge:
            return hinge(run, from, to);
    }
    return 0;
}

}  // namespace
