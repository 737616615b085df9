// An engine: a network's program bound to memory, ready to train or to predict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "thread_pool.hpp"

// The functions of a copy of the kernels for one type of number.
template <class T>
const Entry<T>& entry_of(const Kernels& kernels) {
    if constexpr (sizeof(T) == 4)
        return kernels.f32;
    else
        return kernels.f64;
}

// The descriptions that Python fills in, field by field; engine/lowering.py has classes with the same names.
struct OpSpec {
    std::string kind, function;
    ptrdiff_t n_in, n_out;
    double setting, scale, momentum, factor;
    bool bias;
    std::vector<ptrdiff_t> at, sizes;  // of its parameters, in theta
    std::vector<double> lr, decay;     // factors of theirs
    bool hidden;                       // whether the first is a hidden matrix
    ptrdiff_t frequencies;
    bool phases, rectified;     // of periodic_embedding
    std::vector<double> edges;  // of columns cut into bins, as many for each column
    std::vector<int64_t> used;  // its bins of each column
    ptrdiff_t state_at;
    int layer, partner;
    ptrdiff_t copies_in, copies, members;
    std::vector<double> means, scales;
    bool clip, missing;  // of standardize
    ptrdiff_t levels;    // of one_hot and embedding
    bool raw;
    std::vector<int64_t> columns;
    std::vector<int> reads;
};

struct LossSpec {
    std::string name;
    double setting;
};

struct OptimizerSpec {
    std::string rule;
    double decay, beta1, beta2, epsilon, weight_decay;
    bool epsilon_hat, nesterov;
    int rounds;
    std::vector<OptimizerSpec> rest;  // one, of Muon
    double relative_lr;
};

struct TrainerSpec {
    std::vector<OpSpec> ops;
    LossSpec loss;
    OptimizerSpec optimizer;
    ptrdiff_t n_in, batch_size, least_rows;
    double l2, alpha, max_norm;
    int threads;
    bool input_gradient, shares, bfloat16;
    double average_decay;
    bool average_warms_up;
};

// The vectors of a run; m and v are null if the optimizer has no such slots, and the averages if there are none.
template <class T>
struct Vectors {
    T *theta, *state;
    ptrdiff_t n_params, n_state;
    T *m, *v;
    T *average_theta, *average_state;
};

// The arrays of a data set; the caller keeps them alive.
struct DataSet {
    const void* x;
    Type x_type;
    const void* t;  // nullptr for a prediction
    bool classes;
    const double* weights;
    ptrdiff_t weight_columns;
};

// Memory for many buffers of numbers, each aligned to cache lines. All bits are set at first, so every number is NaN.
class Arena {
  public:
    Arena() = default;
    Arena(Arena&&) = default;
    Arena& operator=(Arena&&) = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    template <class T>
    T* take(ptrdiff_t n, bool filled = true);

  private:
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    std::vector<std::unique_ptr<void, Free>> blocks_;
};

double now();  // seconds, of a clock that is never set back

constexpr double long_work = 100e3;  // nanoseconds that are worth waking a thread
constexpr ptrdiff_t line = 64;       // bytes of a cache line, and of the widest vector

// The distance between the beginnings of rows of n numbers: whole cache lines, but not a multiple of 1024 bytes, which
// would make the same columns of many rows compete for the same places in the first-level cache.
template <class T>
ptrdiff_t padded(ptrdiff_t n) {
    const ptrdiff_t step = line / (ptrdiff_t)sizeof(T);
    ptrdiff_t row = (n + step - 1) / step * step;
    if (row * (ptrdiff_t)sizeof(T) % 1024 == 0) row += step;
    return row;
}

// The memory of one thread, with room for so many sums of rows that are looked up; and for products of bfloat16, if
// there is a way to compute them.
template <class T>
Scratch<T> scratch_of(Arena& arena, const Kernels& kernels, ptrdiff_t sums, const Bfloat16* way);

template <class T>
class Trainer {
  public:
    Trainer(const TrainerSpec& spec, const Vectors<T>& vectors, const DataSet& data);

    // Reads rows from this data set from now on, whose targets and weights have the form of those before.
    void read(const DataSet& data);

    // Trains on the rows in this order, or, without an update rule, computes the gradient of all rows as one batch.
    // Calls `interrupted` now and then, and stops when it returns true.
    // rates, decays and dropouts are numbers of each step; null where there is no rule, and where all factors are 1.
    // An epoch may be run in parts: all but the first go on with its sum of losses.
    void run(const int64_t* order, ptrdiff_t n, const double* rates, const double* decays, const double* dropouts,
             uint64_t seed, int64_t step, bool train, bool goes_on, bool (*interrupted)());

    // The processes that share the batches of the next run, or null.
    void share(const Sharing* sharing) { run_.sharing = sharing; }
    // What is summed over all processes: the gradient with the loss behind it; and in float64, the totals of
    // operations.
    std::pair<T*, ptrdiff_t> exchanged() const { return {run_.gradient, run_.n_params + 2}; }
    std::vector<std::pair<double*, ptrdiff_t>> totals() const;
    // Stops the run, as a signal does; called by thread 0 while it runs.
    void stop() { __atomic_store_n(&run_.stop.now, 1, __ATOMIC_RELAXED); }

    const Run<T>& outcome() const { return run_; }
    bool was_interrupted() const { return run_.stop.now != 0; }
    const T* input_gradient(ptrdiff_t row) const { return input_gradient_.data + row * input_gradient_.row; }

  private:
    const Kernels& kernels_;
    const T* const state_;
    const ptrdiff_t n_state_;
    Arena arena_;
    std::vector<Operation<T>> operations_;
    std::vector<Part> parts_;
    std::vector<Scratch<T>> scratch_;
    std::vector<Orthogonal<T>> orthogonal_;
    Rows<T> input_gradient_{};
    Run<T> run_{};
};

// Decides which calls have threads, of those that are over before a sleeping thread would begin. To wake one pays only
// if the next call follows so soon that it stays awake; and not where others need the processors, so that a thread
// waits for one that does not run.
class ShortCalls {
  public:
    ThreadPool* pool(int threads);  // for the next call; null if it is to be made by this thread alone
    // Learns from a call that took so many seconds, where so much work was expected of it.
    void made(double seconds, double work, bool shared);

  private:
    double ended_ = 0, alone_ = 0;  // when the last call ended; the seconds of one alone for its work
    // What shared calls may lose, in calls of one thread, before they are given up for a while: more, if they have
    // gained.
    static constexpr double first_left = 6, most_left = 16, most_waits = 4096;
    double left_ = first_left;
    int waits_ = 0, waited_ = 0;  // so many calls are made alone before threads are tried again, and so many were
};

template <class T>
class Predictor {
  public:
    Predictor(std::vector<OpSpec> ops, ptrdiff_t n_in, const T* theta, T* state, bool bfloat16);

    // If x was not checked before, it is meanwhile: see was_usable().
    void run(const void* x, Type type, ptrdiff_t rows, T* z, int threads, bool checked, bool (*interrupted)());

    ptrdiff_t n_in() const { return prediction_.n_in; }
    ptrdiff_t copies() const { return ops_.back().copies; }
    // Whether so many rows are worth more than one thread.
    bool shares(ptrdiff_t rows) const;
    // Whether so many rows take about as long as waking a thread, or taking back the GIL.
    bool is_soon_over(ptrdiff_t rows) const { return expected(rows) < long_work; }
    // How many numbers it can check itself, for being finite: none of rows with codes of categories, which need more,
    // and few where some may be missing, since a NaN, with which all are checked elsewhere, is found late among many.
    ptrdiff_t most_checked() const { return most_checked_; }
    bool was_interrupted() const { return prediction_.stop.now != 0; }
    // Whether all numbers of the last x were finite, also in the network's type.
    bool was_usable() const { return !prediction_.refused; }

  private:
    void prepare(ptrdiff_t rows, int threads);
    void release();
    int divide(ptrdiff_t rows, int threads);
    void locate(const void* x, Type type, ptrdiff_t rows, T* z, bool checked);
    double expected(ptrdiff_t rows) const;
    int together(ptrdiff_t rows, int threads) const;

    const Kernels& kernels_;
    const std::vector<OpSpec> ops_;
    T* const state_;
    const bool bfloat16_;
    Arena arena_;
    std::vector<std::vector<Operation<T>>> operations_;  // one list per thread, for blocks of prediction_.block rows
    std::vector<Operation<T>*> lists_;
    std::vector<Ends<T>> ends_;
    std::vector<ptrdiff_t> cuts_;
    std::vector<Scratch<T>> scratch_;
    ptrdiff_t most_rows_;  // that pass through the network together
    ptrdiff_t most_checked_ = std::numeric_limits<ptrdiff_t>::max();
    bool casts_ = false;   // numbers of the rows to float32
    bool first_reads_x_;   // without change, as they are given
    double products_ = 0;  // multiplications per row
    ShortCalls short_calls_;
    Prediction<T> prediction_{};
};
