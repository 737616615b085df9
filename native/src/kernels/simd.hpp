// Vectors as wide as the instruction set that this file is compiled for: GCC's and Clang's vector extensions.
//
// Every header in this folder is compiled once per instruction set, so it defines everything in an unnamed namespace
// and includes no header that defines inline functions: of a function in two files, the linker might keep the one with
// the newer instructions.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>  // its functions are always inlined, so the linker cannot share them
#endif

namespace {

// FC_WIDE tests the logic of the widest vectors on a processor without them: the compiler splits them.
#if defined(__AVX512F__) || defined(FC_WIDE)
constexpr size_t vector_bytes = 64;
#elif defined(__AVX2__)
constexpr size_t vector_bytes = 32;
#else
constexpr size_t vector_bytes = 16;
#endif

#define FC_INLINE inline __attribute__((always_inline))

template <class T>
struct simd;

template <>
struct simd<float> {
    typedef float vector __attribute__((vector_size(vector_bytes)));
    typedef int32_t mask __attribute__((vector_size(vector_bytes)));
};

template <>
struct simd<double> {
    typedef double vector __attribute__((vector_size(vector_bytes)));
    typedef int64_t mask __attribute__((vector_size(vector_bytes)));
};

template <class T>
using V = typename simd<T>::vector;  // lanes<T> numbers

template <class T>
using M = typename simd<T>::mask;  // a comparison: -1 or 0 in each lane; also the lanes' bits as integers

template <class T>
constexpr ptrdiff_t lanes = vector_bytes / sizeof(T);

template <class T>
FC_INLINE V<T> all(T value) {
    return value - V<T>{};  // adding would lose minus zero
}

template <class T>
FC_INLINE V<T> load(const T* from) {
    V<T> v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

template <class T>
FC_INLINE void store(T* to, V<T> v) {
    __builtin_memcpy(to, &v, sizeof v);
}

// The first n lanes, 0 < n < lanes; the others are zero, and nothing beyond the n is read or written.
template <class T>
FC_INLINE V<T> load_part(const T* from, ptrdiff_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (V<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
    else
        return (V<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), from);
#elif defined(__AVX2__) && !defined(FC_WIDE)
    if constexpr (sizeof(T) == 4) {
        M<T> lane = {0, 1, 2, 3, 4, 5, 6, 7};
        return (V<T>)_mm256_maskload_ps(from, (__m256i)(lane < (int32_t)n));
    } else {
        M<T> lane = {0, 1, 2, 3};
        return (V<T>)_mm256_maskload_pd(from, (__m256i)(lane < (int64_t)n));
    }
#else
    V<T> v = {};
    for (ptrdiff_t i = 0; i < lanes<T> - 1; i++)
        if (i < n) v[i] = from[i];
    return v;
#endif
}

template <class T>
FC_INLINE void store_part(T* to, V<T> v, ptrdiff_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(to, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif defined(__AVX2__) && !defined(FC_WIDE)
    // two halves, since AVX2's masked store takes up to 40 operations on AMD's processors
    if constexpr (sizeof(T) == 4) {
        __m128 part = _mm256_castps256_ps128((__m256)v);
        if (n & 4) {
            _mm_storeu_ps(to, part);
            to += 4;
            part = _mm256_extractf128_ps((__m256)v, 1);
        }
        if (n & 2) {
            _mm_storel_pi((__m64*)to, part);
            to += 2;
            part = _mm_movehl_ps(part, part);
        }
        if (n & 1) _mm_store_ss(to, part);
    } else {
        __m128d part = _mm256_castpd256_pd128((__m256d)v);
        if (n & 2) {
            _mm_storeu_pd(to, part);
            to += 2;
            part = _mm256_extractf128_pd((__m256d)v, 1);
        }
        if (n & 1) _mm_store_sd(to, part);
    }
#else
    for (ptrdiff_t i = 0; i < lanes<T> - 1; i++)
        if (i < n) to[i] = v[i];
#endif
}

template <class T>
FC_INLINE V<T> larger(V<T> a, V<T> b) {  // b if one of them is NaN
    return a > b ? a : b;
}

template <class T>
FC_INLINE V<T> smaller(V<T> a, V<T> b) {  // b if one of them is NaN
    return a < b ? a : b;
}

template <class T>
FC_INLINE V<T> absolute(V<T> a) {
    constexpr auto sign = sizeof(T) == 4 ? (int64_t)0x7fffffff : (int64_t)0x7fffffffffffffff;
    return (V<T>)((M<T>)a & (decltype(M<T>{}[0]))sign);
}

// a * b + c. In a sum of two products the compiler may round either one, and choose differently in another copy of a
// loop; this function fixes the choice where all copies must give the same bits.
template <class T>
FC_INLINE V<T> multiply_add(V<T> a, V<T> b, V<T> c) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (V<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
    else
        return (V<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__) && !defined(FC_WIDE)
    if constexpr (sizeof(T) == 4)
        return (V<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
    else
        return (V<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b + c;
#endif
}

template <class T>
FC_INLINE V<T> square_root(V<T> a) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (V<T>)_mm512_maskz_sqrt_ps((__mmask16)-1, (__m512)a);
    else
        return (V<T>)_mm512_maskz_sqrt_pd((__mmask8)-1, (__m512d)a);
#elif defined(__AVX2__) && !defined(FC_WIDE)
    if constexpr (sizeof(T) == 4)
        return (V<T>)_mm256_sqrt_ps((__m256)a);
    else
        return (V<T>)_mm256_sqrt_pd((__m256d)a);
#elif defined(__x86_64__) && !defined(FC_WIDE)
    if constexpr (sizeof(T) == 4)
        return (V<T>)_mm_sqrt_ps((__m128)a);
    else
        return (V<T>)_mm_sqrt_pd((__m128d)a);
#else
    for (ptrdiff_t i = 0; i < lanes<T>; i++) a[i] = sizeof(T) == 4 ? __builtin_sqrtf(a[i]) : __builtin_sqrt(a[i]);
    return a;
#endif
}

// a / b, nearly: the last bit may differ. b is positive and normal, or infinite. A division and a square root wait for
// the same slow unit of the processor; with AVX-512 the quotient is a rough 1 / b, refined by multiplications (Newton's
// method), which go on beside the square root of the next vector.
template <class T>
FC_INLINE V<T> quotient(V<T> a, V<T> b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        const __m512 d = (__m512)b, n = (__m512)a, rough = _mm512_rcp14_ps(d), q = _mm512_mul_ps(n, rough);
        const __m512 rest = _mm512_fnmadd_ps(d, q, n);
        return (V<T>)_mm512_mask3_fmadd_ps(rest, rough, q, _mm512_cmp_ps_mask(rest, rest, _CMP_ORD_Q));
    } else {
        const __m512d d = (__m512d)b, n = (__m512d)a, rough = _mm512_rcp14_pd(d);
        const __m512d error = _mm512_fnmadd_pd(d, rough, _mm512_set1_pd(1));  // NaN if b is infinite
        const __mmask8 finite = _mm512_cmp_pd_mask(error, error, _CMP_ORD_Q);
        const __m512d inverse = _mm512_mask3_fmadd_pd(rough, error, rough, finite);
        const __m512d q = _mm512_mul_pd(n, inverse), rest = _mm512_fnmadd_pd(d, q, n);
        return (V<T>)_mm512_mask3_fmadd_pd(rest, inverse, q, finite);
    }
#else
    return a / b;
#endif
}

template <int... j>
struct Indices {};

template <int n, int... j>
struct UpTo : UpTo<n - 1, n - 1, j...> {};

template <int... j>
struct UpTo<0, j...> {
    typedef Indices<j...> type;
};

// Each lane has the number of the one whose place differs in the bit `half`.
template <class T, int half, int... j>
FC_INLINE V<T> swapped(V<T> a, Indices<j...>) {
    return __builtin_shufflevector(a, a, (j ^ half)...);
}

// Each lane has the sum of all, which are added in halves: those far apart first.
template <class T, int half = (int)lanes<T> / 2>
FC_INLINE V<T> sum_everywhere(V<T> a) {
    typename UpTo<(int)lanes<T>>::type all_lanes;
    const V<T> both = a + swapped<T, half>(a, all_lanes);
    if constexpr (half > 1)
        return sum_everywhere<T, half / 2>(both);
    else
        return both;
}

template <class T>
FC_INLINE T sum(V<T> a) {
    return sum_everywhere<T>(a)[0];
}

}  // namespace
