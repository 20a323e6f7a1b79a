#include "records_schema.hpp"

#include <string_view>
#include <utility>

namespace openfm::records {
namespace {

constexpr std::string_view kValues = "values";
constexpr std::string_view kWeight = "weight";

TensorType tensor_type(std::uint32_t field_number) {
    switch (field_number) {
        case 2: return TensorType::float32;
        case 3: return TensorType::float64;
        case 7: return TensorType::int32;
        case 9: return TensorType::bytes;
        default: return TensorType::none;
    }
}

WireType element_wire_type(TensorType type) {
    switch (type) {
        case TensorType::float32: return WireType::fixed32;
        case TensorType::float64: return WireType::fixed64;
        default: return WireType::varint;
    }
}

bool valid_packed(Span run, WireType element) {
    switch (element) {
        case WireType::fixed32: return run.size() % 4 == 0;
        case WireType::fixed64: return run.size() % 8 == 0;
        default: return valid_packed_varints(run);
    }
}

// One occurrence of a repeated scalar field, packed or not. Another wire type makes it an unknown field.
bool add_run(const Field& field, WireType element, PackedRuns& runs) {
    if (field.type == WireType::length) {
        if (!valid_packed(field.payload, element)) return false;
    } else if (field.type != element) {
        return true;
    }
    runs.add(field.payload);
    return true;
}

bool parse_tensor(Span message, Value& value) {
    FieldReader fields(message, 3);
    Field field;
    while (fields.next(field)) {
        if (value.type == TensorType::bytes) continue;
        bool valid = true;
        switch (field.number) {
            case 1: valid = add_run(field, element_wire_type(value.type), value.values); break;
            case 2: valid = add_run(field, WireType::varint, value.keys); break;
            case 3: valid = add_run(field, WireType::varint, value.shape); break;
            default: break;
        }
        if (!valid) return false;
    }
    return !fields.malformed();
}

// A oneof: a tensor of another type replaces the one before, one of the same type adds to it.
bool parse_value(Span message, Value& value) {
    FieldReader fields(message, 2);
    Field field;
    while (fields.next(field)) {
        const TensorType type = tensor_type(field.number);
        if (field.type != WireType::length || type == TensorType::none) continue;
        if (type != value.type) {
            value.clear();
            value.type = type;
        }
        if (!parse_tensor(field.payload, value)) return false;
    }
    return !fields.malformed();
}

}  // namespace

void Value::clear() {
    type = TensorType::none;
    values.clear();
    keys.clear();
    shape.clear();
}

bool RecordParser::parse(Span message, Record& record) {
    record.has_features = record.has_label = record.has_weight = false;
    record.uid = record.metadata = {};
    FieldReader fields(message, 0);
    Field field;
    std::string_view name;
    while (fields.next(field)) {
        if (field.is(kFeaturesField, WireType::length)) {
            if (!parse_entry(field.payload, name)) return false;
            if (name == kValues) take_entry(record.has_features, record.features);
        } else if (field.is(kLabelField, WireType::length)) {
            if (!parse_entry(field.payload, name)) return false;
            if (name == kValues) take_entry(record.has_label, record.label);
            if (name == kWeight) take_entry(record.has_weight, record.weight);
        } else if (field.is(kUidField, WireType::length)) {
            record.uid = field.payload;
        } else if (field.is(kMetadataField, WireType::length)) {
            record.metadata = field.payload;
        }
    }
    return !fields.malformed();
}

// A map entry {1: key, 2: Value}. Its name becomes empty if the entry does not count.
bool RecordParser::parse_entry(Span message, std::string_view& name) {
    entry_value_.clear();
    name = {};
    bool unknown = false;
    FieldReader fields(message, 1);
    Field field;
    while (fields.next(field)) {
        if (field.is(1, WireType::length)) {
            name = {reinterpret_cast<const char*>(field.payload.begin), field.payload.size()};
        } else if (field.is(2, WireType::length)) {
            if (!parse_value(field.payload, entry_value_)) return false;
        } else {
            unknown = true;
        }
    }
    if (fields.malformed()) return false;
    // Like upb, which keeps an entry with an unknown field as an unknown field of the record.
    if (unknown) name = {};
    return true;
}

// Of entries with the same name the last one wins.
void RecordParser::take_entry(bool& present, Value& value) {
    std::swap(value, entry_value_);
    present = true;
}

}  // namespace openfm::records
