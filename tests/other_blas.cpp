// A BLAS that adds up in another order for each shape and place, as that of another processor or maker may: what
// depends on the last digits of a product shows. It is loaded before NumPy (.ci/nightly blas); SEED_OF_SUMS gives other
// orders. The names are those of the OpenBLAS in NumPy's wheels, whose integers have 64 bits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>

namespace {

using Int = int64_t;
constexpr int by_columns = 102, as_it_is = 111, upper = 121;

template <class T>
struct Vector {
    T* data;
    Int step;
    T& operator[](Int i) const { return data[i * step]; }
};

// BLAS gives a vector that runs backwards by its last entry.
template <class T>
Vector<T> vector(T* data, Int step, Int n) {
    return {step < 0 ? data - (n - 1) * step : data, step};
}

template <class T>
struct Matrix {
    T* data;
    Int row, column;
    Matrix(T* data, Int leading, bool columns, bool turned = false)
        : data(data), row(columns == turned ? leading : 1), column(columns == turned ? 1 : leading) {}
    T& at(Int i, Int j) const { return data[i * row + j * column]; }
};

uint64_t seed() {
    static const char* given = std::getenv("SEED_OF_SUMS");
    return 1469598103934665603u + 7919 * (given ? std::strtoull(given, nullptr, 10) : 0);
}

// Where the sum of entry (i, j) of a product (m, n), of k terms, begins; entries near each other have the same place.
Int beginning(Int m, Int n, Int k, Int i, Int j) {
    uint64_t hash = seed();
    for (const Int part : {m, n, k, i / 3, j / 3}) hash = (hash ^ (uint64_t)part) * 1099511628211u, hash ^= hash >> 29;
    return k ? (Int)(hash % (uint64_t)k) : 0;
}

template <class T>
T sum(Vector<const T> a, Vector<const T> b, Int k, Int first) {
    T total = 0;
    for (Int l = first; l < k; l++) total += a[l] * b[l];
    for (Int l = 0; l < first; l++) total += a[l] * b[l];
    return total;
}

template <class T>
void put(T& to, T alpha, T total, T beta) {
    to = beta == 0 ? alpha * total : alpha * total + beta * to;  // what is there may be NaN where beta is 0
}

template <class T>
void gemm(int order, int a_as, int b_as, Int m, Int n, Int k, T alpha, const T* a_data, Int lda, const T* b_data,
          Int ldb, T beta, T* c_data, Int ldc) {
    const bool columns = order == by_columns;
    const Matrix<const T> a(a_data, lda, columns, a_as != as_it_is), b(b_data, ldb, columns, b_as != as_it_is);
    const Matrix<T> c(c_data, ldc, columns);
    for (Int i = 0; i < m; i++)
        for (Int j = 0; j < n; j++)
            put(c.at(i, j), alpha, sum<T>({&a.at(i, 0), a.column}, {&b.at(0, j), b.row}, k, beginning(m, n, k, i, j)),
                beta);
}

template <class T>
void gemv(int order, int as, Int rows, Int columns, T alpha, const T* data, Int lda, const T* x, Int x_step, T beta,
          T* y, Int y_step) {
    const bool turned = as != as_it_is;
    const Matrix<const T> a(data, lda, order == by_columns, turned);
    const Int m = turned ? columns : rows, k = turned ? rows : columns;
    const auto to = vector(y, y_step, m);
    for (Int i = 0; i < m; i++)
        put(to[i], alpha, sum<T>({&a.at(i, 0), a.column}, vector(x, x_step, k), k, beginning(m, -1, k, i, turned)),
            beta);
}

template <class T>
T dot(Int n, const T* x, Int x_step, const T* y, Int y_step) {
    return sum<T>(vector(x, x_step, n), vector(y, y_step, n), n, beginning(n, -2, n, 0, 0));
}

template <class T>
void syrk(int order, int half, int as, Int n, Int k, T alpha, const T* data, Int lda, T beta, T* c_data, Int ldc) {
    const Matrix<const T> a(data, lda, order == by_columns, as != as_it_is);
    const Matrix<T> c(c_data, ldc, order == by_columns);
    for (Int i = 0; i < n; i++)
        for (Int j = half == upper ? i : 0; j < (half == upper ? n : i + 1); j++)
            put(c.at(i, j), alpha,
                sum<T>({&a.at(i, 0), a.column}, {&a.at(j, 0), a.column}, k, beginning(n, n, k, i, j)), beta);
}

}  // namespace

#define FUNCTIONS(T, letter)                                                                                         \
    extern "C" void scipy_cblas_##letter##gemm64_(int order, int a_as, int b_as, Int m, Int n, Int k, T alpha,       \
                                                  const T* a, Int lda, const T* b, Int ldb, T beta, T* c, Int ldc) { \
        gemm(order, a_as, b_as, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);                                       \
    }                                                                                                                \
    extern "C" void scipy_cblas_##letter##gemv64_(int order, int as, Int m, Int n, T alpha, const T* a, Int lda,     \
                                                  const T* x, Int x_step, T beta, T* y, Int y_step) {                \
        gemv(order, as, m, n, alpha, a, lda, x, x_step, beta, y, y_step);                                            \
    }                                                                                                                \
    extern "C" T scipy_cblas_##letter##dot64_(Int n, const T* x, Int x_step, const T* y, Int y_step) {               \
        return dot(n, x, x_step, y, y_step);                                                                         \
    }                                                                                                                \
    extern "C" void scipy_cblas_##letter##syrk64_(int order, int half, int as, Int n, Int k, T alpha, const T* a,    \
                                                  Int lda, T beta, T* c, Int ldc) {                                  \
        syrk(order, half, as, n, k, alpha, a, lda, beta, c, ldc);                                                    \
    }

FUNCTIONS(float, s)
FUNCTIONS(double, d)
