// Elementary functions of whole vectors, without branches, tables or types wider than T.
//
// The largest errors found, in units in the last place: exp and log 0.91, log1p, erf, sigmoid, softplus and expm1 1.8,
// sines and cosines
// of turns 1.5, tanh 1.5 in single and 2.6 in double precision, the normal density 1.8, and its integral 4.4, however
// small.
//
// The coefficients are made by tools/vector_math.py. The compiler may contract a product and a sum into one operation
// or not: where a product must be exact, its factors have so few bits that it is exact either way. Where numbers below
// the normal range are flushed to zero, results there become zero, those next to it inexact, and no others change.
#pragma once

#include "simd.hpp"

namespace {

template <class T>
struct Format;

template <>
struct Format<float> {
    typedef uint32_t bits __attribute__((vector_size(vector_bytes)));
    static constexpr int mantissa = 23, bias = 127;
    static constexpr uint32_t sign = 0x80000000, one = 0x3f800000, sqrt_half = 0x3f3504f3, half_precise = 0xfffff000;
    static constexpr float smallest = 0x1p-126f, infinity = __builtin_inff(), nan = __builtin_nanf("");
};

template <>
struct Format<double> {
    typedef uint64_t bits __attribute__((vector_size(vector_bytes)));
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr uint64_t sign = 0x8000000000000000, one = 0x3ff0000000000000, sqrt_half = 0x3fe6a09e667f3bcd,
                              half_precise = 0xfffffffff8000000;
    static constexpr double smallest = 0x1p-1022, infinity = __builtin_inf(), nan = __builtin_nan("");
};

template <class T>
using U = typename Format<T>::bits;  // the lanes' bits as unsigned integers

template <class T>
struct Coefficients;  // the highest power first; log 2 is in two parts, so that an exponent times the first is exact

template <>
struct Coefficients<float> {
    static constexpr float exponential[] = {0.00138621661f, 0.00836669467f, 0.0416675285f, 0.166665420f, 0.499999970f};
    static constexpr float logarithm[] = {0.298721284f, 0.399775535f, 0.666667759f};
    static constexpr float tanh[] = {-0.00614260975f, 0.0209836122f, -0.0538325012f, 0.133324176f, -0.333333135f};
    static constexpr float above[] = {0.00738399895f, 0.0880717263f, 0.489296824f, 1.47888732f, 2.33999991f};
    static constexpr float below[] = {0.00294551649f, 0.0351494290f, 0.200785100f,
                                      0.664243758f,   1.27229631f,   1.16999996f};
    static constexpr float erf[] = {-6.09768729e-4f, 0.00501327496f, -0.0267796405f,
                                    0.112821512f,    -0.376125216f,  0.128379151f};
    static constexpr float log2_high = 0x1.62e4p-1f, log2_low = 0x1.7f7d1cp-20f;
};

template <>
struct Coefficients<double> {
    static constexpr double exponential[] = {2.5057281372997805e-8, 2.7626364189524780e-7, 2.7557396398990912e-6,
                                             2.4801504379515684e-5, 1.9841269731693314e-4, 0.0013888888932409426,
                                             0.0083333333333835170, 0.041666666666573600,  0.16666666666666599,
                                             0.50000000000000056};
    static constexpr double logarithm[] = {0.14798867483411526, 0.15313777359452965, 0.18183574233264269,
                                           0.22222198398693094, 0.28571428743912569, 0.39999999999408742,
                                           0.66666666666667351};
    static constexpr double above[] = {1.5105839950970548e-6, 4.5286062352621702e-5, 6.6740136769022048e-4,
                                       0.0062711594645426692, 0.041177789565873486,  0.19570246256095641,
                                       0.67501782812650046,   1.6415502480801754,    2.5915033991744520,
                                       2.0920000076293945};
    static constexpr double below[] = {6.0263582378957679e-7, 1.8066524976280091e-5, 2.6745989599700337e-4,
                                       0.0025379636670644018, 0.016956456131883076,  0.082969212085539021,
                                       0.30057677858141729,   0.79676846750167840,   1.4849517299461850,
                                       1.7721310383567672,    1.0460000038146973};
    static constexpr double erf[] = {1.0266360038310413e-8,  -1.5548123949816203e-7, 1.6376111941219774e-6,
                                     -1.4919957716704484e-5, 1.2055089269750654e-4,  -8.5483202958803008e-4,
                                     0.0052239775093515725,  -0.026866170633418552,  0.11283791670894359,
                                     -0.37612638903182516,   0.12837916709551253};
    static constexpr double log2_high = 0x1.62e42fefa38p-1, log2_low = 0x1.ef35793c7673p-45;
};

// Horner's rule.
template <class T, size_t n>
FC_INLINE V<T> polynomial(V<T> x, const T (&coefficients)[n]) {
    V<T> y = all<T>(coefficients[0]);
#pragma GCC unroll 32
    for (size_t i = 1; i < n; i++) y = y * x + all<T>(coefficients[i]);
    return y;
}

template <class T>
FC_INLINE V<T> with_sign(V<T> magnitude, V<T> x) {  // the magnitude may already have the sign
    return (V<T>)((U<T>)magnitude | ((U<T>)x & Format<T>::sign));
}

// e^x = 2^n (1 + t), with |t| < 0.42.
template <class T>
struct Exponential {
    U<T> n;  // its bits hold n plus `scales` times the exponent's bias
    V<T> t;
};

// x is reduced to r = high - low in [-log 2 / 2, log 2 / 2] by two parts of log 2 (Cody and Waite, "Software manual for
// the elementary functions", 1980), and t = e^r - 1 is rounded little more than once. The power of two is rounded to an
// integer by adding 1.5 times the number from which on there are no fractions, and the exponent's bias with it, so that
// a shift makes the power. |x| is below twice the exponents' range. `less`, much smaller, is subtracted from x.
template <class T, int scales = 2>
FC_INLINE Exponential<T> exponential(V<T> x, V<T> less = -V<T>{}) {
    using C = Coefficients<T>;
    using F = Format<T>;
    constexpr T shift = T(3) * T((uint64_t)1 << (F::mantissa - 1)) + scales * F::bias;
    V<T> shifted = x * T(1.4426950408889634074) + shift;
    V<T> n = shifted - shift;
    V<T> high = x - n * C::log2_high, low = n * C::log2_low + less;
    V<T> r = high - low;
    return {(U<T>)shifted, high + (r * r * polynomial<T>(r, C::exponential) - low)};
}

// 2^n in two factors: a number multiplied by one after the other overflows and underflows with one rounding.
template <class T>
struct Scale {
    V<T> first, second;
};

template <class T>
FC_INLINE Scale<T> scale(Exponential<T> e) {
    constexpr int up = Format<T>::mantissa;
    U<T> half = e.n >> 1;
    return {(V<T>)(half << up), (V<T>)((e.n - half) << up)};
}

template <class T>
constexpr T exp_lowest = sizeof(T) == 4 ? -104 : -746;  // exp gives zero

template <class T>
constexpr T exp_highest = sizeof(T) == 4 ? 89 : 710;  // exp gives infinity

template <class T>
FC_INLINE V<T> exp(V<T> x) {
    V<T> within = larger<T>(all<T>(exp_lowest<T>), smaller<T>(all<T>(exp_highest<T>), x));  // keeps NaN
    auto e = exponential<T>(within);
    auto s = scale<T>(e);
    return ((T(1) + e.t) * s.first) * s.second;
}

// 2^n t + (2^n - 1), rounded once more. It is computed over the first factor, since 2^n may overflow.
template <class T>
FC_INLINE V<T> expm1(V<T> x) {
    V<T> within = larger<T>(all<T>(exp_lowest<T>), smaller<T>(all<T>(exp_highest<T>), x));
    auto e = exponential<T>(within);
    auto s = scale<T>(e);
    V<T> inverse = (V<T>)(2 * Format<T>::one - (U<T>)s.first);
    return with_sign<T>(s.first * (s.second * e.t + (s.second - inverse)), x);
}

// e^-|x|, and what was lost in rounding it.
template <class T>
struct Decay {
    V<T> value, lost;
};

template <class T>
FC_INLINE Decay<T> decay(V<T> x) {
    auto e = exponential<T>(-smaller<T>(all<T>(-exp_lowest<T>), absolute<T>(x)));
    auto s = scale<T>(e);
    V<T> sum = T(1) + e.t;
    return {(sum * s.first) * s.second, ((e.t - (sum - T(1))) * s.first) * s.second};
}

// log(2^k (1 + f)) + more for f between sqrt(1/2) - 1 and sqrt(2) - 1 and a tiny `more`, from the series in
// s = f / (2 + f). The idea is that of fdlibm's e_log.c: f is exact, and only smaller numbers are added to it, so
// that their rounding errors matter little.
template <class T>
FC_INLINE V<T> logarithm(V<T> f, V<T> k, V<T> more = -V<T>{}) {
    using C = Coefficients<T>;
    V<T> s = f / (T(2) + f), z = s * s, square = T(0.5) * f * f;
    V<T> rest = s * (square + z * polynomial<T>(z, C::logarithm));
    return k * C::log2_high - ((square - (rest + (k * C::log2_low + more))) - f);
}

// k plus the exponent's bias, where x / 2^k is between sqrt(1/2) and sqrt(2). x is positive, and not denormal.
template <class T>
FC_INLINE U<T> exponent(V<T> x) {
    using F = Format<T>;
    return ((U<T>)x - F::sqrt_half + F::one) >> F::mantissa;
}

template <class T>
FC_INLINE V<T> number(U<T> exponent) {  // without the bias, as a floating-point number
    using F = Format<T>;
    constexpr T shift = T((uint64_t)1 << F::mantissa);
    return (V<T>)(exponent | (U<T>)all<T>(shift)) - (shift + F::bias);
}

template <class T>
FC_INLINE V<T> log(V<T> x) {
    using F = Format<T>;
    constexpr T up = T((uint64_t)1 << (F::mantissa + 1));
    auto tiny = x < F::smallest;
    V<T> normal = tiny ? x * up : x;
    auto k = exponent<T>(normal);
    V<T> f = (V<T>)((U<T>)normal - (k << F::mantissa) + F::one) - T(1);
    V<T> y = logarithm<T>(f, number<T>(k) - (tiny ? all<T>(F::mantissa + 1) : V<T>{}));
    y = x < F::infinity ? y : x;
    y = x == T(0) ? all<T>(-F::infinity) : y;
    return x < T(0) ? all<T>(F::nan) : y;
}

// With 2^k next to 1 + x, f = 2^-k (1 + x) - 1 is 2^-k x + (2^-k - 1): nothing but the sum is rounded, so that what is
// lost in 1 + x does not matter. 2^-k is scaled by 4, since it would be below the normal range for the largest x.
template <class T>
FC_INLINE V<T> log1p(V<T> x) {
    using F = Format<T>;
    V<T> one = T(1) + x;
    auto k = exponent<T>(one);
    V<T> scale = (V<T>)((((U<T>){} + (2 * F::bias + 2)) - k) << F::mantissa);
    V<T> f = T(0.25) * (scale * x + (scale - T(4)));
    V<T> y = logarithm<T>(f, number<T>(k));
    y = one < F::infinity ? y : x;
    y = one == T(1) ? x : y;  // keeps minus zero
    y = x == T(-1) ? all<T>(-F::infinity) : y;
    return x < T(-1) ? all<T>(F::nan) : y;
}

template <class T>
FC_INLINE V<T> softplus(V<T> x) {
    auto e = decay<T>(x);
    auto upper = e.value > T(0.41421356);
    V<T> f = upper ? T(0.5) * e.value - T(0.5) : e.value;
    return larger<T>(x, V<T>{}) + logarithm<T>(f, upper ? all<T>(1) : V<T>{}, e.lost);
}

// With e = e^-|x| and q = e / (1 + e), that is 1 - q, or on the left q: as e - e q it is rounded little more than once.
template <class T>
FC_INLINE V<T> sigmoid(V<T> x) {
    auto e = decay<T>(x);
    V<T> q = e.value / (T(1) + e.value);
    auto left = x < T(0);
    V<T> first = left ? e.value : all<T>(1);
    return first - (first * q - (left ? e.lost - e.lost * q : V<T>{}));
}

// With e = e^|2x| - 1, tanh|x| = e / (e + 2). In single precision that would be wrong by more than two units in the
// last place: small x have a polynomial, the others 1 - 2 / (e^|2x| + 1), whose second term has small errors.
template <class T>
FC_INLINE V<T> tanh(V<T> x) {
    using F = Format<T>;
    V<T> a = absolute<T>(x), y;
    V<T> twice = smaller<T>(all<T>(40), a + a);  // where tanh is 1
    if constexpr (sizeof(T) == 4) {
        auto e = exponential<T, 1>(-twice);
        V<T> z = a * a, s = (V<T>)(e.n << F::mantissa);
        V<T> power = s + s * e.t;
        V<T> large = T(1) - (power + power) / (T(1) + power);
        V<T> small = a + a * (z * polynomial<T>(z, Coefficients<T>::tanh));
        y = a < T(0.56) ? small : large;
    } else {
        auto e = exponential<T, 1>(twice);
        V<T> s = (V<T>)(e.n << F::mantissa);
        V<T> minus = s * e.t + (s - T(1));
        y = minus / (minus + T(2));
    }
    return with_sign<T>(y, x);
}

// Phi(-z) e^(z^2/2) for z >= 0: one over sqrt(2 pi) z, which it is in the end, plus a quotient, which becomes small.
// All coefficients are positive, so that nothing cancels; and for large z, errors of `below` cancel each other.
template <class T>
FC_INLINE V<T> scaled_tail(V<T> z) {
    using C = Coefficients<T>;
    V<T> above = polynomial<T>(z, C::above), below = polynomial<T>(z, C::below);
    return below / (below * (z * T(2.5066282746310005024)) + above);
}

// The normal distribution function and its density.
template <class T>
struct Normal {
    V<T> cdf, density;
};

// z = |x| is split in two, so that z^2 is not rounded: the exponent's error would become the result's.
template <class T>
FC_INLINE Normal<T> normal(V<T> x) {
    V<T> z = smaller<T>(all<T>(sizeof(T) == 4 ? T(14.5) : T(38.7)), absolute<T>(x));  // where both are zero
    V<T> high = (V<T>)((U<T>)z & Format<T>::half_precise);
    auto e = exponential<T>(T(-0.5) * (high * high), T(0.5) * ((z - high) * (z + high)));
    auto s = scale<T>(e);
    V<T> tail = scaled_tail<T>(z);
    tail = ((tail + tail * e.t) * s.first) * s.second;
    constexpr T top = T(0.39894228040143267794);
    return {x > T(0) ? T(1) - tail : tail, ((top + top * e.t) * s.first) * s.second};
}

// The nearest whole number; numbers so large that they have no fractions are whole.
template <class T>
FC_INLINE V<T> whole(V<T> x) {
    constexpr T least = T((uint64_t)1 << Format<T>::mantissa);
    V<T> a = absolute<T>(x);
    return with_sign<T>(a < least ? (a + least) - least : a, x);
}

// sin(2 pi u) and cos(2 pi u).
template <class T>
struct Wave {
    V<T> sine, cosine;
};

// u is in turns: whole turns, and then whole quarters, are taken off without rounding, so that it may be of any size.
// What is left, t in -pi/4 to pi/4, is put into the Taylor series, whose first term left out is below the rounding.
template <class T>
FC_INLINE Wave<T> wave(V<T> u) {
    V<T> part = u - whole<T>(u), quarters = whole<T>(part * T(4));
    V<T> t = (part - quarters * T(0.25)) * T(6.28318530717958647692), z = t * t, s, c;
    if constexpr (sizeof(T) == 4) {
        constexpr T sine[] = {T(1) / 362880, T(-1) / 5040, T(1) / 120, T(-1) / 6};
        constexpr T cosine[] = {T(1) / 40320, T(-1) / 720, T(1) / 24};
        s = t + t * (z * polynomial<T>(z, sine));
        c = T(1) - (T(0.5) * z - z * z * polynomial<T>(z, cosine));
    } else {
        constexpr T sine[] = {T(-1) / 1307674368000, T(1) / 6227020800, T(-1) / 39916800, T(1) / 362880,
                              T(-1) / 5040,          T(1) / 120,        T(-1) / 6};
        constexpr T cosine[] = {T(1) / 20922789888000, T(-1) / 87178291200, T(1) / 479001600, T(-1) / 3628800,
                                T(1) / 40320,          T(-1) / 720,         T(1) / 24};
        s = t + t * (z * polynomial<T>(z, sine));
        c = T(1) - (T(0.5) * z - z * z * polynomial<T>(z, cosine));
    }
    V<T> size = absolute<T>(quarters);
    V<T> first = size == T(1) ? c : s, second = size == T(1) ? s : c;
    return {(size == T(2)) | (quarters == T(-1)) ? -first : first,
            (size == T(2)) | (quarters == T(1)) ? -second : second};
}

template <class T>
FC_INLINE V<T> normal_cdf(V<T> x) {
    return normal<T>(x).cdf;
}

// Small x have a polynomial, the others 1 - 2 Phi(-sqrt(2) |x|).
template <class T>
FC_INLINE V<T> erf(V<T> x) {
    using F = Format<T>;
    V<T> a = smaller<T>(all<T>(6), absolute<T>(x));  // where erf is 1
    V<T> square = a * a, z = a * T(1.41421356237309504880);
    auto e = exponential<T, 1>(-square);
    V<T> s = (V<T>)(e.n << F::mantissa);
    V<T> tail = (s + s * e.t) * scaled_tail<T>(z);
    V<T> y = a < T(0.9) ? a + a * polynomial<T>(square, Coefficients<T>::erf) : T(1) - (tail + tail);
    return with_sign<T>(y, x);
}

}  // namespace
