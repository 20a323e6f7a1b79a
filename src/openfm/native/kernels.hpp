// The training and scoring kernels: what they take, and the choice of instruction set.
//
// Every kernel gives the same bits with every instruction set: sums run in 8 float lanes in a fixed order, nothing is
// contracted into fused operations, exp and log are our own. Each row is computed by one thread and each feature
// updated by one thread, its rows in file order, so that the number of threads changes nothing either.
#pragma once

#include <cmath>
#include <cstdint>

namespace openfm {

constexpr int kLanes = 8;  // floats of one vector

// All parameters of one feature lie together in one record, so that touching a feature touches few cache lines:
//
//     V: vectors * 8 floats, zero-padded | w, q, m_w, u_w, 4 unused floats | M and U: as V
//
// q = |v|^2 is kept beside the factors: the score needs sum_i q_i x_i^2, not the factors' squares. m and u are Adam's
// moments of w; M and U those of V.
struct FactorTable {
    float* records;
    int vectors;     // ceil(k / 8)
    int last_lanes;  // factors in the last vector, 1..8
    int64_t stride;  // floats from one record to the next

    static constexpr int kScalars = 8;
    enum Scalar { kWeight, kSquaredNorm, kWeightMean, kWeightVariance };

    float* record(int64_t feature) const { return records + feature * stride; }
    int64_t factors() const { return static_cast<int64_t>(vectors - 1) * kLanes + last_lanes; }  // k
    int64_t scalars() const { return static_cast<int64_t>(vectors) * kLanes; }
    int64_t means() const { return scalars() + kScalars; }
    int64_t variances() const { return means() + static_cast<int64_t>(vectors) * kLanes; }
};

// The parameters of a machine for scoring, in the arrays that somebody else keeps: w and V may lie anywhere, such as in
// a file mapped into memory. V has no padding, so a feature's last vector reaches into the next feature's factors; the
// kernels clear those lanes. Features from `padded_from` on, whose vectors would reach beyond V, are read from a padded
// copy.
struct FactorArrays {
    const float* linear;         // w: feature_dim
    const float* factors;        // V: feature_dim x num_factors
    const float* squared_norms;  // |v|^2: feature_dim
    const float* padded;         // (feature_dim - padded_from) x vectors * 8
    int64_t padded_from;
    int64_t num_factors;
    int vectors;     // ceil(k / 8)
    int last_lanes;  // factors in the last vector, 1..8
};

struct RowsView {
    const int64_t* indptr;
    const int32_t* indices;
    const float* values;
    int64_t nnz;  // of the whole array: prefetching stays below it
};

enum class Loss { kLogistic, kSquared };

// What is to be learnt from the rows of a batch. Row `real` and those after it are padding: empty, label 0, weight 1.
struct RowTargets {
    const float* labels;
    const float* weights;  // what each row's gradient is multiplied by; nullptr: nothing
    int64_t real;
};

// What the rows of a batch leave for the features and the metrics; row 0 is the batch's first. There is room for whole
// groups of 8 rows.
struct RowResults {
    float* prediction;  // probability or s
    float* gradient;    // d loss / d s = (prediction - label) * weight
    float* loss;        // cross entropy; only of the logistic loss
    float* sums;        // gradient * sum_i x_i v_i: vectors * 8 floats a row
};

// The non-zeros of one batch by feature: entries [starts[f], starts[f + 1]) belong to features[f]. Row is uint16_t for
// batches of up to 65536 rows.
template <class Row>
struct FeatureView {
    const int32_t* features;
    const int32_t* starts;
    const Row* rows;
    const float* values;
    int64_t count;  // features: prefetching stays below it
};

// All cells of one batch in tiles of 8 rows x 8 features: the tiles of the first 8 rows, those of the next, ... Cells
// beyond the last row or feature are 0.
struct DenseView {
    const float* cells;
    const uint8_t* occurs;  // of each 8 features, a bit for each that is to be updated
    int64_t features;
    int64_t row_groups;

    int64_t feature_groups() const { return (features + kLanes - 1) / kLanes; }
    // The bits of a group's features that are to be updated, without what lies beyond the last.
    uint32_t occurring(int64_t feature_group) const {
        const int64_t left = features - feature_group * kLanes;
        return left >= kLanes ? occurs[feature_group] : occurs[feature_group] & ((1u << left) - 1u);
    }
    const float* tile(int64_t row_group, int64_t feature_group) const {
        return cells + (row_group * feature_groups() + feature_group) * (kLanes * kLanes);
    }
};

// One step of Adam for a group of parameters, all in float32 as MXNet has it.
struct AdamStep {
    float rate;  // learning rate with the bias corrections of step t
    float weight_decay;
    float rescale;  // of the summed gradient
    float epsilon;
    float clip;  // infinity: no clipping
    bool enabled;
};

constexpr float kBeta1 = 0.9f;
constexpr float kBeta2 = 0.999f;

// MXNet's AdamUpdate (1.3.1, src/operator/optimizer_op-inl.h): rescale, decay, clip, moments, step, in this order.
static inline void adam(const AdamStep& step, float gradient, float& weight, float& mean, float& variance) {
    float g = gradient * step.rescale + step.weight_decay * weight;
    g = g > step.clip ? step.clip : g < -step.clip ? -step.clip : g;
    mean = kBeta1 * mean + (1.0f - kBeta1) * g;
    variance = kBeta2 * variance + (1.0f - kBeta2) * g * g;
    weight -= step.rate * mean / (std::sqrt(variance) + step.epsilon);
}

// Gradients of a batch's features, packed: a row of k + 1 floats for each, V's and then w's. Several hosts add up theirs.
struct GradientRows {
    float* rows;
    const int32_t* places;  // the row of each of the batch's features
};

// Bits of what stopped being finite.
enum NonFinite : uint32_t { kFiniteAll = 0, kBadBias = 1, kBadLinear = 2, kBadFactors = 4, kBadMetric = 8 };

struct Kernels {
    const char* name;

    // Scores rows [begin, end) into out[begin..end); through the sigmoid if asked to.
    void (*score)(const FactorArrays&, float bias, const RowsView&, int64_t begin, int64_t end, bool sigmoid,
                  float* out);

    // Rows [begin, end) of a batch, the first of which is row 0 of RowsView: predictions, gradients, losses and factor
    // sums. begin is a multiple of 8.
    void (*forward)(const FactorTable&, float bias, Loss, const RowsView&, const RowTargets&, int64_t begin,
                    int64_t end, const RowResults&);
    void (*forward_dense)(const FactorTable&, float bias, Loss, const DenseView&, const RowTargets&, int64_t begin,
                          int64_t end, const RowResults&);

    // One Adam step for features [begin, end) of a batch; of a dense batch, for groups of 8 features. Returns what
    // became non-finite.
    uint32_t (*update16)(const FactorTable&, const FeatureView<uint16_t>&, const RowResults&, const AdamStep& linear,
                         const AdamStep& factors, int64_t begin, int64_t end);
    uint32_t (*update32)(const FactorTable&, const FeatureView<uint32_t>&, const RowResults&, const AdamStep& linear,
                         const AdamStep& factors, int64_t begin, int64_t end);
    uint32_t (*update_dense)(const FactorTable&, const DenseView&, const RowResults&, const AdamStep& linear,
                             const AdamStep& factors, int64_t begin, int64_t end);

    // The first half of an update: the gradients of features [begin, end) of a batch, or of its groups of 8 features.
    void (*gradients16)(const FactorTable&, const FeatureView<uint16_t>&, const RowResults&, const GradientRows&,
                        int64_t begin, int64_t end);
    void (*gradients32)(const FactorTable&, const FeatureView<uint32_t>&, const RowResults&, const GradientRows&,
                        int64_t begin, int64_t end);
    void (*gradients_dense)(const FactorTable&, const DenseView&, const RowResults&, const GradientRows&,
                            int64_t begin, int64_t end);

    // The second half: one Adam step for features[begin..end), from rows [begin, end) of packed gradients.
    uint32_t (*apply)(const FactorTable&, const int32_t* features, const float* gradients, const AdamStep& linear,
                      const AdamStep& factors, int64_t begin, int64_t end);

    // q of features [begin, end) from their factors.
    void (*refresh_norms)(const FactorTable&, int64_t begin, int64_t end);

    // The same for arrays, into squared_norms[begin..end).
    void (*measure_norms)(const FactorArrays&, int64_t begin, int64_t end, float* squared_norms);
};

// The best kernels of this processor, or those named "baseline", "avx2", "avx512". nullptr: not there.
const Kernels* find_kernels(const char* name);
const Kernels& best_kernels();

}  // namespace openfm
