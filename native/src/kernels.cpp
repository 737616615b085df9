// The kernels, compiled once per instruction set: FC_KERNELS is the name of the copy, compiler flags choose the set.
#include "kernels.hpp"

#include "kernels/tiny.hpp"

namespace {

bool same(const char* a, const char* b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

// y = f(x) for the function of this name; returns false if there is none.
template <class T>
bool evaluate(const char* name, const T* x, T* y, ptrdiff_t n) {
    auto apply = [&](auto f) {
        each_in_turn<T>(n, [&](Place<T> p) { p.put(y, f(p.get(x))); });
        return true;
    };
    if (same(name, "exp")) return apply([](V<T> v) { return exp<T>(v); });
    if (same(name, "expm1")) return apply([](V<T> v) { return expm1<T>(v); });
    if (same(name, "log")) return apply([](V<T> v) { return log<T>(v); });
    if (same(name, "log1p")) return apply([](V<T> v) { return log1p<T>(v); });
    if (same(name, "tanh")) return apply([](V<T> v) { return tanh<T>(v); });
    if (same(name, "sigmoid")) return apply([](V<T> v) { return sigmoid<T>(v); });
    if (same(name, "softplus")) return apply([](V<T> v) { return softplus<T>(v); });
    if (same(name, "erf")) return apply([](V<T> v) { return erf<T>(v); });
    if (same(name, "sine_of_turns")) return apply([](V<T> v) { return wave<T>(v).sine; });
    if (same(name, "cosine_of_turns")) return apply([](V<T> v) { return wave<T>(v).cosine; });
    if (same(name, "normal_cdf")) return apply([](V<T> v) { return normal<T>(v).cdf; });
    return false;
}

// One thread's part of C = A B, to time the product alone. A transposed A is (k, m), a transposed B is (n, k).
template <class T>
void products(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, bool turn_a, bool turn_b, Rows<const T> a, Rows<const T> b,
              Rows<T> c, Scratch<T> scratch, int thread, int threads) {
    const bool by_rows = turn_a;
    const Range r = by_rows ? partition(m, lanes<T>, thread, threads) : Range{0, m};
    const Range s = by_rows ? Range{0, n} : partition(n, lanes<T>, thread, threads);
    const Matrix<const T> left = turn_a ? Matrix<const T>{a.data, 1, a.row} : Matrix<const T>{a.data, a.row, 1};
    const Matrix<const T> right = turn_b ? Matrix<const T>{b.data, 1, b.row} : Matrix<const T>{b.data, b.row, 1};
    product<T>(r.to - r.from, s.to - s.from, k, {left.at(r.from, 0), left.row, left.column},
               {right.at(0, s.from), right.row, right.column}, offset(c, r.from, s.from), scratch, Nothing<T>{});
}

// Multiplies and adds in registers only, and returns the number of operations.
template <class T>
double fma(int64_t rounds) {
    constexpr int sums = vector_bytes == 64 ? 24 : 12;
    V<T> total[sums], x = all((T)0.999), y = all((T)1e-6);
    for (int i = 0; i < sums; i++) total[i] = all((T)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < sums; i++) total[i] = total[i] * x + y;
#if defined(__x86_64__) && !defined(FC_WIDE)
        __asm__ volatile("" : "+x"(x));  // so that the compiler does not compute the loop itself
#elif defined(__aarch64__)
        __asm__ volatile("" : "+w"(x));
#endif
    }
    for (int i = 1; i < sums; i++) total[0] += total[i];
    volatile T result = sum<T>(total[0]);
    (void)result;
    return 2.0 * sums * lanes<T> * (double)rounds;
}

template <class T>
constexpr Entry<T> entry = {train<T>, train_tiny<T>, tiny_size<T>,      predict<T>,           evaluate<T>, products<T>,
                            fma<T>,   least_a<T>,    scratch_size_b<T>, scratch_size_tile<T>, lanes<T>,    tile_rows};

}  // namespace

#define FC_TEXT_OF(name) #name
#define FC_TEXT(name) FC_TEXT_OF(name)

#if defined(FC_WIDE)
const Bfloat16 bfloat16_wide = {"wide", no_registers, tile_in_vectors, no_registers, largest_block / 16};
#endif

const Kernels FC_KERNELS = {FC_TEXT(FC_KERNELS), entry<float>, entry<double>, scratch_size_packed};
