// The operations, forward and backward, by one thread or shared by several.
#pragma once

#include "dense.hpp"
#include "periodic.hpp"
#include "piecewise.hpp"
#include "random.hpp"

namespace {

template <class T>
void copy_rows(Rows<T> from, Rows<T> to, Range r, ptrdiff_t n) {
    for (ptrdiff_t i = r.from; i < r.to; i++)
        each<T>(n, [&](Place<T> p) { p.put(to.data + i * to.row, p.get(from.data + i * from.row)); });
}

// Writes f(a, b) into `to`, entry by entry.
template <class T, class F>
FC_INLINE void combine(Rows<T> a, Rows<T> b, Rows<T> to, Range r, ptrdiff_t n, F f) {
    for (ptrdiff_t i = r.from; i < r.to; i++)
        each<T>(n, [&](Place<T> p) {
            p.put(to.data + i * to.row, f(p.get(a.data + i * a.row), p.get(b.data + i * b.row)));
        });
}

// Multiplies each column by its factor.
template <class T>
void scaled(Rows<T> from, const T* factors, Rows<T> to, Range r, ptrdiff_t n) {
    for (ptrdiff_t i = r.from; i < r.to; i++)
        each<T>(n, [&](Place<T> p) { p.put(to.data + i * to.row, p.get(from.data + i * from.row) * p.get(factors)); });
}

// A row at a time, which stays in the first cache while it is gone through more than once.
template <class T>
void parametric_forward(const Operation<T>& op, const T* theta, Range r) {
    const T* a = theta + op.first.at;
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const Rows<T> x = offset(op.x, i, 0), y = offset(op.y, i, 0), f = op.inner.data ? offset(op.inner, i, 0) : y;
        copy_rows(x, f, {0, 1}, op.n_in);
        if (op.function == Function::softmax)
            softmax(f, 0, 1, op.n_in);
        else
            activate<T>(params_of(op), nullptr, f, offset(op.kept, i, 0), 1, op.n_in);
        each<T>(op.n_in, [&](Place<T> p) {
            const V<T> given = p.get(x.data);
            p.put(y.data, given + p.get(a) * (p.get(f.data) - given));
        });
    }
}

FC_INLINE bool normalises_rows(Kind kind) { return kind == Kind::layer_norm || kind == Kind::rms_norm; }

// LayerNorm, which is centred, or RMSNorm, which is not, and has no beta.
template <bool centred, class T>
void row_norm_forward(const Operation<T>& op, const T* theta, Range r) {
    const ptrdiff_t n = op.n_in;
    const T *gamma = theta + op.first.at, *beta = theta + op.second.at;
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const T* x = op.x.data + i * op.x.row;
        T *y = op.y.data + i * op.y.row, *kept = op.kept.data ? op.kept.data + i * op.kept.row : nullptr;
        const T mean = centred ? sum_of(x, n) / (T)n : T(0);
        V<T> squares = {};
        each<T>(n, [&](Place<T> p) {
            V<T> d = p.get(x);
            if (centred) p.put(kept, d -= mean);
            squares += centred && p.part ? where<T>(first_lanes<T>(p.part), d * d) : d * d;
        });
        T variance = sum<T>(squares) / (T)n + positive<T>(op.setting);
        variance += variance - variance;  // infinity becomes NaN, which is noticed
        const T rate = op.rate[i] = 1 / square_root<T>(all(variance))[0];
        each<T>(n, [&](Place<T> p) {
            V<T> normal = p.get(centred ? kept : x) * rate;
            if (kept) p.put(kept, normal);
            p.put(y, centred ? normal * p.get(gamma) + p.get(beta) : normal * p.get(gamma));
        });
    }
}

template <class T>
void row_norm_forward(const Operation<T>& op, const T* theta, Range r) {
    if (op.kind == Kind::layer_norm) return row_norm_forward<true>(op, theta, r);
    row_norm_forward<false>(op, theta, r);
}

// The sums over these rows of x, less the running mean, and of its squares. In float64, and with what is subtracted
// near to the mean, the variance loses no digits.
template <class T>
void batch_norm_sums(const Operation<T>& op, ptrdiff_t rows, Range c) {
    double *sums = op.totals, *squares = op.totals + op.n_in;
    for (ptrdiff_t j = c.from; j < c.to; j++) sums[j] = squares[j] = 0;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const T* x = op.x.data + i * op.x.row;
        for (ptrdiff_t j = c.from; j < c.to; j++) {
            const double d = (double)x[j] - (double)op.running_mean[j];
            sums[j] += d;
            squares[j] += d * d;
        }
    }
}

// The mean and the variance of a batch of so many rows from the sums of all processes.
template <class T>
void batch_norm_moments(const Operation<T>& op, ptrdiff_t whole, Range c) {
    const double *sums = op.totals, *squares = op.totals + op.n_in;
    for (ptrdiff_t j = c.from; j < c.to; j++) {
        const double mean = sums[j] / (double)whole, variance = squares[j] / (double)whole - mean * mean;
        op.moments[j] = (T)((double)op.running_mean[j] + mean);
        op.moments[op.n_in + j] = (T)(variance < 0 ? 0 : variance);
    }
}

// `whole` is the number of rows of which the moments are known; 0 if those of these rows are to be computed.
template <class T>
void batch_norm_forward(const Operation<T>& op, const T* theta, ptrdiff_t rows, Range c, bool train,
                        ptrdiff_t whole = 0) {
    each<T>(c.to - c.from, [&](Place<T> p) {
        p.at += c.from;
        const V<T> gamma = p.get(theta + op.first.at), beta = p.get(theta + op.second.at);
        V<T> mean = p.get(op.running_mean), variance = p.get(op.running_var);
        if (train) {
            const V<T> running_mean = mean, running_var = variance;
            mean = variance = V<T>{};
            if (whole) {
                mean = p.get(op.moments), variance = p.get(op.moments + op.n_in);
            } else {
                for (ptrdiff_t i = 0; i < rows; i++) mean += p.get(op.x.data + i * op.x.row);
                mean /= (T)rows;
                for (ptrdiff_t i = 0; i < rows; i++) {
                    V<T> d = p.get(op.x.data + i * op.x.row) - mean;
                    variance += d * d;
                }
                variance /= (T)rows;
            }
            const ptrdiff_t n = whole ? whole : rows;
            const T unbiased = (T)((double)n / (double)(n > 1 ? n - 1 : 1));
            p.put(op.running_mean, running_mean * (T)(1 - op.momentum) + mean * (T)op.momentum);
            p.put(op.running_var, running_var * (T)(1 - op.momentum) + variance * ((T)op.momentum * unbiased));
        }
        const V<T> rate = 1 / square_root<T>(variance + positive<T>(op.setting));
        p.put(op.rate, rate);
        for (ptrdiff_t i = 0; i < rows; i++) {
            V<T> normal = (p.get(op.x.data + i * op.x.row) - mean) * rate;
            if (op.kept.data) p.put(op.kept.data + i * op.kept.row, normal);
            p.put(op.y.data + i * op.y.row, normal * gamma + beta);
        }
    });
}

// A row of numbers, and the columns of it that an operation reads, from `first` on or, if they are listed, these.
template <class From>
struct Cells {
    const From* row;
    const int64_t* columns;

    FC_INLINE double operator[](ptrdiff_t j) const { return (double)row[columns ? columns[j] : j]; }
};

// The arithmetic of Standardize is in float64, and its result alone is cast. What is the same for all entries is
// decided outside the loop over them, so that it works on vectors.
template <class T, bool clips, bool fills, bool keeps, class Row>
FC_INLINE void standardize_row(Row row, const double* means, const double* scales, ptrdiff_t n, T* __restrict out,
                               T* __restrict gone, T* __restrict kept) {
    for (ptrdiff_t j = 0; j < n; j++) {
        double z = ((double)row[j] - means[j]) / scales[j], slope = 1;
        if constexpr (fills) {
            const bool missing = z != z;
            gone[j] = missing;
            z = missing ? 0 : z;
            slope = missing ? 0 : 1;
        }
        if constexpr (clips) {  // far from 0, the square must not overflow
            const double far = 1e100, third = (z > far ? far : z < -far ? -far : z) / 3;
            const double root = __builtin_sqrt(1 + third * third);
            z = 3 * third / root;
            if constexpr (keeps) slope /= root * root * root;
        }
        out[j] = (T)z;
        if constexpr (keeps) kept[j] = (T)slope;
    }
}

// Where the derivative by the standardised value is not 1 everywhere, it is kept for backward, if that is wanted.
template <class T, class From>
void standardize_rows(const From* from, ptrdiff_t width, const int64_t* order, ptrdiff_t first, const Operation<T>& op,
                      Range r) {
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const From* row = from + (order ? order[i] : first + i) * width + op.first_column;
        T* out = op.y.data + i * op.y.row;
        T *kept = op.kept.data ? op.kept.data + i * op.kept.row : nullptr, *gone = out + op.n_in;
        auto run = [&](auto cells) {
#define FC_STANDARDIZE(clips, fills, keeps)                         \
    if (op.clip == clips && op.missing == fills && !!kept == keeps) \
        return standardize_row<T, clips, fills, keeps>(cells, op.means, op.scales, op.n_in, out, gone, kept);
            FC_STANDARDIZE(false, false, false)
            FC_STANDARDIZE(true, false, false)
            FC_STANDARDIZE(false, true, false)
            FC_STANDARDIZE(true, true, false)
            FC_STANDARDIZE(true, false, true)
            FC_STANDARDIZE(false, true, true)
            FC_STANDARDIZE(true, true, true)
#undef FC_STANDARDIZE
        };
        if (op.columns)
            run(Cells<From>{row, op.columns});
        else
            run(row);
    }
}

// The operation of member m, whose rows lie among those of the others, and its part of the parameters.
template <class T>
Operation<T> member_of(const Operation<T>& op, ptrdiff_t m) {
    Operation<T> own = op;
    auto of = [&](Rows<T> rows, ptrdiff_t copies) {
        return copies == 1 || !rows.data ? rows : Rows<T>{rows.data + m * rows.row, rows.row * copies};
    };
    own.x = of(op.x, op.copies_in), own.dx = of(op.dx, op.copies_in);
    own.y = of(op.y, op.copies), own.dy = of(op.dy, op.copies), own.kept = of(op.kept, op.copies);
    own.first.size /= op.members, own.second.size /= op.members;
    for (Part* part = &own.first; part; part = part == &own.first ? &own.second : nullptr) {
        const ptrdiff_t before = m * part->size;
        part->at += before, part->m_at += before, part->v_at += before;
    }
    if (op.running_mean) own.running_mean += m * op.n_in, own.running_var += m * op.n_in;
    if (op.rate) own.rate += m * op.rates;
    if (op.totals) own.totals += m * 2 * op.n_in, own.moments += m * 2 * op.n_in;
    own.members = 0, own.copies = own.copies_in = 1;
    return own;
}

// Begins a phase in which each thread does all the work of some members, and calls body(context, m) for each of these.
template <class T, class Body>
void each_member(ThreadContext<T>& context, const Operation<T>& op, ptrdiff_t rows, Body body) {
    if (!context.begins(is_enough(rows * op.copies, op))) return;
    const Range mine = context.part(op.members, 1);
    ThreadContext<T> alone{0, 1, nullptr, context.stop, context.scratch};
    alone.quiet = context.thread != 0;
    for (ptrdiff_t m = mine.from; m < mine.to; m++) body(alone, m);
}

// Calls body(op, columns) for the columns of each thread, or for all columns of each of its members.
template <class T, class Body>
void each_columns(ThreadContext<T>& context, const Operation<T>& op, ptrdiff_t rows, Body body) {
    if (op.members)
        return each_member(context, op, rows,
                           [&](ThreadContext<T>&, ptrdiff_t m) { body(member_of(op, m), Range{0, op.n_in}); });
    if (context.begins(rows * op.n_in >= enough_numbers)) body(op, context.part(op.n_in, lanes<T>));
}

// BatchNorm over the rows of all processes; none of them here is as good as any other number.
template <class T>
void shared_batch_norm_forward(ThreadContext<T>& context, const Operation<T>& op, const T* theta, ptrdiff_t rows) {
    const ptrdiff_t whole = context.whole * (op.members ? 1 : op.copies_in);
    each_columns(context, op, rows, [&](const Operation<T>& own, Range c) { batch_norm_sums(own, rows, c); });
    context.exchange(op.which);
    each_columns(context, op, rows, [&](const Operation<T>& own, Range c) {
        batch_norm_moments(own, whole, c);
        batch_norm_forward(own, theta, rows, c, true, whole);
    });
}

template <class T>
void members_forward(ThreadContext<T>& context, const Operation<T>& op, const T* theta, ptrdiff_t rows, bool train) {
    each_member(context, op, rows, [&](ThreadContext<T>& alone, ptrdiff_t m) {
        const Operation<T> own = member_of(op, m);
        if (own.kind == Kind::dense) return dense_forward(alone, own, theta, rows);
        if (own.kind == Kind::batch_norm) return batch_norm_forward(own, theta, rows, {0, own.n_in}, train);
        row_norm_forward(own, theta, {0, rows});
    });
}

// y = x * r of each member, for the one row that all members read, or for their own.
template <class T>
void member_scale_forward(const Operation<T>& op, const T* theta, Range r) {
    const ptrdiff_t k = op.copies;
    const T* factors = theta + op.first.at;
    for (ptrdiff_t i = r.from; i < r.to; i++)
        for (ptrdiff_t m = 0; m < k; m++) {
            const T *x = op.x.data + (op.copies_in == 1 ? i : i * k + m) * op.x.row, *own = factors + m * op.n_in;
            T* y = op.y.data + (i * k + m) * op.y.row;
            each<T>(op.n_in, [&](Place<T> p) { p.put(y, p.get(x) * p.get(own)); });
        }
}

// y = f(x * s + b) of each member.
template <class T>
void member_affine_forward(const Operation<T>& op, const T* theta, Range r) {
    const ptrdiff_t k = op.copies, n = op.n_in;
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        for (ptrdiff_t m = 0; m < k; m++) {
            const T *x = op.x.data + (i * k + m) * op.x.row, *s = theta + op.first.at + m * n;
            const T* b = op.second.size ? theta + op.second.at + m * n : nullptr;
            T* y = op.y.data + (i * k + m) * op.y.row;
            each<T>(n, [&](Place<T> p) { p.put(y, b ? p.get(x) * p.get(s) + p.get(b) : p.get(x) * p.get(s)); });
        }
        activate<T>(params_of(op), nullptr, offset(op.y, i * k, 0), offset(op.kept, i * k, 0), k, n);
    }
}

template <class T>
void forward(ThreadContext<T>& context, const Operation<T>* all_of_them, const Operation<T>& op, const T* theta,
             ptrdiff_t rows, bool train, uint64_t seed, int64_t step, double dropout) {
    const bool across = context.sharing && train && op.kind == Kind::batch_norm;
    if (across) return shared_batch_norm_forward(context, op, theta, op.members ? rows : rows * op.copies_in);
    if (op.members) return members_forward(context, op, theta, rows, train);
    if (op.kind == Kind::member_scale || op.kind == Kind::member_affine) {
        if (!context.begins(rows * op.copies * op.n_in >= enough_numbers)) return;
        const Range r = context.part(rows, 1);
        return op.kind == Kind::member_scale ? member_scale_forward(op, theta, r) : member_affine_forward(op, theta, r);
    }
    rows *= op.copies_in;
    if (op.kind == Kind::dense) return dense_forward(context, op, theta, rows);
    if (op.raw) return;                                                 // its y is there since rows were gathered
    if (op.kind == Kind::save || op.kind == Kind::concatenate) return;  // y is x
    if (op.kind == Kind::periodic_embedding) {
        if (context.begins(rows * op.n_in * op.frequencies >= enough_numbers))
            periodic_forward(op, theta, rows, context.part(op.n_in, 1));
        return;
    }
    if (op.kind == Kind::piecewise_linear_encoding) {
        if (context.begins(rows * op.n_out >= enough_numbers)) encoding_forward(op, rows, context.part(op.n_in, 1));
        return;
    }
    if (op.kind == Kind::piecewise_linear_embedding) {
        if (context.begins(rows * op.n_out >= enough_numbers))
            piecewise_forward(op, theta, rows, context.part(op.n_in, 1));
        return;
    }
    if (!context.begins(rows * op.n_in >= enough_numbers)) return;
    if (op.kind == Kind::batch_norm) return batch_norm_forward(op, theta, rows, context.part(op.n_in, lanes<T>), train);
    const Range r = context.part(rows, 1);
    switch (op.kind) {
        case Kind::activation:
            copy_rows(op.x, op.y, r, op.n_in);
            if (op.function == Function::softmax)
                softmax(op.y, r.from, r.to, op.n_in);
            else
                activate<T>(params_of(op), nullptr, offset(op.y, r.from, 0), offset(op.kept, r.from, 0), r.to - r.from,
                            op.n_in);
            return;
        case Kind::dropout:
            if (!train || op.setting == 0) return copy_rows(op.x, op.y, r, op.n_in);
            draw_mask(seed, step, op.layer, op.setting * dropout, op.kept, r.from, r.to, op.n_in,
                      context.from * op.copies_in);
            return combine(op.x, op.kept, op.y, r, op.n_in, [](V<T> x, V<T> mask) { return x * mask; });
        case Kind::layer_norm:
        case Kind::rms_norm:
            return row_norm_forward(op, theta, r);
        case Kind::parametric:
            return parametric_forward(op, theta, r);
        case Kind::scale:
            return scaled(op.x, theta + op.first.at, op.y, r, op.n_in);
        case Kind::standardize:
            return standardize_rows(op.x.data, op.x.row, nullptr, 0, op, r);
        case Kind::rescale:
            for (ptrdiff_t i = r.from; i < r.to; i++)
                for (ptrdiff_t j = 0; j < op.n_in; j++)
                    op.y.data[i * op.y.row + j] = (T)(op.means[j] + op.scales[j] * (double)op.x.data[i * op.x.row + j]);
            return;
        case Kind::add:
            return combine(op.x, all_of_them[op.partner].x, op.y, r, op.n_in,
                           [](V<T> x, V<T> saved) { return x + saved; });
        default:
            return;
    }
}

// The gradient of a factor for each column: the sum over the rows of dy times x, or times f(x) - x.
template <class T>
void factor_gradients(const Operation<T>& op, T* to, ptrdiff_t rows, Range c) {
    each<T>(c.to - c.from, [&](Place<T> p) {
        p.at += c.from;
        V<T> total = {};
        for (ptrdiff_t i = 0; i < rows; i++) {
            V<T> by = p.get(op.x.data + i * op.x.row);
            if (op.kind == Kind::parametric) by = p.get(op.inner.data + i * op.inner.row) - by;
            total += p.get(op.dy.data + i * op.dy.row) * by;
        }
        p.put(to, total);
    });
}

template <class T>
void parametric_backward(const Operation<T>& op, const T* theta, Range r) {
    const T* a = theta + op.first.at;
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const Rows<T> dy = offset(op.dy, i, 0), dx = offset(op.dx, i, 0), f = offset(op.inner, i, 0);
        each<T>(op.n_in, [&](Place<T> p) { p.put(dx.data, p.get(dy.data) * p.get(a)); });
        if (op.function == Function::softmax)
            softmax_back(f, dx, 0, 1, op.n_in);
        else
            derive<T>(params_of(op), f, offset(op.kept, i, 0), dx, nullptr, 1, op.n_in);
        each<T>(op.n_in, [&](Place<T> p) {
            const V<T> d = p.get(dy.data);
            p.put(dx.data, p.get(dx.data) + (d - d * p.get(a)));
        });
    }
}

template <class T>
void norm_gradients(const Operation<T>& op, T* gradient, ptrdiff_t rows, Range c) {
    each<T>(c.to - c.from, [&](Place<T> p) {
        p.at += c.from;
        V<T> beta = {}, gamma = {};
        for (ptrdiff_t i = 0; i < rows; i++) {
            V<T> dy = p.get(op.dy.data + i * op.dy.row);
            beta += dy;
            gamma += dy * p.get(op.kept.data + i * op.kept.row);
        }
        p.put(gradient + op.first.at, gamma);
        if (op.second.size) p.put(gradient + op.second.at, beta);
    });
}

template <class T>
void row_norm_backward(const Operation<T>& op, const T* theta, Range r) {
    const ptrdiff_t n = op.n_in;
    const T* gamma = theta + op.first.at;
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const T *dy = op.dy.data + i * op.dy.row, *normal = op.kept.data + i * op.kept.row;
        T* dx = op.dx.data + i * op.dx.row;
        V<T> sums = {}, along = {};
        each<T>(n, [&](Place<T> p) {
            V<T> d = p.get(dy) * p.get(gamma);
            p.put(dx, d);
            sums += d;
            along += d * p.get(normal);
        });
        const T mean = op.kind == Kind::layer_norm ? sum<T>(sums) / (T)n : T(0), slope = sum<T>(along) / (T)n;
        each<T>(n, [&](Place<T> p) { p.put(dx, (p.get(dx) - mean - p.get(normal) * slope) * op.rate[i]); });
    }
}

// dx, from the sums of the gradients of gamma and beta over all rows of the batch.
template <class T>
void batch_norm_back(const Operation<T>& op, const Run<T>& run, ptrdiff_t rows, Range c, const T* dgamma,
                     const T* dbeta, ptrdiff_t whole) {
    each<T>(c.to - c.from, [&](Place<T> p) {
        p.at += c.from;
        const V<T> gamma = p.get(dgamma), beta = p.get(dbeta);
        const V<T> factor = p.get(run.theta + op.first.at) * p.get(op.rate);
        for (ptrdiff_t i = 0; i < rows; i++) {
            V<T> d = p.get(op.dy.data + i * op.dy.row);
            if (run.train) d -= (p.get(op.kept.data + i * op.kept.row) * gamma + beta) / (T)whole;
            p.put(op.dx.data + i * op.dx.row, d * factor);
        }
    });
}

template <class T>
void batch_norm_backward(const Operation<T>& op, const Run<T>& run, ptrdiff_t rows, Range c) {
    norm_gradients(op, run.gradient, rows, c);
    if (op.dx.data) batch_norm_back(op, run, rows, c, run.gradient + op.first.at, run.gradient + op.second.at, rows);
}

// The same over the rows of all processes, whose gradients are added up later; only dx needs their sums here.
template <class T>
void shared_batch_norm_backward(ThreadContext<T>& context, const Operation<T>& op, const Run<T>& run, ptrdiff_t rows) {
    const ptrdiff_t whole = context.whole * (op.members ? 1 : op.copies_in), n = op.n_in;
    each_columns(context, op, rows, [&](const Operation<T>& own, Range c) {
        norm_gradients(own, run.gradient, rows, c);
        for (ptrdiff_t j = c.from; own.dx.data && j < c.to; j++) {
            own.totals[j] = (double)run.gradient[own.first.at + j];
            own.totals[n + j] = (double)run.gradient[own.second.at + j];
        }
    });
    if (!op.dx.data) return;
    context.exchange(op.which);
    each_columns(context, op, rows, [&](const Operation<T>& own, Range c) {
        for (ptrdiff_t j = c.from; j < c.to; j++)
            own.moments[j] = (T)own.totals[j], own.moments[n + j] = (T)own.totals[n + j];
        batch_norm_back(own, run, rows, c, own.moments, own.moments + n, whole);
    });
}

// Adds the gradient of each row to that of its row of W, in their order; each thread has columns of its own.
template <class T>
void embedding_backward(const Operation<T>& op, T* gradient, ptrdiff_t rows, Range c) {
    T* dW = gradient + op.first.at + c.from;
    const ptrdiff_t n = c.to - c.from;
    if (n <= 0) return;
    for (ptrdiff_t level = 0; level <= op.levels; level++) zero(dW + level * op.n_out, n);
    for (ptrdiff_t i = 0; i < rows; i++) {
        const T* dy = op.dy.data + i * op.dy.row + c.from;
        T* sums = dW + op.codes[i] * op.n_out;
        each<T>(n, [&](Place<T> p) { p.put(sums, p.get(sums) + p.get(dy)); });
    }
}

template <class T>
void members_backward(ThreadContext<T>& context, const Operation<T>& op, const Run<T>& run, ptrdiff_t rows,
                      const Update<T>* fused, double& l2_term) {
    const bool adds_up = op.copies_in == 1 && op.dx.data;  // all members read one x, whose gradient is a sum
    if (adds_up) {
        each_member(context, op, rows,
                    [&](ThreadContext<T>& alone, ptrdiff_t m) { dense_derive(alone, member_of(op, m), run, rows); });
        if (context.begins(is_enough(rows * op.copies, op) && op.n_in >= 2 * context.threads * lanes<T>)) {
            const Range c = context.part(op.n_in, lanes<T>);
            for (ptrdiff_t m = 0; c.from < c.to && m < op.members; m++) {
                const Operation<T> own = member_of(op, m);
                const Rows<T> dx = offset(op.dx, 0, c.from), part = offset(op.part, 0, c.from);
                const T* W = run.theta + own.first.at + c.from * op.n_out;
                product<T>(rows, c.to - c.from, op.n_out, {own.dy.data, own.dy.row, 1}, {W, 1, op.n_out}, m ? part : dx,
                           context.scratch, Multiplying<T>{factor_on_gradient(context, op)}, context.stop,
                           context.polls());
                if (m) combine(dx, part, dx, {0, rows}, c.to - c.from, [](V<T> sum, V<T> more) { return sum + more; });
            }
        }
    }
    each_member(context, op, rows, [&](ThreadContext<T>& alone, ptrdiff_t m) {
        Operation<T> own = member_of(op, m);
        if (own.kind == Kind::batch_norm) return batch_norm_backward(own, run, rows, {0, own.n_in});
        if (normalises_rows(own.kind)) {
            norm_gradients(own, run.gradient, rows, {0, own.n_in});
            if (own.dx.data) row_norm_backward(own, run.theta, {0, rows});
            return;
        }
        if (adds_up) {  // its dy is ready
            own.dx.data = nullptr, own.derivative_done = true, own.function = Function::identity;
            own.factor = factor_on_gradient(alone, op);
        }
        const Operation<T>* before_it = before_of(op, run);
        const bool fuses = before_it && before_it->derivative_done;
        const Operation<T> before = fuses ? member_of(*before_it, m) : own;
        dense_backward(alone, own, fuses ? &before : nullptr, run, rows, fused, l2_term);
    });
}

template <class T>
void member_scale_backward(const Operation<T>& op, const Run<T>& run, ptrdiff_t rows, Range c) {
    const ptrdiff_t k = op.copies, n = c.to - c.from;
    const T* factors = run.theta + op.first.at + c.from;
    T* sums = run.gradient + op.first.at + c.from;
    for (ptrdiff_t m = 0; m < k; m++) zero(sums + m * op.n_in, n);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t m = 0; m < k; m++) {
            const ptrdiff_t in = op.copies_in == 1 ? i : i * k + m;
            const T *x = op.x.data + in * op.x.row + c.from, *dy = op.dy.data + (i * k + m) * op.dy.row + c.from;
            const T* r = factors + m * op.n_in;
            T *dr = sums + m * op.n_in, *dx = op.dx.data ? op.dx.data + in * op.dx.row + c.from : nullptr;
            const bool adds = op.copies_in == 1 && m;
            each<T>(n, [&](Place<T> p) {
                const V<T> d = p.get(dy);
                p.put(dr, p.get(dr) + d * p.get(x));
                if (dx) p.put(dx, adds ? p.get(dx) + d * p.get(r) : d * p.get(r));
            });
        }
}

template <class T>
void member_affine_backward(const Operation<T>& op, const Run<T>& run, ptrdiff_t rows, Range c) {
    const ptrdiff_t k = op.copies, n = c.to - c.from;
    T *all_ds = run.gradient + op.first.at + c.from,
      *all_db = op.second.size ? run.gradient + op.second.at + c.from : nullptr;
    for (ptrdiff_t m = 0; m < k; m++) {
        zero(all_ds + m * op.n_in, n);
        if (all_db) zero(all_db + m * op.n_in, n);
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        const ptrdiff_t first = i * k;
        derive<T>(params_of(op), offset(op.y, first, c.from), offset(op.kept, first, c.from),
                  offset(op.dy, first, c.from), nullptr, k, n);
        for (ptrdiff_t m = 0; m < k; m++) {
            const T *x = offset(op.x, first + m, c.from).data, *dy = offset(op.dy, first + m, c.from).data;
            const T* s = run.theta + op.first.at + m * op.n_in + c.from;
            T *ds = all_ds + m * op.n_in, *db = all_db ? all_db + m * op.n_in : nullptr;
            T* dx = offset(op.dx, first + m, c.from).data;
            each<T>(n, [&](Place<T> p) {
                const V<T> d = p.get(dy);
                p.put(ds, p.get(ds) + d * p.get(x));
                if (db) p.put(db, p.get(db) + d);
                if (dx) p.put(dx, d * p.get(s));
            });
        }
    }
}

template <class T>
void backward(ThreadContext<T>& context, const Operation<T>& op, const Run<T>& run, ptrdiff_t rows,
              const Update<T>* fused, double& l2_term) {
    const bool across = context.sharing && op.kind == Kind::batch_norm;
    if (across) return shared_batch_norm_backward(context, op, run, op.members ? rows : rows * op.copies_in);
    if (op.members) return members_backward(context, op, run, rows, fused, l2_term);
    if (op.kind == Kind::member_scale || op.kind == Kind::member_affine) {
        if (!context.begins(rows * op.copies * op.n_in >= enough_numbers)) return;
        const Range c = context.part(op.n_in, lanes<T>);
        return op.kind == Kind::member_scale ? member_scale_backward(op, run, rows, c)
                                             : member_affine_backward(op, run, rows, c);
    }
    rows *= op.copies_in;
    if (op.kind == Kind::dense) return dense_backward(context, op, before_of(op, run), run, rows, fused, l2_term);
    if (op.kind == Kind::concatenate) return;  // the gradients of its parts are columns of its own
    const bool shared = rows * op.n_in >= enough_numbers;
    if (op.kind == Kind::batch_norm) {
        if (context.begins(shared)) batch_norm_backward(op, run, rows, context.part(op.n_in, lanes<T>));
        return;
    }
    if (op.kind == Kind::periodic_embedding) {
        if (context.begins(rows * op.n_in * op.frequencies >= enough_numbers))
            periodic_backward(op, run.theta, run.gradient, rows, context.part(op.n_in, 1));
        return;
    }
    if (op.kind == Kind::piecewise_linear_embedding) {
        if (context.begins(rows * op.n_out >= enough_numbers))
            piecewise_backward(op, run.theta, run.gradient, rows, context.part(op.n_in, 1));
        return;
    }
    if (normalises_rows(op.kind) && context.begins(shared))
        norm_gradients(op, run.gradient, rows, context.part(op.n_in, lanes<T>));
    if ((op.kind == Kind::scale || op.kind == Kind::parametric) && context.begins(shared))
        factor_gradients(op, run.gradient + op.first.at, rows, context.part(op.n_in, lanes<T>));
    if (op.kind == Kind::embedding && context.begins(rows * op.n_out >= enough_numbers))
        embedding_backward(op, run.gradient, rows, context.part(op.n_out, lanes<T>));
    if (!op.dx.data && op.kind != Kind::add) return;
    if (!context.begins(shared)) return;
    const Range r = context.part(rows, 1);
    const ptrdiff_t n = op.n_in;
    switch (op.kind) {
        case Kind::activation:
            copy_rows(op.dy, op.dx, r, n);
            if (op.function == Function::softmax)
                softmax_back(op.y, op.dx, r.from, r.to, n);
            else
                derive<T>(params_of(op), offset(op.y, r.from, 0), offset(op.kept, r.from, 0), offset(op.dx, r.from, 0),
                          nullptr, r.to - r.from, n);
            return;
        case Kind::dropout:
            if (!run.train || op.setting == 0) return copy_rows(op.dy, op.dx, r, n);
            return combine(op.dy, op.kept, op.dx, r, n, [](V<T> dy, V<T> mask) { return dy * mask; });
        case Kind::layer_norm:
        case Kind::rms_norm:
            return row_norm_backward(op, run.theta, r);
        case Kind::parametric:
            return parametric_backward(op, run.theta, r);
        case Kind::scale:
            return scaled(op.dy, run.theta + op.first.at, op.dx, r, n);
        case Kind::standardize:
            for (ptrdiff_t i = r.from; i < r.to; i++)
                for (ptrdiff_t j = 0; j < n; j++) {
                    const double slope = op.kept.data ? (double)op.kept.data[i * op.kept.row + j] : 1;
                    op.dx.data[i * op.dx.row + j] = (T)((double)op.dy.data[i * op.dy.row + j] * slope / op.scales[j]);
                }
            return;
        case Kind::one_hot:
        case Kind::embedding:
            for (ptrdiff_t i = r.from; i < r.to; i++) op.dx.data[i * op.dx.row] = 0;
            return;
        case Kind::select:
            return copy_rows(op.dy, op.dx, r, n);
        case Kind::piecewise_linear_encoding:
            return encoding_backward(op, r);
        case Kind::rescale:
            for (ptrdiff_t i = r.from; i < r.to; i++)
                for (ptrdiff_t j = 0; j < n; j++)
                    op.dx.data[i * op.dx.row + j] = (T)((double)op.dy.data[i * op.dy.row + j] * op.scales[j]);
            return;
        case Kind::add:
            copy_rows(op.dy, run.operations[op.partner].kept, r, n);
            if (op.dx.data) copy_rows(op.dy, op.dx, r, n);
            return;
        case Kind::save:
            return combine(op.dy, op.kept, op.dx, r, n, [](V<T> dy, V<T> skipped) { return dy + skipped; });
        default:
            return;
    }
}

}  // namespace
