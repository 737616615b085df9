// A network as data: the operations that Python describes once and the kernels run. Files compiled for different
// instruction sets share these structures, so they have no functions, except one that only the compiler evaluates.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ThreadPool;
struct Bfloat16;

// The kinds, functions, losses and update rules of the engine, under the names that Python uses. A line here defines an
// item's number and name, and includes it wherever the list is used; X is applied to the name and the other arguments.
#define FC_KINDS(X)               \
    X(dense)                      \
    X(activation)                 \
    X(dropout)                    \
    X(layer_norm)                 \
    X(rms_norm)                   \
    X(batch_norm)                 \
    X(save)                       \
    X(add)                        \
    X(standardize)                \
    X(rescale)                    \
    X(scale)                      \
    X(parametric)                 \
    X(periodic_embedding)         \
    X(piecewise_linear_encoding)  \
    X(piecewise_linear_embedding) \
    X(one_hot)                    \
    X(embedding)                  \
    X(select)                     \
    X(concatenate)                \
    X(member_scale)               \
    X(member_affine)

// Functions of each number separately. kept: forward keeps f'(z), because it cannot be computed from y.
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

// Losses that are a sum of terms, each of one output.
#define FC_TERMS(X)       \
    X(half_squared_error) \
    X(mean_squared_error) \
    X(absolute_error)     \
    X(huber)              \
    X(quantile)           \
    X(poisson)            \
    X(binary_cross_entropy)

// Update rules of each number separately.
#define FC_RULES(X) X(sgd) X(momentum) X(nesterov) X(rmsprop) X(adam)

#define FC_ENUMERATOR(name, ...) name,
enum class Kind : int { FC_KINDS(FC_ENUMERATOR) };
enum class Function : int { identity, FC_FUNCTIONS(FC_ENUMERATOR) softmax };
enum class LossKind : int { FC_TERMS(FC_ENUMERATOR) hinge, softmax_cross_entropy };
enum class Rule : int { none, FC_RULES(FC_ENUMERATOR) muon };

constexpr bool keeps_derivative(Function f) {
#define FC_KEPT(name, kept) \
    if (f == Function::name) return kept;
    FC_FUNCTIONS(FC_KEPT)
    return false;
}

// The least work that is shared among threads: multiplications of a matrix product, and numbers in a simple loop.
constexpr double enough_products = 150e3;
constexpr ptrdiff_t enough_numbers = 32768;

// Rows that begin `row` numbers apart. The engine's own rows are padded to whole vectors, and to lengths for which not
// too many rows map to the same place in a cache.
template <class T>
struct Rows {
    T* data;
    ptrdiff_t row;
};

// One parameter tensor: where it begins in theta, how many numbers it has, and the factors on its learning rate (with 0
// it is left as it is) and on its l2 and weight decay (0 for one that does not decay); and where its slots begin.
struct Part {
    ptrdiff_t at, size;
    double lr_factor, decay_factor;
    ptrdiff_t m_at, v_at;
    bool hidden;  // a hidden matrix, of which Muon makes the step as a whole
};

struct Range {
    ptrdiff_t from, to;
};

// What a column that is cut into bins keeps: for each row its value, the bin that it lies in, and its share of that,
// each in a line of `kept`.
constexpr ptrdiff_t lines_of_bins = 3, line_of_bin = 1, line_of_share = 2;

// A column that stands in x as many ones, which a code or a value decides: see kernels/lookups.hpp.
template <class T>
struct Lookup {
    ptrdiff_t at, size;    // the first of its rows of W, and how many there are
    const int64_t* codes;  // for each row of x, the one that is 1, or -1; null if it has bins,
    const T *bin, *share;  // of which each row of x has one
};

template <class T>
struct Operation {
    Kind kind;
    ptrdiff_t n_in, n_out;
    Function function;
    double setting, scale;  // slope, or alpha; ELU's scale; Dropout's rate; the norms' epsilon
    double momentum;        // BatchNorm's
    T factor;               // of Dense, on x W
    bool bias;
    Part first, second;      // W and b, or gamma and beta; s or a; w, and phi or W
    Part third, fourth;      // of PeriodicEmbedding: W and b, or b; of PiecewiseLinearEmbedding: b
    ptrdiff_t frequencies;   // its number of waves of a column
    bool phases, rectified;  // whether it has phi, and gives the columns, too; whether negative outputs become 0
    const T* edges;          // of columns cut into bins: bins + 1 for each, and how many bins it uses
    const int64_t* used;
    ptrdiff_t bins;
    T *running_mean, *running_var;  // BatchNorm's running state
    const double *means, *scales;   // Standardize's and Rescale's constants
    bool clip, missing;             // Standardize's
    ptrdiff_t levels;               // OneHot's and Embedding's
    int64_t* codes;                 // Embedding's and OneHot's: for each row of a batch, its row of W
    bool unwritten;                 // whether y is not written, since the next operation looks its columns up
    const Lookup<T>* lookups;       // of Dense: columns of x that are looked up,
    int n_lookups;
    const Range* plain;  // and all others, in as many ranges; of no use where none is looked up
    int n_plain;
    bool raw;                     // whether it reads the rows as they are given, while they are gathered
    ptrdiff_t first_column;       // the first of the columns that it reads then,
    const int64_t* columns;       // or these, added to it; null if they follow one another
    int before;                   // the operation whose output it reads; -1 if it reads the rows
    ptrdiff_t copies_in, copies;  // rows of x and of y for each row of the batch, one after the other
    ptrdiff_t members;            // of an ensemble, each with a part of first and second; 0 if none has its own
    int layer;                    // its number in the program, which identifies its random numbers
    int partner;                  // the index of the save that belongs to an add

    Rows<T> x, y, dy, dx;  // dx.data is null if no gradient is wanted; the y of a save is its x
    Rows<T> kept;          // f'(z), the normalised rows, dropout's mask, or the gradient that skips a block
    Rows<T> inner;         // f(x) of Parametric; the cosines and sines of PeriodicEmbedding, a row for each wave;
                           // sums over bins of PiecewiseLinearEmbedding, a row for each bin
    double* totals;        // of BatchNorm where processes share the batches: two sums for each column, over all rows,
    T* moments;            // and what follows from them, the mean and the variance, or two sums; null elsewhere
    int which;             // the number of these sums among all that are exchanged
    T* rate;               // 1 / standard deviation, or root mean square: of each row or, of BatchNorm, column
    ptrdiff_t rates;       // how many of them there are for each member
    Rows<T> part;          // what one member adds to dx, where all read one x
    bool derivative_done;  // the next operation multiplies dy by f'(z) and computes the gradient of b
};

template <class T>
struct Scratch {
    T* a;                      // A's block, in panels,
    ptrdiff_t size_a;          // and how many numbers there is room for
    T* b;                      // a panel of B
    T* tile;                   // a tile of C that is used at once and not kept
    T* sums;                   // of rows of W that are looked up
    bool streams;              // whether more weights are read than the second cache holds, for one row
    const Bfloat16* bfloat16;  // how products are computed whose numbers are rounded to bfloat16; null if none are
    uint16_t* packed;          // their panels and a tile
};

// The way in which a long computation is interrupted.
struct Stop {
    void (*poll)(void* engine);  // may set `now`; called by thread 0 alone
    void* engine;
    int now;  // written by thread 0; all threads read it after the next barrier at the latest
};

// The processes that share the batches of a run with this one.
struct Sharing {
    // Sums over all processes, in place: the gradient and the loss behind it if `which` is 0, else the totals of an
    // operation. Called by thread 0 alone.
    void (*sum)(void* self, int which);
    void* self;
    ptrdiff_t n;                        // of each batch of an epoch:
    const int64_t *rows, *first, *own;  // how many rows it has, where those of this process begin, how many these are,
    const double* weights;              // (n, weight_columns) and the sums of the weights of all rows
};

template <class T>
struct Optimizing {
    Rule rule;
    double decay;  // the factor on v: momentum of Momentum and Nesterov, rho of RMSProp
    double beta1, beta2, epsilon, weight_decay;
    bool epsilon_hat;  // Adam adds epsilon to the root before its correction
    T *m, *v;          // slots: v alone for momentum, RMSProp and Muon
    bool nesterov;     // Muon's
    int rounds;
    double relative_lr;  // the learning rate over that of the run, where another rule has the hidden matrices
};

// Muon's matrices: two for a hidden matrix, and two squares of its smaller side; there is room for every one.
template <class T>
struct Orthogonal {
    Rows<T> x, y, a, b;
};

// A moving average of the parameters and of the running state, which follows them after each step.
template <class T>
struct Averaging {
    T *theta, *state;  // null if there is none
    double decay;
    bool warms_up;  // in step t, the decay is at most (1 + t) / (10 + t)
};

// The types of numbers that x may have, each with its name in Type.
#define FC_TYPES(X)  \
    X(f32, float)    \
    X(f64, double)   \
    X(i8, int8_t)    \
    X(i16, int16_t)  \
    X(i32, int32_t)  \
    X(i64, int64_t)  \
    X(u8, uint8_t)   \
    X(u16, uint16_t) \
    X(u32, uint32_t) \
    X(u64, uint64_t)
enum class Type : int { FC_TYPES(FC_ENUMERATOR) };

// The arguments and the results of a training run or a gradient.
template <class T>
struct Run {
    Operation<T>* operations;
    int n_operations, first;  // the first one whose backward pass runs
    Rows<T> input_gradient;   // (rows, n_in), or null
    T *theta, *gradient;
    ptrdiff_t n_params;
    Part* parts;
    int n_parts;

    // the data set
    const void* x;
    Type x_type;
    ptrdiff_t n_in, n_out;
    ptrdiff_t gathered;  // numbers that gathering a row takes; a number that is clipped counts as several
    const void* t;       // T (rows, n_out), or class numbers (rows,) in int64
    bool classes;
    const double* weights;  // (rows, weight_columns): one for each row, or for each of its copies
    ptrdiff_t weight_columns;
    ptrdiff_t copies;  // of each row in the outputs
    const int64_t* order;
    ptrdiff_t n_order, batch_size, least_rows;  // a last batch of fewer than least_rows is added to the one before

    LossKind loss;
    double loss_setting;
    Optimizing<T> optimizer, rest;  // rest: of all but the hidden matrices, if the optimizer is Muon
    Orthogonal<T>* orthogonal;      // for each thread; all share the first for what is no member's own
    Averaging<T> average;
    const T* state;  // all running statistics
    ptrdiff_t n_state;
    const double* rates;     // the learning rate of each step
    const double* decays;    // the factor on the optimizer's weight decay in each step; null if it is always 1
    const double* dropouts;  // the same for the rates of dropout
    double l2, alpha;        // alpha over the weight of a batch adds to its l2
    double max_norm;         // infinity if there is no clipping
    const Sharing* sharing;  // null where this process trains alone
    bool train;
    uint64_t seed;
    int64_t step;  // number of steps so far; for a gradient, the step whose random numbers are drawn

    // buffers
    T* tiny;  // the parameters and slots of a tiny network, in their own layout; null if it takes the general way
    Rows<T> batch_t, z, dz;
    int64_t* batch_classes;
    T* batch_weights;
    Scratch<T>* scratch;  // one per thread
    double* partial;      // 8 numbers per thread, which other threads read after a barrier
    double* sums;         // of each column of the weights of a batch; for each thread

    int threads;
    ThreadPool* pool;
    Stop stop;

    // results
    double total, weight;  // sums over batches: loss times rows, rows
    double value;          // the last loss
    double rate;           // the last learning rate
    bool diverged;
    ptrdiff_t last_from;  // where the last batch began in the order
};

// The rows of a list of operations that the first one reads, and that the last one writes.
template <class T>
struct Ends {
    Rows<T> x, y;
};

// The arguments of a prediction: each thread has its own operations, with their buffers, and some of the rows; or all
// work `together` on one block of rows, as in training.
template <class T>
struct Prediction {
    Operation<T>** operations;
    int n_operations;
    const T* theta;
    const void* x;
    Type x_type;
    ptrdiff_t n_in, n_out, rows;
    ptrdiff_t block;            // so many rows pass through the network together at most
    const ptrdiff_t* cuts;      // where each block begins, and the last one ends;
    ptrdiff_t n_blocks, taken;  // so many of them were taken by a thread
    bool together;
    bool x_in_place,
        z_in_place;  // whether the first operation reads the rows, and the last one writes z, where they are
    T* z;
    const Ends<T>* ends;  // else they read and write these rows, which each list of operations has
    double largest;       // the largest number that x may hold; 0 if that was checked before
    int refused;          // whether it holds a larger one, or NaN
    Scratch<T>* scratch;
    int threads;
    ThreadPool* pool;
    Stop stop;
};
