// A network as data: what Python lays out once, and what the kernels run. Files compiled for different instruction sets
// share these structures, so they have no functions; the constexpr one is computed by the compiler.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ThreadPool;

// What the engine has, each under the name that Python calls it by. A line here gives it its number and its name, and
// its place wherever all are gone through; X is called with the name, and with what else is said of it.
#define FC_KINDS(X) X(dense) X(activation) X(dropout) X(layer_norm) X(batch_norm) X(save) X(add)

// Functions of each number alone. kept: forward keeps f'(z), because y does not tell it.
#define FC_FUNCTIONS(X)  \
    X(relu, false)       \
    X(leaky_relu, false) \
    X(elu, false)        \
    X(gelu, true)        \
    X(silu, true)        \
    X(mish, true)        \
    X(softplus, false)   \
    X(sigmoid, false)    \
    X(tanh, false)       \
    X(exp, false)

// Losses that are a sum of terms, one for each output alone.
#define FC_TERMS(X)       \
    X(half_squared_error) \
    X(mean_squared_error) \
    X(absolute_error)     \
    X(huber)              \
    X(quantile)           \
    X(poisson)            \
    X(binary_cross_entropy)

#define FC_RULES(X) X(sgd) X(momentum) X(nesterov) X(rmsprop) X(adam)

#define FC_ENUMERATOR(name, ...) name,
enum class Kind : int { FC_KINDS(FC_ENUMERATOR) };
enum class Function : int { FC_FUNCTIONS(FC_ENUMERATOR) identity, softmax };
enum class LossKind : int { FC_TERMS(FC_ENUMERATOR) hinge, softmax_cross_entropy };
enum class Rule : int { FC_RULES(FC_ENUMERATOR) none };

constexpr bool keeps_derivative(Function f) {
#define FC_KEPT(name, kept) \
    if (f == Function::name) return kept;
    FC_FUNCTIONS(FC_KEPT)
    return false;
}

// How much is worth sharing among threads: multiplications of a product, and numbers that a simple loop passes.
constexpr double enough_products = 150e3;
constexpr ptrdiff_t enough_numbers = 32768;

// Rows that lie `row` numbers apart. The engine's own rows are padded to whole vectors, and to lengths of which not too
// many fall on the same place in a cache.
template <class T>
struct Rows {
    T* data;
    ptrdiff_t row;
};

// One parameter tensor: where it begins in theta, and how many numbers it has.
struct Part {
    ptrdiff_t at, size;
    bool decays;
};

template <class T>
struct Operation {
    Kind kind;
    ptrdiff_t n_in, n_out;
    Function function;
    double setting, scale;  // slope, or alpha; ELU's scale; Dropout's rate; the norms' epsilon
    double momentum;        // BatchNorm's
    bool bias;
    Part first, second;             // W and b, or gamma and beta
    T *running_mean, *running_var;  // BatchNorm's running state
    int layer;                      // its place in the program, which counts its random numbers
    int partner;                    // where an Add finds its Save

    Rows<T> x, y, dy, dx;  // dx.data is null where no gradient is wanted; save's y is its x
    Rows<T> kept;          // f'(z), the normalised rows, dropout's mask, or what a residual block adds to the gradient
    T* rate;               // 1 / standard deviation: of each row (LayerNorm) or column (BatchNorm)
    bool derivative_done;  // the next operation multiplies dy by f'(z) and adds up b's gradient
};

template <class T>
struct Scratch {
    T* a;     // A's block, in panels
    T* b;     // a panel of B
    T* tile;  // a tile of C that is used up at once
};

// How often a thread that computes for long looks whether it should stop.
struct Stop {
    void (*poll)(void* engine);  // may set `now`; called by thread 0 alone
    void* engine;
    int now;  // written by thread 0; read by all, at the latest after the next barrier
};

template <class T>
struct Optimizing {
    Rule rule;
    double decay;  // momentum of Momentum and Nesterov, rho of RMSProp: how much of v stays
    double beta1, beta2, epsilon, weight_decay;
    T *m, *v;  // slots: v alone for momentum and RMSProp
};

enum class Type : int { f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 };

// What a run of the program is given, and where it leaves what comes out.
template <class T>
struct Run {
    Operation<T>* operations;
    int n_operations, first;  // the first one whose backward pass runs
    T *theta, *gradient;
    ptrdiff_t n_params;
    Part* parts;
    int n_parts;

    // the data set
    const void* x;
    Type x_type;
    ptrdiff_t n_in, n_out;
    const void* t;  // T (rows, n_out), or class numbers (rows,) in int64
    bool classes;
    const double* weights;
    const int64_t* order;
    ptrdiff_t n_order, batch_size, least_rows;  // a last batch of fewer rows goes with the one before

    LossKind loss;
    double loss_setting;
    Optimizing<T> optimizer;
    const double* rates;  // the learning rate of each step
    double l2, max_norm;  // max_norm is infinite where nothing is clipped
    bool train;
    uint64_t seed;
    int64_t step;  // steps so far; for a gradient alone, the step whose random numbers are drawn

    // buffers
    Rows<T> batch_x, batch_t, z, dz;
    int64_t* batch_classes;
    T* batch_weights;
    Scratch<T>* scratch;  // one a thread
    double* partial;      // 8 numbers a thread, which others read after a barrier

    int threads;
    ThreadPool* pool;
    Stop stop;

    // what comes out
    double total, weight;  // sums over batches: loss times rows, rows
    double value;          // the last loss
    double rate;           // the last learning rate
    bool diverged;
    ptrdiff_t last_from;  // where the last batch began in the order
};

// What a prediction is given: each thread has operations with buffers of its own.
template <class T>
struct Prediction {
    Operation<T>** operations;
    int n_operations;
    const T* theta;
    const void* x;
    Type x_type;
    ptrdiff_t n_in, n_out, rows, block;  // so many rows pass through the network together
    T* z;
    Scratch<T>* scratch;
    int threads;
    ThreadPool* pool;
    Stop stop;
};
