// What training takes from Python.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>

#include "python_arrays.hpp"
#include "trainer.hpp"

namespace openfm {

namespace nb = nanobind;

// Labelled rows cut into mini-batches. Keeps the arrays that training reads, which must not change.
struct BatchBlock {
    struct Rows {
        Vector<int64_t> indptr;
        Vector<int32_t> indices;
        Vector<float> values;
    };
    std::optional<Rows> rows;  // where the batches are not dense
    Vector<float> labels;
    std::optional<Vector<float>> weights;
    RowsView view;
    BatchIndex index;
    int64_t feature_dim;
    int64_t batch_size;

    int64_t count() const { return static_cast<int64_t>(labels.shape(0)); }
    int64_t bytes() const {
        const int64_t of_rows = rows ? view.nnz * 8 + (count() + 1) * 8 : 0;
        return index.bytes() + of_rows + count() * (weights ? 8 : 4);
    }
    TrainingRows training_rows() const {
        return {view, index, labels.data(), weights ? weights->data() : nullptr, count()};
    }
};

// Adds training in two halves, for several hosts.
void register_host_steps(nb::class_<BatchBlock>& block, nb::class_<Trainer>& trainer);

}  // namespace openfm
