#include "batch_index.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace openfm {

namespace {
constexpr int64_t kPrefetch = 32;  // non-zeros or features ahead
}

int64_t SparseBatches::bytes() const {
    const int64_t features = batches.back(), count = static_cast<int64_t>(batches.size()) - 1;
    return features * 8 + count * 20 + entries.back() * (narrow ? 6 : 8);
}

BatchIndex BatchIndexer::index(const RowsView& rows, int64_t count) {
    BatchIndex index;
    index.batches = (count + batch_size_ - 1) / batch_size_;
    if (is_dense(rows, count))
        index.dense = DenseBatches(rows, count, feature_dim_, batch_size_, all_features_);
    else
        index.sparse = index_sparse(rows, count);
    return index;
}

bool BatchIndexer::is_dense(const RowsView& rows, int64_t count) const {
    if (dense_) return *dense_;
    return static_cast<double>(rows.nnz) >= kDenseFrom * static_cast<double>(count) * static_cast<double>(feature_dim_);
}

SparseBatches BatchIndexer::index_sparse(const RowsView& rows, int64_t count) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (counters_.empty()) counters_.assign(static_cast<size_t>(feature_dim_), 0);
    const int64_t batches = (count + batch_size_ - 1) / batch_size_;
    const int64_t most = all_features_ ? batches * feature_dim_ : std::min(rows.nnz, batches * feature_dim_);
    SparseBatches index;
    index.narrow = batch_size_ <= 65536;
    index.features = Array<int32_t>(most);
    index.starts = Array<int32_t>(most + batches);
    index.values = Array<float>(rows.nnz);
    if (index.narrow)
        index.rows16 = Array<uint16_t>(rows.nnz);
    else
        index.rows32 = Array<uint32_t>(rows.nnz);
    for (int64_t first = 0; first < count; first += batch_size_) {
        const int64_t last = std::min(first + batch_size_, count);
        if (index.narrow)
            index_batch(rows, first, last, index, index.rows16.get());
        else
            index_batch(rows, first, last, index, index.rows32.get());
    }
    index.features.shrink(index.batches.back());
    index.starts.shrink(index.batches.back() + batches);
    return index;
}

template <class Row>
void BatchIndexer::index_batch(const RowsView& rows, int64_t first, int64_t last, SparseBatches& index,
                               Row* entry_rows) {
    int32_t* counters = counters_.data();
    const int64_t begin = rows.indptr[first], end = rows.indptr[last], begin_feature = index.batches.back();
    if (end - begin > std::numeric_limits<int32_t>::max())
        throw std::length_error("a mini-batch holds more than 2^31 - 1 non-zeros");
    int64_t feature = begin_feature;
    if (all_features_)
        for (int64_t f = 0; f < feature_dim_; ++f) index.features[feature++] = static_cast<int32_t>(f);
    for (int64_t p = begin; p < end; ++p) {
        __builtin_prefetch(counters + rows.indices[std::min(p + kPrefetch, rows.nnz - 1)], 1);
        if (counters[rows.indices[p]]++ == 0 && !all_features_) index.features[feature++] = rows.indices[p];
    }
    // Counts become the place of each feature's next entry.
    int32_t* starts = index.starts.get() + begin_feature + static_cast<int64_t>(index.batches.size()) - 1;
    int32_t place = 0;
    for (int64_t f = begin_feature; f < feature; ++f) {
        int32_t& counter = counters[index.features[f]];
        const int32_t occurrences = counter;
        *starts++ = counter = place;
        place += occurrences;
    }
    *starts = place;
    for (int64_t row = first; row < last; ++row) {
        for (int64_t p = rows.indptr[row]; p < rows.indptr[row + 1]; ++p) {
            const int64_t entry = begin + counters[rows.indices[p]]++;
            entry_rows[entry] = static_cast<Row>(row - first);
            index.values[entry] = rows.values[p];
        }
    }
    for (int64_t f = begin_feature; f < feature; ++f) counters[index.features[f]] = 0;
    index.batches.push_back(feature);
    index.entries.push_back(end);
}

}  // namespace openfm
