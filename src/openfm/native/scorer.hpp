// Scores from parameters in the arrays that somebody else keeps, such as a file mapped into memory.
#pragma once

#include <cstdint>

#include "array.hpp"
#include "kernels.hpp"

namespace openfm {

// Does not copy w and V, which must outlive it and not change; has memory of its own for |v|^2 of each feature only.
class Scorer {
public:
    // Reads w and V once, by several threads where they are large. linear: feature_dim; factors: feature_dim x
    // num_factors; any alignment.
    Scorer(float bias, const float* linear, const float* factors, int64_t feature_dim, int64_t num_factors,
           const Kernels& kernels);

    int64_t feature_dim() const { return feature_dim_; }
    int64_t bytes() const;  // of its own memory

    // s(x) of each row into out[count], through the sigmoid if asked to.
    void score(const RowsView& rows, int64_t count, bool sigmoid, int threads, float* out) const;

private:
    void pad_last_features();
    void measure_norms();

    const Kernels& kernels_;
    const float bias_;
    const int64_t feature_dim_;
    Array<float> squared_norms_, padded_;
    FactorArrays arrays_;
};

}  // namespace openfm
