// NumPy's arrays as the kernels see them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

#include "array.hpp"
#include "kernels.hpp"

namespace openfm {

template <class T>
using Vector = nanobind::ndarray<const T, nanobind::shape<-1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Matrix = nanobind::ndarray<const T, nanobind::shape<-1, -1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Result = nanobind::ndarray<nanobind::numpy, T>;

template <class T>
Result<T> to_numpy(Array<T>&& array, std::initializer_list<size_t> shape) {
    auto* owned = new Array<T>(std::move(array));
    nanobind::capsule owner(owned, [](void* p) noexcept { delete static_cast<Array<T>*>(p); });
    return Result<T>(owned->get(), shape, owner);
}

inline const Kernels& kernels_named(const std::string& instruction_set) {
    if (instruction_set.empty()) return best_kernels();
    const Kernels* found = find_kernels(instruction_set.c_str());
    if (!found) throw std::invalid_argument("this processor has no instruction set '" + instruction_set + "'");
    return *found;
}

// The rows as the kernels see them. The kernels trust indices and indptr, so they are checked here.
inline RowsView checked_rows(const Vector<int64_t>& indptr, const Vector<int32_t>& indices,
                             const Vector<float>& values, int64_t feature_dim) {
    const auto nnz = static_cast<int64_t>(indices.shape(0)), pointers = static_cast<int64_t>(indptr.shape(0));
    if (static_cast<int64_t>(values.shape(0)) != nnz)
        throw std::invalid_argument("indices and values differ in length");
    if (pointers < 1 || indptr(0) != 0 || indptr(static_cast<size_t>(pointers) - 1) != nnz)
        throw std::invalid_argument("indptr does not start at 0 and end at the number of values");
    bool ordered = true;
    for (int64_t i = 1; i < pointers; ++i) ordered &= indptr.data()[i] >= indptr.data()[i - 1];
    if (!ordered) throw std::invalid_argument("indptr decreases");
    uint32_t largest = 0;  // as unsigned, a negative index is the largest of all
    for (int64_t p = 0; p < nnz; ++p) {
        const auto index = static_cast<uint32_t>(indices.data()[p]);
        largest = index > largest ? index : largest;
    }
    if (nnz > 0 && static_cast<int64_t>(largest) >= feature_dim)
        throw std::invalid_argument("an index lies outside feature_dim");
    return {indptr.data(), indices.data(), values.data(), nnz};
}

}  // namespace openfm
