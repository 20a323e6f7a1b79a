// Text to compressed sparse rows of float32: libsvm, and delimited text whose columns are all numbers.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "records_column.hpp"
#include "text_csv.hpp"

namespace openfm::text {

constexpr std::int64_t kMaxFeatureDim = INT32_MAX;  // feature indices are int32 in memory
constexpr std::int64_t kUnknown = -1;

// Labelled rows, without zeros and with increasing indices, and how far the text was read.
struct Rows {
    Rows() { indptr.push(0); }

    std::size_t count() const { return indptr.size() - 1; }

    std::size_t consumed = 0;
    std::int64_t lines = 0;        // in what was consumed
    std::int64_t feature_dim = 0;  // as given, or else as found
    records::Column<std::int64_t> indptr;
    records::Column<std::int32_t> indices;
    records::Column<float> values;
    records::Column<float> labels;   // as many as rows, or none
    records::Column<float> weights;  // likewise
    Fault fault;
};

// Rows of `label index:value index:value ...`; from # on a line is a comment.
//
// index_base: the number of the first feature. feature_dim: the number of features, or kUnknown: one more than the
// largest index then. Unless `final`, an unfinished line is left. Stops at the first fault.
void parse_libsvm(std::string_view text, std::int64_t index_base, std::int64_t feature_dim, bool final, Rows& rows);

// Which columns are the label and the weight (kUnknown: none is), and how many there are, these included (kUnknown: as
// many as in the first row).
struct CsvColumns {
    std::int64_t label = kUnknown;
    std::int64_t weight = kUnknown;
    std::int64_t count = kUnknown;
};

// Rows of numbers between delimiters.
void parse_csv(std::string_view text, char delimiter, const CsvColumns& columns, bool final, Rows& rows);

}  // namespace openfm::text
