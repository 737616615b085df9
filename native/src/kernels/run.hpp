// The runs of a program: an epoch of steps, one gradient, or a prediction.
#pragma once

#include "../rounding.hpp"
#include "layers.hpp"
#include "losses.hpp"
#include "orthogonal.hpp"

namespace {

template <class T, class From>
void cast_rows(const From* from, const int64_t* order, ptrdiff_t first, Rows<T> to, Range r, ptrdiff_t n) {
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const From* row = from + (order ? order[i] : first + i) * n;
        T* out = to.data + i * to.row;
        if constexpr (sizeof(From) == sizeof(T) && (From)0.5 != 0) {
            each<T>(n, [&](Place<T> p) { p.put(out, p.get(row)); });
        } else {
            for (ptrdiff_t j = 0; j < n; j++) out[j] = (T)row[j];
        }
    }
}

// The columns that are selected, as they are; or what stands for a code, a 1 among zeros or a row of W.
template <class T, class From>
void select_rows(const From* from, ptrdiff_t width, const int64_t* order, ptrdiff_t first, const Operation<T>& op,
                 const T* theta, Range r) {
    for (ptrdiff_t i = r.from; i < r.to; i++) {
        const Cells<From> row = {from + (order ? order[i] : first + i) * width + op.first_column, op.columns};
        T* out = op.y.data + i * op.y.row;
        if (op.kind == Kind::select) {
            for (ptrdiff_t j = 0; j < op.n_out; j++) out[j] = (T)row[j];
            continue;
        }
        const double code = row[0];
        const bool known = code >= 0 && code < (double)op.levels;  // the caller may have changed the checked codes
        if (op.unwritten) {
            op.codes[i] = known ? (int64_t)code : -1;
        } else if (op.kind == Kind::one_hot) {
            for (ptrdiff_t j = 0; j < op.n_out; j++) out[j] = 0;
            if (known) out[(ptrdiff_t)code] = 1;
        } else {
            op.codes[i] = known ? (int64_t)code : op.levels;
            const T* W = theta + op.first.at + op.codes[i] * op.n_out;
            each<T>(op.n_out, [&](Place<T> p) { p.put(out, p.get(W)); });
        }
    }
}

template <class T, class From>
void gather_from(const From* x, ptrdiff_t width, const int64_t* order, ptrdiff_t first, const Operation<T>* operations,
                 int n_operations, const T* theta, Range r) {
    if (!operations[0].raw) return cast_rows(x, order, first, operations[0].x, r, width);
    for (const Operation<T>* op = operations; op < operations + n_operations; op++) {
        if (!op->raw) continue;
        if (op->kind == Kind::standardize)
            standardize_rows(x, width, order, first, *op, r);
        else
            select_rows(x, width, order, first, *op, theta, r);
    }
}

// Gathers rows of x, in the order given or from `first` on: casts them for the first operation, or runs those that read
// the rows as they are given.
template <class T>
void gather(const void* x, Type type, ptrdiff_t width, const int64_t* order, ptrdiff_t first,
            const Operation<T>* operations, int n_operations, const T* theta, Range r) {
    switch (type) {
#define FC_GATHER(name, From) \
    case Type::name:          \
        return gather_from(static_cast<const From*>(x), width, order, first, operations, n_operations, theta, r);
        FC_TYPES(FC_GATHER)
    }
}

// The sum of the weights of some rows of the order; if each copy has its own, the mean of their sums, which are
// written.
template <class T>
FC_INLINE double weight_of(const Run<T>& run, const int64_t* order, ptrdiff_t rows, double* sums) {
    if (!run.weights) return (double)rows;
    const ptrdiff_t n = run.weight_columns;
    for (ptrdiff_t m = 0; m < n; m++) sums[m] = 0;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t m = 0; m < n; m++) sums[m] += run.weights[order[i] * n + m];
    double total = 0;
    for (ptrdiff_t m = 0; m < n; m++) total += sums[m];
    return total / (double)n;
}

// The same of batch number i, which other processes have rows of, too.
template <class T>
double shared_weight(const Run<T>& run, ptrdiff_t i, double* sums) {
    double total = 0;
    for (ptrdiff_t m = 0; m < run.weight_columns; m++) {
        sums[m] = run.sharing->weights[i * run.weight_columns + m];
        total += sums[m];
    }
    return total / (double)run.weight_columns;
}

// The members' losses are weighted means, and the loss is their mean; one of which no row has weight is left out.
template <class T>
void gather_weights(const Run<T>& run, const int64_t* order, ptrdiff_t rows, const double* sums, Range r) {
    const ptrdiff_t k = run.copies, n = run.weight_columns;
    double members = 0;
    for (ptrdiff_t m = 0; run.weights && m < n; m++) members += sums[m] > 0;
    const double each = run.weights && n > 1 ? members : (double)k;
    for (ptrdiff_t i = r.from; i < r.to; i++)
        for (ptrdiff_t m = 0; m < k; m++) {
            const ptrdiff_t column = n > 1 ? m : 0;
            const double weight = run.weights ? run.weights[order[i] * n + column] : 1;
            const double sum = run.weights ? sums[column] : (double)rows;
            run.batch_weights[i * k + m] = (T)(sum > 0 ? weight / sum / each : 0);
        }
}

template <class T>
void gather_targets(const Run<T>& run, const int64_t* order, Range r) {
    const ptrdiff_t k = run.copies;
    if (run.classes) {
        const int64_t* t = static_cast<const int64_t*>(run.t);
        for (ptrdiff_t i = r.from; i < r.to; i++) {  // the caller may have changed the checked class numbers
            const int64_t c = t[order[i]];
            for (ptrdiff_t m = 0; m < k; m++)
                run.batch_classes[i * k + m] = c < 0 ? 0 : c < run.n_out ? c : run.n_out - 1;
        }
    } else {
        for (ptrdiff_t m = 0; m < k; m++)
            cast_rows(static_cast<const T*>(run.t), order, 0,
                      Rows<T>{run.batch_t.data + m * run.batch_t.row, run.batch_t.row * k}, r, run.n_out);
    }
}

template <class T>
void gather_batch(const Run<T>& run, const int64_t* order, ptrdiff_t rows, const double* sums, Range r) {
    gather(run.x, run.x_type, run.n_in, order, 0, run.operations, run.n_operations, run.theta, r);
    gather_targets(run, order, r);
    gather_weights(run, order, rows, sums, r);
}

// The steps after a full gradient: the gradient of l2, the norm, clipping, and the update.
template <class T>
void finish_step(ThreadContext<T>& context, Run<T>& run, const Update<T>& update_, double l2, double& l2_value) {
    constexpr ptrdiff_t piece = 4096;
    if (!context.begins(run.n_params >= enough_numbers)) return;
    const Range mine = context.part(run.n_params, lanes<T>);
    double squares = 0, largest = 0, l2_term = 0;
    auto pieces = [&](auto body) {
        for (int i = 0; i < run.n_parts; i++) {
            const Part& part = run.parts[i];
            const ptrdiff_t from = part.at > mine.from ? part.at : mine.from;
            const ptrdiff_t end = part.at + part.size, to = end < mine.to ? end : mine.to;
            for (ptrdiff_t at = from; at < to; at += piece) body(at, to - at < piece ? to - at : piece, part);
        }
    };
    pieces([&](ptrdiff_t at, ptrdiff_t n, const Part& part) {
        T *g = run.gradient + at, *w = run.theta + at;
        const T pulled = (T)(l2 * part.decay_factor);
        V<T> sums = {}, most = {}, l2_terms = {};
        each<T>(n, [&](Place<T> p) {
            V<T> d = p.get(g);
            if (pulled != 0) {
                V<T> weight = p.get(w);
                d = multiply_add<T>(weight, all(pulled), d);
                l2_terms += weight * weight * pulled;
                p.put(g, d);
            }
            sums += d * d;
            most = larger<T>(absolute<T>(d), most);
        });
        squares += (double)sum<T>(sums);
        l2_term += (double)sum<T>(l2_terms);
        for (ptrdiff_t l = 0; l < lanes<T>; l++) largest = (double)most[l] > largest ? (double)most[l] : largest;
    });
    l2_value += l2_term;
    double scale = 1;
    if (is_finite(run.max_norm)) {
        double* partial = run.partial + 8 * context.thread;
        partial[2] = squares, partial[3] = largest;
        const int threads = context.apart ? context.threads : 1;
        if (threads > 1) barrier(context.pool);
        squares = largest = 0;
        for (int i = 0; i < threads; i++) {
            squares += run.partial[8 * i + 2];
            largest = run.partial[8 * i + 3] > largest ? run.partial[8 * i + 3] : largest;
        }
        double norm = __builtin_sqrt(squares);
        if (!is_finite(norm) && is_finite(largest) && largest > 0) {  // only the squares overflow
            squares = 0;
            pieces([&](ptrdiff_t at, ptrdiff_t n, const Part&) {
                for (ptrdiff_t i = 0; i < n; i++) {
                    const double d = (double)run.gradient[at + i] / largest;
                    squares += d * d;
                }
            });
            if (threads > 1) {
                partial[4] = squares;
                barrier(context.pool);
                squares = 0;
                for (int i = 0; i < threads; i++) squares += run.partial[8 * i + 4];
            }
            norm = largest * __builtin_sqrt(squares);
        }
        if (norm > run.max_norm && is_finite(norm)) scale = run.max_norm / norm;
    }
    V<T> none = {};
    Update<T> own;
    pieces([&](ptrdiff_t at, ptrdiff_t n, const Part& part) {
        T* g = run.gradient + at;
        if (scale != 1) each<T>(n, [&](Place<T> p) { p.put(g, p.get(g) * (T)scale); });
        if (!part.hidden) update<T>(of_part(update_, part, own), at, 0, {g, 0}, 1, n, part.decay_factor != 0, none);
    });
}

struct Rates {  // the numbers of a step that schedules change: the learning rate, and factors on two others
    double lr, decay, dropout;
};

// Writes dL/dx of the rows from the gradients of what the operations have read of them; a column that none reads has 0.
template <class T>
void collect_input_gradient(const Run<T>& run, ptrdiff_t rows) {
    const Rows<T> to = run.input_gradient;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < run.n_in; j++) to.data[i * to.row + j] = 0;
    for (int k = 0; k < run.n_operations; k++) {
        const Operation<T>& op = run.operations[k];
        if (op.before >= 0) continue;
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < op.n_in; j++)
                to.data[i * to.row + op.first_column + (op.columns ? op.columns[j] : j)] +=
                    op.dx.data[i * op.dx.row + j];
    }
}

// The part of this process in a step on a batch of which it has no rows: sums of BatchNorm, and a gradient of zeros.
template <class T>
void take_part(ThreadContext<T>& context, Run<T>& run) {
    context.meet();
    if (context.thread == 0) {
        const Sharing& sharing = *run.sharing;
        auto exchange = [&](const Operation<T>& op) {
            const ptrdiff_t n = 2 * op.n_in * (op.members ? op.members : 1);
            for (ptrdiff_t j = 0; j < n; j++) op.totals[j] = 0;
            sharing.sum(sharing.self, op.which);
        };
        zero(run.gradient, run.n_params);
        for (int i = 0; i < run.n_operations; i++) {
            const Operation<T>& op = run.operations[i];
            if (op.kind != Kind::batch_norm) continue;
            exchange(op);
            const ptrdiff_t whole = context.whole * (op.members ? 1 : op.copies_in);
            for (ptrdiff_t m = 0; m < (op.members ? op.members : 1); m++) {
                const Operation<T> own = op.members ? member_of(op, m) : op;
                batch_norm_moments(own, whole, {0, op.n_in});
                batch_norm_forward(own, run.theta, 0, {0, op.n_in}, true, whole);
            }
        }
        for (int i = run.n_operations - 1; i >= run.first; i--)
            if (run.operations[i].kind == Kind::batch_norm && run.operations[i].dx.data) exchange(run.operations[i]);
    }
    context.meet();
}

// Sums the gradient and the loss over all processes, and returns the loss, which every thread sees. It is summed in two
// parts, so that float32 keeps its digits.
template <class T>
double add_up(ThreadContext<T>& context, Run<T>& run, double value) {
    T* loss = run.gradient + run.n_params;
    context.meet();
    if (context.thread == 0) {
        loss[0] = (T)value;
        loss[1] = is_finite(value) ? (T)(value - (double)loss[0]) : (T)0;
    }
    context.exchange(0);
    value = (double)loss[0] + (double)loss[1];
    if (context.thread == 0) run.value = value;
    return value;
}

// One step on `rows` rows; returns false if its loss is not finite.
template <class T>
bool step(ThreadContext<T>& context, Run<T>& run, const int64_t* order, ptrdiff_t rows, double weight,
          const double* sums, Rates rates, int64_t count) {
    const bool across = run.sharing != nullptr, none = across && rows == 0;
    double value = 0;
    if (none) {
        take_part(context, run);
    } else {
        if (context.begins(rows * run.gathered >= enough_numbers))
            gather_batch(run, order, across ? context.whole : rows, sums, context.part(rows, 1));
        for (int i = 0; i < run.n_operations; i++)
            forward(context, run.operations, run.operations[i], run.theta, rows, run.train, run.seed, count,
                    rates.dropout);
        if (context.begins(rows * run.copies * run.n_out >= enough_numbers)) {
            const Range r = context.part(rows * run.copies, 1);
            run.partial[8 * context.thread] = loss_of(run, r.from, r.to);
        }
        const bool shared = context.apart;
        context.meet();
        for (int i = 0; i < (shared ? context.threads : 1); i++) value += run.partial[8 * i];
        if (context.thread == 0) run.value = value;
        if (run.optimizer.rule != Rule::none && !is_finite(value) && !across) return false;
    }

    const double l2 = run.l2 + run.alpha / weight;
    Update<T> rule = update_of(run.rest, run.theta, rates.lr * run.rest.relative_lr, rates.decay, count + 1, l2);
    rule.average = run.average.theta, rule.share = share_of(run.average, count + 1);
    const bool fuse = run.optimizer.rule != Rule::none && !is_finite(run.max_norm) && !across;
    double l2_term = 0;
    for (int i = run.n_operations - 1; i >= run.first && !none; i--)
        backward(context, run.operations[i], run, rows, fuse ? &rule : nullptr, l2_term);
    if (run.input_gradient.data && context.begins(false)) collect_input_gradient(run, rows);
    if (across && !is_finite(add_up(context, run, value))) return false;
    if (fuse) {  // what no product has updated: biases, gamma and beta of the norms, the vectors of an embedding
        Update<T> own;
        if (context.begins(false) && !stopped(&run.stop))
            for (int i = 0; i < run.n_operations; i++) {
                const Operation<T>& op = run.operations[i];
                const Part parts[] = {op.first, op.second, op.third, op.fourth};
                for (const Part& part : parts)
                    if (part.size && part.lr_factor != 0 && !part.hidden &&
                        (op.kind != Kind::dense || part.at != op.first.at)) {
                        V<T> l2_terms = {};
                        update<T>(of_part(rule, part, own), part.at, 0, {run.gradient + part.at, 0}, 1, part.size,
                                  part.decay_factor != 0, l2_terms);
                        if (l2 != 0) l2_term += (double)sum<T>(l2_terms);
                    }
            }
    } else {
        rule.l2 = 0, rule.exact_l2 = 0;
        finish_step(context, run, rule, l2, l2_term);
    }
    if (run.optimizer.rule == Rule::muon)
        orthogonal_updates(context, run, rates.lr, rates.decay, fuse ? l2 : 0, rule.share, l2_term);
    if (run.average.theta && run.n_state && context.begins(false))
        follow(run.average.state, run.state, rule.share, run.n_state);
    if (l2 != 0) {
        run.partial[8 * context.thread + 1] = l2_term;
        context.meet();
        for (int i = 0; context.thread == 0 && i < context.threads; i++) run.value += 0.5 * run.partial[8 * i + 1];
    }
    return true;
}

// The weight of batch number i as thread 0 has summed it: weights may lie in a file that changes meanwhile, and a
// thread that left out a batch alone would keep the others waiting.
template <class T>
double agreed(ThreadContext<T>& context, Run<T>& run, ptrdiff_t i, double weight) {
    if (!run.weights || context.threads == 1) return weight;
    double* place = run.partial + 5 + i % 2;  // of which another thread may still read the other one
    if (context.thread == 0) *place = weight;
    context.meet();
    return *place;
}

template <class T>
void train(Run<T>* run_, int thread) {
    FlushDenormals flush;
    Run<T>& run = *run_;
    ThreadContext<T> context{thread, run.threads, run.pool, &run.stop, run.scratch[thread]};
    const double work = (double)(run.n_params + run.n_in + run.n_out) * (double)run.batch_size;
    int64_t count = run.step, since = 0;
    const Sharing* sharing = context.sharing = run.sharing;
    for (ptrdiff_t from = 0, rows = 0, i = 0; sharing ? i < sharing->n : from < run.n_order; from += rows, i++) {
        const ptrdiff_t left = run.n_order - from;
        rows = left < run.batch_size + run.least_rows ? left : run.batch_size;
        if (sharing) rows = sharing->own[i], context.whole = sharing->rows[i], context.from = sharing->first[i];
        const int64_t* order = run.order + from;
        double* sums = run.sums + thread * run.weight_columns;
        const double weight =
            sharing ? shared_weight(run, i, sums) : agreed(context, run, i, weight_of(run, order, rows, sums));
        const Rates rates = {run.rates ? run.rates[i] : 0, run.decays ? run.decays[i] : 1,
                             run.dropouts ? run.dropouts[i] : 1};
        if (weight == 0) continue;  // every row has weight zero: there is nothing to learn from this batch
        const bool good = step(context, run, order, rows, weight, sums, rates, count++);
        if (thread == 0) {
            run.last_from = from;
            run.rate = rates.lr;
            run.step = count;
            run.diverged = !good || !is_finite(run.value);
            run.total += run.value * weight;
            run.weight += weight;
            if (work >= 1e5 || ++since % 256 == 0) run.stop.poll(run.stop.engine);
            run.partial[7] = run.diverged || run.stop.now;
        }
        context.meet();
        if (run.partial[7] != 0) return;
    }
}

// Runs the program on some rows and writes the outputs. x is the caller's own where it is read in place: nothing may be
// read beyond its last number.
template <class T>
FC_INLINE void predict_block(ThreadContext<T>& context, const Prediction<T>* p, int list, ptrdiff_t from,
                             ptrdiff_t rows) {
    Operation<T>*operations = p->operations[list], &last = operations[p->n_operations - 1];
    const Rows<T> z = {p->z + from * last.copies * p->n_out, p->n_out};
    if (context.begins(false)) {
        const T* x = static_cast<const T*>(p->x) + from * p->n_in;
        operations[0].x = p->x_in_place ? Rows<T>{const_cast<T*>(x), p->n_in} : p->ends[list].x;
        last.y = p->z_in_place ? z : p->ends[list].y;
    }
    if (!p->x_in_place && context.begins(rows * p->n_in >= enough_numbers))
        gather(p->x, p->x_type, p->n_in, nullptr, from, operations, p->n_operations, p->theta, context.part(rows, 1));
    for (int i = 0; i < p->n_operations; i++)
        forward(context, operations, operations[i], p->theta, rows, false, 0, 0, 1);
    if (!p->z_in_place && context.begins(false)) copy_rows(last.y, z, {0, rows * last.copies}, p->n_out);
}

// Whether n numbers of x lie between -largest and largest, which NaN does not.
template <class From>
bool all_within(const void* x, ptrdiff_t from, ptrdiff_t n, double largest) {
    const From* first = static_cast<const From*>(x) + from;
    const V<From> limit = all((From)largest);
    M<From> within = limit == limit;
    each<From>(n, [&](Place<From> p) { within &= absolute<From>(p.get(first)) <= limit; });
    for (ptrdiff_t i = 0; i < lanes<From>; i++)
        if (!within[i]) return false;
    return true;
}

// Whether the network can read some rows, if that has to be checked.
template <class T>
FC_INLINE bool is_usable(const Prediction<T>* p, ptrdiff_t from, ptrdiff_t rows) {
    if (p->largest == 0) return true;
    from *= p->n_in, rows *= p->n_in;
    return p->x_type == Type::f32 ? all_within<float>(p->x, from, rows, p->largest)
                                  : all_within<double>(p->x, from, rows, p->largest);
}

template <class T>
void predict(Prediction<T>* p, int thread) {
    FlushDenormals flush;
    auto refuse = [&] { __atomic_store_n(&p->refused, 1, __ATOMIC_RELAXED); };
    if (p->together) {  // each waits for the others, so that none may stop alone: x can change meanwhile
        if (thread == 0 && !is_usable(p, 0, p->rows)) refuse();
        ThreadContext<T> context{thread, p->threads, p->pool, nullptr, p->scratch[thread]};
        return predict_block(context, p, 0, 0, p->rows);
    }
    ThreadContext<T> context{0, 1, nullptr, nullptr, p->scratch[thread]};
    for (ptrdiff_t i; (i = __atomic_fetch_add(&p->taken, 1, __ATOMIC_RELAXED)) < p->n_blocks;) {
        const ptrdiff_t from = p->cuts[i], rows = p->cuts[i + 1] - from;
        if (!is_usable(p, from, rows)) return refuse();
        predict_block(context, p, thread, from, rows);
        if (thread == 0 && p->stop.poll) p->stop.poll(p->stop.engine);
        if (stopped(&p->stop) || __atomic_load_n(&p->refused, __ATOMIC_RELAXED)) return;
    }
}

}  // namespace
