// The floating-point mode of a thread: how the processor rounds, and how it treats denormal numbers.
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>  // its functions are always inlined, as simd.hpp explains
#endif

namespace {

#if defined(__x86_64__)
using Rounding = unsigned;
constexpr Rounding flushes_denormals = 0x8040;
Rounding rounding() { return _mm_getcsr(); }
void set_rounding(Rounding r) { _mm_setcsr(r); }
#elif defined(__aarch64__)
using Rounding = uint64_t;
constexpr Rounding flushes_denormals = 1u << 24;
Rounding rounding() {
    uint64_t r;
    __asm__ volatile("mrs %0, fpcr" : "=r"(r));
    return r;
}
void set_rounding(Rounding r) { __asm__ volatile("msr fpcr, %0" ::"r"(r)); }
#else
using Rounding = int;
constexpr Rounding flushes_denormals = 0;
Rounding rounding() { return 0; }
void set_rounding(Rounding) {}
#endif

// Flushes denormal numbers to zero for its lifetime: decaying moments become denormal, and processors take a hundred
// times longer with such numbers.
struct FlushDenormals {
    Rounding before = rounding();
    FlushDenormals() { set_rounding(before | flushes_denormals); }
    ~FlushDenormals() { set_rounding(before); }
};

}  // namespace
