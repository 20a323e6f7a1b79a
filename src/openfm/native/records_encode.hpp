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

// Rows with their labels and weights, if any. Sparse rows have indptr and indices, dense rows (width values each) have not.
struct Rows {
    std::size_t count = 0;
    std::uint64_t width = 0;
    Numbers values;
    const std::int64_t* indptr = nullptr;
    const std::int32_t* indices = nullptr;
    const Numbers* labels = nullptr;
    const Numbers* weights = nullptr;
};

// Throws std::length_error when a record is longer than a frame can be (2^29 - 1 bytes).
void encode_rows(const Rows& rows, Column<std::uint8_t>& out);

// Answers of the server. `predicted_labels` may be null; so may `identities`, which else has the serialised fields `uid`
// and `metadata` of answer i from identity_offsets[i] to identity_offsets[i + 1].
struct Scores {
    std::size_t count = 0;
    const float* scores = nullptr;
    const float* predicted_labels = nullptr;
    const std::int64_t* identity_offsets = nullptr;
    const std::uint8_t* identities = nullptr;
};

// Records whose label map holds `score` and, when there is one, `predicted_label`.
void encode_scores(const Scores& answer, Column<std::uint8_t>& out);

}  // namespace openfm::records
