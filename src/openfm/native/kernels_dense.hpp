// The kernels for batches of which all cells are kept. A part of kernels_body.hpp.
//
// They give the sparse kernels' bits: every sum is one chain of additions by ascending feature or row, as there, and
// the products of zero cells, which the sparse kernels leave out, add 0. What they gain is that a vector that is loaded
// serves several rows or features, that they need no indices, and that they walk through memory in order.
#pragma once

#include "kernels_features.hpp"
#include "kernels_rows.hpp"

namespace openfm::OPENFM_ISA {
namespace {

constexpr int kTile = kLanes * kLanes;
#if defined(__AVX512F__)
constexpr int kAtOnce = 8;  // rows or features whose sums are in registers
#elif defined(__AVX__) || defined(__ARM_NEON)
constexpr int kAtOnce = 4;
#else
constexpr int kAtOnce = 2;
#endif
constexpr int64_t kFeatureGroups = 32;  // whose factors stay in the first-level cache while the rows go by

// The transposed 8 x 8 matrix.
inline void transpose(const Vector* in, Vector* out) {
    typedef int32_t Places __attribute__((vector_size(32)));
    const Places low = {0, 8, 1, 9, 4, 12, 5, 13}, high = {2, 10, 3, 11, 6, 14, 7, 15};
    const Places first = {0, 1, 8, 9, 4, 5, 12, 13}, second = {2, 3, 10, 11, 6, 7, 14, 15};
    const Places lower = {0, 1, 2, 3, 8, 9, 10, 11}, upper = {4, 5, 6, 7, 12, 13, 14, 15};
    Vector pairs[kLanes], fours[kLanes];
    for (int i = 0; i < kLanes; i += 2) {
        pairs[i] = __builtin_shuffle(in[i], in[i + 1], low);
        pairs[i + 1] = __builtin_shuffle(in[i], in[i + 1], high);
    }
    for (int i = 0; i < kLanes; i += 4) {
        for (int j = 0; j < 2; ++j) {
            fours[i + 2 * j] = __builtin_shuffle(pairs[i + j], pairs[i + j + 2], first);
            fours[i + 2 * j + 1] = __builtin_shuffle(pairs[i + j], pairs[i + j + 2], second);
        }
    }
    for (int i = 0; i < kLanes / 2; ++i) {
        out[i] = __builtin_shuffle(fours[i], fours[i + kLanes / 2], lower);
        out[i + kLanes / 2] = __builtin_shuffle(fours[i], fours[i + kLanes / 2], upper);
    }
}

// Adds x_i v_i of the features from `begin` (a multiple of 8) to `end` to the sums of 8 rows, N vectors from `column`.
template <int N>
inline void add_factors(const FactorTable& table, const float* tile, int64_t begin, int64_t end, int column,
                        Vector* sums) {
    using Block = Register<N>;
    const int vectors = table.vectors;
    for (int row = 0; row < kLanes; row += kAtOnce) {
        typename Block::Type total[kAtOnce][Block::kCount];
        for (int r = 0; r < kAtOnce; ++r)
            for (int b = 0; b < Block::kCount; ++b) total[r][b] = Block::at(sums + (row + r) * vectors + column)[b];
        const float* cells = tile + row * kLanes;
        for (int64_t group = begin; group < end; group += kLanes, cells += kTile) {
            const int64_t features = smaller(kLanes, end - group);
            for (int64_t i = 0; i < features; ++i) {
                const typename Block::Type* factors = Block::at(vectors_at(table.record(group + i)) + column);
                for (int r = 0; r < kAtOnce; ++r)
                    for (int b = 0; b < Block::kCount; ++b) total[r][b] += cells[r * kLanes + i] * factors[b];
            }
        }
        for (int r = 0; r < kAtOnce; ++r)
            for (int b = 0; b < Block::kCount; ++b) Block::at(sums + (row + r) * vectors + column)[b] = total[r][b];
    }
}

// The same for the linear and the squared-norm terms, a row in each lane.
inline void add_scalars(const FactorTable& table, const float* tile, int64_t begin, int64_t end, Vector& linear,
                        Vector& square) {
    Vector linear_total = linear, square_total = square;
    for (int64_t group = begin; group < end; group += kLanes, tile += kTile) {
        Vector x[kLanes];
        transpose(vectors_at(tile), x);
        const int64_t features = smaller(kLanes, end - group);
        for (int64_t i = 0; i < features; ++i) {
            linear_total += x[i] * weight_of(table, group + i);
            square_total += x[i] * (x[i] * squared_norm_of(table, group + i));
        }
    }
    linear = linear_total;
    square = square_total;
}

// Features [begin, end) of 8 rows, all columns.
inline void add_features(const FactorTable& table, const float* tile, int64_t begin, int64_t end, Vector* sums,
                         Vector& linear, Vector& square) {
    int column = 0;
    for (; column + 2 <= table.vectors; column += 2) add_factors<2>(table, tile, begin, end, column, sums);
    if (column < table.vectors) add_factors<1>(table, tile, begin, end, column, sums);
    add_scalars(table, tile, begin, end, linear, square);
}

void forward_dense(const FactorTable& table, float bias, Loss loss, const DenseView& batch, const RowTargets& targets,
                   int64_t begin, int64_t end, const RowResults& results) {
    const int vectors = table.vectors;
    // Until the rows are finished, their linear and squared-norm terms lie where prediction and loss will.
    Vector *linear = vectors_at(results.prediction), *square = vectors_at(results.loss),
           *sums = vectors_at(results.sums);
    const int64_t first = begin / kLanes, last = (end + kLanes - 1) / kLanes;
    for (int64_t group = first; group < last; ++group) {
        linear[group] = square[group] = Vector{};
        for (int64_t i = 0; i < kLanes * vectors; ++i) sums[group * kLanes * vectors + i] = Vector{};
    }
    for (int64_t block = 0; block < batch.features; block += kFeatureGroups * kLanes) {
        const int64_t block_end = smaller(block + kFeatureGroups * kLanes, batch.features);
        for (int64_t group = first; group < last; ++group)
            add_features(table, batch.tile(group, block / kLanes), block, block_end,
                         sums + group * kLanes * vectors, linear[group], square[group]);
    }
    for (int64_t group = first; group < last; ++group) {
        const Vector linear_terms = linear[group], square_terms = square[group];
        for (int64_t r = 0; r < kLanes; ++r) {
            const int64_t row = group * kLanes + r;
            results.prediction[row] =
                score_of_sums(bias, linear_terms[r], square_terms[r], sums + row * vectors, vectors);
        }
        finish_rows(loss, targets, group * kLanes, smaller(kLanes, end - group * kLanes), vectors, results);
    }
}

// Sums over all rows of x T for kAtOnce features from `first` of a group, N vectors from `column`.
template <int N>
inline void sum_columns(const DenseView& batch, int64_t feature_group, int first, int vectors, int column,
                        const RowResults& results, Vector (*sums)[N]) {
    using Block = Register<N>;
    typename Block::Type total[kAtOnce][Block::kCount] = {};
    const Vector* terms = vectors_at(results.sums) + column;
    for (int64_t group = 0; group < batch.row_groups; ++group) {
        const float* cells = batch.tile(group, feature_group) + first;
        for (int r = 0; r < kLanes; ++r, cells += kLanes, terms += vectors)
            for (int i = 0; i < kAtOnce; ++i)
                for (int b = 0; b < Block::kCount; ++b) total[i][b] += cells[i] * Block::at(terms)[b];
    }
    for (int i = 0; i < kAtOnce; ++i)
        for (int b = 0; b < Block::kCount; ++b) Block::at(sums[i])[b] = total[i][b];
}

// Sums over all rows of x g and x^2 g for 8 features, one in each lane.
inline void sum_scalars(const DenseView& batch, int64_t feature_group, const RowResults& results, Vector& linear,
                        Vector& square) {
    Vector linear_total = {}, square_total = {};
    const float* gradient = results.gradient;
    for (int64_t group = 0; group < batch.row_groups; ++group, gradient += kLanes) {
        const Vector* rows = vectors_at(batch.tile(group, feature_group));
        for (int r = 0; r < kLanes; ++r) {
            const Vector g = rows[r] * gradient[r];
            linear_total += g;
            square_total += g * rows[r];
        }
    }
    linear = linear_total;
    square = square_total;
}

// Adam's step on N vectors from `column` of those of 8 features that occur in the batch.
template <int N>
inline void update_columns(const FactorTable& table, const DenseView& batch, int64_t feature_group, int column,
                           const Vector& square, const RowResults& results, const AdamStep& step, Vector* norms) {
    const uint8_t occurs = batch.occurs[feature_group];
    for (int first = 0; first < kLanes; first += kAtOnce) {
        Vector sums[kAtOnce][N];
        sum_columns<N>(batch, feature_group, first, table.vectors, column, results, sums);
        for (int i = first; i < first + kAtOnce; ++i)
            if (occurs >> i & 1 && feature_group * kLanes + i < batch.features)
                update_factors<N>(table, table.vectors, table.record(feature_group * kLanes + i), column,
                                  sums[i - first], square[i], step, norms[i]);
    }
}

uint32_t update_dense(const FactorTable& table, const DenseView& batch, const RowResults& results,
                      const AdamStep& linear_step, const AdamStep& step, int64_t begin, int64_t end) {
    uint32_t bad = kFiniteAll;
    for (int64_t group = begin; group < end; ++group) {
        if (batch.occurs[group] == 0) continue;
        Vector linear, square, norms[kLanes] = {};
        sum_scalars(batch, group, results, linear, square);
        int column = 0;
        for (; column + 2 <= table.vectors; column += 2)
            update_columns<2>(table, batch, group, column, square, results, step, norms);
        if (column < table.vectors) update_columns<1>(table, batch, group, column, square, results, step, norms);
        for (int i = 0; i < kLanes; ++i)
            if (batch.occurs[group] >> i & 1 && group * kLanes + i < batch.features)
                bad |= finish_feature(table, table.record(group * kLanes + i), linear_step, linear[i], norms[i]);
    }
    return bad;
}

}  // namespace
}  // namespace openfm::OPENFM_ISA
