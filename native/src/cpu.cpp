#include "cpu.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace {

struct Copy {
    const char* name;
    const Kernels* kernels;
    bool runs;  // on this processor, under this operating system
};

const std::vector<Copy>& copies() {  // the best first
    static const std::vector<Copy> all = [] {
        std::vector<Copy> found;
#if defined(FC_WITH_avx2) || defined(FC_WITH_avx512)
        // The compiler's library also checks that the operating system saves the wide registers.
        __builtin_cpu_init();
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#if defined(FC_WITH_avx512) && defined(FC_AVX512_AS_AVX2)
        found.push_back({"avx512", &kernels_avx512, avx2});
#elif defined(FC_WITH_avx512)
        const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
        found.push_back({"avx512", &kernels_avx512, avx512});
#endif
#if defined(FC_WITH_avx2)
        found.push_back({"avx2", &kernels_avx2, avx2});
#endif
#if defined(FC_WITH_plain)
        found.push_back({"plain", &kernels_plain, true});
#endif
        return found;
    }();
    return all;
}

std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    return all;
}

const Kernels& chosen() {
    const char* wanted = std::getenv("FULLYCONNECTED_CPU");
    if (!wanted || !*wanted) return *kernels_named(usable_kernels().front().c_str());
    if (const Kernels* kernels = kernels_named(wanted)) return *kernels;
    bool known = false;
    for (const Copy& copy : copies()) known |= std::string_view(copy.name) == wanted;
    throw std::invalid_argument(std::string("FULLYCONNECTED_CPU=") + wanted +
                                (known ? " needs instructions that this processor lacks" : " is not known") +
                                "; here it can be " + joined(usable_kernels()) +
                                ", or unset, which takes the first of these");
}

}  // namespace

const Kernels& best_kernels() {
    static const Kernels& best = chosen();
    return best;
}

const Kernels* kernels_named(const char* name) {
    for (const Copy& copy : copies())
        if (std::string_view(copy.name) == name) return copy.runs ? copy.kernels : nullptr;
    return nullptr;
}

const char* name_of(const Kernels& kernels) {
    for (const Copy& copy : copies())
        if (copy.kernels == &kernels) return copy.name;
    return "";
}

std::vector<std::string> usable_kernels() {
    std::vector<std::string> names;
    for (const Copy& copy : copies())
        if (copy.runs) names.push_back(copy.name);
    return names;
}
