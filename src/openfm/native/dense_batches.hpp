// Mini-batches of which all cells are kept, zeros too.
#pragma once

#include <cstdint>

#include "array.hpp"
#include "kernels.hpp"

namespace openfm {

// From this share of non-zero cells on the dense kernels train faster than the sparse ones: measured with 784 features
// they are even at 0.4 with AVX-512, at 0.5 (10 factors) to 0.65 (64 factors) with AVX2, and at all cells 2.6 and 1.4 to
// 1.9 times as fast.
constexpr double kDenseFrom = 0.5;

class DenseBatches {
public:
    // all_features: features without a non-zero count as occurring, too.
    DenseBatches(const RowsView& rows, int64_t count, int64_t feature_dim, int64_t batch_size, bool all_features);

    DenseView view(int64_t batch) const;
    int64_t bytes() const;

private:
    int64_t row_groups(int64_t batch) const;

    int64_t count_, feature_dim_, batch_size_, feature_groups_, batches_;
    AlignedFloats cells_;    // batch after batch
    Array<uint8_t> occurs_;  // feature_groups_ of each batch
};

}  // namespace openfm
