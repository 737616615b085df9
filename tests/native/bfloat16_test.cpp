// Products of bfloat16, in all ways that this processor has, beside plain loops. Prints a line for each way that is
// right, and returns 77 if there is none. Compiled with FC_WIDE, it also has the way for tests; see test_bfloat16.py.
#include "../../native/src/kernels/bfloat16.hpp"
#include "../../native/src/cpu.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <thread>
#include <vector>

void barrier(ThreadPool*) {}

#if defined(FC_WIDE)
const Bfloat16 bfloat16_wide = {"wide", no_registers, tile_in_vectors, no_registers, step_size * 64};
#endif

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), nan_ = std::numeric_limits<float>::quiet_NaN();
constexpr float guard = 12345.5f;

#define CHECK(condition, ...)                                                \
    if (!(condition)) {                                                      \
        std::printf("%s:%d: %s is wrong: ", __FILE__, __LINE__, #condition); \
        std::printf(__VA_ARGS__);                                            \
        std::printf("\n");                                                   \
        std::exit(1);                                                        \
    }

uint64_t state = 1;

uint32_t random_bits() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

float uniform() { return (float)random_bits() / 1073741824.0f - 1; }

uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

float of_bits(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// The nearest number of 8 binary digits, by arithmetic alone.
float nearest(float x) {
    if (x != x || std::isinf(x)) return x;
    if (std::fabs(x) < std::numeric_limits<float>::min()) return std::copysign(0.0f, x);
    int exponent;
    const double digits = std::frexp((double)x, &exponent);
    const double whole = std::nearbyint(digits * 256);
    return (float)std::ldexp(whole, exponent - 8);
}

struct Memory {
    std::vector<char> bytes = std::vector<char>(scratch_size_packed * sizeof(uint16_t) + 64);
    uint16_t* packed() { return (uint16_t*)(((uintptr_t)bytes.data() + 63) / 64 * 64); }
};

struct Counting {  // counts how often each number of C is finished
    std::vector<int>& before_;
    std::vector<int>& then_;
    std::vector<float>* kept;  // of each tile, where C is not kept
    ptrdiff_t n;

    void before(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Written&) const {
        for (ptrdiff_t r = i; r < i + rows; r++)
            for (ptrdiff_t l = j; l < j + columns; l++) before_[(size_t)(r * n + l)]++;
    }
    void then(ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, ptrdiff_t columns, Rows<float> tile) const {
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t l = 0; l < columns; l++) {
                then_[(size_t)((i + r) * n + j + l)]++;
                if (kept) (*kept)[(size_t)((i + r) * n + j + l)] = tile.data[r * tile.row + l];
            }
    }
};

struct Case {
    ptrdiff_t m, n, k;
    bool turn_a, turn_b, keeps, adds;
};

// What a signal handler or another library may do to the registers while a product polls.
const Bfloat16* polled;
int polls;
void poll(void*) {
    polls++;
    polled->end();
}

std::vector<float> multiplied(const Bfloat16& way, Memory& memory, const Case& of, const std::vector<float>& a,
                              const std::vector<float>& b, const std::vector<float>& before) {
    const auto [m, n, k, turn_a, turn_b, keeps, adds] = of;
    const ptrdiff_t row = n + 3;
    std::vector<float> c((size_t)(m * row), guard), kept((size_t)(m * n));
    for (ptrdiff_t i = 0; i < m * n; i++) c[(size_t)(i / n * row + i % n)] = before[(size_t)i];
    std::vector<int> begun((size_t)(m * n)), done((size_t)(m * n));
    const Matrix<const float> left = turn_a ? Matrix<const float>{a.data(), 1, m} : Matrix<const float>{a.data(), k, 1};
    const Matrix<const float> right =
        turn_b ? Matrix<const float>{b.data(), 1, k} : Matrix<const float>{b.data(), n, 1};
    Scratch<float> scratch{};
    scratch.bfloat16 = &way, scratch.packed = memory.packed();
    Stop stop = {poll, nullptr, 0};
    bfloat16_product(m, n, k, left, right, {keeps ? c.data() : nullptr, row}, scratch,
                     Counting{begun, done, keeps ? nullptr : &kept, n}, &stop, true, adds);
    for (int count : begun) CHECK(count == 1, "a number of C was begun %d times", count);
    for (int count : done) CHECK(count == 1, "a number of C was done %d times", count);
    for (ptrdiff_t i = 0; keeps && i < m * row; i++)
        if (i % row < n)
            kept[(size_t)(i / row * n + i % row)] = c[(size_t)i];
        else
            CHECK(c[(size_t)i] == guard, "a number beside C was written");
    return kept;
}

// Numbers so small and whole are exact in any order of any sums; others may differ by rounding.
void check_case(const Bfloat16& way, Memory& memory, const Case& of, bool whole) {
    const auto [m, n, k, turn_a, turn_b, keeps, adds] = of;
    std::vector<float> a((size_t)(m * k)), b((size_t)(k * n)), before((size_t)(m * n));
    for (float& x : a) x = whole ? (float)(random_bits() % 17) - 8 : uniform();
    for (float& x : b) x = whole ? (float)(random_bits() % 17) - 8 : uniform();
    for (float& x : before) x = whole ? (float)(random_bits() % 17) - 8 : uniform();
    const std::vector<float> found = multiplied(way, memory, of, a, b, before);
    std::vector<double> left, right;
    for (float x : a) left.push_back((double)nearest(x));
    for (float x : b) right.push_back((double)nearest(x));
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = adds ? (double)before[(size_t)(i * n + j)] : 0, size = std::fabs(sum);
            for (ptrdiff_t l = 0; l < k; l++) {
                const double product =
                    left[(size_t)(turn_a ? l * m + i : i * k + l)] * right[(size_t)(turn_b ? j * k + l : l * n + j)];
                sum += product, size += std::fabs(product);
            }
            const double far = std::fabs((double)found[(size_t)(i * n + j)] - sum);
            const double most = whole ? 0 : size * (double)(k + 2) * std::ldexp(1, -24);
            CHECK(far <= most, "(%td, %td) of %td x %td x %td%s%s is %g off, more than %g", i, j, m, k, n,
                  turn_a ? ", A turned" : "", turn_b ? ", B turned" : "", far, most);
        }
}

void check_shapes(const Bfloat16& way, Memory& memory) {
    const ptrdiff_t sizes[] = {1, 5, 16, 17, 32, 33, 65}, depths[] = {1, 2, 31, 64, 67};
    for (ptrdiff_t m : sizes)
        for (ptrdiff_t n : sizes)
            for (ptrdiff_t k : depths)
                for (int turns = 0; turns < 4; turns++) {
                    const int how = (int)(random_bits() % 3);
                    const Case of = {m, n, k, turns % 2 != 0, turns / 2 != 0, how != 0, how == 2};
                    check_case(way, memory, of, random_bits() % 2);
                }
    const ptrdiff_t large[][3] = {{3, 5, 512},  {3, 5, 513},   {40, 33, 1500}, {300, 3, 600},
                                  {2, 300, 40}, {1200, 4, 70}, {1, 64, 3000}};
    for (const auto& [m, n, k] : large)
        for (int turns = 0; turns < 4; turns++)
            check_case(way, memory, {m, n, k, turns % 2 != 0, turns / 2 != 0, true, turns % 2 == 0}, turns < 2);
    CHECK(polls > 0, "no product has polled");
}

// A row gets the same bits whatever the other rows are, and a column whatever the other columns are.
void check_bits(const Bfloat16& way, Memory& memory) {
    const ptrdiff_t m = 75, n = 81, k = 600;
    std::vector<float> a((size_t)(m * k)), b((size_t)(k * n));
    for (float& x : a) x = uniform();
    for (float& x : b) x = uniform();
    const std::vector<float> none((size_t)(m * n));
    const auto whole = multiplied(way, memory, {m, n, k, false, true, true, false}, a, b, none);
    for (ptrdiff_t from : {0, 3, 74}) {
        for (ptrdiff_t rows : {1, 16, 40}) {
            if (from + rows > m) continue;
            const std::vector<float> some(a.begin() + from * k, a.begin() + (from + rows) * k);
            const auto found = multiplied(way, memory, {rows, n, k, false, true, true, false}, some, b, none);
            CHECK(!std::memcmp(found.data(), whole.data() + from * n, found.size() * 4), "other bits of some rows");
        }
        const std::vector<float> column(b.begin() + from * k, b.begin() + (from + 1) * k);
        const auto found = multiplied(way, memory, {m, 1, k, false, true, true, false}, a, column, none);
        for (ptrdiff_t i = 0; i < m; i++)
            CHECK(bits_of(found[(size_t)i]) == bits_of(whole[(size_t)(i * n + from)]), "other bits of a column");
    }
}

// Every way of rounding: what is multiplied by 1, or added up with zeros, is the rounded number itself.
void check_rounding(const Bfloat16& way, Memory& memory) {
    std::vector<float> a = {0.0f,
                            -0.0f,
                            1.0f,
                            infinity,
                            -infinity,
                            nan_,
                            of_bits(0x7f800001),  // NaN with no digit in the upper half
                            of_bits(0xff80ffff),
                            of_bits(0x7fffffff),
                            of_bits(0x3f808000),  // halfway: to the even one, below and above
                            of_bits(0x3f818000),
                            of_bits(0x3f807fff),
                            of_bits(0x3f808001),
                            of_bits(0x7f7f7fff),  // the largest that stays finite, and the next one
                            of_bits(0x7f7f8000),
                            of_bits(0x00800000),  // the smallest normal number, and those below it
                            of_bits(0x007fffff),
                            of_bits(0x80000001),
                            of_bits(0x00808000)};
    for (int i = 0; i < 5000; i++) a.push_back(of_bits(random_bits() << 1 ^ random_bits()));
    const ptrdiff_t m = (ptrdiff_t)a.size();
    const std::vector<float> one = {1}, none((size_t)m);
    const auto left = multiplied(way, memory, {m, 1, 1, false, false, true, false}, a, one, none);
    const auto right = multiplied(way, memory, {1, m, 1, false, false, true, false}, one, a, none);
    for (ptrdiff_t i = 0; i < m; i++) {
        const float exact = nearest(a[(size_t)i]), found[] = {left[(size_t)i], right[(size_t)i]};
        for (float x : found)
            CHECK(x == exact || (x != x && exact != exact), "%a is rounded to %a and not to %a", (double)a[(size_t)i],
                  (double)x, (double)exact);
    }
    // what is not a number reaches its own row and column, and no other; zeros that fill up a panel make no NaN
    for (float bad : {infinity, -infinity, nan_}) {
        const ptrdiff_t rows = 33, n = 35, k = 37;
        std::vector<float> x((size_t)(rows * k), 1.0f), y((size_t)(k * n), 1.0f);
        x[(size_t)(5 * k + 36)] = bad;
        const auto found = multiplied(way, memory, {rows, n, k, false, false, true, false}, x, y,
                                      std::vector<float>((size_t)(rows * n)));
        for (ptrdiff_t i = 0; i < rows * n; i++)
            CHECK(i / n == 5 ? bits_of(found[(size_t)i]) == bits_of(bad) ||
                                   (bad != bad && found[(size_t)i] != found[(size_t)i])
                             : found[(size_t)i] == (float)k,
                  "%g at %td", (double)found[(size_t)i], i);
    }
}

void check(const Bfloat16& way) {
    Memory memory;
    polled = &way;
    check_rounding(way, memory);
    check_bits(way, memory);
    check_shapes(way, memory);
    const Case of = {100, 90, 80, false, true, true, false};
    std::vector<std::thread> threads;  // which have registers of their own
    for (int i = 0; i < 3; i++)
        threads.emplace_back([&] {
            Memory own;
            const std::vector<float> a(8000, 3), b(7200, 0.5f);
            for (float x : multiplied(way, own, of, a, b, std::vector<float>(9000))) CHECK(x == 120, "%g", (double)x);
        });
    for (std::thread& thread : threads) thread.join();
    std::fflush(stdout);
    if (const pid_t child = fork(); child == 0) {
        check_bits(way, memory);
        std::_Exit(0);
    } else {
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "a forked process ends with %d", status);
    }
    std::printf("%s: ok\n", way.name);
}

}  // namespace

int main() {
    const Kernels any = {"", {}, {}, scratch_size_packed};
    const auto ways = ways_of_bfloat16(any);
    for (const Bfloat16* way : ways) check(*way);
    return ways.empty() ? 77 : 0;
}
