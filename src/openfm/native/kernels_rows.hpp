// From rows to scores, losses and what the features need of them. A part of kernels_body.hpp.
#pragma once

#include "kernels_vector.hpp"
#include "numerics.hpp"

namespace openfm::OPENFM_ISA {
namespace {

// How the rows read a feature in either layout. The factors may be followed by lanes that do not belong to them.
inline const float* factors_of(const FactorTable& table, int64_t feature) { return table.record(feature); }
inline float weight_of(const FactorTable& table, int64_t feature) {
    return table.record(feature)[table.scalars() + FactorTable::kWeight];
}
inline float squared_norm_of(const FactorTable& table, int64_t feature) {
    return table.record(feature)[table.scalars() + FactorTable::kSquaredNorm];
}
inline Vector without_strangers(const FactorTable&, const Vector& last) { return last; }
template <int N, bool First>
inline void prefetch(const FactorTable& table, int64_t feature, int64_t offset) {
    const float* from = table.record(feature) + offset;
    for (int i = 0; i <= N * kLanes; i += kCacheLine) __builtin_prefetch(from + i);
}

inline const float* factors_of(const FactorArrays& arrays, int64_t feature) {
    const int64_t beyond = feature - arrays.padded_from;
    return beyond < 0 ? arrays.factors + feature * arrays.num_factors : arrays.padded + beyond * arrays.vectors * kLanes;
}
inline float weight_of(const FactorArrays& arrays, int64_t feature) {
    return reinterpret_cast<const AnyFloat*>(arrays.linear)[feature];
}
inline float squared_norm_of(const FactorArrays& arrays, int64_t feature) { return arrays.squared_norms[feature]; }
inline Vector without_strangers(const FactorArrays& arrays, const Vector& last) {
    return first_lanes(last, arrays.last_lanes);
}
template <int N, bool First>
inline void prefetch(const FactorArrays& arrays, int64_t feature, int64_t offset) {
    const float* from = arrays.factors + feature * arrays.num_factors + offset;
    for (int i = 0; i < N * kLanes; i += kCacheLine) __builtin_prefetch(from + i);
    if (First) {
        __builtin_prefetch(arrays.linear + feature);
        __builtin_prefetch(arrays.squared_norms + feature);
    }
}

// sum_i x_i v_i over a row for N vectors of the factors that start at `column`; with the first columns also the linear
// and the squared-norm terms. Each is one chain of additions by ascending feature: the dense kernel has the same.
template <int N, bool First, class Layout>
inline void row_sums(const Layout& layout, const RowsView& rows, int64_t begin, int64_t end, int column, Vector* sums,
                     float& linear, float& square) {
    using Block = Register<N>;
    typename Block::Type total[Block::kCount] = {};
    float linear_total = 0, square_total = 0;
    const int64_t offset = static_cast<int64_t>(column) * kLanes, last = rows.nnz - 1;
    for (int64_t p = begin; p < end; ++p) {
        prefetch<N, First>(layout, rows.indices[smaller(p + kPrefetchNonZeros, last)], offset);
        const int64_t feature = rows.indices[p];
        const float x = rows.values[p];
        const typename Block::Type* factors = Block::at(vectors_at(factors_of(layout, feature) + offset));
        for (int b = 0; b < Block::kCount; ++b) total[b] += x * factors[b];
        if (First) {
            linear_total += x * weight_of(layout, feature);
            square_total += x * (x * squared_norm_of(layout, feature));
        }
    }
    for (int b = 0; b < Block::kCount; ++b) Block::at(sums + column)[b] = total[b];
    if (First) {
        linear = linear_total;
        square = square_total;
    }
}

inline float score_of_sums(float bias, float linear, float square, const Vector* sums, int vectors) {
    Vector dot = {};
    for (int v = 0; v < vectors; ++v) dot += sums[v] * sums[v];
    return (bias + linear) + 0.5f * (sum_lanes(dot) - square);
}

// s(x) of one row; leaves sum_i x_i v_i in sums. N = 0: any number of vectors, in blocks.
template <int N, class Layout>
inline float row_score(const Layout& layout, float bias, const RowsView& rows, int64_t begin, int64_t end,
                       Vector* sums) {
    float linear = 0, square = 0;
    if constexpr (N > 0) {
        row_sums<N, true>(layout, rows, begin, end, 0, sums, linear, square);
    } else {
        row_sums<kMaxVectors, true>(layout, rows, begin, end, 0, sums, linear, square);
        int column = kMaxVectors;
        for (; column + kMaxVectors <= layout.vectors; column += kMaxVectors)
            row_sums<kMaxVectors, false>(layout, rows, begin, end, column, sums, linear, square);
        for (; column < layout.vectors; ++column)
            row_sums<1, false>(layout, rows, begin, end, column, sums, linear, square);
    }
    const int vectors = N > 0 ? N : layout.vectors;
    sums[vectors - 1] = without_strangers(layout, sums[vectors - 1]);
    return score_of_sums(bias, linear, square, sums, vectors);
}

template <int N>
void score(const FactorArrays& arrays, float bias, const RowsView& rows, int64_t begin, int64_t end, bool sigmoid,
           float* out) {
    constexpr int kWidest = 128;  // vectors on the stack: k up to 1024; wider ones take the slower way below
    Vector stack[N > 0 ? N : kWidest];
    Vector* sums = N > 0 || arrays.vectors <= kWidest ? stack : new Vector[static_cast<size_t>(arrays.vectors)];
    for (int64_t i = begin; i < end; ++i)
        out[i] = row_score<N>(arrays, bias, rows, rows.indptr[i], rows.indptr[i + 1], sums);
    if (sums != stack) delete[] sums;
    if (sigmoid)
        for (int64_t i = begin; i < end; ++i) out[i] = openfm::sigmoid(out[i]);
}

// Predictions, errors and cross entropies of 8 rows, from their scores in `prediction`.
inline void logistic(const float* labels, float* prediction, float* error, float* loss) {
    for (int r = 0; r < kLanes; ++r) prediction[r] = openfm::sigmoid(prediction[r]);
    for (int r = 0; r < kLanes; ++r) {
        const float of_label = labels[r] > 0.5f ? prediction[r] : 1.0f - prediction[r];
        const float entropy = static_cast<float>(-log_f64(static_cast<double>(of_label + 1e-8f)));
        loss[r] = prediction[r] == prediction[r] ? entropy : prediction[r];
        error[r] = prediction[r] - labels[r];
    }
}

// Rows [begin, begin + count) of a batch, at most 8, from their scores in results.prediction and their factor sums.
inline void finish_rows(Loss loss, const RowTargets& targets, int64_t begin, int64_t count, int vectors,
                        const RowResults& results) {
    float labels[kLanes] = {}, weights[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) {
        const bool real = r < count && begin + r < targets.real;
        labels[r] = real ? targets.labels[begin + r] : 0.0f;
        weights[r] = real && targets.weights ? targets.weights[begin + r] : 1.0f;
    }
    float *prediction = results.prediction + begin, *gradient = results.gradient + begin;
    if (loss == Loss::kLogistic) {
        logistic(labels, prediction, gradient, results.loss + begin);
    } else {
        for (int r = 0; r < kLanes; ++r) gradient[r] = prediction[r] - labels[r];
    }
    if (targets.weights)
        for (int r = 0; r < kLanes; ++r) gradient[r] *= weights[r];
    for (int64_t r = count; r < kLanes; ++r) gradient[r] = 0;
    for (int64_t r = 0; r < kLanes; ++r) {
        Vector* sums = vectors_at(results.sums) + (begin + r) * vectors;
        for (int v = 0; v < vectors; ++v) sums[v] *= gradient[r];
    }
}

template <int N>
void forward(const FactorTable& table, float bias, Loss loss, const RowsView& rows, const RowTargets& targets,
             int64_t begin, int64_t end, const RowResults& results) {
    const int vectors = N > 0 ? N : table.vectors;
    for (int64_t group = begin; group < end; group += kLanes) {
        const int64_t count = smaller(kLanes, end - group);
        for (int64_t row = group; row < group + kLanes; ++row) {
            const bool empty = row >= targets.real;
            results.prediction[row] =
                row_score<N>(table, bias, rows, empty ? 0 : rows.indptr[row], empty ? 0 : rows.indptr[row + 1],
                             vectors_at(results.sums) + row * vectors);
        }
        finish_rows(loss, targets, group, count, vectors, results);
    }
}

}  // namespace
}  // namespace openfm::OPENFM_ISA
