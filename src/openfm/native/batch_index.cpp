#include "batch_index.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace openfm {

namespace {
constexpr int64_t kPrefetch = 32;  // non-zeros or features ahead
}

BatchIndex BatchIndexer::index(const RowsView& rows, int64_t count) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const int64_t batches = (count + batch_size_ - 1) / batch_size_;
    const int64_t most = all_features_ ? batches * feature_dim() : std::min(rows.nnz, batches * feature_dim());
    BatchIndex index;
    index.narrow = batch_size_ <= 65536;
    index.features = Array<int32_t>(most);
    index.starts = Array<int64_t>(most + 1);
    index.values = Array<float>(rows.nnz);
    if (index.narrow)
        index.rows16 = Array<uint16_t>(rows.nnz);
    else
        index.rows32 = Array<uint32_t>(rows.nnz);
    index.starts[0] = rows.indptr[0];
    index.batches.assign(1, 0);
    for (int64_t first = 0; first < count; first += batch_size_) {
        const int64_t last = std::min(first + batch_size_, count);
        if (index.narrow)
            index_batch(rows, first, last, index, index.rows16.get());
        else
            index_batch(rows, first, last, index, index.rows32.get());
    }
    const int64_t used = index.batches.back();
    index.features.shrink(used);
    index.starts.shrink(used + 1);
    index.bytes = used * 12 + rows.nnz * (index.narrow ? 6 : 8);
    return index;
}

template <class Row>
void BatchIndexer::index_batch(const RowsView& rows, int64_t first, int64_t last, BatchIndex& index, Row* entry_rows) {
    int32_t* counters = counters_.data();
    const int64_t begin = rows.indptr[first], end = rows.indptr[last], begin_feature = index.batches.back();
    if (end - begin > std::numeric_limits<int32_t>::max())
        throw std::length_error("a mini-batch holds more than 2^31 - 1 non-zeros");
    int64_t feature = begin_feature;
    if (all_features_)
        for (int64_t f = 0; f < feature_dim(); ++f) index.features[feature++] = static_cast<int32_t>(f);
    for (int64_t p = begin; p < end; ++p) {
        __builtin_prefetch(counters + rows.indices[std::min(p + kPrefetch, rows.nnz - 1)], 1);
        if (counters[rows.indices[p]]++ == 0 && !all_features_) index.features[feature++] = rows.indices[p];
    }
    // Counts become the place of each feature's next entry, relative to the batch's first.
    int64_t place = begin;
    for (int64_t f = begin_feature; f < feature; ++f) {
        int32_t& counter = counters[index.features[f]];
        const int32_t occurrences = counter;
        counter = static_cast<int32_t>(place - begin);
        place += occurrences;
        index.starts[f + 1] = place;
    }
    for (int64_t row = first; row < last; ++row) {
        for (int64_t p = rows.indptr[row]; p < rows.indptr[row + 1]; ++p) {
            const int64_t entry = begin + counters[rows.indices[p]]++;
            entry_rows[entry] = static_cast<Row>(row - first);
            index.values[entry] = rows.values[p];
        }
    }
    for (int64_t f = begin_feature; f < feature; ++f) counters[index.features[f]] = 0;
    index.batches.push_back(feature);
}

}  // namespace openfm
