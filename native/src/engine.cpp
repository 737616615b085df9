#include "engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "cpu.hpp"
#include "rounding.hpp"
#include "thread_pool.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

namespace {

constexpr ptrdiff_t huge_page = 1 << 21;        // larger buffers get huge pages
constexpr ptrdiff_t prediction_rows = 384;      // rows that run together: their outputs stay in cache
constexpr ptrdiff_t worth_cutting = 128;        // rows of a thread
constexpr ptrdiff_t numbers_before_nan = 4096;  // so many may be predicted in vain
constexpr ptrdiff_t fewest_rows = 6;            // rows of a thread that has its own
constexpr ptrdiff_t few_rows = 48;  // so few are shared by columns: each thread then reads a part of the weights
constexpr double per_weight = 0.08, per_product = 0.025;  // nanoseconds: to read one, and to multiply and add
constexpr double fewest_work = 8e3;                       // nanoseconds of a thread that has a part of some rows
constexpr double soon = 50e-6;                            // seconds until the next call that finds the threads awake
constexpr double poll_every = 0.05;                       // seconds

template <class E>
using Names = std::vector<std::pair<const char*, E>>;

#define FC_KIND(name) {#name, Kind::name},
#define FC_FUNCTION(name, kept) {#name, Function::name},
#define FC_LOSS(name) {#name, LossKind::name},
#define FC_RULE(name) {#name, Rule::name},
const Names<Kind> kinds = {FC_KINDS(FC_KIND)};
const Names<Function> functions = {
    FC_FUNCTIONS(FC_FUNCTION){"selu", Function::elu}, {"identity", Function::identity}, {"softmax", Function::softmax}};
const Names<LossKind> losses = {FC_TERMS(FC_LOSS){"hinge", LossKind::hinge},
                                {"softmax_cross_entropy", LossKind::softmax_cross_entropy}};
const Names<Rule> rules = {FC_RULES(FC_RULE){"adamw", Rule::adam}, {"muon", Rule::muon}, {"none", Rule::none}};

template <class E>
E named(const Names<E>& names, const std::string& name) {
    for (const auto& [known, value] : names)
        if (name == known) return value;
    throw std::invalid_argument("the native engine has no " + name);
}

template <class T>
Rows<T> rows_of(Arena& arena, ptrdiff_t rows, ptrdiff_t n) {
    return {arena.take<T>(rows * padded<T>(n)), padded<T>(n)};
}

template <class N>
const N* copied(Arena& arena, const std::vector<N>& from) {
    N* to = arena.take<N>((ptrdiff_t)from.size());
    std::copy(from.begin(), from.end(), to);
    return to;
}

// Where branches end: each writes its outputs into columns of their own of the rows that join them.
template <class T>
class Joined {
  public:
    Joined(Arena& arena, const std::vector<OpSpec>& specs, ptrdiff_t rows) {
        const auto end =
            std::find_if(specs.begin(), specs.end(), [](const OpSpec& s) { return s.kind == "concatenate"; });
        if (end == specs.end()) return;
        Rows<T> at = rows_of<T>(arena, rows, end->n_out);
        places_.emplace_back((int)(end - specs.begin()), at);
        for (int part : end->reads) {
            places_.emplace_back(part, at);
            at.data += specs[(size_t)part].n_out;
        }
    }

    // The rows that an operation writes to, if they are these or columns of them.
    const Rows<T>* place_of(int operation) const {
        for (const auto& [known, place] : places_)
            if (known == operation) return &place;
        return nullptr;
    }

  private:
    std::vector<std::pair<int, Rows<T>>> places_;
};

template <class T>
void select_columns(Arena& arena, Operation<T>& op, const std::vector<int64_t>& columns) {
    if (columns.empty()) return;
    for (size_t j = 1; j < columns.size() && !op.columns; j++)
        if (columns[j] != columns[j - 1] + 1) op.columns = copied(arena, columns);
    if (!op.columns) op.first_column = (ptrdiff_t)columns.front();
}

// The operations of a program with memory for `rows` rows, each reading the output of the one before. Buffers that only
// the backward pass needs are allocated only if it `trains`.
template <class T>
std::vector<Operation<T>> bound(Arena& arena, const std::vector<OpSpec>& specs, T* state, ptrdiff_t rows, bool trains) {
    std::vector<Operation<T>> operations;
    const Joined<T> joined(arena, specs, rows);
    const Rows<T> input = specs.front().raw ? Rows<T>{} : rows_of<T>(arena, rows, specs.front().n_in);
    for (const OpSpec& spec : specs) {
        Operation<T> op{};
        op.kind = named(kinds, spec.kind);
        op.function = named(functions, spec.function);
        op.n_in = spec.n_in, op.n_out = spec.n_out;
        op.setting = spec.setting, op.scale = spec.scale, op.momentum = spec.momentum;
        op.factor = (T)spec.factor;
        op.bias = spec.bias;
        Part* parts[] = {&op.first, &op.second, &op.third, &op.fourth};
        for (size_t i = 0; i < spec.sizes.size(); i++)
            *parts[i] = {spec.at[i], spec.sizes[i], spec.lr[i], spec.decay[i], 0, 0, spec.hidden && i == 0};
        op.frequencies = spec.frequencies, op.phases = spec.phases, op.rectified = spec.rectified;
        op.layer = spec.layer, op.partner = spec.partner;
        op.clip = spec.clip, op.missing = spec.missing;
        op.levels = spec.levels;
        op.raw = spec.raw;
        select_columns(arena, op, spec.columns);
        op.before = spec.reads.empty() ? -1 : spec.reads.front();
        op.x = op.before < 0 ? input : operations[(size_t)op.before].y;
        op.copies_in = spec.copies_in, op.copies = spec.copies, op.members = spec.members;
        const ptrdiff_t every = rows * op.copies;
        const Rows<T>* place = joined.place_of((int)operations.size());
        op.y = place ? *place : op.kind == Kind::save ? op.x : rows_of<T>(arena, every, op.n_out);
        if (op.levels) op.codes = arena.take<int64_t>(rows);
        const bool normalises = op.kind == Kind::layer_norm || op.kind == Kind::rms_norm || op.kind == Kind::batch_norm;
        const bool bends = op.clip || op.missing;  // its derivative is not the same in each row
        const bool keeps = op.kind == Kind::dropout || op.kind == Kind::save || bends || keeps_derivative(op.function);
        if (op.kind == Kind::layer_norm || (trains && (normalises || keeps)))
            op.kept = rows_of<T>(arena, every, op.n_out);
        if (op.kind == Kind::parametric && trains) op.inner = rows_of<T>(arena, every, op.n_out);
        if (op.kind == Kind::periodic_embedding) {
            op.kept = rows_of<T>(arena, op.n_in * (2 + op.n_out / op.n_in), rows);
            if (trains) op.inner = rows_of<T>(arena, op.n_in * 2 * op.frequencies, rows);
        }
        if (!spec.edges.empty()) {
            op.edges = copied(arena, std::vector<T>(spec.edges.begin(), spec.edges.end()));
            op.used = copied(arena, spec.used);
            op.bins = (ptrdiff_t)spec.edges.size() / op.n_in - 1;
            op.kept = rows_of<T>(arena, op.n_in * lines_of_bins, rows);
            if (op.kind == Kind::piecewise_linear_embedding)
                op.inner = rows_of<T>(arena, op.n_in * op.bins, op.n_out / op.n_in);
        }
        op.rates = std::max(rows, op.n_in);
        if (normalises) op.rate = arena.take<T>(op.rates * std::max<ptrdiff_t>(1, op.members));
        if (op.kind == Kind::batch_norm)
            op.running_mean = state + spec.state_at,
            op.running_var = op.running_mean + op.n_in * std::max<ptrdiff_t>(1, op.members);
        if (!spec.means.empty()) {
            op.means = copied(arena, spec.means);
            op.scales = copied(arena, spec.scales);
        }
        operations.push_back(op);
    }
    return operations;
}

// Gives the operations of branches gradients of their own: those of the ends are columns of the joined one, which must
// last until the last branch has been passed.
template <class T>
void bind_branches(Arena& arena, std::vector<Operation<T>>& operations, const std::vector<OpSpec>& specs,
                   ptrdiff_t rows) {
    for (size_t end = 0; end < operations.size(); end++) {
        if (operations[end].kind != Kind::concatenate) continue;
        Rows<T> dy = operations[end].dy;
        for (int part : specs[end].reads) {
            operations[(size_t)part].dy = dy;
            dy.data += operations[(size_t)part].n_out;
        }
        for (size_t i = 0; i < end; i++) {
            Operation<T>& op = operations[i];
            if (!op.dx.data) continue;
            op.dx = rows_of<T>(arena, rows, op.n_in);
            if (op.before >= 0) operations[(size_t)op.before].dy = op.dx;
        }
    }
}

// Finds the columns that a dense layer looks up, where it alone reads them and no gradient of theirs is wanted.
template <class T>
void look_up(Arena& arena, std::vector<Operation<T>>& operations, const std::vector<OpSpec>& specs) {
    for (size_t i = 0; i < operations.size(); i++) {
        Operation<T>& op = operations[i];
        if (op.kind != Kind::dense || op.before < 0 || op.dx.data) continue;
        const OpSpec& read = specs[(size_t)op.before];
        if (std::count_if(specs.begin(), specs.end(), [&](const OpSpec& other) {
                return std::count(other.reads.begin(), other.reads.end(), op.before) > 0;
            }) > 1)
            continue;
        std::vector<Lookup<T>> lookups;
        std::vector<Range> plain;
        ptrdiff_t at = 0;
        for (int part : read.kind == "concatenate" ? read.reads : std::vector<int>{op.before}) {
            Operation<T>& from = operations[(size_t)part];
            from.unwritten = from.kind == Kind::one_hot || from.kind == Kind::piecewise_linear_encoding;
            if (from.kind == Kind::one_hot) {
                lookups.push_back({at, from.n_out, from.codes, nullptr, nullptr});
            } else if (from.unwritten) {
                const ptrdiff_t size = from.n_out / from.n_in;
                for (ptrdiff_t j = 0; j < from.n_in; j++) {
                    const T* lines = from.kept.data + lines_of_bins * j * from.kept.row;
                    lookups.push_back({at + j * size, size, nullptr, lines + line_of_bin * from.kept.row,
                                       lines + line_of_share * from.kept.row});
                }
            } else if (!plain.empty() && plain.back().to == at) {
                plain.back().to += from.n_out;
            } else {
                plain.push_back({at, at + from.n_out});
            }
            at += from.n_out;
        }
        if (lookups.empty()) continue;
        op.lookups = copied(arena, lookups), op.n_lookups = (int)lookups.size();
        op.plain = copied(arena, plain), op.n_plain = (int)plain.size();
    }
}

template <class T>
std::vector<Scratch<T>> scratch_for(Arena& arena, const Kernels& kernels, int threads,
                                    const std::vector<Operation<T>>& operations, bool bfloat16) {
    const Bfloat16* way = bfloat16 ? &best_bfloat16(kernels) : nullptr;
    ptrdiff_t sums = 0;
    for (const Operation<T>& op : operations) {
        ptrdiff_t bins = 0;
        for (int i = 0; i < op.n_lookups; i++) bins += op.lookups[i].codes ? 0 : op.lookups[i].size;
        sums = std::max(sums, bins * op.n_out);
    }
    std::vector<Scratch<T>> scratch;
    for (int i = 0; i < threads; i++) scratch.push_back(scratch_of<T>(arena, kernels, sums, way));
    return scratch;
}

template <class T>
Optimizing<T> optimizing(const OptimizerSpec& spec, const Vectors<T>& vectors) {
    Optimizing<T> rule{};
    rule.rule = named(rules, spec.rule);
    rule.decay = spec.decay, rule.beta1 = spec.beta1, rule.beta2 = spec.beta2;
    rule.epsilon = spec.epsilon, rule.epsilon_hat = spec.epsilon_hat;
    rule.weight_decay = spec.weight_decay;
    rule.m = vectors.m, rule.v = vectors.v;
    rule.nesterov = spec.nesterov, rule.rounds = spec.rounds, rule.relative_lr = spec.relative_lr;
    return rule;
}

// Sets where the slots of each parameter begin: those of one name lie one after the other, as the parameters do.
template <class T>
void place_slots(const Run<T>& run, std::vector<Operation<T>>& operations) {
    ptrdiff_t m_at = 0, v_at = 0;
    std::vector<Part*> parts;  // in their order in theta
    for (Operation<T>& op : operations) {
        op.first.hidden = op.first.hidden && run.optimizer.rule == Rule::muon;
        for (Part* part : {&op.first, &op.second, &op.third, &op.fourth})
            if (part->size) parts.push_back(part);
    }
    std::sort(parts.begin(), parts.end(), [](const Part* a, const Part* b) { return a->at < b->at; });
    for (Part* part : parts) {
        const Rule rule = (part->hidden ? run.optimizer : run.rest).rule;
        const bool has_m = rule == Rule::adam, has_v = rule != Rule::sgd && rule != Rule::none;
        part->m_at = has_m ? m_at : part->at, part->v_at = has_v ? v_at : part->at;
        m_at += has_m ? part->size : 0, v_at += has_v ? part->size : 0;
    }
}

// Memory for the rounds of the largest hidden matrix; on every thread but the first, of those of members alone.
template <class T>
Orthogonal<T> orthogonal_for(Arena& arena, const std::vector<Operation<T>>& operations, bool first) {
    ptrdiff_t m = 0, n = 0, small = 0;
    for (const Operation<T>& op : operations)
        if (op.first.hidden && (first || op.members))
            m = std::max(m, op.n_in), n = std::max(n, op.n_out), small = std::max(small, std::min(op.n_in, op.n_out));
    return {rows_of<T>(arena, m, n), rows_of<T>(arena, m, n), rows_of<T>(arena, small, small),
            rows_of<T>(arena, small, small)};
}

// Calls `interrupted`, not too often; this may run a Python signal handler, so the caller's floating-point mode is set.
struct Poll {
    bool (*interrupted)();
    Stop* stop;
    double last;
    Rounding callers = rounding();

    static void ask(void* self_) {
        Poll& self = *static_cast<Poll*>(self_);
        if (!self.interrupted || self.stop->now) return;
        if (const double time = now(); time - self.last > poll_every) {
            self.last = time;
            const Rounding ours = rounding();
            set_rounding(self.callers);
            if (self.interrupted()) __atomic_store_n(&self.stop->now, 1, __ATOMIC_RELAXED);
            set_rounding(ours);
        }
    }
};

// Whether all of n numbers are finite, that is, none has all bits of the exponent set.
template <class T>
bool all_finite(const T* from, ptrdiff_t n) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr Bits exponent = sizeof(T) == 4 ? (Bits)0x7f800000u : (Bits)0x7ff0000000000000u;
    Bits found = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        Bits bits;
        std::memcpy(&bits, from + i, sizeof bits);
        found |= (Bits)((bits & exponent) == exponent);
    }
    return !found;
}

// Runs work(&what, thread) on the threads of a pool that was borrowed, or on one thread if it is null; sets
// what.threads.
template <class What>
void on_pool(What& what, ThreadPool* pool, void (*work)(What*, int)) {
    struct Call {
        What* what;
        void (*work)(What*, int);
    } call{&what, work};
    what.pool = pool;
    what.threads = pool ? pool_size(pool) : 1;
    if (!pool) return work(&what, 0);
    ::run(
        pool,
        [](void* call_, int thread) {
            Call& c = *static_cast<Call*>(call_);
            c.work(c.what, thread);
        },
        &call);
    give_back(pool);
    what.pool = nullptr;
}

}  // namespace

template <class T>
T* Arena::take(ptrdiff_t n, bool filled) {
    const size_t bytes = ((size_t)n * sizeof(T) + line - 1) / line * line + line;  // vectors may be read past the end
    const bool large = bytes >= (size_t)huge_page;
    const size_t align = large ? huge_page : line, size = (bytes + align - 1) / align * align;
    void* memory = std::aligned_alloc(align, size);
    if (!memory) throw std::bad_alloc();
    blocks_.emplace_back(memory);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (large) madvise(memory, size, MADV_HUGEPAGE);
#endif
    if (filled) std::memset(memory, 0xff, bytes);
    return static_cast<T*>(memory);
}

// A's block stays in the second-level cache, or in a quarter of what a thread may use of the third: both are faster
// than memory, and the panels of B are copied anew for each block.
template <class T>
Scratch<T> scratch_of(Arena& arena, const Kernels& kernels, ptrdiff_t sums, const Bfloat16* way) {
    constexpr ptrdiff_t most = 1 << 20;
    const Caches& known = caches();
    const ptrdiff_t bytes = std::min(most, std::max(known.l2 / 4 * 3, known.l3 / known.sharing_l3 / 4));
    const Entry<T>& entry = entry_of<T>(kernels);
    const ptrdiff_t size_a = std::max(entry.least_a, bytes / (ptrdiff_t)sizeof(T));
    return {arena.take<T>(size_a, false),
            size_a,
            arena.take<T>(entry.scratch_b, false),
            arena.take<T>(entry.scratch_tile, false),
            arena.take<T>(sums, false),
            false,
            way,
            arena.take<uint16_t>(way ? kernels.scratch_packed : 0, false)};
}

template <class T>
Trainer<T>::Trainer(const TrainerSpec& spec, const Vectors<T>& vectors, const DataSet& data)
    : kernels_(best_kernels()), state_(vectors.state), n_state_(vectors.n_state) {
    const ptrdiff_t batch_size = spec.batch_size, n_params = vectors.n_params;
    const ptrdiff_t most = batch_size + spec.least_rows - 1;  // rows of the largest batch
    operations_ = bound<T>(arena_, spec.ops, vectors.state, most, true);
    const int n = (int)operations_.size();
    run_.optimizer = optimizing<T>(spec.optimizer, vectors);
    run_.rest = spec.optimizer.rest.empty() ? run_.optimizer : optimizing<T>(spec.optimizer.rest.front(), vectors);
    place_slots(run_, operations_);
    run_.operations = operations_.data();
    run_.n_operations = n;
    run_.first = 0;
    auto learns = [&](const Part& part) { return part.size && (spec.input_gradient || part.lr_factor != 0); };
    auto has_to = [&](const Operation<T>& op) {
        const Part parts[] = {op.first, op.second, op.third, op.fourth};
        return spec.input_gradient || std::any_of(parts, parts + 4, learns);
    };
    while (run_.first < n && !has_to(operations_[run_.first])) run_.first++;
    run_.theta = vectors.theta;
    run_.gradient = arena_.take<T>(n_params + 2);
    int which = 0;
    for (Operation<T>& op : operations_) {
        if (op.kind != Kind::batch_norm || !spec.shares) continue;
        const ptrdiff_t size = 2 * op.n_in * std::max<ptrdiff_t>(1, op.members);
        op.totals = arena_.take<double>(size), op.moments = arena_.take<T>(size), op.which = ++which;
    }
    run_.n_params = n_params;

    ptrdiff_t size = operations_.back().copies * padded<T>(operations_.back().n_out);
    for (int i = run_.first; i < n; i++) {
        const Operation<T>& op = operations_[i];
        size = std::max({size, op.copies_in * padded<T>(op.n_in), op.copies * padded<T>(op.n_out)});
    }
    T* turns[2] = {arena_.take<T>(most * size), arena_.take<T>(most * size)};
    double products = 0;
    ptrdiff_t numbers = 0;
    std::vector<char> has_gradient;  // whether parameters up to each operation learn
    for (int i = 0; i < n; i++) {    // two buffers alternate: operation i reads what operation i + 1 wrote
        Operation<T>& op = operations_[i];
        op.dy = {turns[i % 2], padded<T>(op.n_out)};
        const std::vector<int>& reads = spec.ops[(size_t)i].reads;
        const bool passes_on =
            std::any_of(reads.begin(), reads.end(), [&](int j) { return has_gradient[(size_t)j] != 0; });
        has_gradient.push_back(has_to(op) || passes_on);
        if (spec.input_gradient || passes_on) op.dx = {turns[(i + 1) % 2], padded<T>(op.n_in)};
    }
    bind_branches(arena_, operations_, spec.ops, most);
    look_up(arena_, operations_, spec.ops);
    for (int i = 0; i < n; i++) {
        Operation<T>& op = operations_[i];
        if (op.kind == Kind::dense && op.before >= 0) {
            Operation<T>& previous = operations_[op.before];
            const bool together = op.members == previous.members && (!op.members || op.copies_in > 1);
            previous.derivative_done =
                previous.kind == Kind::dense && previous.function != Function::softmax && op.dx.data && together;
        }
        if (op.kind == Kind::dense) {
            const double rows = (double)(batch_size * op.copies);
            products = std::max(products, rows * (double)op.n_in * (double)op.n_out);
            if (op.members && op.copies_in == 1 && op.dx.data) op.part = rows_of<T>(arena_, most, op.n_in);
        }
        numbers = std::max(
            numbers, batch_size * std::max({op.copies_in * op.n_in, op.copies * op.n_out, op.n_in * op.frequencies}));
        for (const Part& part : {op.first, op.second, op.third, op.fourth})
            if (learns(part)) parts_.push_back(part);
    }
    run_.parts = parts_.data();
    run_.n_parts = (int)parts_.size();
    // if no phase is large enough to share, one thread runs without a pool
    const bool alone = products < enough_products && numbers < enough_numbers && n_params < enough_numbers;
    run_.threads = alone ? 1 : std::max(1, spec.threads);

    run_.z = operations_.back().y;
    run_.n_in = spec.n_in;
    run_.gathered = spec.n_in + operations_.back().n_out;
    for (Operation<T>& op : operations_) {
        if (op.clip) run_.gathered += 7 * op.n_in;
        if (op.kind == Kind::standardize && !op.dx.data) op.kept = {};
    }
    run_.n_out = operations_.back().n_out;
    run_.dz = operations_.back().dy;
    run_.copies = operations_.back().copies;
    const ptrdiff_t every = most * run_.copies;
    run_.batch_t = {data.classes ? nullptr : arena_.take<T>(every * run_.n_out), run_.n_out};
    run_.batch_classes = data.classes ? arena_.take<int64_t>(every) : nullptr;
    run_.batch_weights = arena_.take<T>(every);
    if (spec.input_gradient) {
        const bool whole =
            std::all_of(spec.ops.begin(), spec.ops.end(), [](const OpSpec& op) { return op.columns.empty(); });
        input_gradient_ = whole ? operations_.front().dx : rows_of<T>(arena_, most, run_.n_in);
        if (!whole) run_.input_gradient = input_gradient_;
    }

    run_.classes = data.classes, run_.weight_columns = data.weight_columns;
    read(data);
    run_.batch_size = batch_size, run_.least_rows = spec.least_rows;
    run_.loss = named(losses, spec.loss.name);
    run_.loss_setting = spec.loss.setting;
    run_.average = {vectors.average_theta, vectors.average_state, spec.average_decay, spec.average_warms_up};
    run_.state = vectors.state, run_.n_state = vectors.n_state;
    run_.l2 = spec.l2, run_.alpha = spec.alpha;
    run_.max_norm = spec.max_norm;
    scratch_ = scratch_for<T>(arena_, kernels_, run_.threads, operations_, spec.bfloat16);
    run_.scratch = scratch_.data();
    for (int i = 0; run_.optimizer.rule == Rule::muon && i < run_.threads; i++)
        orthogonal_.push_back(orthogonal_for<T>(arena_, operations_, i == 0));
    run_.orthogonal = orthogonal_.data();
    run_.partial = arena_.take<double>(8 * run_.threads);
    run_.sums = arena_.take<double>(run_.weight_columns * run_.threads);
    const ptrdiff_t numbers_of_tiny = spec.bfloat16 ? 0 : entry_of<T>(kernels_).tiny_size(run_, most);
    if (numbers_of_tiny) run_.tiny = arena_.take<T>(numbers_of_tiny);
}

template <class T>
std::vector<std::pair<double*, ptrdiff_t>> Trainer<T>::totals() const {
    std::vector<std::pair<double*, ptrdiff_t>> found;
    for (const Operation<T>& op : operations_)
        if (op.totals) found.emplace_back(op.totals, 2 * op.n_in * std::max<ptrdiff_t>(1, op.members));
    return found;
}

template <class T>
void Trainer<T>::read(const DataSet& data) {
    run_.x = data.x, run_.x_type = data.x_type, run_.t = data.t, run_.weights = data.weights;
}

template <class T>
void Trainer<T>::run(const int64_t* order, ptrdiff_t n, const double* rates, const double* decays,
                     const double* dropouts, uint64_t seed, int64_t step, bool train, bool goes_on,
                     bool (*interrupted)()) {
    run_.order = order, run_.n_order = n;
    run_.rates = rates, run_.decays = decays, run_.dropouts = dropouts;
    run_.seed = seed, run_.step = step, run_.train = train;
    if (!goes_on) run_.total = run_.weight = 0;
    run_.diverged = false;
    Poll poll{interrupted, &run_.stop, now()};
    run_.stop = {&Poll::ask, &poll, 0};
    const int asked = run_.threads;
    const Entry<T>& entry = entry_of<T>(kernels_);
    on_pool(run_, borrow_pool(asked), run_.tiny && !run_.sharing ? entry.train_tiny : entry.train);
    run_.threads = asked;
    // a gradient can overflow although the loss is finite, and no loss is computed after the last update
    if (run_.optimizer.rule != Rule::none && !(all_finite(run_.theta, run_.n_params) && all_finite(state_, n_state_)))
        run_.diverged = true;
}

ThreadPool* ShortCalls::pool(int threads) {
    if (alone_ == 0) return nullptr;  // nothing is known yet
    if (waited_ < waits_) {
        waited_++;
        return nullptr;
    }
    return borrow_quick_pool(threads, now() - ended_ < soon);
}

void ShortCalls::made(double seconds, double work, bool shared) {
    ended_ = now();
    const double each = seconds / work;
    if (!shared) {
        alone_ = alone_ > 0 ? std::min(1.01 * alone_, each) : each;
        return;
    }
    left_ = std::min(left_ + 1 - each / alone_, most_left);
    if (left_ > 0) {
        waits_ -= (waits_ + 7) / 8;
        return;
    }
    waits_ = (int)std::min(8 + std::max(2.0 * waits_, -4 * left_), most_waits);
    waited_ = 0;
    left_ = first_left;
}

template <class T>
Predictor<T>::Predictor(std::vector<OpSpec> ops, ptrdiff_t n_in, const T* theta, T* state, bool bfloat16)
    : kernels_(best_kernels()), ops_(std::move(ops)), state_(state), bfloat16_(bfloat16) {
    if (bfloat16) best_bfloat16(kernels_);
    for (const OpSpec& op : ops_)
        products_ += (double)(op.members ? 1 : op.copies) *
                     (double)(op.sizes.empty() ? op.n_in : std::max(op.sizes.front(), op.n_in));
    for (const OpSpec& op : ops_) {
        if (op.missing) most_checked_ = std::min(most_checked_, numbers_before_nan);
        if (op.kind == "one_hot" || op.kind == "embedding") most_checked_ = 0;
        if (op.raw ? op.kind == "select" : &op == &ops_.front()) casts_ = sizeof(T) == 4;
    }
    prediction_.n_operations = (int)ops_.size();
    ptrdiff_t copies = 1;
    for (const OpSpec& op : ops_) copies = std::max(copies, op.copies);
    most_rows_ = std::max(fewest_rows, prediction_rows / copies);
    // dense layers take rows of any length and alignment
    first_reads_x_ = ops_.front().kind == "dense" &&
                     std::none_of(ops_.begin() + 1, ops_.end(), [](const OpSpec& op) { return op.reads.empty(); });
    prediction_.theta = theta;
    prediction_.n_in = n_in;
    prediction_.n_out = ops_.back().n_out;
}

template <class T>
void Predictor<T>::release() {
    operations_.clear(), lists_.clear(), ends_.clear(), scratch_.clear();
    arena_ = Arena();
    prediction_.block = 0;
}

// Makes sure that there is memory for blocks of `rows` rows on each of `threads` threads.
template <class T>
void Predictor<T>::prepare(ptrdiff_t rows, int threads) {
    rows = std::min(rows, most_rows_);
    if (rows > prediction_.block) {
        release();
        prediction_.block = rows;
    }
    try {
        while ((int)lists_.size() < threads) {
            operations_.push_back(bound<T>(arena_, ops_, state_, prediction_.block, false));
            look_up(arena_, operations_.back(), ops_);
            scratch_.push_back(scratch_for<T>(arena_, kernels_, 1, operations_.back(), bfloat16_).front());
            lists_.push_back(operations_.back().data());
            ends_.push_back({operations_.back().front().x, operations_.back().back().y});
        }
    } catch (...) {
        release();
        throw;
    }
    prediction_.operations = lists_.data();
    prediction_.ends = ends_.data();
    prediction_.scratch = scratch_.data();
}

// The nanoseconds that a call may take on one thread.
template <class T>
double Predictor<T>::expected(ptrdiff_t rows) const {
    return products_ * (per_weight + per_product * (double)rows);
}

// The number of threads that share a few rows, each with some columns of the layers; 1 if that does not pay.
template <class T>
int Predictor<T>::together(ptrdiff_t rows, int threads) const {
    if (threads < 2 || rows > std::min(few_rows, most_rows_)) return 1;
    ptrdiff_t widest = 0;
    for (const OpSpec& op : ops_) widest = std::max(widest, op.n_out);
    const ptrdiff_t stripe = 8 * entry_of<T>(kernels_).lanes;
    threads = (int)std::min<double>({(double)threads, (double)(widest / stripe), expected(rows) / fewest_work});
    if (threads < 2) return 1;
    double products = 0;
    for (const OpSpec& op : ops_) {
        const double own = op.kind == "dense" ? (double)op.copies * (double)op.n_in * (double)op.n_out : 0;
        if (!op.members && op.n_out >= threads * stripe && (double)rows * own >= enough_products) products += own;
    }
    return products >= 0.8 * products_ ? threads : 1;
}

namespace {

// Cuts rows into the blocks that threads take one by one: in turns of blocks of the same size, each of which leaves a
// quarter for later turns, so that all threads end together although one of them started late, or waited for others. A
// block has at most `most` rows, and is a multiple of the rows of a tile.
void cut(ptrdiff_t rows, ptrdiff_t threads, ptrdiff_t most, ptrdiff_t tile_rows, std::vector<ptrdiff_t>& cuts) {
    cuts.assign(1, 0);
    for (ptrdiff_t left = rows; left > 0; left = rows - cuts.back()) {
        const ptrdiff_t each = (left + threads - 1) / threads, parts = (each + most - 1) / most;
        ptrdiff_t size = threads > 1 && each >= worth_cutting ? 3 * each / 4 : (each + parts - 1) / parts;
        size = std::min((size + tile_rows - 1) / tile_rows * tile_rows, most);
        for (ptrdiff_t i = 0; i < threads && cuts.back() < rows; i++)
            cuts.push_back(std::min(cuts.back() + size, rows));
    }
}

}  // namespace

template <class T>
bool Predictor<T>::shares(ptrdiff_t rows) const {
    return rows > fewest_rows || together(rows, 2) > 1;
}

// Divides rows among threads, by blocks or by columns of the layers, with memory for each; returns their number.
template <class T>
int Predictor<T>::divide(ptrdiff_t rows, int threads) {
    const int by_columns = together(rows, threads);
    prediction_.together = by_columns > 1;
    const ptrdiff_t parts = (rows + fewest_rows - 1) / fewest_rows;  // that are worth a thread
    threads = by_columns > 1 ? by_columns : (int)std::clamp<ptrdiff_t>(parts, 1, threads);
    prepare(rows, threads);
    if (!prediction_.together) cut(rows, threads, prediction_.block, entry_of<T>(kernels_).tile_rows, cuts_);
    prediction_.cuts = cuts_.data(), prediction_.n_blocks = (ptrdiff_t)cuts_.size() - 1, prediction_.taken = 0;
    return threads;
}

// Says where the rows and their outputs are, whether they are read and written there, and what x may hold.
template <class T>
void Predictor<T>::locate(const void* x, Type type, ptrdiff_t rows, T* z, bool checked) {
    prediction_.x = x, prediction_.x_type = type, prediction_.rows = rows, prediction_.z = z;
    // many rows that compete for the same places in the first cache are copied instead
    auto fits = [&](ptrdiff_t n) { return rows <= fewest_rows || n * (ptrdiff_t)sizeof(T) % 1024 != 0; };
    const bool same_type = type == (sizeof(T) == 4 ? Type::f32 : Type::f64) && (uintptr_t)x % sizeof(T) == 0;
    prediction_.x_in_place = first_reads_x_ && same_type && fits(prediction_.n_in);
    const Operation<T>& last = operations_.front().back();
    prediction_.z_in_place = last.kind == Kind::dense && !last.lookups && fits(prediction_.n_out);
    prediction_.largest = checked                       ? 0
                          : type == Type::f32 || casts_ ? (double)std::numeric_limits<float>::max()
                                                        : std::numeric_limits<double>::max();
    prediction_.refused = 0;
}

template <class T>
void Predictor<T>::run(const void* x, Type type, ptrdiff_t rows, T* z, int threads, bool checked,
                       bool (*interrupted)()) {
    const bool shared = (double)rows * products_ >= enough_products;  // else it is over before an interrupt
    threads = divide(rows, shared ? threads : 1);
    locate(x, type, rows, z, checked);
    if (shared) {
        const bool streams = products_ * sizeof(T) / threads > (double)caches().l2;
        for (Scratch<T>& scratch : scratch_) scratch.streams = streams;
    }
    const double began = shared ? now() : 0;
    Poll poll{interrupted, &prediction_.stop, began};
    prediction_.stop = {shared && interrupted ? &Poll::ask : nullptr, &poll, 0};
    const bool is_short = threads > 1 && is_soon_over(rows);
    on_pool(prediction_, is_short ? short_calls_.pool(threads) : borrow_pool(threads), entry_of<T>(kernels_).predict);
    if (is_short) short_calls_.made(now() - began, expected(rows), prediction_.threads > 1);
}

template float* Arena::take<float>(ptrdiff_t, bool);
template uint16_t* Arena::take<uint16_t>(ptrdiff_t, bool);

template Scratch<float> scratch_of(Arena&, const Kernels&, ptrdiff_t, const Bfloat16*);
template Scratch<double> scratch_of(Arena&, const Kernels&, ptrdiff_t, const Bfloat16*);
template class Trainer<float>;
template class Trainer<double>;
template class Predictor<float>;
template class Predictor<double>;
