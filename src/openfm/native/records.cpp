// Python bindings of the record decoder and encoder; openfm.data.records wraps them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "python_buffers.hpp"
#include "records_decode.hpp"
#include "records_encode.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace std::string_literals;

namespace openfm {
namespace {

using namespace records;

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyVector = nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyMatrix = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kManyScores = 1000;  // take long enough for another thread to work meanwhile
constexpr std::size_t kManyBytes = 65536;  // likewise, to decode

struct Decoded {
    std::size_t consumed;
    nb::object indptr, indices, values, labels, weights;
    nb::object identities;
    std::int64_t feature_dim;
    std::size_t dense_records;
    std::size_t usual_records;
    nb::object fault;
};

Labels parse_label_mode(std::string_view mode) {
    if (mode == "required") return Labels::required;
    if (mode == "optional") return Labels::optional;
    if (mode == "ignored") return Labels::ignored;
    throw std::invalid_argument("labels must be 'required', 'optional' or 'ignored'");
}

nb::object fault_tuple(const Decoder& decoder) {
    const Fault& fault = decoder.fault;
    if (!fault) return nb::none();
    const nb::str kind(fault.kind.data(), fault.kind.size());
    return nb::make_tuple(kind, decoder.rows(), decoder.consumed, fault.found, fault.expected);
}

// None where no record has a uid or metadata.
nb::object identity_tuple(Decoder& decoder) {
    Identities& identities = decoder.identities;
    if (identities.fields.size() == 0) return nb::none();
    return nb::make_tuple(to_numpy(identities.offsets), to_numpy(identities.fields));
}

Decoded decode_records(nb::handle data, std::optional<std::int64_t> feature_dim, std::string_view labels, bool framed,
                       bool final, bool identities, const std::string& instruction_set) {
    if (feature_dim && (*feature_dim < 0 || *feature_dim > kMaxFeatureDim)) {
        throw std::invalid_argument("feature_dim must be from 0 to 2^31 - 1");
    }
    const RecordKernels* const kernels = find_record_kernels(instruction_set.c_str());
    if (!kernels) throw std::invalid_argument("this processor has no instruction set '" + instruction_set + "'");
    Decoder decoder(feature_dim.value_or(kUnknownFeatureDim), parse_label_mode(labels), identities, *kernels);
    const BytesView view(data);
    const auto* const begin = view.begin<std::uint8_t>();
    const Span bytes{begin, begin + view.size()};
    {
        const ReleaseIfLong release(view.size() >= kManyBytes);
        if (framed) {
            decoder.decode_framed(bytes, final);
        } else {
            decoder.decode_bare(bytes);
        }
    }
    const nb::object fault = fault_tuple(decoder);  // before the columns, which it counts, are given away
    const bool has_labels = decoder.labels.size() != 0 || decoder.label_mode() == Labels::required;
    const nb::object found_labels = has_labels ? to_numpy(decoder.labels) : nb::none();
    const nb::object found_weights = decoder.weights.size() != 0 ? to_numpy(decoder.weights) : nb::none();
    return {decoder.consumed,
            to_numpy(decoder.indptr),
            to_numpy(decoder.indices),
            to_numpy(decoder.values),
            found_labels,
            found_weights,
            identity_tuple(decoder),
            decoder.feature_dim(),
            decoder.dense_records,
            decoder.usual_records,
            fault};
}

template <class Array>
Numbers numbers(const Array& array) {
    if (array.dtype() == nb::dtype<float>()) return {Numbers::Type::float32, array.data()};
    if (array.dtype() == nb::dtype<double>()) return {Numbers::Type::float64, array.data()};
    if (array.dtype() == nb::dtype<std::int32_t>()) return {Numbers::Type::int32, array.data()};
    throw nb::type_error("values and labels must be float32, float64 or int32");
}

// One number for each row, or none.
std::optional<Numbers> numbers_of_rows(const std::optional<AnyVector>& array, std::size_t rows, const char* name) {
    if (!array) return std::nullopt;
    if (array->shape(0) != rows) throw std::invalid_argument("there must be as many "s + name + " as rows");
    return numbers(*array);
}

// The bytes as an array, which spares a copy.
nb::object encode_to_numpy(Rows rows, const std::optional<AnyVector>& labels, const std::optional<AnyVector>& weights) {
    const std::optional<Numbers> own_labels = numbers_of_rows(labels, rows.count, "labels");
    const std::optional<Numbers> own_weights = numbers_of_rows(weights, rows.count, "weights");
    rows.labels = own_labels ? &*own_labels : nullptr;
    rows.weights = own_weights ? &*own_weights : nullptr;
    Column<std::uint8_t> out;
    {
        const nb::gil_scoped_release release;
        encode_rows(rows, out);
    }
    return to_numpy(out);
}

nb::object encode_dense(const AnyMatrix& values, const std::optional<AnyVector>& labels,
                        const std::optional<AnyVector>& weights) {
    Rows rows;
    rows.count = values.shape(0);
    rows.width = values.shape(1);
    rows.values = numbers(values);
    return encode_to_numpy(rows, labels, weights);
}

void check_sparse(const Vector<std::int64_t>& indptr, const Vector<std::int32_t>& indices, std::size_t values) {
    if (indptr.shape(0) == 0) throw std::invalid_argument("indptr must not be empty");
    if (indices.shape(0) != values) throw std::invalid_argument("there must be as many indices as values");
    if (indptr(0) < 0 || indptr(indptr.shape(0) - 1) > static_cast<std::int64_t>(values)) {
        throw std::invalid_argument("indptr points outside of indices");
    }
    for (std::size_t i = 1; i < indptr.shape(0); ++i) {
        if (indptr(i) < indptr(i - 1)) throw std::invalid_argument("indptr must not decrease");
    }
}

nb::object encode_sparse(const Vector<std::int64_t>& indptr, const Vector<std::int32_t>& indices, const AnyVector& values,
                        const std::optional<AnyVector>& labels, std::int64_t feature_dim,
                        const std::optional<AnyVector>& weights) {
    check_sparse(indptr, indices, values.shape(0));
    if (feature_dim < 0) throw std::invalid_argument("feature_dim must not be negative");
    Rows rows;
    rows.count = indptr.shape(0) - 1;
    rows.width = static_cast<std::uint64_t>(feature_dim);
    rows.values = numbers(values);
    rows.indptr = indptr.data();
    rows.indices = indices.data();
    return encode_to_numpy(rows, labels, weights);
}

void check_identities(const Vector<std::int64_t>& offsets, const Vector<std::uint8_t>& fields, std::size_t records) {
    if (offsets.shape(0) != records + 1) throw std::invalid_argument("there must be as many identities as scores");
    bool ordered = offsets(0) == 0 && offsets(records) == static_cast<std::int64_t>(fields.shape(0));
    for (std::size_t i = 0; i < records; ++i) ordered &= offsets(i) <= offsets(i + 1);
    if (!ordered) throw std::invalid_argument("the identities' offsets do not divide their fields");
}

nb::bytes encode_score_records(const Vector<float>& scores, const std::optional<Vector<float>>& predicted_labels,
                               const std::optional<Vector<std::int64_t>>& identity_offsets,
                               const std::optional<Vector<std::uint8_t>>& identities) {
    const std::size_t count = scores.shape(0);
    if (predicted_labels && predicted_labels->shape(0) != count) {
        throw std::invalid_argument("there must be as many predicted labels as scores");
    }
    Scores answer;
    answer.count = count;
    answer.scores = scores.data();
    answer.predicted_labels = predicted_labels ? predicted_labels->data() : nullptr;
    if (identity_offsets && identities) {
        check_identities(*identity_offsets, *identities, count);
        answer.identity_offsets = identity_offsets->data();
        answer.identities = identities->data();
    }
    return encode_to_bytes<std::uint8_t>(count >= kManyScores,
                                         [&](Column<std::uint8_t>& out) { encode_scores(answer, out); });
}

}  // namespace

void register_records(nb::module_& m) {
    nb::class_<Decoded>(m, "Decoded", "What decode_records found.")
        .def_ro("consumed", &Decoded::consumed)
        .def_ro("indptr", &Decoded::indptr)
        .def_ro("indices", &Decoded::indices)
        .def_ro("values", &Decoded::values)
        .def_ro("labels", &Decoded::labels)
        .def_ro("weights", &Decoded::weights)
        .def_ro("identities", &Decoded::identities)
        .def_ro("feature_dim", &Decoded::feature_dim)
        .def_ro("dense_records", &Decoded::dense_records)
        .def_ro("usual_records", &Decoded::usual_records)
        .def_ro("fault", &Decoded::fault);
    m.def("decode_records", &decode_records, "data"_a, "feature_dim"_a.none(), "labels"_a, "framed"_a, "final"_a,
          "identities"_a = false, "instruction_set"_a = "",
          "Decodes whole records to compressed sparse rows; see openfm.data.records.");
    m.def("encode_dense", &encode_dense, "values"_a, "labels"_a.none(), "weights"_a.none() = nb::none(),
          "Framed records of dense rows (float32, float64 or int32), one label and one weight each or none.");
    m.def("encode_sparse", &encode_sparse, "indptr"_a, "indices"_a, "values"_a, "labels"_a.none(), "feature_dim"_a,
          "weights"_a.none() = nb::none(),
          "Framed records of compressed sparse rows (float32, float64 or int32), one label and one weight each or none.");
    m.def("encode_scores", &encode_score_records, "scores"_a, "predicted_labels"_a.none(),
          "identity_offsets"_a.none() = nb::none(), "identities"_a.none() = nb::none(),
          "Framed records with the label `score` and, when given, `predicted_label`, `uid` and `metadata`.");
}

}  // namespace openfm
