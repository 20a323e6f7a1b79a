// What the files of Trainer share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "trainer.hpp"

namespace openfm {

// Sums over the rows of a batch. Amazon's container sums in float32: these are double, rounded to float once.
struct RowSums {
    double gradient = 0, first = 0, second = 0;
    int64_t correct = 0, true_positives = 0, false_positives = 0, false_negatives = 0;

    // Adds a row as if it stood there `times` times.
    void add(Loss loss, const RowResults& results, int64_t row, float label, int64_t times) {
        const double n = static_cast<double>(times);
        gradient += n * static_cast<double>(results.gradient[row]);
        if (loss == Loss::kSquared) {
            const float error = results.prediction[row] - label;
            first += n * static_cast<double>(error * error);
            second += n * static_cast<double>(std::fabs(error));
            return;
        }
        first += n * static_cast<double>(results.loss[row]);
        const bool positive = label > 0.5f, predicted = results.prediction[row] >= 0.5f;
        correct += times * (positive == predicted);
        true_positives += times * (positive && predicted);
        false_positives += times * (!positive && predicted);
        false_negatives += times * (positive && !predicted);
    }

    BatchSums of_batch(Loss loss) const {
        const auto rounded = [](double x) { return static_cast<double>(static_cast<float>(x)); };
        if (loss == Loss::kSquared) return {{rounded(first), rounded(second), 0, 0, 0}};
        return {{static_cast<double>(correct), rounded(first), static_cast<double>(true_positives),
                 static_cast<double>(false_positives), static_cast<double>(false_negatives)}};
    }
};

// The sums over a batch's rows but padding. All goes by value, so that the loop keeps it in registers.
[[gnu::always_inline]] inline RowSums sum_rows(Loss loss, RowTargets targets, RowResults results) {
    RowSums total;
    for (int64_t row = 0; row < targets.real; ++row) total.add(loss, results, row, targets.labels[row], 1);
    return total;
}

// One batch on its way through the threads.
struct Trainer::Batch {
    const TrainingRows& block;
    int64_t number;
    RowTargets targets;
    RowResults results;
};

constexpr int64_t kFeaturesPiece = 64;  // of a batch's features, that a member takes at a time

inline Share even_share(int64_t count, int member, int members) {
    return {count * member / members, count * (member + 1) / members};
}

// The share of one of several members in a batch's features: contiguous, of equal work.
template <class Row>
Share share(const FeatureView<Row>& batch, int member, int members) {
    constexpr int64_t kUpdateCost = 4;  // of a feature, in entries
    const auto cost = [&](int64_t f) { return batch.starts[f] + kUpdateCost * f; };
    const auto border = [&](int64_t number) {
        const int64_t target = cost(batch.count) * number / members;
        int64_t low = 0, high = batch.count;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (cost(middle) < target)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    };
    return {member == 0 ? 0 : border(member), member + 1 == members ? batch.count : border(member + 1)};
}

}  // namespace openfm
