// Loops over the vectors of a row, the last of which may be used only in part.
#pragma once

#include "../program.hpp"
#include "simd.hpp"

namespace {

// The place of a vector in a row, and how many of its lanes are used; 0 means all.
template <class T>
struct Place {
    ptrdiff_t at, part;

    FC_INLINE V<T> get(const T* from) const { return part ? load_part(from + at, part) : load(from + at); }
    FC_INLINE void put(T* to, V<T> v) const { part ? store_part(to + at, v, part) : store(to + at, v); }
};

// Calls body(place) for each vector of n numbers.
template <class T, class Body>
FC_INLINE void each(ptrdiff_t n, Body body) {
    ptrdiff_t i = 0;
    for (; i + lanes<T> <= n; i += lanes<T>) body(Place<T>{i, 0});
    if (i < n) body(Place<T>{i, n - i});
}

// The same with one copy of the body, where that is long.
template <class T, class Body>
FC_INLINE void each_in_turn(ptrdiff_t n, Body body) {
    for (ptrdiff_t i = 0; i < n; i += lanes<T>) body(Place<T>{i, n - i < lanes<T> ? n - i : 0});
}

template <class T>
FC_INLINE void zero(T* from, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) from[i] = 0;
}

template <class T>
FC_INLINE V<T> where(M<T> mask, V<T> v) {  // v, or zero
    return (V<T>)(mask & (M<T>)v);
}

template <class T>
FC_INLINE M<T> first_lanes(ptrdiff_t n) {
    M<T> lane;
    for (ptrdiff_t i = 0; i < lanes<T>; i++) lane[i] = i;
    return lane < (decltype(lane[0] + 0))n;
}

template <class T>
FC_INLINE V<T> sign(V<T> v) {  // -1, 0 or 1; NaN for NaN
    V<T> one = all<T>(1), zero = {};
    return v > zero ? one : (v < zero ? -one : v);
}

template <class T>
T sum_of(const T* from, ptrdiff_t n) {
    V<T> total = {};
    each<T>(n, [&](Place<T> p) { total += p.get(from); });
    return sum<T>(total);
}

// The rows from row i and column j on; null stays null.
template <class T>
FC_INLINE Rows<T> offset(Rows<T> rows, ptrdiff_t i, ptrdiff_t j) {
    return {rows.data ? rows.data + i * rows.row + j : nullptr, rows.row};
}

// Copies a column into one row, with zeros after it up to a whole vector.
template <class T>
FC_INLINE void gather_column(Rows<T> from, ptrdiff_t j, T* to, ptrdiff_t rows) {
    for (ptrdiff_t i = 0; i < rows; i++) to[i] = from.data[i * from.row + j];
    for (ptrdiff_t i = rows; i % lanes<T>; i++) to[i] = 0;
}

// A number added to a divisor that could be zero; not denormal, since denormal numbers count as zero here.
template <class T>
FC_INLINE T positive(double v) {
    constexpr double least = sizeof(T) == 4 ? (double)__FLT_MIN__ : __DBL_MIN__;
    return (T)(v < least ? least : v);
}

// The part of n items for one thread, cut at multiples of grain. It depends only on the arguments.
FC_INLINE Range partition(ptrdiff_t n, ptrdiff_t grain, int thread, int threads) {
    ptrdiff_t units = (n + grain - 1) / grain;
    ptrdiff_t from = units * thread / threads * grain, to = units * (thread + 1) / threads * grain;
    return {from < n ? from : n, to < n ? to : n};
}

FC_INLINE bool is_finite(double v) { return v - v == 0; }

}  // namespace
