#include "cpu.hpp"

#include <stdint.h>
#include <stdio.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace {

#if defined(FC_WITH_bfloat16_amx) || defined(FC_WITH_bfloat16_avx512)
struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned part) {
    Registers r;
    __get_cpuid_count(leaf, part, &r.a, &r.b, &r.c, &r.d);
    return r;
}

// The registers that the operating system saves, a bit for each kind.
uint64_t saved_registers() {
    if (!(cpuid(1, 0).c >> 27 & 1)) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
#endif

#if defined(FC_WITH_bfloat16_avx512)
bool has_avx512_bf16() {
    return (saved_registers() & 0xe6) == 0xe6 && cpuid(7, 0).b >> 16 & 1 && cpuid(7, 1).a >> 5 & 1;
}
#endif

#if defined(FC_WITH_bfloat16_amx)
// Linux gives a process the registers of AMX when it is asked to; its threads and what it forks have them, too.
bool has_amx() {
    constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA
    const unsigned features = cpuid(7, 0).d;
    if (!(features >> 22 & 1 && features >> 24 & 1) || (saved_registers() >> 17 & 3) != 3) return false;
    return syscall(SYS_arch_prctl, request, tile_data) == 0;
}
#endif

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

bool take(std::string_view& text, char sign) {
    if (text.empty() || text.front() != sign) return false;
    text.remove_prefix(1);
    return true;
}

// Takes a whole number off the text; -1 if it does not begin with one, or with one that is too large.
int64_t take_number(std::string_view& text) {
    uint32_t number;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return -1;
    text.remove_prefix((size_t)(end - text.data()));
    return number;
}

int64_t take_size(std::string_view& text) {  // in bytes; the text is such as 49152, 48K or 2M
    int64_t size = take_number(text);
    if (size > 0) size <<= take(text, 'K') ? 10 : take(text, 'M') ? 20 : 0;
    return size;
}

int64_t length(std::string_view list) {  // of a list such as 0-1,4, which has three entries; 0 if it is none
    int64_t entries = 0;
    do {
        const int64_t first = take_number(list), last = take(list, '-') ? take_number(list) : first;
        if (first < 0 || last < first) return 0;
        entries += last - first + 1;
    } while (take(list, ','));
    return list.empty() ? entries : 0;
}

std::string first_line(const std::string& path) {
    std::string line;
    if (FILE* file = fopen(path.c_str(), "re")) {
        for (int c; (c = getc(file)) != EOF && c != '\n';) line += (char)c;
        fclose(file);
    }
    return line;
}

// The logical processors that this process may run on; the first alone where the system does not say.
std::vector<int> processors() {
    std::vector<int> found;
#if defined(__linux__)
    cpu_set_t may[8] = {};  // for 8192 processors: a mask that is shorter than the system's is refused
    if (sched_getaffinity(0, sizeof may, may) == 0)
        for (int i = 0; i < (int)(8 * sizeof may); i++)
            if (CPU_ISSET_S(i, sizeof may, may)) found.push_back(i);
#endif
    return found.empty() ? std::vector<int>{0} : found;
}

// Adds a cache, or another of the same level, to what was found; what is no cache for data changes nothing.
void add(Caches& found, int64_t level, int64_t bytes, int64_t sharing) {
    if (level < 1 || level > 3 || bytes <= 0) return;
    ptrdiff_t& least = level == 1 ? found.l1 : level == 2 ? found.l2 : found.l3;
    least = least == 0 ? (ptrdiff_t)bytes : std::min(least, (ptrdiff_t)bytes);
    if (level == 3) found.sharing_l3 = std::max(found.sharing_l3, (int)std::min<int64_t>(sharing, INT32_MAX));
}

Caches described_in(const std::string& folder) {
    constexpr size_t most = 32;  // processors that are looked at, each in 0.2 ms; where cores differ there are no more
    Caches found{};
    const std::vector<int> all = processors();
    for (size_t i = 0; i < std::min(all.size(), most); i++)
        for (int index = 0;; index++) {
            const std::string cache =
                folder + "/cpu" + std::to_string(all[i]) + "/cache/index" + std::to_string(index) + "/";
            const std::string level = first_line(cache + "level");
            if (level.empty()) break;
            if (first_line(cache + "type") == "Instruction") continue;
            const std::string size = first_line(cache + "size");
            std::string_view level_text = level, size_text = size;
            add(found, take_number(level_text), take_size(size_text), length(first_line(cache + "shared_cpu_list")));
        }
    return found;
}

Caches told_by_the_processor() {
    Caches found{};
#if defined(__x86_64__) || defined(__i386__)
    for (unsigned leaf : {4u, 0x8000001Du})  // Intel's and AMD's, in the same form; a processor has one of them
        for (unsigned i = 0, a, b, c, d; i < 16 && __get_cpuid_count(leaf, i, &a, &b, &c, &d) && a & 31; i++)
            if ((a & 31) != 2)  // instructions
                add(found, a >> 5 & 7,
                    ((b >> 22) + int64_t{1}) * ((b >> 12 & 1023) + 1) * ((b & 4095) + 1) * (c + int64_t{1}),
                    (a >> 14 & 4095) + 1);
#elif defined(__APPLE__)
    auto ask = [](const char* name) {
        int64_t value = 0;
        size_t size = sizeof value;
        return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
    };
    for (const std::string cores : {"hw.perflevel0.", "hw.perflevel1."}) {  // the fast ones and the others
        add(found, 1, ask((cores + "l1dcachesize").c_str()), 1);
        add(found, 2, ask((cores + "l2cachesize").c_str()), 1);
    }
#endif
    return found;
}

// The caches as found, and usual ones in the place of what no processor has: virtual machines tell anything.
Caches believed(Caches found) {
    constexpr ptrdiff_t kB = 1 << 10, MB = 1 << 20;
    if (found.l1 < 8 * kB || found.l1 > 256 * kB) found.l1 = 32 * kB;
    if (found.l2 < found.l1 || found.l2 > 256 * MB) found.l2 = 512 * kB;
    if (found.l3 < found.l2 || found.l3 > 1024 * MB) found.l3 = 0;  // to count on none is never wrong
    if (found.sharing_l3 < 1 || found.sharing_l3 > 8192) found.sharing_l3 = (int)processors().size();
    return found;
}

Caches found_or_given() {
    const char* given = std::getenv("FULLYCONNECTED_CACHES");
    if (!given || !*given) return caches_in("/sys/devices/system/cpu");
    std::string_view text = given;
    int64_t numbers[4] = {};
    bool right = true;
    for (int i = 0; i < 4; i++) {
        right &= i == 0 || take(text, ',');
        numbers[i] = i < 3 ? take_size(text) : take_number(text);
    }
    const Caches said{(ptrdiff_t)numbers[0], (ptrdiff_t)numbers[1], (ptrdiff_t)numbers[2], (int)numbers[3]};
    if (right && text.empty() && believed(said) == said) return said;
    throw std::invalid_argument(
        std::string("FULLYCONNECTED_CACHES=") + given +
        " does not say what caches can be; it is four numbers such as 48K,2M,60M,2: the bytes of the first level for "
        "data (8K to 256K), of the second (no less than the first, up to 256M) and of the third (0, or no less than "
        "the "
        "second, up to 1024M), and how many logical processors share the third (1 or more); or unset, which asks the "
        "system");
}

}  // namespace

std::vector<const Bfloat16*> ways_of_bfloat16(const Kernels& kernels) {
    static const std::vector<const Bfloat16*> all = [] {
        std::vector<const Bfloat16*> found;
#if defined(FC_WITH_bfloat16_wide)
        found.push_back(&bfloat16_wide);
#endif
#if defined(FC_WITH_bfloat16_amx)
        if (has_amx()) found.push_back(&bfloat16_amx);
#endif
#if defined(FC_WITH_bfloat16_avx512)
        if (has_avx512_bf16()) found.push_back(&bfloat16_avx512);
#endif
        return found;
    }();
    return kernels.scratch_packed ? all : std::vector<const Bfloat16*>();
}

const Bfloat16& best_bfloat16(const Kernels& kernels) {
    const auto ways = ways_of_bfloat16(kernels);
    if (ways.empty()) throw std::invalid_argument("there are no products of bfloat16 here");
    return *ways.front();
}

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

Caches caches_in(const std::string& folder) {
    const Caches found = described_in(folder);
    return believed(found.l1 ? found : told_by_the_processor());
}

const Caches& caches() {
    static const Caches found = found_or_given();
    return found;
}
