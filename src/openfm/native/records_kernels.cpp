// The choice of instruction set: the one that the training kernels have.
#include "records_kernels.hpp"

#include <cstring>

#include "kernels.hpp"

namespace openfm::records {

namespace baseline {
extern const RecordKernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const RecordKernels kernels;
}
namespace avx512 {
extern const RecordKernels kernels;
}
#endif

const RecordKernels* find_record_kernels(const char* instruction_set) {
    const Kernels* const own = *instruction_set == '\0' ? &best_kernels() : find_kernels(instruction_set);
    if (own == nullptr) return nullptr;
#if defined(__x86_64__)
    const bool has_avx512 = std::strcmp(own->name, avx512::kernels.name) == 0;
    if (has_avx512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")) {
        return &avx512::kernels;
    }
    if (has_avx512 || std::strcmp(own->name, avx2::kernels.name) == 0) return &avx2::kernels;
#endif
    return &baseline::kernels;
}

}  // namespace openfm::records
