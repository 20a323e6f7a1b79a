// Mini-batch training of a Factorization Machine with Adam.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "batch_index.hpp"
#include "kernels.hpp"
#include "thread_team.hpp"

namespace openfm {

// The parameters of a machine and Adam's moments of them in the kernels' layout, in memory of its own.
class Table {
public:
    // threads: how many copy to and from the table.
    Table(int64_t feature_dim, int64_t num_factors, int threads);

    const FactorTable& view() const { return view_; }
    int64_t feature_dim() const { return feature_dim_; }
    int64_t num_factors() const { return num_factors_; }
    int64_t bytes() const { return feature_dim_ * view_.stride * static_cast<int64_t>(sizeof(float)); }

    // What a record holds of a feature: the parameters, or Adam's first or second moments of them.
    enum Part { kParameters, kMeans, kVariances };

    // Where V may be written before set(kParameters, linear, packed_factors()), so that it is never there twice: the
    // table's own memory, of which it takes the first feature_dim x num_factors floats.
    float* packed_factors() { return memory_.get(); }

    // Copies one part of all records from arrays: of w (feature_dim) and of V (feature_dim x num_factors).
    void set(Part part, const float* linear, const float* factors);

    // Copies one part to arrays: of w, and of `count` rows of V from row `first` on.
    void get_linear(Part part, float* linear) const;
    void get_factors(Part part, int64_t first, int64_t count, float* factors) const;

    // Ends the table: V, in its memory, which is cut to size and which the caller frees; copies w.
    float* release(float* linear);

    // Forgets Adam's moments, which training leaves.
    void clear_moments();
    void expect_moments() { has_moments_ = true; }

    // To be called when V was set.
    void refresh_norms(const Kernels& kernels);

private:
    struct Places {
        int64_t linear, factors;  // offsets within a record
    };
    Places places(Part part) const;
    template <class Work>
    void for_records(const Work& work) const;
    void spread(const float* linear);

    int64_t feature_dim_, num_factors_;
    int threads_;
    bool has_moments_ = false;  // other than zero
    AlignedFloats memory_;
    FactorTable view_;
};

// How one group of parameters learns; in double as Python gives it.
struct GroupRates {
    double learning_rate;
    double weight_decay;
    bool enabled;
};

struct TrainerOptions {
    Loss loss;
    int64_t batch_size;
    GroupRates bias, linear, factors;
    double rescale, epsilon, clip;
    int threads;
};

// What a batch adds to the metrics of its epoch, its padding included.
struct BatchSums {
    static constexpr int kFields = 5;
    // logistic: correct, cross entropy, true positives, false positives, false negatives
    // squared: squared error, absolute error, 0, 0, 0
    double fields[kFields];
};

// A block of labelled rows.
struct TrainingRows {
    const RowsView& rows;  // not read where the batches are dense
    const BatchIndex& index;
    const float* labels;
    const float* weights;  // what each row's gradient is multiplied by; nullptr: nothing
    int64_t count;
};

struct RowSums;

// The same sums before they are rounded, and the bias's gradient, which several hosts add up.
struct HostSums {
    static constexpr int kFields = 7;
    // gradient; cross entropy or squared error; 0 or absolute error; correct, true positives, false positives, false
    // negatives, which are 0 of the squared loss
    double fields[kFields];
};

class Trainer {
public:
    Trainer(int64_t feature_dim, int64_t num_factors, const TrainerOptions& options, const Kernels& kernels);

    const Table& table() const { return table_; }
    Table& table() { return table_; }
    int64_t batch_size() const { return options_.batch_size; }

    // w0 and Adam's moments of it.
    struct Bias {
        float parameter = 0, mean = 0, variance = 0;
    };
    const Bias& bias() const { return bias_; }
    int64_t step() const { return step_; }
    int members() const { return members_; }

    // Sets w0, w and V; the optimiser starts afresh.
    void set_parameters(float bias, const float* linear, const float* factors);

    // Sets Adam's moments of w and V, and all that is not in the table; goes on as if `step` batches were done.
    void set_optimizer(int64_t step, const Bias& bias, const float* linear_means, const float* linear_variances,
                       const float* factor_means, const float* factor_variances);

    // Trains on batches [first, last) of a block; sums[b - first] is what batch b gives. Stops after a batch that leaves
    // anything non-finite. Returns the number of batches done and what is not finite.
    struct Outcome {
        int64_t batches;
        uint32_t bad;
    };
    Outcome train(const TrainingRows& block, int64_t first, int64_t last, BatchSums* sums);

    // The same in two halves, for several hosts that add up what the first gives them.
    //
    // Writes the gradients of a batch's features to the rows that `places` names, in the batch's order of them; the
    // batch's real rows are summed.
    HostSums gradients(const TrainingRows& block, int64_t number, const int32_t* places, float* rows);
    // The sums of `count` empty rows of label 0.
    HostSums padding_sums(int64_t count);
    // One step for `count` different features. Returns what is not finite.
    uint32_t apply(const int32_t* features, int64_t count, const float* gradients, const HostSums& totals,
                   BatchSums& sums);

private:
    struct Batch;
    Batch batch_of(const TrainingRows& block, int64_t number);
    Outcome train_as_team(const TrainingRows& block, int64_t first, int64_t last, BatchSums* sums, int all);
    void forward(const Batch& batch, SharedWork& work, int member, int members);
    uint32_t update(const Batch& batch, SharedWork& work, int member, int members);
    void write_gradients(const Batch& batch, const GradientRows& out, SharedWork& work, int member, int members);
    uint32_t finish_batch(const Batch& batch, BatchSums& sums);
    uint32_t finish_step(RowSums total, BatchSums& sums);
    void advance();
    void begin_step();
    AdamStep adam_step(const GroupRates& rates) const;
    void reserve_rows(int64_t rows);
    int useful_threads(const TrainingRows& block);
    int useful_threads(int64_t vector_operations);

    const TrainerOptions options_;
    const Kernels& kernels_;
    Table table_;
    ThreadTeam team_;
    TeamPace pace_;
    int members_ = 1;  // of the team, in the last batch
    Bias bias_;
    int64_t step_ = 0;                          // Adam's t: batches done
    double beta1_power_ = 1, beta2_power_ = 1;  // beta^t
    AdamStep bias_step_, linear_step_, factors_step_;  // of the batch being trained
    int64_t reserved_rows_ = 0;
    Array<float> prediction_, gradient_, loss_;
    AlignedFloats row_sums_;
};

}  // namespace openfm
