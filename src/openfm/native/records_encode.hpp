// Rows to framed records, byte for byte as the SageMaker Python SDK's writers write them.
#pragma once

#include <string_view>

#include "records_column.hpp"

namespace openfm::records {

// A flat array of one of the types that a tensor may hold.
struct Numbers {
    enum class Type : std::uint8_t { float32, float64, int32 };

    Type type = Type::float32;
    const void* data = nullptr;
};

// Rows with their labels, if any. Sparse rows have indptr and indices, dense rows (width values each) have not.
struct Rows {
    std::size_t count = 0;
    std::uint64_t width = 0;
    Numbers values;
    const std::int64_t* indptr = nullptr;
    const std::int32_t* indices = nullptr;
    const Numbers* labels = nullptr;
};

// Throws std::length_error when a record is longer than a frame can be (2^29 - 1 bytes).
void encode_rows(const Rows& rows, Column<std::uint8_t>& out);

// Answers of the server: the label map holds `score` and, when there is one, `predicted_label`.
void encode_scores(std::size_t count, const float* scores, const float* predicted_labels, Column<std::uint8_t>& out);

}  // namespace openfm::records
