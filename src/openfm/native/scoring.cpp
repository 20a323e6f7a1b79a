// Python bindings of the scoring kernels.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "json_answers.hpp"
#include "json_instances.hpp"
#include "python_arrays.hpp"
#include "python_buffers.hpp"
#include "scorer.hpp"

namespace nb = nanobind;

namespace openfm {
namespace {

// Take long enough for another thread to work meanwhile.
constexpr size_t kManyProducts = 100000;
constexpr size_t kManyBytes = 100000;

// A scorer and the arrays that it reads.
class BoundScorer {
public:
    BoundScorer(float bias, Vector<float> linear, Matrix<float> factors, const std::string& instruction_set)
        : linear_(std::move(linear)), factors_(std::move(factors)) {
        if (factors_.shape(0) != linear_.shape(0)) throw std::invalid_argument("linear and factors differ in length");
        if (factors_.size() == 0) throw std::invalid_argument("feature_dim and num_factors must be at least 1");
        const Kernels& kernels = kernels_named(instruction_set);
        nb::gil_scoped_release release;
        scorer_ = std::make_unique<Scorer>(bias, linear_.data(), factors_.data(),
                                           static_cast<int64_t>(factors_.shape(0)),
                                           static_cast<int64_t>(factors_.shape(1)), kernels);
    }

    Result<float> score(Vector<int64_t> indptr, Vector<int32_t> indices, Vector<float> values, bool sigmoid,
                        int threads) const {
        if (threads < 1) throw std::invalid_argument("threads must be at least 1");
        const auto count = static_cast<int64_t>(indptr.shape(0)) - 1;
        Array<float> scores(count);
        {
            const ReleaseIfLong release(is_long(values.size()));
            const RowsView rows = checked_rows(indptr, indices, values, scorer_->feature_dim());
            scorer_->score(rows, count, sigmoid, threads, scores.get());
        }
        return to_numpy(std::move(scores), {static_cast<size_t>(count)});
    }

    nb::object answer(nb::handle body, bool lines, bool sigmoid, std::optional<double> threshold,
                      bool answer_lines) const {
        // These two have a zero after their last byte, which the scanner stops at.
        if (!PyBytes_Check(body.ptr()) && !PyByteArray_Check(body.ptr()))
            throw nb::type_error("body must be bytes or bytearray");
        const BytesView view(body);
        const char* const begin = view.begin<char>();
        json::InstanceDecoder decoder(scorer_->feature_dim());
        records::Column<char> text;
        bool answered = false;
        {
            std::optional<nb::gil_scoped_release> release;
            if (view.size() >= kManyBytes) release.emplace();
            if (lines ? decoder.decode_lines(begin, begin + view.size())
                      : decoder.decode_document(begin, begin + view.size())) {
                if (!release && is_long(decoder.rows.values.size())) release.emplace();
                answered = answer_rows(decoder.rows, sigmoid, threshold, answer_lines, text);
            }
        }
        if (!answered) return nb::none();
        return nb::make_tuple(nb::bytes(text.data(), text.size()), decoder.rows.indptr.size() - 1);
    }

    int64_t bytes() const { return scorer_->bytes(); }

private:
    bool is_long(size_t values) const { return values * factors_.shape(1) >= kManyProducts; }

    // False where a score is not finite.
    bool answer_rows(json::Rows& rows, bool sigmoid, std::optional<double> threshold, bool lines,
                     records::Column<char>& text) const {
        const auto count = static_cast<int64_t>(rows.indptr.size()) - 1;
        Array<float> scores(count), labels(threshold ? count : 0);
        const RowsView view{rows.indptr.data(), rows.indices.data(), rows.values.data(),
                            static_cast<int64_t>(rows.values.size())};
        scorer_->score(view, count, sigmoid, 1, scores.get());
        for (int64_t row = 0; row < count; ++row) {
            const float score = scores[row];
            if (score - score != 0.0f) return false;
            if (threshold) labels[row] = static_cast<double>(score) >= *threshold ? 1.0f : 0.0f;
        }
        const json::Answers answers{static_cast<size_t>(count), scores.get(), threshold ? labels.get() : nullptr};
        lines ? json::encode_lines(answers, text) : json::encode_document(answers, text);
        return true;
    }

    Vector<float> linear_;
    Matrix<float> factors_;
    std::unique_ptr<Scorer> scorer_;
};

}  // namespace

void register_scoring(nb::module_& m) {
    nb::class_<BoundScorer>(m, "Scorer")
        .def(nb::init<float, Vector<float>, Matrix<float>, const std::string&>(), nb::arg("bias"), nb::arg("linear"),
             nb::arg("factors"), nb::arg("instruction_set") = "")
        .def_prop_ro("nbytes", &BoundScorer::bytes)
        .def("score", &BoundScorer::score, nb::arg("indptr"), nb::arg("indices"), nb::arg("values"), nb::arg("sigmoid"),
             nb::arg("threads"))
        .def("answer", &BoundScorer::answer, nb::arg("body"), nb::arg("lines"), nb::arg("sigmoid"),
             nb::arg("threshold").none(), nb::arg("answer_lines"));
}

}  // namespace openfm
