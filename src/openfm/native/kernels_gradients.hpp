// The two halves of an update, between which several hosts add up their gradients. A part of kernels_body.hpp.
//
// Together they give the update kernels' bits: each sum has the same order, each product the same factors.
#pragma once

#include "kernels_dense.hpp"
#include "kernels_features.hpp"

namespace openfm::OPENFM_ISA {
namespace {

// Writes a vector of V's gradient, but for the lanes beyond k.
inline void store_gradient(const FactorTable& table, int vector, const Vector& gradient, float* row) {
    float* to = row + static_cast<int64_t>(vector) * kLanes;
    const int lanes = vector == table.vectors - 1 ? table.last_lanes : kLanes;
    if (lanes == kLanes) {
        vectors_at(to)[0] = gradient;
        return;
    }
    for (int lane = 0; lane < lanes; ++lane) to[lane] = gradient[lane];
}

inline Vector load_gradient(const FactorTable& table, int vector, const float* row) {
    const float* from = row + static_cast<int64_t>(vector) * kLanes;
    const int lanes = vector == table.vectors - 1 ? table.last_lanes : kLanes;
    if (lanes == kLanes) return vectors_at(from)[0];
    Vector gradient = {};
    for (int lane = 0; lane < lanes; ++lane) gradient[lane] = from[lane];
    return gradient;
}

// V's gradient of one feature for N vectors from `column`.
template <int N>
inline void store_gradients(const FactorTable& table, const float* record, int column, const Vector* sums, float square,
                            float* row) {
    const Vector* weights = vectors_at(record) + column;
    for (int v = 0; v < N; ++v) store_gradient(table, column + v, sums[v] - square * weights[v], row);
}

// N = 0: any number of vectors, in blocks.
template <int N, class Row>
inline void gradient_of_feature(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                                int64_t feature, float* row) {
    const int vectors = N > 0 ? N : table.vectors;
    const int64_t begin = batch.starts[feature], end = batch.starts[feature + 1];
    const float* record = table.record(batch.features[feature]);
    float linear = 0, square = 0;
    constexpr int kBlock = N > 0 ? N : kMaxVectors;
    Vector sums[kBlock];
    feature_sums<kBlock, true>(batch, results, begin, end, 0, vectors, sums, linear, square);
    store_gradients<kBlock>(table, record, 0, sums, square, row);
    if constexpr (N == 0) {
        int column = kBlock;
        for (; column + kBlock <= vectors; column += kBlock) {
            feature_sums<kBlock, false>(batch, results, begin, end, column, vectors, sums, linear, square);
            store_gradients<kBlock>(table, record, column, sums, square, row);
        }
        for (; column < vectors; ++column) {
            feature_sums<1, false>(batch, results, begin, end, column, vectors, sums, linear, square);
            store_gradients<1>(table, record, column, sums, square, row);
        }
    }
    row[table.factors()] = linear;
}

template <int N, class Row>
void gradients(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
               const GradientRows& out, int64_t begin, int64_t end) {
    const int64_t width = table.factors() + 1;
    for (int64_t f = begin; f < end; ++f) {
        prefetch_record(table, batch.features[smaller(f + kPrefetchFeatures, batch.count - 1)]);
        gradient_of_feature<N>(table, batch, results, f, out.rows + out.places[f] * width);
    }
}

// V's gradients of the features of a group for N vectors from `column`. rows: nullptr where a feature does not occur.
template <int N>
inline void gradients_of_columns(const FactorTable& table, const DenseView& batch, int64_t feature_group, int column,
                                 const Vector& square, const RowResults& results, float* const* rows) {
    for (int first = 0; first < kLanes; first += kAtOnce) {
        Vector sums[kAtOnce][N];
        sum_columns<N>(batch, feature_group, first, table.vectors, column, results, sums);
        for (int i = first; i < first + kAtOnce; ++i)
            if (rows[i])
                store_gradients<N>(table, table.record(feature_group * kLanes + i), column, sums[i - first], square[i],
                                   rows[i]);
    }
}

void gradients_dense(const FactorTable& table, const DenseView& batch, const RowResults& results,
                     const GradientRows& out, int64_t begin, int64_t end) {
    const int64_t width = table.factors() + 1;
    const int32_t* place = out.places;
    for (int64_t group = 0; group < begin; ++group) place += __builtin_popcount(batch.occurring(group));
    for (int64_t group = begin; group < end; ++group) {
        const uint32_t occurring = batch.occurring(group);
        if (occurring == 0) continue;
        float* rows[kLanes] = {};
        for (int i = 0; i < kLanes; ++i)
            if (occurring >> i & 1) rows[i] = out.rows + *place++ * width;
        Vector linear, square;
        sum_scalars(batch, group, results, linear, square);
        int column = 0;
        for (; column + 2 <= table.vectors; column += 2)
            gradients_of_columns<2>(table, batch, group, column, square, results, rows);
        if (column < table.vectors) gradients_of_columns<1>(table, batch, group, column, square, results, rows);
        for (int i = 0; i < kLanes; ++i)
            if (rows[i]) rows[i][table.factors()] = linear[i];
    }
}

uint32_t apply(const FactorTable& table, const int32_t* features, const float* gradients, const AdamStep& linear_step,
               const AdamStep& step, int64_t begin, int64_t end) {
    const int64_t width = table.factors() + 1;
    uint32_t bad = kFiniteAll;
    for (int64_t f = begin; f < end; ++f) {
        prefetch_record(table, features[smaller(f + kPrefetchFeatures, end - 1)]);
        float* record = table.record(features[f]);
        const float* row = gradients + f * width;
        Vector norm = {};
        for (int v = 0; v < table.vectors; ++v) {
            // What the gradient loses for the factor itself is in it already: here that is 0, which changes at most the
            // sign of a zero.
            const Vector gradient = load_gradient(table, v, row);
            update_factors<1>(table, table.vectors, record, v, &gradient, 0.0f, step, norm);
        }
        bad |= finish_feature(table, record, linear_step, row[table.factors()], norm);
    }
    return bad;
}

}  // namespace
}  // namespace openfm::OPENFM_ISA
