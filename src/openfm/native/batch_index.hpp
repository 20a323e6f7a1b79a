// Mini-batches of sparse rows with, for each batch, its non-zeros by feature.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "kernels.hpp"

namespace openfm {

// An array that is not set to zero first and can give back what it does not use.
template <class T>
class Array {
public:
    Array() = default;
    explicit Array(int64_t size) : data_(static_cast<T*>(std::malloc(bytes(size)))) {
        if (!data_) throw std::bad_alloc();
    }
    T* get() { return data_.get(); }
    const T* get() const { return data_.get(); }
    T& operator[](int64_t i) { return data_.get()[i]; }
    const T& operator[](int64_t i) const { return data_.get()[i]; }

    void shrink(int64_t size) {
        T* moved = static_cast<T*>(std::realloc(data_.get(), bytes(size)));
        if (!moved) return;  // the larger array serves as well
        data_.release();
        data_.reset(moved);
    }

private:
    static size_t bytes(int64_t size) {
        if (size > std::numeric_limits<int64_t>::max() / static_cast<int64_t>(sizeof(T))) throw std::bad_alloc();
        return sizeof(T) * static_cast<size_t>(size > 0 ? size : 1);
    }
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> data_;
};

// The transposed index of consecutive batches: batch b has features [batches[b], batches[b + 1]), feature f of them the
// entries [starts[f], starts[f + 1]).
struct BatchIndex {
    std::vector<int64_t> batches;
    Array<int32_t> features;
    Array<int64_t> starts;
    Array<uint16_t> rows16;  // the row of an entry within its batch; of the two only one is filled
    Array<uint32_t> rows32;
    Array<float> values;
    bool narrow = true;
    int64_t bytes = 0;

    int64_t count() const { return static_cast<int64_t>(batches.size()) - 1; }

    FeatureView<uint16_t> view16() const {
        return {features.get(), starts.get(), rows16.get(), values.get(), batches.back()};
    }
    FeatureView<uint32_t> view32() const {
        return {features.get(), starts.get(), rows32.get(), values.get(), batches.back()};
    }
};

// Builds batch indexes by counting sort; keeps one counter for each feature between calls.
class BatchIndexer {
public:
    // all_features: every batch lists every feature, those without an entry too.
    BatchIndexer(int64_t feature_dim, int64_t batch_size, bool all_features)
        : batch_size_(batch_size), all_features_(all_features), counters_(static_cast<size_t>(feature_dim), 0) {}

    int64_t feature_dim() const { return static_cast<int64_t>(counters_.size()); }
    int64_t batch_size() const { return batch_size_; }

    // Rows are cut into batches from the first on; the last batch may be short.
    BatchIndex index(const RowsView& rows, int64_t count);

private:
    template <class Row>
    void index_batch(const RowsView& rows, int64_t first, int64_t last, BatchIndex& index, Row* entry_rows);

    const int64_t batch_size_;
    const bool all_features_;
    std::mutex mutex_;               // one batch at a time
    std::vector<int32_t> counters_;  // all zero between batches
};

}  // namespace openfm
