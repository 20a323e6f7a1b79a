// The kernels' code, compiled once for each instruction set. The including file defines OPENFM_ISA, the namespace.
// Nothing here may call a function that the linker could share with another instruction set's copy: hence the
// static helpers in place of the standard library's templates.
#include <cmath>
#include <cstdint>
#include <limits>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "kernels.hpp"
#include "numerics.hpp"

namespace openfm::OPENFM_ISA {
namespace {

// Eight floats; the compiler splits it where registers are narrower. may_alias: it reads arrays of float.
typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias));

constexpr int64_t kPrefetchNonZeros = 24;  // ahead in a row's features
constexpr int64_t kPrefetchFeatures = 4;   // ahead in a batch's features
constexpr int kMaxVectors = 8;             // vectors held in registers at once; wider factors go in blocks
constexpr int kCacheLine = 16;             // floats

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The order of this sum is part of the result.
inline float sum_lanes(const Vector& a) {
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

inline Vector square_root(const Vector& a) {
    Vector r;
#if defined(__AVX__)
    r = reinterpret_cast<Vector>(_mm256_sqrt_ps(reinterpret_cast<__m256>(a)));
#elif defined(__SSE2__)
    const float* in = reinterpret_cast<const float*>(&a);
    float* out = reinterpret_cast<float*>(&r);
    _mm_storeu_ps(out, _mm_sqrt_ps(_mm_loadu_ps(in)));
    _mm_storeu_ps(out + 4, _mm_sqrt_ps(_mm_loadu_ps(in + 4)));
#else
    for (int i = 0; i < kLanes; ++i) r[i] = std::sqrt(a[i]);
#endif
    return r;
}

template <int N>
inline void prefetch_record(const float* record) {
    for (int i = 0; i <= N * kLanes; i += kCacheLine) __builtin_prefetch(record + i);
}

// sum_i x_i v_i over a row for N vectors of the factors that start at `column`; with the first columns also the linear
// and the squared-norm terms. Two chains of sums hide the latency of additions.
template <int N, bool First>
inline void row_sums(const FactorTable& table, const RowsView& rows, int64_t begin, int64_t end, int column,
                     Vector* sums, float& linear, float& square) {
    Vector even[N], odd[N];
    for (int v = 0; v < N; ++v) even[v] = odd[v] = Vector{};
    float linear0 = 0, linear1 = 0, square0 = 0, square1 = 0;
    const int64_t offset = static_cast<int64_t>(column) * kLanes, scalars = table.scalars();
    const int64_t last = rows.nnz - 1;
    int64_t p = begin;
    for (; p + 1 < end; p += 2) {
        prefetch_record<N>(table.record(rows.indices[smaller(p + kPrefetchNonZeros, last)]) + offset);
        prefetch_record<N>(table.record(rows.indices[smaller(p + kPrefetchNonZeros + 1, last)]) + offset);
        const float x0 = rows.values[p], x1 = rows.values[p + 1];
        const float *r0 = table.record(rows.indices[p]), *r1 = table.record(rows.indices[p + 1]);
        const Vector *v0 = reinterpret_cast<const Vector*>(r0 + offset),
                     *v1 = reinterpret_cast<const Vector*>(r1 + offset);
        for (int v = 0; v < N; ++v) {
            even[v] += x0 * v0[v];
            odd[v] += x1 * v1[v];
        }
        if (First) {
            linear0 += x0 * r0[scalars + FactorTable::kWeight];
            linear1 += x1 * r1[scalars + FactorTable::kWeight];
            square0 += x0 * (x0 * r0[scalars + FactorTable::kSquaredNorm]);
            square1 += x1 * (x1 * r1[scalars + FactorTable::kSquaredNorm]);
        }
    }
    if (p < end) {
        const float x = rows.values[p];
        const float* r = table.record(rows.indices[p]);
        for (int v = 0; v < N; ++v) even[v] += x * reinterpret_cast<const Vector*>(r + offset)[v];
        if (First) {
            linear0 += x * r[scalars + FactorTable::kWeight];
            square0 += x * (x * r[scalars + FactorTable::kSquaredNorm]);
        }
    }
    for (int v = 0; v < N; ++v) sums[column + v] = even[v] + odd[v];
    if (First) {
        linear = linear0 + linear1;
        square = square0 + square1;
    }
}

// s(x) of one row; leaves sum_i x_i v_i in sums. N = 0: any number of vectors, in blocks.
template <int N>
inline float row_score(const FactorTable& table, float bias, const RowsView& rows, int64_t begin, int64_t end,
                       Vector* sums) {
    float linear = 0, square = 0;
    if constexpr (N > 0) {
        row_sums<N, true>(table, rows, begin, end, 0, sums, linear, square);
    } else {
        row_sums<kMaxVectors, true>(table, rows, begin, end, 0, sums, linear, square);
        int column = kMaxVectors;
        for (; column + kMaxVectors <= table.vectors; column += kMaxVectors)
            row_sums<kMaxVectors, false>(table, rows, begin, end, column, sums, linear, square);
        for (; column < table.vectors; ++column)
            row_sums<1, false>(table, rows, begin, end, column, sums, linear, square);
    }
    Vector dot = {};
    for (int v = 0; v < (N > 0 ? N : table.vectors); ++v) dot += sums[v] * sums[v];
    return (bias + linear) + 0.5f * (sum_lanes(dot) - square);
}

template <int N>
void score(const FactorTable& table, float bias, const RowsView& rows, int64_t begin, int64_t end, bool sigmoid,
           float* out) {
    constexpr int kWidest = 128;  // vectors on the stack: k up to 1024; wider ones take the slower way below
    Vector stack[N > 0 ? N : kWidest];
    Vector* sums = N > 0 || table.vectors <= kWidest ? stack : new Vector[static_cast<size_t>(table.vectors)];
    for (int64_t i = begin; i < end; ++i)
        out[i] = row_score<N>(table, bias, rows, rows.indptr[i], rows.indptr[i + 1], sums);
    if (sums != stack) delete[] sums;
    if (sigmoid)
        for (int64_t i = begin; i < end; ++i) out[i] = openfm::sigmoid(out[i]);
}

// Predictions, gradients and cross entropies of up to 8 rows, from their scores in `prediction`.
inline void logistic(const float* labels, int64_t count, const RowResults& results, int64_t begin) {
    float p[kLanes] = {}, y[kLanes] = {}, loss[kLanes];
    for (int64_t r = 0; r < count; ++r) {
        p[r] = results.prediction[begin + r];
        y[r] = labels[r];
    }
    for (int r = 0; r < kLanes; ++r) p[r] = openfm::sigmoid(p[r]);
    for (int r = 0; r < kLanes; ++r) {
        const float of_label = y[r] > 0.5f ? p[r] : 1.0f - p[r];
        loss[r] = static_cast<float>(-log_f64(static_cast<double>(of_label + 1e-8f)));
    }
    for (int64_t r = 0; r < count; ++r) {
        results.prediction[begin + r] = p[r];
        results.gradient[begin + r] = p[r] - y[r];
        results.loss[begin + r] = p[r] == p[r] ? loss[r] : p[r];
    }
}

template <int N>
void forward(const FactorTable& table, float bias, Loss loss, const RowsView& rows, const float* labels, int64_t first,
             int64_t real, int64_t begin, int64_t end, const RowResults& results) {
    const int vectors = N > 0 ? N : table.vectors;
    const int64_t width = static_cast<int64_t>(vectors) * kLanes;
    for (int64_t block = begin; block < end; block += kLanes) {
        const int64_t count = smaller(kLanes, end - block);
        float y[kLanes] = {};
        for (int64_t r = 0; r < count; ++r) {
            const int64_t row = block + r;
            const bool padding = row >= real;
            if (!padding) y[r] = labels[first + row];
            const int64_t p = padding ? 0 : rows.indptr[first + row], e = padding ? 0 : rows.indptr[first + row + 1];
            Vector* sums = reinterpret_cast<Vector*>(results.sums + row * width);
            results.prediction[row] = row_score<N>(table, bias, rows, p, e, sums);
        }
        if (loss == Loss::kLogistic) {
            logistic(y, count, results, block);
        } else {
            for (int64_t r = 0; r < count; ++r)
                results.gradient[block + r] = results.prediction[block + r] - y[r];
        }
        for (int64_t r = 0; r < count; ++r) {
            Vector* sums = reinterpret_cast<Vector*>(results.sums + (block + r) * width);
            const float g = results.gradient[block + r];
            for (int v = 0; v < vectors; ++v) sums[v] *= g;
        }
    }
}

// Sums over the rows in which one feature occurs, for N vectors that start at `column`: `sums` = sum x T. With the
// first columns also sum x g and sum x^2 g.
template <int N, bool First, class Row>
inline void feature_sums(const FeatureView<Row>& batch, const RowResults& results, int64_t begin, int64_t end,
                         int column, int64_t width, Vector* sums, float& linear, float& square) {
    Vector even[N], odd[N];
    for (int v = 0; v < N; ++v) even[v] = odd[v] = Vector{};
    float linear0 = 0, linear1 = 0, square0 = 0, square1 = 0;
    const float* t = results.sums + static_cast<int64_t>(column) * kLanes;
    int64_t p = begin;
    for (; p + 1 < end; p += 2) {
        const float x0 = batch.values[p], x1 = batch.values[p + 1];
        const int64_t row0 = batch.rows[p], row1 = batch.rows[p + 1];
        const Vector *t0 = reinterpret_cast<const Vector*>(t + row0 * width),
                     *t1 = reinterpret_cast<const Vector*>(t + row1 * width);
        for (int v = 0; v < N; ++v) {
            even[v] += x0 * t0[v];
            odd[v] += x1 * t1[v];
        }
        if (First) {
            const float g0 = x0 * results.gradient[row0], g1 = x1 * results.gradient[row1];
            linear0 += g0;
            linear1 += g1;
            square0 += g0 * x0;
            square1 += g1 * x1;
        }
    }
    if (p < end) {
        const float x = batch.values[p];
        const int64_t row = batch.rows[p];
        for (int v = 0; v < N; ++v) even[v] += x * reinterpret_cast<const Vector*>(t + row * width)[v];
        if (First) {
            const float g = x * results.gradient[row];
            linear0 += g;
            square0 += g * x;
        }
    }
    for (int v = 0; v < N; ++v) sums[v] = even[v] + odd[v];
    if (First) {
        linear = linear0 + linear1;
        square = square0 + square1;
    }
}

// One Adam step on N vectors of a feature's factors that start at `column`; adds their squares to `norm`.
// d loss / d v = sum_rows g x (sum_i x_i v_i) - v sum_rows g x^2.
template <int N>
inline void update_factors(const FactorTable& table, int vectors, float* record, int column, const Vector* sums,
                           float square, const AdamStep& step, Vector& norm) {
    Vector* weights = reinterpret_cast<Vector*>(record) + column;
    Vector* means = reinterpret_cast<Vector*>(record + table.means()) + column;
    Vector* variances = reinterpret_cast<Vector*>(record + table.variances()) + column;
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

template <int N, bool First, class Row>
inline void update_columns(const FactorTable& table, int vectors, float* record, const FeatureView<Row>& batch,
                           const RowResults& results, int64_t feature, int column, int64_t width,
                           const AdamStep& step, float& linear, float& square, Vector& norm) {
    Vector sums[N];
    feature_sums<N, First>(batch, results, batch.starts[feature], batch.starts[feature + 1], column, width, sums,
                           linear, square);
    update_factors<N>(table, vectors, record, column, sums, square, step, norm);
}

template <int N, class Row>
uint32_t update(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                const AdamStep& linear_step, const AdamStep& step, int64_t begin, int64_t end) {
    const int64_t width = static_cast<int64_t>(N > 0 ? N : table.vectors) * kLanes, scalars = table.scalars();
    uint32_t bad = kFiniteAll;
    for (int64_t f = begin; f < end; ++f) {
        const float* ahead = table.record(batch.features[smaller(f + kPrefetchFeatures, batch.count - 1)]);
        for (int64_t i = 0; i < smaller(table.stride, kMaxVectors * kLanes * 3); i += kCacheLine)
            __builtin_prefetch(ahead + i, 1);
        float* record = table.record(batch.features[f]);
        float linear = 0, square = 0;
        Vector norm = {};
        if constexpr (N > 0) {
            update_columns<N, true>(table, N, record, batch, results, f, 0, width, step, linear, square, norm);
        } else {
            update_columns<kMaxVectors, true>(table, table.vectors, record, batch, results, f, 0, width, step, linear, square, norm);
            int column = kMaxVectors;
            for (; column + kMaxVectors <= table.vectors; column += kMaxVectors)
                update_columns<kMaxVectors, false>(table, table.vectors, record, batch, results, f, column, width, step, linear,
                                                   square, norm);
            for (; column < table.vectors; ++column)
                update_columns<1, false>(table, table.vectors, record, batch, results, f, column, width, step, linear, square, norm);
        }
        float* scalar = record + scalars;
        const float q = sum_lanes(norm);
        scalar[FactorTable::kSquaredNorm] = q;
        float& w = scalar[FactorTable::kWeight];
        if (linear_step.enabled)
            adam(linear_step, linear, w, scalar[FactorTable::kWeightMean], scalar[FactorTable::kWeightVariance]);
        // x - x is 0 for finite x, NaN otherwise.
        bad |= w - w == 0.0f ? 0u : kBadLinear;
        bad |= q - q == 0.0f ? 0u : kBadFactors;
    }
    return bad;
}

void refresh_norms(const FactorTable& table, int64_t begin, int64_t end) {
    for (int64_t f = begin; f < end; ++f) {
        float* record = table.record(f);
        Vector norm = {};
        for (int v = 0; v < table.vectors; ++v) {
            const Vector x = reinterpret_cast<const Vector*>(record)[v];
            norm += x * x;
        }
        record[table.scalars() + FactorTable::kSquaredNorm] = sum_lanes(norm);
    }
}

// Calls function<N> for the table's number of vectors; N = 0 stands for more than fit into registers.
#define OPENFM_BY_WIDTH(function, ...)                       \
    switch (table.vectors) {                                 \
        case 1: return function<1>(__VA_ARGS__);             \
        case 2: return function<2>(__VA_ARGS__);             \
        case 3: return function<3>(__VA_ARGS__);             \
        case 4: return function<4>(__VA_ARGS__);             \
        case 5: return function<5>(__VA_ARGS__);             \
        case 6: return function<6>(__VA_ARGS__);             \
        case 7: return function<7>(__VA_ARGS__);             \
        case 8: return function<8>(__VA_ARGS__);             \
        default: return function<0>(__VA_ARGS__);            \
    }

void score_any(const FactorTable& table, float bias, const RowsView& rows, int64_t begin, int64_t end, bool sigmoid,
               float* out) {
    OPENFM_BY_WIDTH(score, table, bias, rows, begin, end, sigmoid, out)
}

void forward_any(const FactorTable& table, float bias, Loss loss, const RowsView& rows, const float* labels,
                 int64_t first, int64_t real, int64_t begin, int64_t end, const RowResults& results) {
    OPENFM_BY_WIDTH(forward, table, bias, loss, rows, labels, first, real, begin, end, results)
}

template <class Row>
uint32_t update_any(const FactorTable& table, const FeatureView<Row>& batch, const RowResults& results,
                    const AdamStep& linear, const AdamStep& factors, int64_t begin, int64_t end) {
    OPENFM_BY_WIDTH(update, table, batch, results, linear, factors, begin, end)
}

#undef OPENFM_BY_WIDTH

}  // namespace

#define OPENFM_TEXT(x) #x
#define OPENFM_NAME(x) OPENFM_TEXT(x)
extern const Kernels kernels;
const Kernels kernels = {
    OPENFM_NAME(OPENFM_ISA), score_any, forward_any, update_any<uint16_t>, update_any<uint32_t>, refresh_norms,
};
#undef OPENFM_NAME
#undef OPENFM_TEXT

}  // namespace openfm::OPENFM_ISA
