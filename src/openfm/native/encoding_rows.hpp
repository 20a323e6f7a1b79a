// Columns of features to compressed sparse rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "records_column.hpp"

namespace openfm {

// What a column contributes to each row: the feature `first + codes[row]`, unless the code is below 0, and its value,
// which is 1 where there are no values.
struct ColumnOfCodes {
    const std::int32_t* codes = nullptr;
    std::uint32_t first = 0;
    const float* values = nullptr;
};

struct JoinedRows {
    records::Column<std::int64_t> indptr;
    records::Column<std::int32_t> indices;
    records::Column<float> values;
};

// Rows that have of each column what it contributes, in the columns' order. Appends to `out`, which is empty.
void join(const std::vector<ColumnOfCodes>& columns, std::size_t rows, JoinedRows& out);

}  // namespace openfm
