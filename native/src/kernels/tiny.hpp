// Training of tiny networks, of which a step is a few dozen or a few hundred multiplications: there, the calls, the
// choices and the loops' ends of the general way (run.hpp) take several times as long as the arithmetic.
//
// A run takes this way if it is nothing but dense layers, on one thread, with little work in a step and without what
// needs a whole gradient, as clipping does, and Muon of a hidden matrix: see tiny_size. Parameters and slots are copied
// to a layout of their own, in which each row of W begins a whole vector, with zeros behind it, so that no loop has a
// part of a vector. They are copied back every 256 steps and at the end of a run, before anyone looks at them. Rows of
// activations and gradients may have anything behind their numbers: what reads whole vectors of them masks it.
//
// W (n_in, n_out) is kept in rows of n_out numbers, or `turned`, in rows of n_in, whichever are fewer vectors: a step
// needs both x W and dy W^T, and one is a sum of rows, the other a dot product with each row, whose lanes are summed
// for several rows at once. The gradient of W is an outer product either way.
#pragma once

#include "run.hpp"

namespace {

constexpr int most_layers = 6;           // of a tiny network
constexpr ptrdiff_t polled_steps = 256;  // as in run.hpp

template <class T>
struct TinyLayer {
    const Operation<T>* op;
    bool turned;
    ptrdiff_t rows, used, width;  // of W as it is kept: rows of so many numbers, padded to whole vectors
    ptrdiff_t W, b;               // where they begin in the vectors of the tiny network
    ptrdiff_t width_out;          // the padded length of a row of y
};

template <class T>
struct TinyNetwork {
    TinyLayer<T> layers[most_layers];
    int n;
    ptrdiff_t size;  // of each of its vectors:
    T *theta, *m, *v, *average;
};

template <class T>
FC_INLINE ptrdiff_t whole_vectors(ptrdiff_t n) {
    return (n + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// Lays a network out; `memory` may be null, to find its size alone.
template <class T>
TinyNetwork<T> tiny_network(const Run<T>& run, T* memory) {
    TinyNetwork<T> net{};
    net.n = run.n_operations;
    for (int i = 0; i < net.n; i++) {
        const Operation<T>& op = run.operations[i];
        const ptrdiff_t width = whole_vectors<T>(op.n_out), turned_width = whole_vectors<T>(op.n_in);
        TinyLayer<T>& layer = net.layers[i];
        layer.op = &op;
        layer.turned = op.n_out * turned_width < op.n_in * width;
        layer.rows = layer.turned ? op.n_out : op.n_in;
        layer.used = layer.turned ? op.n_in : op.n_out;
        layer.width = layer.turned ? turned_width : width;
        layer.width_out = width;
        layer.W = net.size;
        const ptrdiff_t most = lanes<T> > 4 ? lanes<T> : 4;  // dot products are of so many rows at once
        layer.b = layer.W + (layer.rows == 1 ? 1 : (layer.rows + most - 1) / most * most) * layer.width;
        net.size = layer.b + width;
    }
    net.theta = memory, net.m = memory + net.size, net.v = net.m + net.size, net.average = net.v + net.size;
    return net;
}

// Copies rows of n numbers, or columns of them if W is turned, between a vector of the run and one of the network.
template <class T>
void move_rows(T* outside, T* inside, ptrdiff_t rows, ptrdiff_t n, ptrdiff_t width, bool turned, bool in) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        T* own = inside + i * width;
        if (turned) {
            for (ptrdiff_t j = 0; j < n; j++) in ? own[j] = outside[j * rows + i] : outside[j * rows + i] = own[j];
            continue;
        }
        T* row = outside + i * n;
        each<T>(n, [&](Place<T> p) { in ? store(own + p.at, p.get(row)) : p.put(row, load(own + p.at)); });
    }
}

// Copies parameters, slots and averages in or out.
template <class T>
void move_all(Run<T>& run, const TinyNetwork<T>& net, bool in) {
    struct {
        T *outside, *inside;
        ptrdiff_t Part::* at;
    } vectors[] = {{run.theta, net.theta, &Part::at},
                   {run.rest.m, net.m, &Part::m_at},
                   {run.rest.v, net.v, &Part::v_at},
                   {run.average.theta, net.average, &Part::at}};
    for (auto& vector : vectors) {
        if (!vector.outside) continue;
        if (in) zero(vector.inside, net.size);
        for (int i = 0; i < net.n; i++) {
            const TinyLayer<T>& l = net.layers[i];
            const Operation<T>& op = *l.op;
            move_rows(vector.outside + op.first.*vector.at, vector.inside + l.W, l.rows, l.used, l.width, l.turned, in);
            if (op.bias)
                move_rows(vector.outside + op.second.*vector.at, vector.inside + l.b, 1, op.n_out, l.width_out, false,
                          in);
        }
    }
}

// The sums of the lanes of n vectors: that of vector i is in lane i, and in every n-th lane after it.
template <class T, int half = 1, int n>
FC_INLINE V<T> lane_sums(const V<T> (&of)[n]) {
    typename UpTo<(int)lanes<T>>::type all_lanes;
    if constexpr (n > 1) {
        V<T> pairs[n / 2];
#pragma GCC unroll 16
        for (int i = 0; i < n / 2; i++)
            pairs[i] = first_blocks<T, half>(of[2 * i], of[2 * i + 1], all_lanes) +
                       second_blocks<T, half>(of[2 * i], of[2 * i + 1], all_lanes);
        return lane_sums<T, half * 2>(pairs);
    } else if constexpr (half < (int)lanes<T>) {
        const V<T> both[1] = {of[0] + swapped<T, half>(of[0], all_lanes)};
        return lane_sums<T, half * 2>(both);
    } else {
        return of[0];
    }
}

// The dot products of `used` numbers with n rows.
template <int n, class T>
FC_INLINE V<T> dots_with(const T* a, ptrdiff_t used, const T* rows, ptrdiff_t width) {
    V<T> products[n] = {};
    for (ptrdiff_t at = 0; at < width; at += lanes<T>) {
        const V<T> some = where<T>(first_lanes<T>(used - at), load(a + at));
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) products[i] = multiply_add<T>(some, load(rows + i * width + at), products[i]);
    }
    return lane_sums<T>(products);
}

// The same with as many rows as a vector has lanes, or those that are left; what the other lanes hold is of no use.
template <class T>
__attribute__((noinline)) V<T> dots(const T* a, const TinyLayer<T>& l, const T* W, ptrdiff_t from) {
    const T* rows = W + from * l.width;
    if (l.rows == 1) return dots_with<1>(a, l.used, rows, l.width);
    if constexpr (lanes<T> > 4)
        if (l.rows - from <= 4) return dots_with<4>(a, l.used, rows, l.width);
    return dots_with<(int)lanes<T>>(a, l.used, rows, l.width);
}

// sums + the sum over the rows of W times their numbers in a, for one vector of each row.
template <class T>
FC_INLINE V<T> combine(V<T> sums, const T* a, const T* rows, const TinyLayer<T>& l) {
    for (ptrdiff_t k = 0; k < l.rows; k++) sums = multiply_add<T>(all(a[k]), load(rows + k * l.width), sums);
    return sums;
}

// y = f(z); keeps f'(z) if that cannot be computed from y.
template <class T>
__attribute__((noinline)) V<T> activated(const Operation<T>& op, V<T> z, T* kept) {
    V<T> derivative = {}, y = z;
    switch (op.function) {
        case Function::softmax:
        case Function::identity:
            break;
#define FC_VALUE(name, kept_)                                          \
    case Function::name:                                               \
        y = value<Function::name, T>(params_of(op), z, derivative);    \
        if (keeps_derivative(Function::name)) store(kept, derivative); \
        break;
            FC_FUNCTIONS(FC_VALUE)
    }
    return y;
}

// dy f'(z).
template <class T>
__attribute__((noinline)) V<T> derived(const Operation<T>& op, V<T> dy, const T* y, const T* kept) {
    switch (op.function) {
        case Function::softmax:
        case Function::identity:
            break;
#define FC_DERIVED(name, kept_)                                    \
    case Function::name:                                           \
        return dy * (keeps_derivative(Function::name) ? load(kept) \
                                                      : derivative_from<Function::name, T>(params_of(op), load(y)));
            FC_FUNCTIONS(FC_DERIVED)
    }
    return dy;
}

template <class T>
FC_INLINE void tiny_forward(const TinyLayer<T>& l, const T* theta, ptrdiff_t rows) {
    const Operation<T>& op = *l.op;
    const T *W = theta + l.W, *b = theta + l.b;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const T* x = op.x.data + r * op.x.row;
        T *y = op.y.data + r * op.y.row, *kept = op.kept.data + r * op.kept.row;
        for (ptrdiff_t j = 0; j < l.width_out; j += lanes<T>) {
            const V<T> bias = load(b + j);
            const V<T> z = l.turned ? dots(x, l, W, j) + bias : combine(bias, x, W + j, l);
            store(y + j, activated(op, z, kept + j));
        }
    }
}

// Writes dL/dz of the layer before from that of this one.
template <class T>
FC_INLINE void tiny_back(const TinyLayer<T>& l, const Operation<T>& before, const T* theta, ptrdiff_t rows) {
    const Operation<T>& op = *l.op;
    const T* W = theta + l.W;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const T *dy = op.dy.data + r * op.dy.row, *x = op.x.data + r * op.x.row;
        const T* kept = before.kept.data + r * before.kept.row;
        T* dx = op.dx.data + r * op.dx.row;
        for (ptrdiff_t j = 0; j < op.n_in; j += lanes<T>) {
            const V<T> d = l.turned ? combine(V<T>{}, dy, W + j, l) : dots(dy, l, W, j);
            store(dx + j, derived(before, d, x + j, kept + j));
        }
    }
}

// Rows of parameters, `at` in the network's vectors, whose gradient is the sum over a batch of outer products: of n
// numbers of `left` and the `used` first ones of `right`.
template <class T>
struct TinyRows {
    ptrdiff_t at, n, used, width;
    Rows<const T> left, right;
    ptrdiff_t batch;
    bool decays;
};

template <Rule rule, class T>
__attribute__((noinline)) void tiny_update_as(const Update<T>& u, const TinyRows<T>& p, V<T>& l2_terms) {
    const bool l2 = p.decays && u.l2 != 0, shrinks = rule == Rule::adam && p.decays && u.shrink != 1;
    for (ptrdiff_t j = 0; j < p.width; j += lanes<T>) {
        const M<T> mask = first_lanes<T>(p.used - j);
        for (ptrdiff_t k = 0; k < p.n; k++) {
            V<T> g = where<T>(mask, load(p.right.data + j)) * p.left.data[k];
            for (ptrdiff_t r = 1; r < p.batch; r++)
                g = multiply_add<T>(where<T>(mask, load(p.right.data + r * p.right.row + j)),
                                    all(p.left.data[r * p.left.row + k]), g);
            const Place<T> place = {p.at + k * p.width + j, 0};
            const V<T> w = updated<rule, T>(u, place, g, place.get(u.theta), u.m, u.v, l2, shrinks, l2_terms);
            place.put(u.theta, w);
            if (u.average) follow(u.average + place.at, u.theta + place.at, u.share, lanes<T>);
        }
    }
}

template <class T>
FC_INLINE void tiny_update(const Update<T>& u, const TinyRows<T>& rows, V<T>& l2_terms) {
    switch (u.rule) {
#define FC_TINY_UPDATE(name) \
    case Rule::name:         \
        return tiny_update_as<Rule::name>(u, rows, l2_terms);
        FC_RULES(FC_TINY_UPDATE)
        default:
            return;
    }
}

// The loss of all rows; writes dL/dz of the last layer.
template <class T>
FC_INLINE double tiny_loss(Run<T>& run, ptrdiff_t rows) {
    const Operation<T>& op = run.operations[run.n_operations - 1];
    const double value = loss_of(run, 0, rows);
    for (ptrdiff_t i = 0; i < rows; i++) {
        const T *y = op.y.data + i * op.y.row, *kept = op.kept.data + i * op.kept.row;
        T* dz = op.dy.data + i * op.dy.row;
        for (ptrdiff_t j = 0; j < run.n_out; j += lanes<T>) store(dz + j, derived(op, load(dz + j), y + j, kept + j));
    }
    return value;
}

// A vector that is loaded soon after a part of it was stored waits until all before the store is done.
template <class T>
FC_INLINE void tiny_gather(const Run<T>& run, const int64_t* order, ptrdiff_t rows) {
    if (run.x_type != (sizeof(T) == 4 ? Type::f32 : Type::f64))
        return gather(run.x, run.x_type, run.n_in, order, 0, run.operations, run.n_operations, run.theta, {0, rows});
    const Rows<T> to = run.operations[0].x;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const T* row = static_cast<const T*>(run.x) + order[i] * run.n_in;
        each<T>(run.n_in, [&](Place<T> p) { store(to.data + i * to.row + p.at, p.get(row)); });
    }
}

// The powers of Adam's factors in a step. They are multiplied from step to step, and computed anew in every 16th, so
// that they are the same wherever a run begins.
struct Powers {
    double beta1 = 1, beta2 = 1;

    template <class T>
    FC_INLINE void go_to(const Optimizing<T>& o, int64_t step) {
        if (step % 16 == 0)
            beta1 = power(o.beta1, step), beta2 = power(o.beta2, step);
        else
            beta1 *= o.beta1, beta2 *= o.beta2;
    }
    template <class T>
    FC_INLINE void begin(const Optimizing<T>& o, int64_t step) {  // so that go_to(step) is next
        const int64_t from = (step - 1) / 16 * 16;
        beta1 = power(o.beta1, from), beta2 = power(o.beta2, from);
        for (int64_t i = from + 1; i < step; i++) go_to(o, i);
    }
};

// The backward pass and the updates; returns the sum of l2 theta^2.
template <class T>
FC_INLINE double tiny_learn(const Run<T>& run, const TinyNetwork<T>& net, const Update<T>& u, ptrdiff_t rows) {
    constexpr T one = 1;
    V<T> l2_terms = {};
    for (int i = net.n - 1; i >= run.first; i--) {
        const TinyLayer<T>& l = net.layers[i];
        const Operation<T>& op = *l.op;
        if (op.dx.data) tiny_back(l, run.operations[i - 1], net.theta, rows);
        const Rows<const T> x = {op.x.data, op.x.row}, dy = {op.dy.data, op.dy.row};
        const TinyRows<T> W = {
            l.W, l.rows, l.used, l.width, l.turned ? dy : x, l.turned ? x : dy, rows, op.first.decay_factor != 0};
        const TinyRows<T> b = {l.b, 1, op.n_out, l.width_out, {&one, 0}, dy, rows, op.second.decay_factor != 0};
        Update<T> own;
        if (op.first.lr_factor != 0) tiny_update(with_factors(u, op.first, own), W, l2_terms);
        if (op.bias && op.second.lr_factor != 0) tiny_update(with_factors(u, op.second, own), b, l2_terms);
    }
    return u.exact_l2 != 0 ? (double)sum<T>(l2_terms) : 0;
}

template <class T>
void train_tiny(Run<T>* run_, int) {
    FlushDenormals flush;
    Run<T>& run = *run_;
    const TinyNetwork<T> net = tiny_network(run, run.tiny);
    const bool adam = run.rest.rule == Rule::adam;
    int64_t count = run.step;
    ptrdiff_t from = 0, i = 0, weighted = -1;  // weighted: the number of rows that batch_weights are for
    Powers powers;
    Update<T> u{};  // and what it was made from: without Adam, it is the same in each step of most runs
    Rates last = {__builtin_nan(""), 1, 1};
    double l2_of_last = 0;
    if (adam) powers.begin(run.rest, count + 1);
    while (from < run.n_order && !run.diverged && !stopped(&run.stop)) {
        ptrdiff_t since = 0;
        move_all(run, net, true);
        for (ptrdiff_t rows; from < run.n_order && since < polled_steps && !run.diverged; from += rows, i++) {
            const ptrdiff_t left = run.n_order - from;
            rows = left < run.batch_size + run.least_rows ? left : run.batch_size;
            const int64_t* order = run.order + from;
            const double weight = weight_of(run, order, rows, run.sums);
            if (weight == 0) continue;
            since++, count++;
            tiny_gather(run, order, rows);
            gather_targets(run, order, {0, rows});  // long before the loss loads them: see tiny_gather
            if (run.weights || rows != weighted) gather_weights(run, order, rows, run.sums, {0, rows});
            weighted = rows;
            for (int k = 0; k < net.n; k++) tiny_forward(net.layers[k], net.theta, rows);
            double value = tiny_loss(run, rows);
            run.last_from = from;
            run.rate = run.rates[i];
            run.step = count;
            if (adam) powers.go_to(run.rest, count);
            if (is_finite(value)) {
                const double l2 = run.l2 + run.alpha / weight, decay = run.decays ? run.decays[i] : 1;
                if (adam || run.rate != last.lr || decay != last.decay || l2 != l2_of_last) {
                    u = update_at(run.rest, net.theta, run.rate * run.rest.relative_lr, decay, powers.beta1,
                                  powers.beta2, l2);
                    u.m = net.m, u.v = net.v;
                    last = {run.rate, decay, 1}, l2_of_last = l2;
                }
                if (run.average.theta) u.average = net.average, u.share = share_of(run.average, count);
                const double l2_term = tiny_learn(run, net, u, rows);
                if (l2 != 0) value += 0.5 * l2_term;
            }
            run.value = value;
            run.diverged = !is_finite(value);
            run.total += value * weight;
            run.weight += weight;
        }
        move_all(run, net, false);
        if (since == polled_steps) run.stop.poll(run.stop.engine);
    }
}

constexpr ptrdiff_t widest = 32;        // numbers in a row of a tiny network
constexpr double most_products = 2048;  // multiplications of a forward pass: with more, the general way is as fast

// The numbers for which a tiny network needs memory; 0 if the run takes the general way. `rows` has the largest batch.
template <class T>
ptrdiff_t tiny_size(const Run<T>& run, ptrdiff_t rows) {
    if (run.threads > 1 || run.optimizer.rule == Rule::none || is_finite(run.max_norm)) return 0;
    if (run.n_operations > most_layers) return 0;
    double products = 0;
    for (int i = 0; i < run.n_operations; i++) {
        const Operation<T>& op = run.operations[i];
        if (op.kind != Kind::dense || op.function == Function::softmax || op.before != i - 1 || op.raw) return 0;
        if (op.lookups || op.copies != 1 || op.members || op.factor != 1) return 0;
        if (op.n_in > widest || op.n_out > widest || op.first.hidden) return 0;
        products += (double)(rows * op.n_in * op.n_out);
    }
    return products <= most_products ? 4 * tiny_network<T>(run, nullptr).size : 0;
}

}  // namespace
