// Training in two halves, between which several hosts add up their gradients.
#include <algorithm>
#include <atomic>

#include "trainer.hpp"
#include "trainer_parts.hpp"

namespace openfm {

namespace {

HostSums to_fields(const RowSums& sums) {
    return {{sums.gradient, sums.first, sums.second, static_cast<double>(sums.correct),
             static_cast<double>(sums.true_positives), static_cast<double>(sums.false_positives),
             static_cast<double>(sums.false_negatives)}};
}

// The counts are whole numbers, but where something is not finite.
int64_t count_of(double field) { return std::isfinite(field) ? static_cast<int64_t>(field) : 0; }

RowSums from_fields(const HostSums& totals) {
    const double* f = totals.fields;
    return {f[0], f[1], f[2], count_of(f[3]), count_of(f[4]), count_of(f[5]), count_of(f[6])};
}

}  // namespace

HostSums Trainer::gradients(const TrainingRows& block, int64_t number, const int32_t* places, float* rows) {
    reserve_rows(std::min(options_.batch_size, block.count) + 1);
    const int members = members_ = pace_.members(useful_threads(block));
    const Batch batch = batch_of(block, number);
    const SteadyClock::time_point start = SteadyClock::now();
    Barrier barrier(members);
    SharedWork of_rows(members), of_features(members);
    HostSums sums{};
    const auto work = [&](int member) {
        forward(batch, of_rows, member, members);
        barrier.wait();
        write_gradients(batch, {rows, places}, of_features, member, members);
        if (member == 0) sums = to_fields(sum_rows(options_.loss, batch.targets, batch.results));
    };
    team_.run(members, work);
    pace_.add(members, start, barrier.take_longest_sleep());
    return sums;
}

void Trainer::write_gradients(const Batch& batch, const GradientRows& out, SharedWork& work, int member, int members) {
    const BatchIndex& index = batch.block.index;
    const auto with = [&](const auto& view, auto kernel) {
        work.run(member, kFeaturesPiece, [&](int m) { return share(view, m, members); }, [&](Share part) {
            kernel(table_.view(), view, batch.results, out, part.begin, part.end);
        });
    };
    if (index.dense) {
        const DenseView view = index.dense->view(batch.number);
        const auto share_of = [&](int m) { return even_share(view.feature_groups(), m, members); };
        work.run(member, kFeaturesPiece / kLanes, share_of, [&](Share part) {
            kernels_.gradients_dense(table_.view(), view, batch.results, out, part.begin, part.end);
        });
    } else if (index.sparse.narrow) {
        with(index.sparse.view16(batch.number), kernels_.gradients16);
    } else {
        with(index.sparse.view32(batch.number), kernels_.gradients32);
    }
}

HostSums Trainer::padding_sums(int64_t count) {
    reserve_rows(1);
    const RowTargets targets{nullptr, nullptr, 0};
    const RowResults results{prediction_.get(), gradient_.get(), loss_.get(), row_sums_.get()};
    kernels_.forward(table_.view(), bias_.parameter, options_.loss, RowsView{}, targets, 0, 1, results);
    RowSums total;
    total.add(options_.loss, results, 0, 0, count);
    return to_fields(total);
}

uint32_t Trainer::apply(const int32_t* features, int64_t count, const float* gradients, const HostSums& totals,
                        BatchSums& sums) {
    constexpr int64_t kUpdateCost = 4;  // of a feature, in multiply-adds of its vectors
    table_.expect_moments();
    begin_step();
    const int members = pace_.members(useful_threads(count * kUpdateCost));
    std::atomic<uint32_t> bad{finish_step(from_fields(totals), sums)};
    const auto work = [&](int member) {
        const uint32_t found = kernels_.apply(table_.view(), features, gradients, linear_step_, factors_step_,
                                              count * member / members, count * (member + 1) / members);
        if (found != kFiniteAll) bad.fetch_or(found, std::memory_order_relaxed);
    };
    team_.run(members, work);
    return bad.load(std::memory_order_relaxed);
}

}  // namespace openfm
