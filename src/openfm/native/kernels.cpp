// The choice of instruction set.
#include "kernels.hpp"

#include <cstring>
#include <initializer_list>

namespace openfm {

namespace baseline {
extern const Kernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#endif

const Kernels* find_kernels(const char* name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (has_avx512 && std::strcmp(name, avx512::kernels.name) == 0) return &avx512::kernels;
    if (has_avx2 && std::strcmp(name, avx2::kernels.name) == 0) return &avx2::kernels;
#endif
    return std::strcmp(name, baseline::kernels.name) == 0 ? &baseline::kernels : nullptr;
}

const Kernels& best_kernels() {
    static const Kernels* const best = [] {
        for (const char* name : {"avx512", "avx2"})
            if (const Kernels* found = find_kernels(name)) return found;
        return &baseline::kernels;
    }();
    return *best;
}

}  // namespace openfm
