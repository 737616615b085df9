// Muon: the step of a matrix of weights, by a few rounds of matrix products; fullyconnected/orthogonal.py has the
// formulas.
#pragma once

#include "layers.hpp"

namespace {

constexpr ptrdiff_t block_of_rows = 8 * tile_rows;  // of a symmetric product

// Applied to each tile of a symmetric matrix: adds a multiple of another one, and copies what is left of the blocks on
// the diagonal to the place that mirrors it.
template <class T>
struct Mirroring {
    Rows<T> c;
    ptrdiff_t from;  // the block's first row
    Rows<T> other;   // if there is one, C becomes times C + and_times other
    T times, and_times;

    FC_INLINE void before(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Written&) const {}
    FC_INLINE void then(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<T> tile) const {
        for (ptrdiff_t r = 0; r < rows; r++) {
            T* to = tile.data + r * tile.row;
            const ptrdiff_t at = from + i + r;
            if (other.data) {
                const T* added = other.data + at * other.row + j;
                each<T>(columns, [&](Place<T> p) { p.put(to, p.get(to) * times + p.get(added) * and_times); });
            }
            const ptrdiff_t left = from - j < columns ? from - j : columns;
            for (ptrdiff_t l = 0; l < left; l++) c.data[(j + l) * c.row + at] = to[l];
        }
    }
};

// C = A B, which is known to be symmetric, for A (n, k): a thread computes some blocks of rows, up to the diagonal.
template <class T>
void symmetric_product(ThreadContext<T>& context, ptrdiff_t n, ptrdiff_t k, Matrix<const T> a, Matrix<const T> b,
                       Rows<T> c, Rows<T> other, T times, T and_times) {
    const ptrdiff_t blocks = (n + block_of_rows - 1) / block_of_rows;
    const int threads = context.apart ? context.threads : 1, thread = context.apart ? context.thread : 0;
    for (ptrdiff_t block = blocks - 1; block >= 0; block--) {
        const ptrdiff_t turn = blocks - 1 - block, place = turn % threads;  // the longest first, and back and forth
        if ((turn / threads % 2 ? threads - 1 - place : place) != thread) continue;
        const ptrdiff_t from = block * block_of_rows, to = from + block_of_rows < n ? from + block_of_rows : n;
        product<T>(to - from, to, k, {a.at(from, 0), a.row, a.column}, b, offset(c, from, 0), context.scratch,
                   Mirroring<T>{c, from, other, times, and_times}, context.stop, context.polls());
    }
}

template <class T>
struct Adding {  // applied to each tile of a product: adds a multiple of another matrix
    Rows<T> other;
    T times;

    FC_INLINE void before(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Written&) const {}
    FC_INLINE void then(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<T> tile) const {
        for (ptrdiff_t r = 0; r < rows; r++) {
            T* to = tile.data + r * tile.row;
            const T* added = other.data + (i + r) * other.row + j;
            each<T>(columns, [&](Place<T> p) { p.put(to, p.get(added) * times + p.get(to)); });
        }
    }
};

// The least work that is shared among threads in a round.
template <class T>
FC_INLINE bool shares_rounds(const ThreadContext<T>& context, ptrdiff_t m, ptrdiff_t n) {
    const ptrdiff_t small = m < n ? m : n;
    return (double)m * n * small >= enough_products && m >= 2 * context.threads;
}

// X' = a X + b (X X') X + c (X X')^2 X for X (m, n), round after round; the result is in x.
template <class T>
void newton_schulz(ThreadContext<T>& context, ptrdiff_t m, ptrdiff_t n, int rounds, Rows<T>& x, Rows<T>& y, Rows<T> a,
                   Rows<T> b) {
    constexpr T linear = (T)3.4445, cubic = (T)-4.775, quintic = (T)2.0315;
    const bool wide = m <= n, shared = shares_rounds(context, m, n);
    const ptrdiff_t small = wide ? m : n, k = wide ? n : m;
    for (int round = 0; round < rounds; round++) {
        const Matrix<const T> rows = {x.data, x.row, 1}, turned = {x.data, 1, x.row};
        if (context.begins(shared))
            symmetric_product<T>(context, small, k, wide ? rows : turned, wide ? turned : rows, a, {nullptr, 0}, 1, 0);
        if (context.begins(shared))
            symmetric_product<T>(context, small, small, {a.data, a.row, 1}, {a.data, a.row, 1}, b, a, quintic, cubic);
        if (context.begins(shared)) {
            const Range r = context.part(m, tile_rows);
            const Matrix<const T> left = {(wide ? b : x).data, (wide ? b : x).row, 1};
            const Matrix<const T> right = {(wide ? x : b).data, (wide ? x : b).row, 1};
            if (r.to > r.from)
                product<T>(r.to - r.from, n, small, {left.at(r.from, 0), left.row, 1}, right, offset(y, r.from, 0),
                           context.scratch, Adding<T>{offset(x, r.from, 0), linear}, context.stop, context.polls());
        }
        const Rows<T> before = x;
        x = y, y = before;
    }
}

// The step of a hidden matrix, from its gradient in run.gradient, at learning rate lr and with a factor on the weight
// decay. If l2 shrinks it, adds l2 W^2 to l2_term. The largest number and the squares are noted for each row, so that
// the bits do not depend on how many threads share the rows.
template <class T>
void orthogonal_update(ThreadContext<T>& context, const Run<T>& run, const Operation<T>& op, const Orthogonal<T>& room,
                       double lr, double decay, double l2, T share, double& l2_term) {
    const Part& part = op.first;
    const Optimizing<T>& rule = run.optimizer;
    const ptrdiff_t m = op.n_in, n = op.n_out;
    T *W = run.theta + part.at, *g = run.gradient + part.at, *v = rule.v + part.v_at;
    Rows<T> x = room.x, y = room.y;
    T *largest_of = y.data, *squares_of = y.data + m;  // y is free until the rounds, and has room for them
    const bool shared = shares_rounds(context, m, n);
    if (context.begins(shared)) {
        const Range r = context.part(m, 1);
        const T momentum = (T)rule.decay, pulled = (T)(l2 * part.decay_factor);
        V<T> l2_terms = {};
        for (ptrdiff_t i = r.from; i < r.to; i++) {
            V<T> most = {};
            each<T>(n, [&](Place<T> p) {
                V<T> d = p.get(g + i * n);
                if (pulled != 0) {
                    const V<T> w = p.get(W + i * n);
                    d = multiply_add<T>(w, all(pulled), d);
                    l2_terms += w * w * pulled;
                }
                const V<T> speed = p.get(v + i * n) * momentum + d;
                p.put(v + i * n, speed);
                const V<T> along = rule.nesterov ? speed * momentum + d : speed;
                p.put(x.data + i * x.row, along);
                most = larger<T>(absolute<T>(along), most);
            });
            largest_of[i] = 0;
            for (ptrdiff_t l = 0; l < lanes<T>; l++) largest_of[i] = most[l] > largest_of[i] ? most[l] : largest_of[i];
        }
        if (pulled != 0) l2_term += (double)sum<T>(l2_terms);
    }
    T largest = positive<T>(0);
    if (context.begins(shared)) {
        for (ptrdiff_t i = 0; i < m; i++) largest = largest_of[i] > largest ? largest_of[i] : largest;
        const Range r = context.part(m, 1);
        for (ptrdiff_t i = r.from; i < r.to; i++) {
            V<T> squares = {};
            each<T>(n, [&](Place<T> p) {
                const V<T> scaled = p.get(x.data + i * x.row) / largest;
                p.put(x.data + i * x.row, scaled);
                squares += scaled * scaled;
            });
            squares_of[i] = sum<T>(squares);
        }
    }
    if (context.begins(shared)) {
        double squares = 0;
        for (ptrdiff_t i = 0; i < m; i++) squares += (double)squares_of[i];
        const double norm = __builtin_sqrt(squares), least = 1e-7 / (double)largest;
        const T divisor = (T)(norm < least ? least : norm);
        const Range r = context.part(m, 1);
        for (ptrdiff_t i = r.from; i < r.to; i++)
            each<T>(n, [&](Place<T> p) { p.put(x.data + i * x.row, p.get(x.data + i * x.row) / divisor); });
    }
    newton_schulz<T>(context, m, n, rule.rounds, x, y, room.a, room.b);
    if (context.begins(shared) && !stopped(&run.stop)) {
        const double rate = lr * part.lr_factor;
        const T step = (T)(rate * __builtin_sqrt(m < n ? (double)n / (double)m : 1.0));
        const T shrink = (T)(1 - rate * (rule.weight_decay * decay) * part.decay_factor);
        const Range r = context.part(m, 1);
        for (ptrdiff_t i = r.from; i < r.to; i++) {
            each<T>(n, [&](Place<T> p) {
                const V<T> w = p.get(W + i * n) * shrink;
                p.put(W + i * n, w - p.get(x.data + i * x.row) * step);
            });
            if (run.average.theta) follow(run.average.theta + part.at + i * n, W + i * n, share, n);
        }
    }
}

// The steps of all hidden matrices. Of a stack, each thread makes those of some members.
template <class T>
void orthogonal_updates(ThreadContext<T>& context, const Run<T>& run, double lr, double decay, double l2, T share,
                        double& l2_term) {
    for (int i = run.n_operations - 1; i >= run.first; i--) {
        const Operation<T>& op = run.operations[i];
        if (!op.first.hidden || op.first.lr_factor == 0) continue;
        if (!op.members) {
            orthogonal_update(context, run, op, run.orthogonal[0], lr, decay, l2, share, l2_term);
            continue;
        }
        const Orthogonal<T>& room = run.orthogonal[context.thread];
        each_member(context, op, op.n_in < op.n_out ? op.n_in : op.n_out, [&](ThreadContext<T>& alone, ptrdiff_t m) {
            orthogonal_update(alone, run, member_of(op, m), room, lr, decay, l2, share, l2_term);
        });
    }
}

}  // namespace
