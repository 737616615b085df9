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
        // with q = e^-|z|: log(1 + q) + ([z >= 0] - t) z, so that no number near 1 is subtracted from 1; and with
        // smoothed labels (1 - s) ([z >= 0] - t) + s ([z >= 0] - 1/2)
        const V<T> away = -absolute<T>(z), small = sigmoid<T>(away);
        const auto above = z >= T(0);
        const V<T> half = all<T>(setting / 2);
        const V<T> side = ((above ? all<T>(1) : V<T>{}) - t) * (1 - setting) + (above ? half : -half);
        dz = side + (above ? -small : small);
        return softplus<T>(away) + side * z;
    }
    dz = r;
    return r;
}

// dz is written in whole vectors, which its rows have room for: a tiny network (tiny.hpp) reads them at once.
template <LossKind loss, class T>
double terms(Run<T>& run, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t n = run.n_out;
    double total = 0;
    for (ptrdiff_t i = from; i < to; i++) {
        const T *z = run.z.data + i * run.z.row, *t = run.batch_t.data + i * run.batch_t.row;
        T *dz = run.dz.data + i * run.dz.row, w = run.batch_weights[i];
        V<T> row = {};
        each_in_turn<T>(n, [&](Place<T> p) {
            const M<T> used = first_lanes<T>(n - p.at);  // the others hold the loss of what is not there
            V<T> d, e = term<loss, T>(load(z + p.at), p.get(t), (T)run.loss_setting, n, d);
            store(dz + p.at, where<T>(used, d * w));
            row += where<T>(used, e);
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

// The sum over a row of z less the largest.
template <class T>
T below_largest(const T* z, T largest, ptrdiff_t n) {
    V<T> total = {};
    each<T>(n, [&](Place<T> p) {
        const V<T> below = p.get(z) - largest;
        total += p.part ? where<T>(first_lanes<T>(p.part), below) : below;
    });
    return sum<T>(total);
}

// 1 - p of the right class, or of the likeliest if the targets are probabilities, is computed as the sum of the other
// p, not by a subtraction from 1: so the small value and gradient of a right answer are accurate.
// The logarithms of a few rows are computed together, one in each lane.
// Smoothed labels are (1 - s) t + s / n: `kept` is 1 - s, and `even` s / n.
template <class T>
double softmax_cross_entropy(Run<T>& run, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t n = run.n_out;
    const T smoothing = (T)run.loss_setting, kept = 1 - smoothing, even = smoothing / (T)n, evens = even * (T)(n - 1);
    double total = 0;
    for (ptrdiff_t first = from; first < to; first += lanes<T>) {
        const ptrdiff_t rows = to - first < lanes<T> ? to - first : lanes<T>;
        ptrdiff_t aparts[lanes<T>];
        T largest[lanes<T>], own[lanes<T>] = {}, others[lanes<T>] = {}, rest[lanes<T>], logarithm[lanes<T>];
        for (ptrdiff_t r = 0; r < rows; r++) {
            const T* z = run.z.data + (first + r) * run.z.row;
            T* dz = run.dz.data + (first + r) * run.dz.row;
            largest[r] = largest_of(z, n);
            exponentials(z, dz, largest[r], n);
            aparts[r] = run.classes ? (ptrdiff_t)run.batch_classes[first + r] : place_of(z, largest[r], n);
            own[r] = dz[aparts[r]];
            dz[aparts[r]] = 0;
            others[r] = sum_of(dz, n);
        }
        store(rest, load(others) / (load(others) + load(own)));
        store(logarithm, log1p<T>(load(others) + (load(own) - T(1))));
        for (ptrdiff_t r = 0; r < rows; r++) {
            const ptrdiff_t i = first + r, apart = aparts[r];
            const T *z = run.z.data + i * run.z.row, w = run.batch_weights[i], exps = others[r] + own[r];
            T* dz = run.dz.data + i * run.dz.row;
            const T below = smoothing != 0 ? below_largest(z, largest[r], n) : T(0);
            if (run.classes) {
                each<T>(n, [&](Place<T> p) { p.put(dz, (p.get(dz) / exps - even) * w); });
                dz[apart] = (evens - rest[r]) * w;
                total += (double)((logarithm[r] - kept * (z[apart] - largest[r]) - even * below) * w);
            } else {
                const T* t = run.batch_t.data + i * run.batch_t.row;
                V<T> goals = {}, e = {};
                each<T>(n, [&](Place<T> p) {
                    V<T> goal = p.get(t), log_p = p.get(z) - largest[r] - logarithm[r];
                    goals += goal;
                    e -= log_p * goal;
                });
                const T share = sum<T>(goals);
                each<T>(n, [&](Place<T> p) {
                    V<T> probability = p.get(dz) / exps, goal = p.get(t), others = (share - goal) * kept + evens;
                    p.put(dz, (probability * others - (goal * kept + even) * (T(1) - probability)) * w);
                });
                dz[apart] =
                    (own[r] / exps * ((share - t[apart]) * kept + evens) - (t[apart] * kept + even) * rest[r]) * w;
                total += (double)((sum<T>(e) * kept + even * ((T)n * logarithm[r] - below)) * w);
            }
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
