// The arrays that training takes from Python and gives to it.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>

#include "trainer.hpp"

namespace openfm {

namespace nb = nanobind;

template <class T>
using Vector = nb::ndarray<const T, nb::shape<-1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<const T, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Result = nb::ndarray<nb::numpy, T>;

template <class T>
Result<T> to_numpy(Array<T>&& array, std::initializer_list<size_t> shape) {
    auto* owned = new Array<T>(std::move(array));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<Array<T>*>(p); });
    return Result<T>(owned->get(), shape, owner);
}

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
