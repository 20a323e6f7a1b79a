#include "encoding_rows.hpp"

namespace openfm {
namespace {

std::size_t count_there(const std::vector<ColumnOfCodes>& columns, std::size_t rows) {
    std::size_t count = 0;
    for (const ColumnOfCodes& column : columns) {
        for (std::size_t row = 0; row < rows; ++row) count += column.codes[row] >= 0;
    }
    return count;
}

}  // namespace

void join(const std::vector<ColumnOfCodes>& columns, std::size_t rows, JoinedRows& out) {
    const std::size_t overrun = columns.size();  // what is missing is written too, and then written over
    const std::size_t there = count_there(columns, rows);
    std::int64_t* const indptr = out.indptr.reserve(rows + 1);
    std::int32_t* const indices = out.indices.reserve(there + overrun);
    float* const values = out.values.reserve(there + overrun);
    std::size_t count = 0;
    indptr[0] = 0;
    for (std::size_t row = 0; row < rows; ++row) {
        for (const ColumnOfCodes& column : columns) {
            const std::int32_t code = column.codes[row];
            indices[count] = static_cast<std::int32_t>(column.first + static_cast<std::uint32_t>(code));
            values[count] = column.values == nullptr ? 1.0f : column.values[row];
            count += code >= 0;
        }
        indptr[row + 1] = static_cast<std::int64_t>(count);
    }
    out.indptr.commit(rows + 1);
    out.indices.commit(count);
    out.values.commit(count);
}

}  // namespace openfm
