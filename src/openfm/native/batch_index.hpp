// Labelled rows cut into mini-batches, in the form that the kernels train on.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "array.hpp"
#include "dense_batches.hpp"
#include "kernels.hpp"

namespace openfm {

// The non-zeros of consecutive batches by feature. Batch b has the features [batches[b], batches[b + 1]); what FeatureView
// says of a batch's features and entries lies at begin(b) in each array.
struct SparseBatches {
    std::vector<int64_t> batches{0};
    std::vector<int64_t> entries{0};  // batch b has the entries [entries[b], entries[b + 1])
    Array<int32_t> features;
    Array<int32_t> starts;    // one more for each batch than it has features
    Array<uint16_t> rows16;  // the row of an entry within its batch; of the two only one is filled
    Array<uint32_t> rows32;
    Array<float> values;
    bool narrow = true;

    int64_t bytes() const;

    int64_t feature_count(int64_t batch) const {
        const auto b = static_cast<size_t>(batch);
        return batches[b + 1] - batches[b];
    }
    const int32_t* features_of(int64_t batch) const { return features.get() + batches[static_cast<size_t>(batch)]; }

    FeatureView<uint16_t> view16(int64_t batch) const { return view(batch, rows16.get()); }
    FeatureView<uint32_t> view32(int64_t batch) const { return view(batch, rows32.get()); }

private:
    template <class Row>
    FeatureView<Row> view(int64_t batch, const Row* rows) const {
        const auto b = static_cast<size_t>(batch);
        return {features.get() + batches[b], starts.get() + batches[b] + batch, rows + entries[b],
                values.get() + entries[b], batches[b + 1] - batches[b]};
    }
};

// Either form of a block of rows.
struct BatchIndex {
    int64_t batches = 0;
    std::optional<DenseBatches> dense;
    SparseBatches sparse;  // where dense is not there

    int64_t bytes() const { return dense ? dense->bytes() : sparse.bytes(); }
};

// Builds batches; keeps one counter for each feature between calls.
class BatchIndexer {
public:
    // all_features: every batch lists every feature, those without an entry too. dense: whether rows become dense
    // batches; without a value that depends on how many of their cells are not zero.
    BatchIndexer(int64_t feature_dim, int64_t batch_size, bool all_features, std::optional<bool> dense)
        : feature_dim_(feature_dim), batch_size_(batch_size), all_features_(all_features), dense_(dense) {}

    int64_t feature_dim() const { return feature_dim_; }
    int64_t batch_size() const { return batch_size_; }

    // Rows are cut into batches from the first on; the last batch may be short.
    BatchIndex index(const RowsView& rows, int64_t count);

private:
    bool is_dense(const RowsView& rows, int64_t count) const;
    SparseBatches index_sparse(const RowsView& rows, int64_t count);
    template <class Row>
    void index_batch(const RowsView& rows, int64_t first, int64_t last, SparseBatches& index, Row* entry_rows);

    const int64_t feature_dim_, batch_size_;
    const bool all_features_;
    const std::optional<bool> dense_;
    std::mutex mutex_;               // one batch at a time
    std::vector<int32_t> counters_;  // of each feature, all zero between batches; made for the first sparse batch
};

}  // namespace openfm
