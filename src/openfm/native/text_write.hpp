// Compressed sparse rows of float32 to text.
#pragma once

#include <cstdint>

#include "records_column.hpp"

namespace openfm::text {

struct RowsView {
    std::size_t count;
    const std::int64_t* indptr;
    const std::int32_t* indices;
    const float* values;
    const float* labels;   // may be null for write_csv
    const float* weights;  // likewise; write_libsvm has no place for them
};

// Lines of `label index:value ...`. index_base: what the first feature is called.
void write_libsvm(const RowsView& rows, std::int64_t index_base, records::Column<char>& out);

// Lines of a label and a weight, if there are any, and all `feature_dim` values, zeros too.
void write_csv(const RowsView& rows, std::int64_t feature_dim, char delimiter, records::Column<char>& out);

}  // namespace openfm::text
