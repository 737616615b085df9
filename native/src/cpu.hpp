// Which copy of the kernels this processor runs.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

// The newest copy that this processor has the instructions for, or the one that FULLYCONNECTED_CPU names. Decided once.
// Throws std::invalid_argument if there is no such copy, or the processor cannot run it.
const Kernels& best_kernels();

// The copy of that name, "plain", "avx2" or "avx512"; nullptr if it is not here or this processor cannot run it.
const Kernels* kernels_named(const char* name);

// The name of a copy, as kernels_named takes it.
const char* name_of(const Kernels& kernels);

// The names of the copies that this processor runs, the best first.
std::vector<std::string> usable_kernels();
