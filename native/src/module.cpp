// The Python module fullyconnected._native. It does not repeat the checks of fullyconnected/engine/native_engine.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <type_traits>

#include "cpu.hpp"
#include "engine.hpp"
#include "rounding.hpp"
#include "thread_pool.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

unsigned long main_thread;  // the thread in which Python handles signals

// Whether Ctrl-C or another signal has raised an exception, which is then set.
bool interrupted() {
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

// The function that a computation calls to see whether to stop: on the main thread alone, since only it gets signals.
bool (*interruption())() { return PyThread_get_thread_ident() == main_thread ? &interrupted : nullptr; }

// If it goes out of scope before `done` is set, it waits for the process to end.
struct OrWaitForTheEnd {
    bool done = false;
    ~OrWaitForTheEnd() {
        while (!done) pause();
    }
};

// Takes the GIL back. A daemon thread may do this when Python has ended, or Python may end while the thread waits: then
// the thread waits for the process to end, as all threads do since Python 3.14. Older versions unwind it through
// calling frames that cannot be unwound; the first object to be unwound, in this frame, waits instead.
[[gnu::noinline]] void restore(PyThreadState* saved) {
    OrWaitForTheEnd restored;
    PyEval_RestoreThread(saved);
    restored.done = true;
}

// Releases the GIL for its lifetime.
class WithoutGil {
  public:
    WithoutGil() : saved_(PyEval_SaveThread()) {}
    ~WithoutGil() { restore(saved_); }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

  private:
    PyThreadState* saved_;
};

Type type_of(const nb::dlpack::dtype& dtype) {
#define FC_TYPE(name, Number) \
    if (dtype == nb::dtype<Number>()) return Type::name;
    FC_TYPES(FC_TYPE)
    if (dtype == nb::dtype<bool>()) return Type::u8;
    throw nb::type_error("the native engine reads float32, float64, integers and bool");
}

// Runs a trainer or a predictor without the GIL, and raises what a signal has raised.
template <class Engine, class... Arguments>
void run_engine(Engine& engine, Arguments... arguments) {
    {
        const auto asked = interruption();
        WithoutGil without;
        engine.run(arguments..., asked);
    }
    if (engine.was_interrupted()) throw nb::python_error();
}

template <class T>
class PyTrainer {
  public:
    PyTrainer(const TrainerSpec& spec, Vector<T> theta, Vector<T> state, Any x, Any t,
              std::optional<Vector<const double>> weights, std::optional<Vector<T>> m, std::optional<Vector<T>> v,
              std::optional<Vector<T>> average_theta, std::optional<Vector<T>> average_state)
        : theta_(theta),
          state_(state),
          x_(x),
          t_(t),
          weights_(weights),
          m_(m),
          v_(v),
          average_theta_(average_theta),
          average_state_(average_state),
          trainer_(spec,
                   {theta.data(), state.data(), (ptrdiff_t)theta.size(), (ptrdiff_t)state.size(),
                    m ? m->data() : nullptr, v ? v->data() : nullptr, average_theta ? average_theta->data() : nullptr,
                    average_state ? average_state->data() : nullptr},
                   data_set(x, t, weights)) {}

    // Reads rows from these arrays from now on.
    void read(Any x, Any t, std::optional<Vector<const double>> weights) {
        x_ = x, t_ = t, weights_ = weights;
        trainer_.read(data_set(x, t, weights));
    }

    // Calls sum(which) where numbers are to be summed over all processes; they are those of buffers(), in that order.
    void share(nb::callable sum) { sum_ = sum; }
    nb::list buffers() {
        nb::list found;
        auto view = [&](auto* data, ptrdiff_t size) {  // without an owner: the trainer itself holds what holds it
            using Number = std::remove_pointer_t<decltype(data)>;
            found.append(
                nb::ndarray<nb::numpy, Number, nb::ndim<1>>(data, {(size_t)size}).cast(nb::rv_policy::reference));
        };
        const auto [gradient, n] = trainer_.exchanged();
        view(gradient, n);
        for (const auto& [totals, size] : trainer_.totals()) view(totals, size);
        return found;
    }

    // The same as epoch, of the rows that this process has of each batch.
    std::tuple<double, int64_t> shared_epoch(Vector<const int64_t> order, Vector<const double> rates,
                                             Vector<const double> decays, Vector<const double> dropouts, uint64_t seed,
                                             int64_t step, bool goes_on, Vector<const int64_t> rows,
                                             Vector<const int64_t> first, Vector<const int64_t> own,
                                             Matrix<const double> weights) {
        callers_ = rounding();
        const Sharing sharing{&PyTrainer::sum, this,       (ptrdiff_t)rows.size(), rows.data(),
                              first.data(),    own.data(), weights.data()};
        trainer_.share(&sharing);
        return epoch(order, rates, decays, dropouts, seed, step, goes_on);
    }

    // Trains on the rows in this order, and returns the mean of the losses of the batches, weighted by their rows (NaN
    // if the run diverged), and the number of steps so far.
    std::tuple<double, int64_t> epoch(Vector<const int64_t> order, Vector<const double> rates,
                                      Vector<const double> decays, Vector<const double> dropouts, uint64_t seed,
                                      int64_t step, bool goes_on) {
        auto given = [](const Vector<const double>& factors) { return factors.size() ? factors.data() : nullptr; };
        run_engine(trainer_, order.data(), (ptrdiff_t)order.size(), rates.data(), given(decays), given(dropouts), seed,
                   step, true, goes_on);
        const Run<T>& run = trainer_.outcome();
        return {run.diverged ? std::numeric_limits<double>::quiet_NaN() : run.total / run.weight, run.step};
    }

    // Returns the loss of all rows as one batch; writes its gradients into `gradient` and `dx`.
    double gradient(Vector<const int64_t> order, uint64_t seed, bool train, Vector<T> gradient, Matrix<T> dx) {
        run_engine(trainer_, order.data(), (ptrdiff_t)order.size(), nullptr, nullptr, nullptr, seed, 0, train, false);
        const Run<T>& run = trainer_.outcome();
        std::copy_n(run.gradient, gradient.size(), gradient.data());
        for (size_t i = 0; i < dx.shape(0); i++)
            std::copy_n(trainer_.input_gradient((ptrdiff_t)i), dx.shape(1), dx.data() + i * dx.shape(1));
        return run.value;
    }

    int64_t step() const { return trainer_.outcome().step; }
    double rate() const { return trainer_.outcome().rate; }
    ptrdiff_t last_batch() const { return trainer_.outcome().last_from; }
    bool tiny() const { return trainer_.outcome().tiny != nullptr; }

  private:
    // Sums over all processes, by Python; an exception stops the run, and is raised when that has ended.
    static void sum(void* self_, int which) {
        PyTrainer& self = *static_cast<PyTrainer*>(self_);
        if (self.trainer_.was_interrupted()) return;
        const Rounding ours = rounding();
        set_rounding(self.callers_);
        {
            nb::gil_scoped_acquire gil;
            try {
                self.sum_(which);
            } catch (nb::python_error& error) {
                error.restore();
                self.trainer_.stop();
            }
        }
        set_rounding(ours);
    }

    static DataSet data_set(const Any& x, const Any& t, const std::optional<Vector<const double>>& weights) {
        return {x.data(),
                type_of(x.dtype()),
                t.data(),
                t.ndim() == 1,
                weights ? weights->data() : nullptr,
                weights ? (ptrdiff_t)(weights->size() / t.shape(0)) : 1};
    }

    Vector<T> theta_, state_;  // kept alive, since trainer_ points into these arrays
    Any x_, t_;
    std::optional<Vector<const double>> weights_;
    std::optional<Vector<T>> m_, v_, average_theta_, average_state_;
    Trainer<T> trainer_;
    nb::callable sum_;
    Rounding callers_{};
};

template <class T>
class PyPredictor {
  public:
    PyPredictor(const std::vector<OpSpec>& ops, ptrdiff_t n_in, Vector<const T> theta, Vector<T> state, bool bfloat16,
                nb::callable n_threads)
        : theta_(theta),
          state_(state),
          predictor_(ops, n_in, theta.data(), state.data(), bfloat16),
          n_threads_(std::move(n_threads)) {}

    // Writes the outputs of the rows of x into z.
    void predict(Any x, Matrix<T> z, std::optional<int> threads) {
        const ptrdiff_t rows = (ptrdiff_t)z.shape(0) / predictor_.copies();
        run_engine(predictor_, x.data(), type_of(x.dtype()), rows, z.data(), threads ? *threads : threads_for(rows),
                   true);
    }

    // Writes the outputs of the rows of x into z and returns true, if x can be read as it is and all its numbers are
    // finite; else returns false. If it is soon over it keeps the GIL, since taking it back would take longer.
    template <class From>
    bool row(nb::ndarray<const From, nb::ndim<2>, nb::c_contig, nb::device::cpu> x, Matrix<T> z) {
        if ((ptrdiff_t)x.shape(1) != predictor_.n_in()) return false;
        if ((ptrdiff_t)x.size() > predictor_.most_checked() || (uintptr_t)x.data() % sizeof(From)) return false;
        const Type type = sizeof(From) == 4 ? Type::f32 : Type::f64;
        const ptrdiff_t rows = (ptrdiff_t)x.shape(0);
        const int threads = threads_for(rows);
        if (predictor_.is_soon_over(rows))
            predictor_.run(x.data(), type, rows, z.data(), threads, false, nullptr);
        else
            run_engine(predictor_, x.data(), type, rows, z.data(), threads, false);
        return predictor_.was_usable();
    }

  private:
    // The number of threads for so many rows. To ask for it takes a third of the time of a row of a wide network, so an
    // answer holds for a moment.
    int threads_for(ptrdiff_t rows) {
        if (!predictor_.shares(rows)) return 1;
        const double t = now();
        if (t > until_) {
            threads_ = nb::cast<int>(n_threads_());
            until_ = t + moment;
        }
        const int limit = fullyconnected_get_num_threads();
        return limit ? std::min(threads_, limit) : threads_;
    }

    static constexpr double moment = 0.01;  // seconds

    Vector<const T> theta_;
    Vector<T> state_;
    Predictor<T> predictor_;
    nb::callable n_threads_;
    int threads_ = 1;
    double until_ = 0;
};

template <class T>
Vector<T> evaluate(const std::string& name, Vector<const T> x, Vector<T> y) {
    if (!entry_of<T>(best_kernels()).evaluate(name.c_str(), x.data(), y.data(), (ptrdiff_t)x.size()))
        throw nb::value_error(("there is no vector function " + name).c_str());
    return y;
}

// Calls work(thread) on each of `threads` threads, in some rounds; returns the seconds of the fastest round.
template <class Work>
double fastest(int threads, int rounds, Work work) {
    double best = std::numeric_limits<double>::infinity();
    ThreadPool* pool = threads > 1 ? borrow_pool(threads) : nullptr;
    if (threads > 1 && !pool) throw std::runtime_error("no more threads can be started");
    for (int i = 0; i < rounds; i++) {
        const double began = now();
        if (pool)
            run(pool, [](void* w, int thread) { (*static_cast<Work*>(w))(thread); }, &work);
        else
            work(0);
        best = std::min(best, now() - began);
    }
    if (pool) give_back(pool);
    return best;
}

// The peak speed of multiplications and additions in registers, in 10^9 operations per second.
double fma_peak(int threads) {
    const Kernels& kernels = best_kernels();
    WithoutGil without;
    constexpr int64_t rounds = 100'000;  // in less than a millisecond, in which other programs seldom come between
    double operations = 0;
    const double seconds = fastest(threads, 100, [&](int thread) {
        const double done = kernels.f32.fma(rounds);
        if (thread == 0) operations = done;
    });
    return operations * threads / seconds / 1e9;
}

// The seconds of one product of an m x k and a k x n matrix of float32, which it also writes into `out`; a turned
// matrix is stored transposed. Rows lie as those of a step do: all but those of W and of its gradient x' dy begin at
// cache lines.
double product_seconds(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, bool turn_a, bool turn_b, int threads, int rounds,
                       std::optional<Matrix<float>> out, bool bfloat16) {
    if (out && ((ptrdiff_t)out->shape(0) != m || (ptrdiff_t)out->shape(1) != n))
        throw nb::value_error("out has another shape than the product");
    const Kernels& all = best_kernels();
    const Entry<float>& kernels = all.f32;
    const Bfloat16* way = bfloat16 ? &best_bfloat16(all) : nullptr;
    WithoutGil without;
    Arena arena;
    auto made = [&](ptrdiff_t rows, ptrdiff_t columns, bool aligned, ptrdiff_t period) {
        const ptrdiff_t row = aligned ? padded<float>(columns) : columns;
        const Rows<float> matrix = {arena.take<float>(rows * row), row};
        for (ptrdiff_t i = 0; period && i < rows * columns; i++)  // whole numbers around zero
            matrix.data[i / columns * row + i % columns] = (float)(i % period - period / 2);
        return matrix;
    };
    const Rows<float> a = turn_a ? made(k, m, true, 7) : made(m, k, true, 7);
    const Rows<float> b = turn_b ? made(n, k, false, 5) : made(k, n, turn_a, 5);
    const Rows<float> c = made(m, n, !turn_a, 0);
    std::vector<Scratch<float>> scratch;
    for (int i = 0; i < threads; i++) scratch.push_back(scratch_of<float>(arena, all, 0, way));
    const double seconds = fastest(threads, rounds, [&](int thread) {
        kernels.products(m, n, k, turn_a, turn_b, {a.data, a.row}, {b.data, b.row}, c, scratch[(size_t)thread], thread,
                         threads);
    });
    for (ptrdiff_t i = 0; out && i < m; i++) std::copy_n(c.data + i * c.row, n, out->data() + i * n);
    return seconds;
}

template <class T>
void bind(nb::module_& m, const char* trainer, const char* predictor) {
    using Other = std::conditional_t<sizeof(T) == 4, double, float>;
    nb::class_<PyTrainer<T>>(m, trainer)
        .def(nb::init<const TrainerSpec&, Vector<T>, Vector<T>, Any, Any, std::optional<Vector<const double>>,
                      std::optional<Vector<T>>, std::optional<Vector<T>>, std::optional<Vector<T>>,
                      std::optional<Vector<T>>>(),
             "spec"_a, nb::kw_only(), "theta"_a, "state"_a, "x"_a, "t"_a, "weights"_a.none(), "m"_a.none(),
             "v"_a.none(), "average_theta"_a.none(), "average_state"_a.none())
        .def("epoch", &PyTrainer<T>::epoch, "order"_a, "rates"_a, "decays"_a, "dropouts"_a, "seed"_a, "step"_a,
             "goes_on"_a)
        .def("share", &PyTrainer<T>::share, "sum"_a)
        .def("buffers", &PyTrainer<T>::buffers)
        .def("shared_epoch", &PyTrainer<T>::shared_epoch, "order"_a, "rates"_a, "decays"_a, "dropouts"_a, "seed"_a,
             "step"_a, "goes_on"_a, "rows"_a, "first"_a, "own"_a, "weights"_a)
        .def("read", &PyTrainer<T>::read, "x"_a, "t"_a, "weights"_a.none())
        .def("gradient", &PyTrainer<T>::gradient, "order"_a, "seed"_a, "train"_a, "gradient"_a, "dx"_a)
        .def_prop_ro("step", &PyTrainer<T>::step)
        .def_prop_ro("rate", &PyTrainer<T>::rate)
        .def_prop_ro("last_batch", &PyTrainer<T>::last_batch)
        .def_prop_ro("tiny", &PyTrainer<T>::tiny, "Whether it takes the way of tiny networks, for tests.");
    nb::class_<PyPredictor<T>>(m, predictor)
        .def(nb::init<const std::vector<OpSpec>&, ptrdiff_t, Vector<const T>, Vector<T>, bool, nb::callable>(), "ops"_a,
             "n_in"_a, "theta"_a, "state"_a, "bfloat16"_a, "n_threads"_a)
        .def("predict", &PyPredictor<T>::predict, "x"_a, "z"_a, "threads"_a.none())
        .def("row", &PyPredictor<T>::template row<T>, nb::arg("x").noconvert(), "z"_a)
        .def("row", &PyPredictor<T>::template row<Other>, nb::arg("x").noconvert(), "z"_a)
        .def("row", [](PyPredictor<T>&, nb::handle, nb::handle) { return false; }, "x"_a, "z"_a);
    m.def("evaluate", &evaluate<T>, "name"_a, "x"_a, "y"_a, "Write a vector function of x into y, and return y.");
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "The native engine: the network's program in C++.";
    nb::set_leak_warnings(false);  // daemon threads may still hold objects when Python ends
    main_thread = nb::cast<unsigned long>(nb::module_::import_("threading").attr("main_thread")().attr("ident"));
    m.def(
        "kernels", [] { return name_of(best_kernels()); },
        "Return the name of the kernels in use: the best for this processor, or those that FULLYCONNECTED_CPU names.");
    m.def("usable_kernels", &usable_kernels, "Return the names of the kernels that this processor runs, best first.");
    m.def(
        "usable_bfloat16",
        [] {
            std::vector<std::string> names;
            for (const Bfloat16* way : ways_of_bfloat16(best_kernels())) names.emplace_back(way->name);
            return names;
        },
        "Return the names of the ways in which the kernels in use multiply bfloat16, the best first.");
    auto sizes = [](const Caches& found) { return std::tuple(found.l1, found.l2, found.l3, found.sharing_l3); };
    m.def(
        "caches", [sizes] { return sizes(caches()); },
        "Return the bytes of the caches of three levels, and how many logical processors share the third: those of "
        "this "
        "processor, or those that FULLYCONNECTED_CACHES says.");
    m.def(
        "caches_in", [sizes](const std::string& folder) { return sizes(caches_in(folder)); }, "folder"_a,
        "Return the same as a folder in the form of Linux's /sys/devices/system/cpu says it.");
    m.def("thread_limit", &fullyconnected_get_num_threads, "Return the limit that threadpoolctl has set, or 0.");
    m.def("fma_peak", &fma_peak, "threads"_a, "Return the peak speed of arithmetic in registers, in GFLOP/s.");
    m.def("product_seconds", &product_seconds, "m"_a, "n"_a, "k"_a, "turn_a"_a, "turn_b"_a, "threads"_a, "rounds"_a,
          "out"_a.none() = nb::none(), "bfloat16"_a = false,
          "Return the seconds of a matrix product, the fastest of `rounds` rounds, and write the product into `out`.");
    nb::class_<OpSpec>(m, "OpSpec")
        .def(nb::init<>())
        .def_rw("kind", &OpSpec::kind)
        .def_rw("function", &OpSpec::function)
        .def_rw("n_in", &OpSpec::n_in)
        .def_rw("n_out", &OpSpec::n_out)
        .def_rw("setting", &OpSpec::setting)
        .def_rw("scale", &OpSpec::scale)
        .def_rw("momentum", &OpSpec::momentum)
        .def_rw("factor", &OpSpec::factor)
        .def_rw("bias", &OpSpec::bias)
        .def_rw("at", &OpSpec::at)
        .def_rw("sizes", &OpSpec::sizes)
        .def_rw("lr", &OpSpec::lr)
        .def_rw("decay", &OpSpec::decay)
        .def_rw("hidden", &OpSpec::hidden)
        .def_rw("state_at", &OpSpec::state_at)
        .def_rw("layer", &OpSpec::layer)
        .def_rw("partner", &OpSpec::partner)
        .def_rw("copies_in", &OpSpec::copies_in)
        .def_rw("copies", &OpSpec::copies)
        .def_rw("members", &OpSpec::members)
        .def_rw("means", &OpSpec::means)
        .def_rw("scales", &OpSpec::scales)
        .def_rw("clip", &OpSpec::clip)
        .def_rw("missing", &OpSpec::missing)
        .def_rw("levels", &OpSpec::levels)
        .def_rw("raw", &OpSpec::raw)
        .def_rw("columns", &OpSpec::columns)
        .def_rw("reads", &OpSpec::reads)
        .def_rw("frequencies", &OpSpec::frequencies)
        .def_rw("phases", &OpSpec::phases)
        .def_rw("rectified", &OpSpec::rectified)
        .def_rw("edges", &OpSpec::edges)
        .def_rw("used", &OpSpec::used);
    nb::class_<LossSpec>(m, "LossSpec")
        .def(nb::init<>())
        .def_rw("name", &LossSpec::name)
        .def_rw("setting", &LossSpec::setting);
    nb::class_<OptimizerSpec>(m, "OptimizerSpec")
        .def(nb::init<>())
        .def_rw("rule", &OptimizerSpec::rule)
        .def_rw("decay", &OptimizerSpec::decay)
        .def_rw("beta1", &OptimizerSpec::beta1)
        .def_rw("beta2", &OptimizerSpec::beta2)
        .def_rw("epsilon", &OptimizerSpec::epsilon)
        .def_rw("epsilon_hat", &OptimizerSpec::epsilon_hat)
        .def_rw("weight_decay", &OptimizerSpec::weight_decay)
        .def_rw("nesterov", &OptimizerSpec::nesterov)
        .def_rw("rounds", &OptimizerSpec::rounds)
        .def_rw("rest", &OptimizerSpec::rest)
        .def_rw("relative_lr", &OptimizerSpec::relative_lr);
    nb::class_<TrainerSpec>(m, "TrainerSpec")
        .def(nb::init<>())
        .def_rw("ops", &TrainerSpec::ops)
        .def_rw("loss", &TrainerSpec::loss)
        .def_rw("optimizer", &TrainerSpec::optimizer)
        .def_rw("n_in", &TrainerSpec::n_in)
        .def_rw("batch_size", &TrainerSpec::batch_size)
        .def_rw("least_rows", &TrainerSpec::least_rows)
        .def_rw("l2", &TrainerSpec::l2)
        .def_rw("alpha", &TrainerSpec::alpha)
        .def_rw("max_norm", &TrainerSpec::max_norm)
        .def_rw("threads", &TrainerSpec::threads)
        .def_rw("input_gradient", &TrainerSpec::input_gradient)
        .def_rw("shares", &TrainerSpec::shares)
        .def_rw("bfloat16", &TrainerSpec::bfloat16)
        .def_rw("average_decay", &TrainerSpec::average_decay)
        .def_rw("average_warms_up", &TrainerSpec::average_warms_up);
    bind<float>(m, "TrainerFloat32", "PredictorFloat32");
    bind<double>(m, "TrainerFloat64", "PredictorFloat64");
}
