// The choice of the copy of the kernels for this processor.
#pragma once

#include <string>
#include <vector>

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
