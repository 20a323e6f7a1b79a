#include "array.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace openfm {

AlignedFloats::AlignedFloats(int64_t floats, int64_t times) {
    constexpr size_t kHugePage = size_t{2} << 20, kCacheLine = 64;
    if (floats > std::numeric_limits<int64_t>::max() / 8 / times) throw std::bad_alloc();
    size_t bytes = static_cast<size_t>(floats * times) * sizeof(float);
    const size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kCacheLine;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<float*>(std::aligned_alloc(alignment, bytes)));
    if (!data_) throw std::bad_alloc();
    bytes_ = static_cast<int64_t>(bytes);
#if defined(__linux__)
    if (alignment == kHugePage) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
}

}  // namespace openfm
