#include "dense_batches.hpp"

#include <algorithm>
#include <cstring>

namespace openfm {

namespace {

int64_t groups_of(int64_t count) { return (count + kLanes - 1) / kLanes; }

}  // namespace

DenseBatches::DenseBatches(const RowsView& rows, int64_t count, int64_t feature_dim, int64_t batch_size,
                           bool all_features)
    : count_(count),
      feature_dim_(feature_dim),
      batch_size_(batch_size),
      feature_groups_(groups_of(feature_dim)),
      batches_((count + batch_size - 1) / batch_size),
      occurs_(batches_ * feature_groups_) {
    int64_t groups = 0;
    for (int64_t batch = 0; batch < batches_; ++batch) groups += row_groups(batch);
    const int64_t cells = groups * feature_groups_ * kLanes * kLanes;
    cells_ = AlignedFloats(std::max<int64_t>(cells, 1), 1);
    std::memset(cells_.get(), 0, static_cast<size_t>(cells) * sizeof(float));
    std::memset(occurs_.get(), all_features ? 0xff : 0, static_cast<size_t>(batches_ * feature_groups_));
    float* group = cells_.get();  // the tiles of the row's eight rows
    for (int64_t batch = 0; batch < batches_; ++batch) {
        const int64_t first = batch * batch_size, last = std::min(count, first + batch_size);
        uint8_t* occurs = occurs_.get() + batch * feature_groups_;
        for (int64_t row = first; row < last; ++row) {
            float* cell = group + (row - first) / kLanes * feature_groups_ * kLanes * kLanes + (row - first) % kLanes * kLanes;
            for (int64_t p = rows.indptr[row]; p < rows.indptr[row + 1]; ++p) {
                const int64_t tile = rows.indices[p] / kLanes, lane = rows.indices[p] % kLanes;
                cell[tile * kLanes * kLanes + lane] = rows.values[p];
                occurs[tile] = static_cast<uint8_t>(occurs[tile] | 1 << lane);
            }
        }
        group += row_groups(batch) * feature_groups_ * kLanes * kLanes;
    }
}

// The last batch may be short; one row of padding then stands for all.
int64_t DenseBatches::row_groups(int64_t batch) const {
    return groups_of(std::min(batch_size_, count_ - batch * batch_size_ + 1));
}

DenseView DenseBatches::view(int64_t batch) const {
    const int64_t before = batch * groups_of(batch_size_) * feature_groups_ * kLanes * kLanes;
    return {cells_.get() + before, occurs_.get() + batch * feature_groups_, feature_dim_, row_groups(batch)};
}

int64_t DenseBatches::bytes() const {
    return cells_.bytes() + feature_groups_ * batches_;
}

}  // namespace openfm
