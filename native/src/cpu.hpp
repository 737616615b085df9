// What is known of this processor: which copy of the kernels it runs best, and its caches.
#pragma once

#include <stddef.h>

#include <string>
#include <vector>

#include "bfloat16.hpp"
#include "kernels.hpp"

// The newest copy that this processor can run, or the one that FULLYCONNECTED_CPU names. It is chosen once.
// Throws std::invalid_argument if there is no such copy, or the processor cannot run it.
const Kernels& best_kernels();

// The copy with this name, "plain", "avx2" or "avx512"; nullptr if there is none or this processor cannot run it.
const Kernels* kernels_named(const char* name);

// The name of a copy, as kernels_named takes it.
const char* name_of(const Kernels& kernels);

// The names of the copies that this processor can run, the best first.
std::vector<std::string> usable_kernels();

// The ways to multiply bfloat16 that this processor and a copy of the kernels have, the best first. The first call asks
// the operating system for the registers of AMX.
std::vector<const Bfloat16*> ways_of_bfloat16(const Kernels& kernels);

// The first of them; throws std::invalid_argument if there is none.
const Bfloat16& best_bfloat16(const Kernels& kernels);

// The caches of a processor. Of several that this process may run on, each size is that of the smallest.
struct Caches {
    ptrdiff_t l1, l2, l3;  // bytes of the first level for data, of the second, and of the third, which is 0 without one
    int sharing_l3;        // how many logical processors share the third

    bool operator==(const Caches&) const = default;
};

// The caches of this processor, or those that FULLYCONNECTED_CACHES says. They are found once.
// Throws std::invalid_argument if that variable does not say what caches can be.
const Caches& caches();

// The caches that a folder describes as Linux's /sys/devices/system/cpu does; without it, those that the processor
// itself tells. Usual ones stand for what is not told, or cannot be.
Caches caches_in(const std::string& folder);
