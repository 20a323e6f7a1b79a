// The layout that all known writers give a record of float32: SageMaker's SDKs for Python and Spark, and openfm.
//
//     features {"values": Float32Tensor {values, keys and shape, each packed or missing}}
//     label    {"values": Float32Tensor {one value}}, or no label
//     label    {"weight": Float32Tensor {one value}}, behind a label, or no weight
//
// in this order, each once, with nothing else beside. It is read in a straight line; whatever is laid out otherwise is
// left to RecordParser, which gives the same for this layout.
#pragma once

#include "records_wire.hpp"

namespace openfm::records {

struct UsualRecord {
    Span values;  // whole float32 values, at least one
    Span keys;    // packed varints, not yet looked at; empty if there are none
    bool has_shape = false;
    std::uint64_t shape = 0;
    const std::uint8_t* label = nullptr;  // one float32, or null
    const std::uint8_t* weight = nullptr;  // likewise
};

// False if the message is laid out in another way. `record` must be fresh.
bool read_usual(Span message, UsualRecord& record);

}  // namespace openfm::records
