// Python bindings of JSON requests and answers; openfm.codecs wraps them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>

#include "json_answers.hpp"
#include "json_instances.hpp"
#include "python_buffers.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace openfm {
namespace {

using namespace json;

using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::int64_t kMaxFeatureDim = 0x7fffffff;
constexpr std::size_t kManyBytes = 32768;  // take long enough to read for another thread to work meanwhile
constexpr std::size_t kManyRows = 1000;     // likewise, to write

nb::object decode_instances(nb::handle body, std::int64_t feature_dim, bool lines) {
    // These two have a zero after their last byte, which the scanner stops at.
    if (!PyBytes_Check(body.ptr()) && !PyByteArray_Check(body.ptr())) {
        throw nb::type_error("body must be bytes or bytearray");
    }
    if (feature_dim < 1 || feature_dim > kMaxFeatureDim) {
        throw std::invalid_argument("feature_dim must be from 1 to 2^31 - 1");
    }
    const BytesView view(body);
    const char* const begin = view.begin<char>();
    const char* const end = begin + view.size();
    InstanceDecoder decoder(feature_dim);
    bool taken = false;
    {
        const ReleaseIfLong release(view.size() >= kManyBytes);
        taken = lines ? decoder.decode_lines(begin, end) : decoder.decode_document(begin, end);
    }
    if (!taken) return nb::none();
    Rows& rows = decoder.rows;
    return nb::make_tuple(to_numpy(rows.indptr), to_numpy(rows.indices), to_numpy(rows.values));
}

nb::bytes encode_predictions(const Vector& scores, const std::optional<Vector>& predicted_labels, bool lines) {
    if (predicted_labels && predicted_labels->shape(0) != scores.shape(0)) {
        throw std::invalid_argument("there must be as many predicted labels as scores");
    }
    const Answers answers{scores.shape(0), scores.data(), predicted_labels ? predicted_labels->data() : nullptr};
    return encode_to_bytes<char>(
        answers.count >= kManyRows, [&](records::Column<char>& out) { lines ? encode_lines(answers, out) : encode_document(answers, out); });
}

}  // namespace

void register_json(nb::module_& m) {
    m.def("decode_instances", &decode_instances, "body"_a, "feature_dim"_a, "lines"_a,
          "Plain instances of JSON or JSON Lines to compressed sparse rows, or None; see openfm.codecs.instances.");
    m.def("encode_predictions", &encode_predictions, "scores"_a, "predicted_labels"_a.none(), "lines"_a,
          "Predictions as JSON or JSON Lines.");
}

}  // namespace openfm
