// The optimizers: one pass over theta, gradient and slots, with the same arithmetic as fullyconnected/optimizers.py.
#pragma once

#include "columns.hpp"

namespace {

// The constants of an update rule in one step, rounded once.
template <class T>
struct Update {
    Rule rule;
    T lr, decay, grown;                        // grown: 1 - decay
    T beta1_rest, beta2, beta2_rest, epsilon;  // epsilon: Adam's is times the root of its correction
    T shrink;                                  // AdamW: 1 - lr * weight_decay
    T l2;
    double exact_lr, decayed, exact_l2;  // what lr, 1 - shrink and l2 were before they were rounded
    T *theta, *m, *v;
    T *average, share;  // the average of theta if there is one, and the share of the new theta in it
};

FC_INLINE double power(double base, int64_t exponent) {
    double result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

// Rounds the constants to which a parameter may have factors.
template <class T>
FC_INLINE void round_factors(Update<T>& u, double lr_factor, double decay_factor) {
    u.lr = (T)(u.exact_lr * lr_factor);
    u.shrink = (T)(1 - u.decayed * lr_factor * decay_factor);
    u.l2 = (T)(u.exact_l2 * decay_factor);
}

// The constants of a step at learning rate lr and with a factor on the weight decay, where Adam's factors have these
// powers.
template <class T>
FC_INLINE Update<T> update_at(const Optimizing<T>& o, T* theta, double lr, double factor, double beta1_power,
                              double beta2_power, double l2) {
    Update<T> u{};
    u.rule = o.rule;
    u.theta = theta, u.m = o.m, u.v = o.v;
    u.exact_l2 = l2;
    u.decay = (T)o.decay, u.grown = (T)(1 - o.decay);
    u.epsilon = positive<T>(o.epsilon);
    u.decayed = lr * (o.weight_decay * factor);
    u.exact_lr = lr;
    if (o.rule == Rule::adam) {
        const double rest = 1 - beta2_power;
        const double root = __builtin_sqrt(rest);
        u.beta1_rest = (T)(1 - o.beta1), u.beta2 = (T)o.beta2, u.beta2_rest = (T)(1 - o.beta2);
        u.epsilon = positive<T>(o.epsilon_hat ? o.epsilon : o.epsilon * root);
        u.exact_lr = lr * root / (1 - beta1_power);
    }
    round_factors(u, 1, 1);
    return u;
}

// The same of step number `step`, counted from 1.
template <class T>
FC_INLINE Update<T> update_of(const Optimizing<T>& o, T* theta, double lr, double factor, int64_t step, double l2) {
    const bool adam = o.rule == Rule::adam;
    return update_at(o, theta, lr, factor, adam ? power(o.beta1, step) : 1, adam ? power(o.beta2, step) : 1, l2);
}

// The same for one parameter; they are in `own` if its learning rate or its decay has a factor.
template <class T>
FC_INLINE const Update<T>& with_factors(const Update<T>& u, const Part& part, Update<T>& own) {
    if (part.lr_factor == 1 && (part.decay_factor == 1 || part.decay_factor == 0)) return u;
    own = u;
    round_factors(own, part.lr_factor, part.decay_factor);
    return own;
}

// The same where its slots may not lie as the parameters do.
template <class T>
FC_INLINE const Update<T>& of_part(const Update<T>& u, const Part& part, Update<T>& own) {
    const Update<T>& factored = with_factors(u, part, own);
    if (part.m_at == part.at && part.v_at == part.at) return factored;
    own = factored;
    if (own.m) own.m += part.m_at - part.at;
    if (own.v) own.v += part.v_at - part.at;
    return own;
}

// What a vector of parameters w becomes by its gradient g; its slots are at a place in m and v, and change. With l2,
// adds l2 w^2 to the terms.
template <Rule rule, class T>
FC_INLINE V<T> updated(const Update<T>& u, Place<T> p, V<T> g, V<T> w, T* m, T* v, bool l2, bool shrinks, V<T>& terms) {
    if (l2) {
        g = multiply_add<T>(w, all(u.l2), g);
        terms += w * w * u.l2;
    }
    if constexpr (rule == Rule::sgd) w -= g * u.lr;
    if constexpr (rule == Rule::momentum) {
        V<T> speed = p.get(v) * u.decay + g;
        p.put(v, speed);
        w -= speed * u.lr;
    }
    if constexpr (rule == Rule::nesterov) {
        V<T> speed = p.get(v) * u.decay + g;
        p.put(v, speed);
        w -= (speed * u.decay + g) * u.lr;
    }
    if constexpr (rule == Rule::rmsprop) {
        V<T> size = multiply_add<T>(p.get(v), all(u.decay), g * g * u.grown);
        p.put(v, size);
        w -= quotient<T>(g, square_root<T>(size) + u.epsilon) * u.lr;
    }
    if constexpr (rule == Rule::adam) {
        V<T> mean = p.get(m), size = p.get(v);
        mean += (g - mean) * u.beta1_rest;
        size = multiply_add<T>(size, all(u.beta2), g * g * u.beta2_rest);
        p.put(m, mean);
        p.put(v, size);
        if (shrinks) w *= u.shrink;
        w = multiply_add<T>(quotient<T>(mean, square_root<T>(size) + u.epsilon), all(-u.lr), w);
    }
    return w;
}

template <Rule rule, class T>
FC_INLINE void update_as(const Update<T>& of, ptrdiff_t at, ptrdiff_t row, Rows<const T> gradient, ptrdiff_t rows,
                         ptrdiff_t n, bool decays, V<T>& l2_terms) {
    const Update<T> u = of;  // which the compiler then knows not to change
    const bool l2 = decays && u.l2 != 0, shrinks = rule == Rule::adam && decays && u.shrink != 1;
    V<T> terms = {};  // in a register: each vector would wait for the one before in memory
    for (ptrdiff_t r = 0; r < rows; r++) {
        const ptrdiff_t from = at + r * row;
        T *theta = u.theta + from, *m = rule == Rule::adam ? u.m + from : nullptr;
        T* v = rule == Rule::sgd ? nullptr : u.v + from;
        each<T>(n, [&](Place<T> p) {
            const V<T> g = p.get(gradient.data + r * gradient.row);
            p.put(theta, updated<rule, T>(u, p, g, p.get(theta), m, v, l2, shrinks, terms));
        });
    }
    if (l2) l2_terms += terms;
}

// Moves an average by `share` of the way towards n numbers.
template <class T>
FC_INLINE void follow(T* average, const T* now, T share, ptrdiff_t n) {
    each<T>(n, [&](Place<T> p) {
        const V<T> before = p.get(average);
        p.put(average, multiply_add<T>(p.get(now) - before, all(share), before));
    });
}

// The share of the new numbers in a moving average in step number `step`, counted from 1.
template <class T>
FC_INLINE T share_of(const Averaging<T>& average, int64_t step) {
    const double most = (1 + (double)step) / (10 + (double)step);
    return (T)(1 - (average.warms_up && most < average.decay ? most : average.decay));
}

// Updates rows of n parameters, `row` apart in theta and beginning at `at`, by their gradient; then an average of them,
// while they are in cache. If l2 shrinks them, adds l2 theta^2 to l2_terms.
template <class T>
void update(const Update<T>& u, ptrdiff_t at, ptrdiff_t row, Rows<const T> gradient, ptrdiff_t rows, ptrdiff_t n,
            bool decays, V<T>& l2_terms) {
    switch (u.rule) {
        case Rule::none:
        case Rule::muon:  // it updates whole matrices
            return;
#define FC_UPDATE(name)                                                         \
    case Rule::name:                                                            \
        update_as<Rule::name>(u, at, row, gradient, rows, n, decays, l2_terms); \
        break;
            FC_RULES(FC_UPDATE)
    }
    for (ptrdiff_t r = 0; u.average && r < rows; r++)
        follow(u.average + at + r * row, u.theta + at + r * row, u.share, n);
}

}  // namespace
