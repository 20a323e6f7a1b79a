// From the rows of a batch to a step of each of its features. A part of kernels_body.hpp.
#pragma once

#include "kernels_rows.hpp"

namespace openfm::OPENFM_ISA {
namespace {

// Sums over the rows in which one feature occurs, for N vectors that start at `column`: `sums` = sum x T. With the
// first columns also sum x g and sum x^2 g.
template <int N, bool First, class Row>
inline void feature_sums(const FeatureView<Row>& batch, const RowResults& results, int64_t begin, int64_t end,
                         int column, int vectors, Vector* sums, float& linear, float& square) {
    using Block = Register<N>;
    typename Block::Type total[Block::kCount] = {};
    float linear_total = 0, square_total = 0;
    const Vector* terms = vectors_at(results.sums) + column;
    for (int64_t p = begin; p < end; ++p) {
        const float x = batch.values[p];
        const int64_t row = batch.rows[p];
        for (int b = 0; b < Block::kCount; ++b) total[b] += x * Block::at(terms + row * vectors)[b];
        if (First) {
            const float g = x * results.gradient[row];
            linear_total += g;
            square_total += g * x;
        }
    }
    for (int b = 0; b < Block::kCount; ++b) Block::at(sums)[b] = total[b];
    if (First) {
        linear = linear_total;
        square = square_total;
    }
}

// One Adam step on N vectors of a feature's factors that start at `column`; adds their squares to `norm`.
// d loss / d v = sum_rows g x (sum_i x_i v_i) - v sum_rows g x^2.
template <int N>
inline void update_factors(const FactorTable& table, int vectors, float* record, int column, const Vector* sums,
                           float square, const AdamStep& step, Vector& norm) {
    Vector* weights = vectors_at(record) + column;
    Vector* means = vectors_at(record + table.means()) + column;
    Vector* variances = vectors_at(record + table.variances()) + column;
    const Vector clip = Vector{} + step.clip;
    for (int v = 0; v < N; ++v) {
        const Vector weight = weights[v];
        Vector g = (sums[v] - square * weight) * step.rescale + step.weight_decay * weight;
        g = g > clip ? clip : g;
        g = g < -clip ? -clip : g;
        const Vector mean = kBeta1 * means[v] + (1.0f - kBeta1) * g;
        const Vector variance = kBeta2 * variances[v] + (1.0f - kBeta2) * g * g;
        means[v] = mean;
        variances[v] = variance;
        Vector denominator = square_root(variance) + step.epsilon;
        // The lanes beyond k stay 0 even where epsilon is 0.
        if (column + v == vectors - 1)
            for (int lane = table.last_lanes; lane < kLanes; ++lane) denominator[lane] = 1.0f;
        const Vector updated = weight - step.rate * mean / denominator;
        weights[v] = updated;
        norm += updated * updated;
    }
}

// The rest of a feature's step: q from its new factors, and w. Returns what became non-finite.
inline uint32_t finish_feature(const FactorTable& table, float* record, const AdamStep& linear_step, float linear,
                               const Vector& norm) {
    float* scalars = record + table.scalars();
    const float q = sum_lanes(norm);
    scalars[FactorTable::kSquaredNorm] = q;
    float& w = scalars[FactorTable::kWeight];
    if (linear_step.enabled)
        adam(linear_step, linear, w, scalars[FactorTable::kWeightMean], scalars[FactorTable::kWeightVariance]);
    // x - x is 0 for finite x, NaN otherwise.
    return (w - w == 0.0f ? 0u : kBadLinear) | (q - q == 0.0f ? 0u : kBadFactors);
}

inline void prefetch_record(const FactorTable& table, int64_t feature) {
    const float* record = table.record(feature);
    for (int64_t i = 0; i < smaller(table.stride, kMaxVectors * kLanes * 3); i += kCacheLine)
        __builtin_prefetch(record + i, 1);
}

// The step of one feature of a batch. N = 0: any number of vectors, in blocks.
template <int N, class Row>
inline uint32_t update_feature(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                               const AdamStep& linear_step, const AdamStep& step, int64_t feature) {
    const int vectors = N > 0 ? N : table.vectors;
    const int64_t begin = batch.starts[feature], end = batch.starts[feature + 1];
    float* record = table.record(batch.features[feature]);
    float linear = 0, square = 0;
    Vector norm = {};
    constexpr int kBlock = N > 0 ? N : kMaxVectors;
    Vector sums[kBlock];
    feature_sums<kBlock, true>(batch, results, begin, end, 0, vectors, sums, linear, square);
    update_factors<kBlock>(table, vectors, record, 0, sums, square, step, norm);
    if constexpr (N == 0) {
        int column = kBlock;
        for (; column + kBlock <= vectors; column += kBlock) {
            feature_sums<kBlock, false>(batch, results, begin, end, column, vectors, sums, linear, square);
            update_factors<kBlock>(table, vectors, record, column, sums, square, step, norm);
        }
        for (; column < vectors; ++column) {
            feature_sums<1, false>(batch, results, begin, end, column, vectors, sums, linear, square);
            update_factors<1>(table, vectors, record, column, sums, square, step, norm);
        }
    }
    return finish_feature(table, record, linear_step, linear, norm);
}

template <int N, class Row>
uint32_t update(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                const AdamStep& linear_step, const AdamStep& step, int64_t begin, int64_t end) {
    uint32_t bad = kFiniteAll;
    for (int64_t f = begin; f < end; ++f) {
        prefetch_record(table, batch.features[smaller(f + kPrefetchFeatures, batch.count - 1)]);
        bad |= update_feature<N>(table, batch, results, linear_step, step, f);
    }
    return bad;
}

void refresh_norms(const FactorTable& table, int64_t begin, int64_t end) {
    for (int64_t f = begin; f < end; ++f) {
        float* record = table.record(f);
        Vector norm = {};
        for (int v = 0; v < table.vectors; ++v) {
            const Vector x = vectors_at(record)[v];
            norm += x * x;
        }
        record[table.scalars() + FactorTable::kSquaredNorm] = sum_lanes(norm);
    }
}

void measure_norms(const FactorArrays& arrays, int64_t begin, int64_t end, float* squared_norms) {
    for (int64_t f = begin; f < end; ++f) {
        const Vector* factors = vectors_at(factors_of(arrays, f));
        Vector norm = {};
        for (int v = 0; v < arrays.vectors; ++v) {
            const Vector x = v == arrays.vectors - 1 ? first_lanes(factors[v], arrays.last_lanes) : factors[v];
            norm += x * x;
        }
        squared_norms[f] = sum_lanes(norm);
    }
}

}  // namespace
}  // namespace openfm::OPENFM_ISA
