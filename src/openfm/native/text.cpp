// Python bindings of the text formats; openfm.data.formats wraps them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>

#include "python_buffers.hpp"
#include "python_coder.hpp"
#include "text_columns.hpp"
#include "text_rows.hpp"
#include "text_write.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace openfm {
namespace {

using namespace text;

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::string_view text_of(const BytesView& view) { return {view.begin<char>(), view.size()}; }

nb::object fault_tuple(const Fault& fault) {
    if (!fault) return nb::none();
    return nb::make_tuple(nb::str(fault.kind.data(), fault.kind.size()), fault.line, fault.column, fault.begin, fault.end,
                          fault.found, fault.expected);
}

struct ParsedRows {
    std::size_t consumed;
    std::int64_t lines;
    nb::object indptr, indices, values, labels, weights;
    std::int64_t feature_dim;
    nb::object fault;
};

ParsedRows to_python(Rows& rows, bool labelled, bool weighted) {
    const nb::object labels = labelled ? to_numpy(rows.labels) : nb::none();
    const nb::object weights = weighted ? to_numpy(rows.weights) : nb::none();
    return {rows.consumed,         rows.lines, to_numpy(rows.indptr), to_numpy(rows.indices),
            to_numpy(rows.values), labels,     weights,               rows.feature_dim,
            fault_tuple(rows.fault)};
}

ParsedRows libsvm_rows(nb::handle data, std::int64_t index_base, std::optional<std::int64_t> feature_dim, bool final) {
    if (index_base != 0 && index_base != 1) throw std::invalid_argument("index_base must be 0 or 1");
    if (feature_dim && (*feature_dim < 0 || *feature_dim > kMaxFeatureDim)) {
        throw std::invalid_argument("feature_dim must be from 0 to 2^31 - 1");
    }
    const BytesView view(data);
    Rows rows;
    {
        const nb::gil_scoped_release release;
        parse_libsvm(text_of(view), index_base, feature_dim.value_or(kUnknown), final, rows);
    }
    return to_python(rows, true, false);
}

ParsedRows csv_rows(nb::handle data, char delimiter, std::optional<std::int64_t> label_column,
                    std::optional<std::int64_t> columns, bool final, std::optional<std::int64_t> weight_column) {
    for (const auto& column : {label_column, weight_column}) {
        if (column && (*column < 0 || (columns && *column >= *columns))) {
            throw std::invalid_argument("label_column and weight_column must be among the columns");
        }
    }
    if (label_column && label_column == weight_column) {
        throw std::invalid_argument("label_column and weight_column must differ");
    }
    const CsvColumns roles{label_column.value_or(kUnknown), weight_column.value_or(kUnknown), columns.value_or(kUnknown)};
    const BytesView view(data);
    Rows rows;
    {
        const nb::gil_scoped_release release;
        parse_csv(text_of(view), delimiter, roles, final, rows);
    }
    return to_python(rows, label_column.has_value(), weight_column.has_value());
}

struct ParsedColumns {
    std::size_t consumed;
    std::int64_t lines;
    std::int64_t rows;
    nb::list columns;
    nb::object fault;
};

// Of categories without a coder of theirs, `dictionary` has the texts.
nb::object column_to_python(ParsedColumn& column, const Dictionary& dictionary) {
    if (column.kind == ColumnKind::number) return to_numpy(column.numbers);
    if (column.coder.dictionary != &dictionary) return to_numpy(column.codes);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(dictionary.bytes().data());
    return nb::make_tuple(to_numpy(column.codes), copied(dictionary.offsets().data(), dictionary.offsets().size()),
                          copied(bytes, dictionary.bytes().size()));
}

ParsedColumns csv_columns(nb::handle data, char delimiter, const Vector<std::uint8_t>& kinds, bool final,
                          const std::optional<nb::list>& coders) {
    const std::size_t count = kinds.shape(0);
    if (coders && coders->size() != count) throw std::invalid_argument("there must be as many coders as columns");
    Columns found;
    found.columns = std::vector<ParsedColumn>(count);
    std::vector<Dictionary> dictionaries(count);
    for (std::size_t i = 0; i < count; ++i) {
        if (kinds(i) > static_cast<std::uint8_t>(ColumnKind::category)) {
            throw std::invalid_argument("a column's kind must be 0 or 1");
        }
        ParsedColumn& column = found.columns[i];
        column.kind = static_cast<ColumnKind>(kinds(i));
        if (column.kind == ColumnKind::number) continue;
        const bool has_coder = coders && !(*coders)[i].is_none();
        column.coder = has_coder ? nb::cast<const TextCoder&>((*coders)[i]).coder
                                 : Coder{Coder::Kind::add, &dictionaries[i], 0};
    }
    const BytesView view(data);
    {
        const nb::gil_scoped_release release;
        parse_columns(text_of(view), delimiter, final, found);
    }
    nb::list columns;
    for (std::size_t i = 0; i < count; ++i) columns.append(column_to_python(found.columns[i], dictionaries[i]));
    return {found.consumed, found.lines, found.rows, columns, fault_tuple(found.fault)};
}

RowsView view_rows(const Vector<std::int64_t>& indptr, const Vector<std::int32_t>& indices, const Vector<float>& values,
                   const std::optional<Vector<float>>& labels, const std::optional<Vector<float>>& weights) {
    if (indptr.shape(0) == 0) throw std::invalid_argument("indptr must not be empty");
    const std::size_t count = indptr.shape(0) - 1;
    bool fits = indices.shape(0) == values.shape(0) && indptr(0) >= 0 &&
                indptr(count) <= static_cast<std::int64_t>(values.shape(0));
    for (std::size_t i = 0; i < count; ++i) fits &= indptr(i) <= indptr(i + 1);
    if (!fits) throw std::invalid_argument("indptr does not divide indices and values");
    if (labels && labels->shape(0) != count) throw std::invalid_argument("there must be as many labels as rows");
    if (weights && weights->shape(0) != count) throw std::invalid_argument("there must be as many weights as rows");
    return {count, indptr.data(), indices.data(), values.data(), labels ? labels->data() : nullptr,
            weights ? weights->data() : nullptr};
}

nb::bytes libsvm_text(const Vector<std::int64_t>& indptr, const Vector<std::int32_t>& indices,
                      const Vector<float>& values, const Vector<float>& labels, std::int64_t index_base) {
    const RowsView rows = view_rows(indptr, indices, values, labels, std::nullopt);
    return encode_to_bytes<char>(true, [&](records::Column<char>& out) { write_libsvm(rows, index_base, out); });
}

nb::bytes csv_text(const Vector<std::int64_t>& indptr, const Vector<std::int32_t>& indices, const Vector<float>& values,
                   const std::optional<Vector<float>>& labels, std::int64_t feature_dim, char delimiter,
                   const std::optional<Vector<float>>& weights) {
    const RowsView rows = view_rows(indptr, indices, values, labels, weights);
    for (std::size_t i = 0; i < indices.shape(0); ++i) {
        if (indices(i) < 0 || indices(i) >= feature_dim) throw std::invalid_argument("an index is not below feature_dim");
    }
    return encode_to_bytes<char>(true, [&](records::Column<char>& out) { write_csv(rows, feature_dim, delimiter, out); });
}

}  // namespace

void register_text(nb::module_& m) {
    nb::class_<ParsedRows>(m, "ParsedRows", "What parse_libsvm and parse_csv found.")
        .def_ro("consumed", &ParsedRows::consumed)
        .def_ro("lines", &ParsedRows::lines)
        .def_ro("indptr", &ParsedRows::indptr)
        .def_ro("indices", &ParsedRows::indices)
        .def_ro("values", &ParsedRows::values)
        .def_ro("labels", &ParsedRows::labels)
        .def_ro("weights", &ParsedRows::weights)
        .def_ro("feature_dim", &ParsedRows::feature_dim)
        .def_ro("fault", &ParsedRows::fault);
    nb::class_<ParsedColumns>(m, "ParsedColumns", "What parse_csv_columns found.")
        .def_ro("consumed", &ParsedColumns::consumed)
        .def_ro("lines", &ParsedColumns::lines)
        .def_ro("rows", &ParsedColumns::rows)
        .def_ro("columns", &ParsedColumns::columns)
        .def_ro("fault", &ParsedColumns::fault);
    m.def("parse_libsvm", &libsvm_rows, "data"_a, "index_base"_a, "feature_dim"_a.none(), "final"_a,
          "Lines of libsvm text to compressed sparse rows.");
    m.def("parse_csv", &csv_rows, "data"_a, "delimiter"_a, "label_column"_a.none(), "columns"_a.none(), "final"_a,
          "weight_column"_a.none() = nb::none(), "Delimited numbers to compressed sparse rows.");
    m.def("parse_csv_columns", &csv_columns, "data"_a, "delimiter"_a, "kinds"_a, "final"_a, "coders"_a.none() = nb::none(),
          "Delimited text to columns of numbers and of categories.");
    m.def("write_libsvm", &libsvm_text, "indptr"_a, "indices"_a, "values"_a, "labels"_a, "index_base"_a,
          "Compressed sparse rows as libsvm text.");
    m.def("write_csv", &csv_text, "indptr"_a, "indices"_a, "values"_a, "labels"_a.none(), "feature_dim"_a, "delimiter"_a,
          "weights"_a.none() = nb::none(), "Compressed sparse rows as delimited numbers, zeros too.");
}

}  // namespace openfm
