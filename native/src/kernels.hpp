// The functions that each copy of the kernels has for the rest of the engine; there is a copy per instruction set.
#pragma once

#include "program.hpp"

template <class T>
struct Entry {
    void (*train)(Run<T>*, int thread);       // an epoch or a gradient; called by every thread of a pool
    void (*train_tiny)(Run<T>*, int thread);  // the same of a tiny network, for which `tiny_size` is not 0,
    ptrdiff_t (*tiny_size)(const Run<T>&, ptrdiff_t rows);  // the numbers that Run::tiny must have room for
    void (*predict)(Prediction<T>*, int thread);
    bool (*evaluate)(const char* name, const T* x, T* y, ptrdiff_t n);  // a vector function by name, for tests
    void (*products)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, bool turn_a, bool turn_b, Rows<const T> a, Rows<const T> b,
                     Rows<T> c, Scratch<T> scratch, int thread, int threads);
    double (*fma)(int64_t rounds);  // multiplies and adds in registers only; returns the number of operations
    ptrdiff_t least_a, scratch_b, scratch_tile;  // numbers of Scratch: the least of a; of b; of tile
    ptrdiff_t lanes, tile_rows;                  // numbers of a vector; rows of a tile of a product
};

struct Kernels {
    const char* name;
    Entry<float> f32;
    Entry<double> f64;
    ptrdiff_t scratch_packed;  // 0 if there are no products of bfloat16
};

extern const Kernels kernels_plain;
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
