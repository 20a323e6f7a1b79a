// The message aialgs.data.Record, as far as Factorization Machines read it: the feature and the label named "values",
// the label named "weight", and what identifies the record.
#pragma once

#include <string_view>

#include "records_wire.hpp"

namespace openfm::records {

constexpr std::uint32_t kFeaturesField = 1;  // fields of aialgs.data.Record
constexpr std::uint32_t kLabelField = 2;
constexpr std::uint32_t kUidField = 3;
constexpr std::uint32_t kMetadataField = 4;

enum class TensorType : std::uint8_t { none, float32, float64, int32, bytes };

// aialgs.data.Value: one tensor, or none.
struct Value {
    TensorType type = TensorType::none;
    PackedRuns values;  // little-endian float or double, or varints
    PackedRuns keys;    // varints
    PackedRuns shape;   // varints

    void clear();
};

// aialgs.data.Record. Its spans point into the bytes it was parsed from.
struct Record {
    bool has_features = false;
    bool has_label = false;
    bool has_weight = false;
    Value features;
    Value label;
    Value weight;
    Span uid;  // null where the field is missing; an empty one is not
    Span metadata;
};

class RecordParser {
public:
    // False when the bytes are not a record. Unknown fields and other names are passed over once they are seen to be
    // well formed. `record` is overwritten; its storage is used again.
    bool parse(Span message, Record& record);

private:
    bool parse_entry(Span message, std::string_view& name);
    void take_entry(bool& present, Value& value);

    Value entry_value_;
};

}  // namespace openfm::records
