// The dense layer: its product, what is done with each tile of it, its gradients and their updates.
#pragma once

#include "activations.hpp"
#include "bfloat16.hpp"
#include "context.hpp"
#include "lookups.hpp"
#include "optimizers.hpp"
#include "product.hpp"

namespace {

template <class T>
FC_INLINE ActivationParams<T> params_of(const Operation<T>& op) {
    return {op.function, (T)op.setting, (T)op.scale};
}

// Whether a product is large enough to share, by its multiplications or by the numbers that it writes.
template <class T>
FC_INLINE bool is_enough(ptrdiff_t rows, const Operation<T>& op) {
    return (double)rows * op.n_in * op.n_out >= enough_products ||
           rows * (op.n_in > op.n_out ? op.n_in : op.n_out) >= enough_numbers;
}

// Multiplies a tile by the factor of a dense layer, which is 1 for most.
template <class T>
FC_INLINE void multiply(T factor, Rows<T> tile, ptrdiff_t rows, ptrdiff_t n) {
    if (factor == 1) return;
    for (ptrdiff_t i = 0; i < rows; i++) {
        T* row = tile.data + i * tile.row;
        each<T>(n, [&](Place<T> p) { p.put(row, p.get(row) * factor); });
    }
}

template <class T>
struct Activating {  // applied to each tile of the product of a dense layer
    ActivationParams<T> params;
    const T* bias;
    Rows<T> kept;
    T factor;

    FC_INLINE void before(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Written&) const {}
    FC_INLINE void then(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<T> tile) const {
        multiply(factor, tile, rows, columns);
        activate(params, bias ? bias + j : nullptr, tile, offset(kept, i, j), rows, columns);
    }
};

// y = x W for some rows of x and columns of W, and what is `done` with each tile of it.
template <class T, class Done>
void dense_product(ThreadContext<T>& context, const Operation<T>& op, const T* W, Range r, Range c, Done done) {
    const ptrdiff_t rows = r.to - r.from, n = c.to - c.from;
    const Rows<T> y = offset(op.y, r.from, c.from);
    const Matrix<const T> x = {offset(op.x, r.from, 0).data, op.x.row, 1}, w = {W + c.from, op.n_out, 1};
    const bool polls = context.polls();
    if (!op.lookups) return product<T>(rows, n, op.n_in, x, w, y, context.scratch, done, context.stop, polls);
    lookups_forward(op, W, r, c, context.scratch.sums, y);
    if (!op.n_plain) return done.then(0, rows, 0, n, y);
    for (int i = 0; i < op.n_plain; i++) {
        const ptrdiff_t from = op.plain[i].from, k = op.plain[i].to - from;
        const Matrix<const T> a = {x.at(0, from), x.row, 1}, b = {w.at(from, 0), w.row, 1};
        if (i < op.n_plain - 1)
            product<T>(rows, n, k, a, b, y, context.scratch, Nothing<T>{}, context.stop, polls, true);
        else
            product<T>(rows, n, k, a, b, y, context.scratch, done, context.stop, polls, true);
    }
}

template <class T>
void dense_forward(ThreadContext<T>& context, const Operation<T>& op, const T* theta, ptrdiff_t rows) {
    const bool by_columns = op.n_out >= 2 * context.threads * tile_columns<T>;
    const bool by_rows = !by_columns && rows >= 2 * context.threads * tile_rows;
    if (context.begins(is_enough(rows, op) && (by_columns || by_rows))) {
        const Range r = by_rows ? context.part(rows, tile_rows) : Range{0, rows};
        const Range c = by_rows ? Range{0, op.n_out} : context.part(op.n_out, lanes<T>);
        const Rows<T> kept = offset(op.kept, r.from, c.from);
        Activating<T> done = {params_of(op), op.bias ? theta + op.second.at + c.from : nullptr, kept, op.factor};
        dense_product(context, op, theta + op.first.at, r, c, done);
    }
    if (op.function == Function::softmax && context.begins(rows * op.n_out >= enough_numbers)) {
        const Range r = context.part(rows, 1);
        softmax(op.y, r.from, r.to, op.n_out);
    }
}

template <class T>
struct Deriving {  // applied to each tile of dL/dx: the derivative of the layer before, whose output is x
    const Operation<T>* before_it;
    T* sums;
    ptrdiff_t from;  // the first column
    T factor;

    FC_INLINE void before(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Written&) const {}
    FC_INLINE void then(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<T> tile) const {
        multiply(factor, tile, rows, columns);
        if (!before_it) return;
        const Operation<T>& op = *before_it;
        j += from;
        derive(params_of(op), offset(op.y, i, j), offset(op.kept, i, j), tile, sums ? sums + j : nullptr, rows,
               columns);
    }
};

constexpr ptrdiff_t kept_weights = 16384;  // a W of so many stays in cache from step to step

template <class T>
struct Updating {  // applied to each tile of the gradient of W: the update of the optimizer
    const Update<T>& update;
    ptrdiff_t at, row;  // the place of the product's first row in theta
    bool decays;
    double& l2_term;
    T factor;

    FC_INLINE void before(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Written& written) const {
        const ptrdiff_t from = at + i * row + j;
        const T* const read[] = {update.theta, update.v, update.m, update.average};
        for (const T* numbers : read)
            if (numbers) written.add(numbers + from, row, rows, columns);
    }
    FC_INLINE void then(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<T> tile) const {
        V<T> l2_terms = {};
        multiply(factor, tile, rows, columns);
        if (columns == row && tile.row == row) {  // whole rows of W are contiguous
            columns *= rows;
            rows = 1;
        }
        ::update<T>(update, at + i * row + j, row, {tile.data, tile.row}, rows, columns, decays, l2_terms);
        if (update.l2 != 0) l2_term += (double)sum<T>(l2_terms);
    }
};

// The factor on a product with dy. Where numbers are rounded, dy has it already, as in NumPy: it is rounded once, then.
template <class T>
FC_INLINE T factor_on_gradient(const ThreadContext<T>& context, const Operation<T>& op) {
    return context.scratch.bfloat16 ? 1 : op.factor;
}

template <class T>
struct Multiplying {  // applied to each tile of the gradient of W, where all of it is wanted
    T factor;

    FC_INLINE void before(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, Written&) const {}
    FC_INLINE void then(ptrdiff_t, ptrdiff_t rows, ptrdiff_t, ptrdiff_t columns, Rows<T> tile) const {
        multiply(factor, tile, rows, columns);
    }
};

// Turns dy into the gradient with respect to x W + b, and adds up that of b, unless the next operation has done so.
template <class T>
void dense_derive(ThreadContext<T>& context, const Operation<T>& op, const Run<T>& run, ptrdiff_t rows) {
    T* db = op.bias ? run.gradient + op.second.at : nullptr;
    if (op.function == Function::softmax && context.begins(rows * op.n_out >= enough_numbers)) {
        const Range r = context.part(rows, 1);
        softmax_back(op.y, op.dy, r.from, r.to, op.n_out);
    }
    if (!op.derivative_done && context.begins(rows * op.n_out >= enough_numbers)) {
        const Range c = context.part(op.n_out, lanes<T>);
        if (db) zero(db + c.from, c.to - c.from);
        derive<T>(params_of(op), offset(op.y, 0, c.from), offset(op.kept, 0, c.from), offset(op.dy, 0, c.from),
                  db ? db + c.from : nullptr, rows, c.to - c.from);
    }
    if (op.factor != factor_on_gradient(context, op) && context.begins(rows * op.n_out >= enough_numbers)) {
        const Range r = context.part(rows, 1);
        multiply(op.factor, offset(op.dy, r.from, 0), r.to - r.from, op.n_out);
    }
}

// The operation whose output an operation reads; null if it reads the rows.
template <class T>
FC_INLINE const Operation<T>* before_of(const Operation<T>& op, const Run<T>& run) {
    return op.before >= 0 ? &run.operations[op.before] : nullptr;
}

// The gradient of some rows of W, and their update, if that is `fused`.
template <class T>
void weight_gradient(ThreadContext<T>& context, const Operation<T>& op, const Run<T>& run, ptrdiff_t rows, Range c,
                     const Update<T>* fused, double& l2_term) {
    const ptrdiff_t n = c.to - c.from, at = op.first.at + c.from * op.n_out;
    if (n <= 0) return;
    const Matrix<const T> x = {op.x.data + c.from, 1, op.x.row}, dy = {op.dy.data, op.dy.row, 1};
    T* dW = run.gradient + at;
    const bool polls = context.polls(), decays = op.first.decay_factor != 0;
    const T factor = factor_on_gradient(context, op);
    const bool tiny = rows * n * op.n_out <= few_products;
    if (fused && (tiny || op.first.size > kept_weights)) {
        const bool keeps = tiny || rows > longest_k;
        product<T>(n, op.n_out, rows, x, dy, {keeps ? dW : nullptr, op.n_out}, context.scratch,
                   Updating<T>{*fused, at, op.n_out, decays, l2_term, factor}, context.stop, polls);
        return;
    }
    product<T>(n, op.n_out, rows, x, dy, {dW, op.n_out}, context.scratch, Multiplying<T>{factor}, context.stop, polls);
    if (fused && !stopped(context.stop)) {  // one long loop is faster than many short ones
        V<T> l2_terms = {};
        update<T>(*fused, at, 0, {dW, 0}, 1, n * op.n_out, decays, l2_terms);
        if (fused->l2 != 0) l2_term += (double)sum<T>(l2_terms);
    }
}

// The same for the rows of W that are looked up, and some of their columns.
template <class T>
void lookups_gradient(ThreadContext<T>& context, const Operation<T>& op, const Run<T>& run, ptrdiff_t rows, Range c,
                      const Update<T>* fused, double& l2_term) {
    if (c.to <= c.from) return;
    lookups_backward(op, run.gradient + op.first.at, rows, c, context.scratch.sums, factor_on_gradient(context, op));
    if (!fused || stopped(context.stop)) return;
    V<T> l2_terms = {};
    for (const Lookup<T>* one = op.lookups; one < op.lookups + op.n_lookups; one++) {
        const ptrdiff_t at = op.first.at + one->at * op.n_out + c.from;
        update<T>(*fused, at, op.n_out, {run.gradient + at, op.n_out}, one->size, c.to - c.from,
                  op.first.decay_factor != 0, l2_terms);
    }
    if (fused->l2 != 0) l2_term += (double)sum<T>(l2_terms);
}

template <class T>
void dense_backward(ThreadContext<T>& context, const Operation<T>& op, const Operation<T>* before_it, const Run<T>& run,
                    ptrdiff_t rows, const Update<T>* fused, double& l2_term) {
    dense_derive(context, op, run, rows);
    // each thread needs only its own rows of W, so it may update them as soon as it has used them
    if (!context.begins(is_enough(rows, op) && op.n_in >= 2 * context.threads * lanes<T>)) return;
    const Range c = context.part(op.n_in, lanes<T>);
    if (op.dx.data && c.to > c.from) {
        const Operation<T>* fuses = before_it && before_it->derivative_done ? before_it : nullptr;
        T* sums = fuses && fuses->bias ? run.gradient + fuses->second.at : nullptr;
        if (sums) zero(sums + c.from, c.to - c.from);
        product<T>(rows, c.to - c.from, op.n_out, {op.dy.data, op.dy.row, 1},
                   {run.theta + op.first.at + c.from * op.n_out, 1, op.n_out}, {op.dx.data + c.from, op.dx.row},
                   context.scratch, Deriving<T>{fuses, sums, c.from, factor_on_gradient(context, op)}, context.stop,
                   context.polls());
    }
    if (run.optimizer.rule != Rule::none && op.first.lr_factor == 0) return;
    Update<T> own;
    if (fused) fused = op.first.hidden ? nullptr : &of_part(*fused, op.first, own);
    if (!op.lookups) return weight_gradient(context, op, run, rows, c, fused, l2_term);
    lookups_gradient(context, op, run, rows, context.part(op.n_out, lanes<T>), fused, l2_term);
    for (const Range* some = op.plain; some < op.plain + op.n_plain; some++) {
        const Range mine = context.part(some->to - some->from, lanes<T>);
        weight_gradient(context, op, run, rows, Range{some->from + mine.from, some->from + mine.to}, fused, l2_term);
    }
}

}  // namespace
