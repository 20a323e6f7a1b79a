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
    records::Column<float> labels;  // as many as rows, or none
    Fault fault;
};

// Rows of `label index:value index:value ...`; from # on a line is a comment.
//
// index_base: the number of the first feature. feature_dim: the number of features, or kUnknown: one more than the
// largest index then. Unless `final`, an unfinished line is left. Stops at the first fault.
void parse_libsvm(std::string_view text, std::int64_t index_base, std::int64_t feature_dim, bool final, Rows& rows);

// Rows of numbers between delimiters. label_column: which of them is the label, or kUnknown for none. columns: how many
// there are, the label included, or kUnknown: as many as in the first row then.
void parse_csv(std::string_view text, char delimiter, std::int64_t label_column, std::int64_t columns, bool final,
               Rows& rows);

}  // namespace openfm::text
