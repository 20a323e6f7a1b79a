#include "trainer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "trainer_parts.hpp"

namespace openfm {

Table::Table(int64_t feature_dim, int64_t num_factors, int threads)
    : feature_dim_(feature_dim), num_factors_(num_factors), threads_(threads) {
    const int64_t vectors = (num_factors + kLanes - 1) / kLanes;
    const int64_t floats = vectors * kLanes * 3 + FactorTable::kScalars;
    constexpr int64_t line = 16;  // floats of a cache line
    view_.vectors = static_cast<int>(vectors);
    view_.last_lanes = static_cast<int>(num_factors - (vectors - 1) * kLanes);
    view_.stride = (floats + line - 1) / line * line;
    memory_ = AlignedFloats(view_.stride, feature_dim);
    view_.records = memory_.get();
    for_records([&](int64_t begin, int64_t end) {
        std::memset(view_.record(begin), 0, static_cast<size_t>((end - begin) * view_.stride) * sizeof(float));
    });
}

// Calls work(begin, end) for ranges that make up all records, on several threads.
template <class Work>
void Table::for_records(const Work& work) const {
    constexpr int64_t kLeastFloats = int64_t{1} << 22;  // of a range: threads must not meet in a huge page
    const int64_t range = std::max<int64_t>(1, kLeastFloats / view_.stride);
    const int64_t ranges = (feature_dim_ + range - 1) / range;
    run_parts(ranges, threads_, [&](int64_t i) { work(i * range, std::min(feature_dim_, (i + 1) * range)); });
}

Table::Places Table::places(Part part) const {
    switch (part) {
        case kMeans: return {view_.scalars() + FactorTable::kWeightMean, view_.means()};
        case kVariances: return {view_.scalars() + FactorTable::kWeightVariance, view_.variances()};
        default: return {view_.scalars() + FactorTable::kWeight, 0};
    }
}

void Table::set(Part part, const float* linear, const float* factors) {
    if (factors == memory_.get()) return spread(linear);
    const Places at = places(part);
    for_records([&](int64_t begin, int64_t end) {
        for (int64_t f = begin; f < end; ++f) {
            float* record = view_.record(f);
            record[at.linear] = linear[f];
            std::memcpy(record + at.factors, factors + f * num_factors_,
                        static_cast<size_t>(num_factors_) * sizeof(float));
        }
    });
    has_moments_ |= part != kParameters;
}

// Lays out the records where V lies packed, from the last on: no record reaches into factors that are still to move.
void Table::spread(const float* linear) {
    const size_t rest = static_cast<size_t>(view_.stride - num_factors_) * sizeof(float);
    for (int64_t f = feature_dim_ - 1; f >= 0; --f) {
        float* record = view_.record(f);
        std::memmove(record, memory_.get() + f * num_factors_, static_cast<size_t>(num_factors_) * sizeof(float));
        std::memset(record + num_factors_, 0, rest);
        record[view_.scalars() + FactorTable::kWeight] = linear[f];
    }
    has_moments_ = false;
}

float* Table::release(float* linear) {
    const size_t bytes = static_cast<size_t>(num_factors_) * sizeof(float);
    for (int64_t f = 0; f < feature_dim_; ++f) {
        const float* record = view_.record(f);
        linear[f] = record[view_.scalars() + FactorTable::kWeight];
        std::memmove(memory_.get() + f * num_factors_, record, bytes);
    }
    float* memory = memory_.release();
    void* cut = std::realloc(memory, bytes * static_cast<size_t>(feature_dim_));
    feature_dim_ = 0;  // nothing fits what is no more
    view_.records = nullptr;
    return cut ? static_cast<float*>(cut) : memory;
}

void Table::get_linear(Part part, float* linear) const {
    const int64_t at = places(part).linear;
    for_records([&](int64_t begin, int64_t end) {
        for (int64_t f = begin; f < end; ++f) linear[f] = view_.record(f)[at];
    });
}

void Table::get_factors(Part part, int64_t first, int64_t count, float* factors) const {
    const int64_t at = places(part).factors;
    for (int64_t f = 0; f < count; ++f)
        std::memcpy(factors + f * num_factors_, view_.record(first + f) + at,
                    static_cast<size_t>(num_factors_) * sizeof(float));
}

void Table::clear_moments() {
    if (!has_moments_) return;
    const size_t moments = static_cast<size_t>(view_.vectors) * kLanes * 2 * sizeof(float);
    for_records([&](int64_t begin, int64_t end) {
        for (int64_t f = begin; f < end; ++f) {
            float* record = view_.record(f);
            record[view_.scalars() + FactorTable::kWeightMean] = 0;
            record[view_.scalars() + FactorTable::kWeightVariance] = 0;
            std::memset(record + view_.means(), 0, moments);
        }
    });
    has_moments_ = false;
}

void Table::refresh_norms(const Kernels& kernels) {
    for_records([&](int64_t begin, int64_t end) { kernels.refresh_norms(view_, begin, end); });
}

Trainer::Batch Trainer::batch_of(const TrainingRows& block, int64_t number) {
    const int64_t row = number * options_.batch_size;
    return {block,
            number,
            {block.labels + row, block.weights ? block.weights + row : nullptr,
             std::min(options_.batch_size, block.count - row)},
            {prediction_.get(), gradient_.get(), loss_.get(), row_sums_.get()}};
}

Trainer::Trainer(int64_t feature_dim, int64_t num_factors, const TrainerOptions& options, const Kernels& kernels)
    : options_(options),
      kernels_(kernels),
      table_(feature_dim, num_factors, options.threads),
      team_(options.threads) {}

void Trainer::set_parameters(float bias, const float* linear, const float* factors) {
    table_.set(Table::kParameters, linear, factors);
    table_.refresh_norms(kernels_);
    table_.clear_moments();
    bias_ = {bias, 0, 0};
    step_ = 0;
    beta1_power_ = beta2_power_ = 1;
}

void Trainer::set_optimizer(int64_t step, const Bias& bias, const float* linear_means, const float* linear_variances,
                            const float* factor_means, const float* factor_variances) {
    table_.set(Table::kMeans, linear_means, factor_means);
    table_.set(Table::kVariances, linear_variances, factor_variances);
    bias_ = bias;
    step_ = 0;
    beta1_power_ = beta2_power_ = 1;
    while (step_ < step) advance();
}

// The powers are products, not std::pow, whose last bit differs between C libraries.
void Trainer::advance() {
    beta1_power_ *= 0.9;
    beta2_power_ *= 0.999;
    ++step_;
}

void Trainer::begin_step() {
    advance();
    bias_step_ = adam_step(options_.bias);
    linear_step_ = adam_step(options_.linear);
    factors_step_ = adam_step(options_.factors);
}

// lr_t = lr * sqrt(1 - beta2^t) / (1 - beta1^t), in double, rounded once.
AdamStep Trainer::adam_step(const GroupRates& rates) const {
    const double rate = rates.learning_rate * std::sqrt(1.0 - beta2_power_) / (1.0 - beta1_power_);
    return {static_cast<float>(rate),           static_cast<float>(rates.weight_decay),
            static_cast<float>(options_.rescale), static_cast<float>(options_.epsilon),
            static_cast<float>(options_.clip),    rates.enabled};
}

void Trainer::reserve_rows(int64_t rows) {
    rows = (rows + kLanes - 1) / kLanes * kLanes;
    if (rows <= reserved_rows_) return;
    prediction_ = Array<float>(rows);
    gradient_ = Array<float>(rows);
    loss_ = Array<float>(rows);
    row_sums_ = AlignedFloats(rows, table_.view().vectors * kLanes);
    reserved_rows_ = rows;
}

// Waking other threads and meeting them costs some microseconds a batch, and much more where other processes want the
// processors: small batches are done by one.
int Trainer::useful_threads(const TrainingRows& block) {
    const BatchIndex& index = block.index;
    const int64_t cells = index.dense ? block.count * table_.feature_dim() : index.sparse.entries.back();
    const int64_t features = index.dense ? index.batches * table_.feature_dim() : index.sparse.batches.back();
    return useful_threads((cells * 2 + features * 4) / index.batches);
}

int Trainer::useful_threads(int64_t vector_operations) {
    constexpr int64_t kLeastWork = 200000;  // multiply-adds of a batch for each thread, about 50 us
    const int64_t work = vector_operations * table_.view().vectors * kLanes;
    const int64_t wanted = std::min<int64_t>(team_.size(), std::max<int64_t>(1, work / kLeastWork));
    if (wanted > 1) team_.start();
    return static_cast<int>(std::min<int64_t>(team_.size(), wanted));
}

Trainer::Outcome Trainer::train(const TrainingRows& block, int64_t first, int64_t last, BatchSums* sums) {
    if (first == last) return {0, kFiniteAll};
    reserve_rows(std::min(options_.batch_size, block.count) + 1);  // one for the padding
    table_.expect_moments();
    const int all = useful_threads(block);
    Outcome outcome{0, kFiniteAll};
    while (first + outcome.batches < last && outcome.bad == kFiniteAll) {
        const Outcome more = train_as_team(block, first + outcome.batches, last, sums + outcome.batches, all);
        outcome = {outcome.batches + more.batches, more.bad};
    }
    return outcome;
}

// Ends early where the team should become smaller or larger.
Trainer::Outcome Trainer::train_as_team(const TrainingRows& block, int64_t first, int64_t last, BatchSums* sums,
                                        int all) {
    const int members = members_ = pace_.members(all);
    Barrier barrier(members);
    SharedWork rows(members), features(members);
    std::atomic<uint32_t> bad{kFiniteAll};
    std::atomic<int64_t> end{last};
    const auto work = [&](int member) {
        for (int64_t number = first; number < end.load(std::memory_order_relaxed); ++number) {
            const Batch batch = batch_of(block, number);
            const SteadyClock::time_point start = SteadyClock::now();
            if (member == 0) begin_step();
            features.reset(member);
            forward(batch, rows, member, members);
            barrier.wait();
            rows.reset(member);
            uint32_t found = update(batch, features, member, members);
            if (member == 0) {
                found |= finish_batch(batch, sums[number - first]);
                pace_.add(members, start, barrier.take_longest_sleep());
                if (pace_.members(all) != members) end.store(number + 1, std::memory_order_relaxed);
            }
            if (found != kFiniteAll) {
                bad.fetch_or(found, std::memory_order_relaxed);
                end.store(number + 1, std::memory_order_relaxed);
            }
            barrier.wait();
        }
    };
    team_.run(members, work);
    return {end.load() - first, bad.load()};
}

// The batch's rows: in whole groups of 8, so that no two threads write to one vector. All padding is one row: it is empty,
// so that its prediction is the same everywhere and no feature sees it.
void Trainer::forward(const Batch& batch, SharedWork& work, int member, int members) {
    constexpr int64_t kPiece = 4;  // groups
    const TrainingRows& block = batch.block;
    const int64_t rows = std::min(batch.targets.real + 1, options_.batch_size);
    const int64_t groups = (rows + kLanes - 1) / kLanes;
    const auto share_of = [&](int m) { return even_share(groups, m, members); };
    work.run(member, kPiece, share_of, [&](Share share) {
        const int64_t begin = share.begin * kLanes, end = std::min(rows, share.end * kLanes);
        if (block.index.dense) {
            kernels_.forward_dense(table_.view(), bias_.parameter, options_.loss,
                                   block.index.dense->view(batch.number), batch.targets, begin, end, batch.results);
            return;
        }
        RowsView of_batch = block.rows;
        of_batch.indptr += batch.number * options_.batch_size;
        kernels_.forward(table_.view(), bias_.parameter, options_.loss, of_batch, batch.targets, begin, end,
                         batch.results);
    });
}

// The batch's features. Returns what the member found not to be finite.
uint32_t Trainer::update(const Batch& batch, SharedWork& work, int member, int members) {
    const BatchIndex& index = batch.block.index;
    uint32_t bad = kFiniteAll;
    const auto with = [&](const auto& view, auto kernel) {
        work.run(member, kFeaturesPiece, [&](int m) { return share(view, m, members); }, [&](Share part) {
            bad |= kernel(table_.view(), view, batch.results, linear_step_, factors_step_, part.begin, part.end);
        });
        return bad;
    };
    if (index.dense) {
        const DenseView view = index.dense->view(batch.number);
        const auto share_of = [&](int m) { return even_share(view.feature_groups(), m, members); };
        work.run(member, kFeaturesPiece / kLanes, share_of, [&](Share part) {
            bad |= kernels_.update_dense(table_.view(), view, batch.results, linear_step_, factors_step_, part.begin,
                                         part.end);
        });
        return bad;
    }
    return index.sparse.narrow ? with(index.sparse.view16(batch.number), kernels_.update16)
                               : with(index.sparse.view32(batch.number), kernels_.update32);
}

// The bias and the metrics: sums over all rows, by one thread in row order. Returns what is not finite.
uint32_t Trainer::finish_batch(const Batch& batch, BatchSums& sums) {
    RowSums total = sum_rows(options_.loss, batch.targets, batch.results);
    const int64_t padding = options_.batch_size - batch.targets.real;
    if (padding > 0) total.add(options_.loss, batch.results, batch.targets.real, 0, padding);
    return finish_step(total, sums);
}

uint32_t Trainer::finish_step(RowSums total, BatchSums& sums) {
    sums = total.of_batch(options_.loss);
    uint32_t bad = kFiniteAll;
    if (bias_step_.enabled)
        adam(bias_step_, static_cast<float>(total.gradient), bias_.parameter, bias_.mean, bias_.variance);
    if (!std::isfinite(bias_.parameter)) bad |= kBadBias;
    for (const double field : sums.fields)
        if (!std::isfinite(field)) bad |= kBadMetric;
    return bad;
}

}  // namespace openfm
