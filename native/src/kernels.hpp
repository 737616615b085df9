// What each instruction set's copy of the kernels offers to the rest of the engine.
#pragma once

#include "program.hpp"

template <class T>
struct Entry {
    void (*train)(Run<T>*, int thread);  // an epoch, or a gradient, by each thread of a pool
    void (*predict)(Prediction<T>*, int thread);
    bool (*evaluate)(const char* name, const T* x, T* y, ptrdiff_t n);  // the vector functions by name, for tests
    void (*products)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, bool turn_a, bool turn_b, const T* a, const T* b, T* c,
                     Scratch<T> scratch, int thread, int threads);
    double (*fma)(int64_t rounds);  // runs products and sums in registers alone; returns their number
    ptrdiff_t scratch_a, scratch_b, scratch_tile, lanes;
};

struct Kernels {
    const char* name;
    Entry<float> f32;
    Entry<double> f64;
};

extern const Kernels kernels_plain;
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
