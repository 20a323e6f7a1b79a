#include "scorer.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "thread_team.hpp"

namespace openfm {

Scorer::Scorer(float bias, const float* linear, const float* factors, int64_t feature_dim, int64_t num_factors,
               const Kernels& kernels)
    : kernels_(kernels), bias_(bias), feature_dim_(feature_dim), squared_norms_(feature_dim) {
    const int64_t vectors = (num_factors + kLanes - 1) / kLanes;
    arrays_.linear = linear;
    arrays_.factors = factors;
    arrays_.squared_norms = squared_norms_.get();
    arrays_.num_factors = num_factors;
    arrays_.vectors = static_cast<int>(vectors);
    arrays_.last_lanes = static_cast<int>(num_factors - (vectors - 1) * kLanes);
    pad_last_features();
    measure_norms();
}

int64_t Scorer::bytes() const {
    const int64_t padded = (feature_dim_ - arrays_.padded_from) * arrays_.vectors * kLanes;
    return (feature_dim_ + padded) * static_cast<int64_t>(sizeof(float));
}

void Scorer::pad_last_features() {
    const int64_t k = arrays_.num_factors, width = static_cast<int64_t>(arrays_.vectors) * kLanes;
    // The vectors of feature f end at f k + width floats: within V for all but the last (width - k) / k features.
    const int64_t reaching = (width - k + k - 1) / k, padded = std::min(reaching, feature_dim_);
    padded_ = Array<float>(padded * width);
    arrays_.padded = padded_.get();
    arrays_.padded_from = feature_dim_ - padded;
    const auto* factors = reinterpret_cast<const char*>(arrays_.factors);
    const size_t bytes = static_cast<size_t>(k) * sizeof(float);
    std::fill_n(padded_.get(), padded * width, 0.0f);
    for (int64_t i = 0; i < padded; ++i)
        std::memcpy(padded_.get() + i * width, factors + static_cast<size_t>(arrays_.padded_from + i) * bytes, bytes);
}

void Scorer::measure_norms() {
    constexpr int64_t kFloats = int64_t{1} << 20;  // of a part: below, starting a thread takes longer than reading
    constexpr unsigned kMostThreads = 4;           // memory gives no more to more threads
    const int threads = static_cast<int>(std::min(kMostThreads, std::max(1u, std::thread::hardware_concurrency())));
    const int64_t features = std::max<int64_t>(1, kFloats / arrays_.num_factors);
    run_parts((feature_dim_ + features - 1) / features, threads, [&](int64_t i) {
        const int64_t end = std::min(feature_dim_, (i + 1) * features);
        kernels_.measure_norms(arrays_, i * features, end, squared_norms_.get());
    });
}

void Scorer::score(const RowsView& rows, int64_t count, bool sigmoid, int threads, float* out) const {
    run_parts(threads, threads, [&](int64_t i) {
        kernels_.score(arrays_, bias_, rows, count * i / threads, count * (i + 1) / threads, sigmoid, out);
    });
}

}  // namespace openfm
