#include "records_encode.hpp"

#include <cstring>
#include <optional>
#include <stdexcept>

#include "records_frame.hpp"
#include "records_schema.hpp"

namespace openfm::records {
namespace {

constexpr std::size_t kOverrun = 8;  // write_varint32 writes whole words

// Asks for what comes some pages behind an array, so much as the array is long: it is the next rows', and a processor
// does not look that far ahead by itself.
void prefetch_behind(const void* array, std::size_t bytes) {
    constexpr std::size_t ahead = 4096, line = 64;
    const auto* const start = static_cast<const std::uint8_t*>(array) + ahead;
    for (std::size_t i = 0; i < bytes; i += line) __builtin_prefetch(start + i);
}

// An empty repeated field is not written at all.
std::size_t packed_field_size(std::size_t payload) { return payload == 0 ? 0 : field_size(payload); }

std::size_t element_size(Numbers::Type type) { return type == Numbers::Type::float64 ? 8 : 4; }

std::uint32_t tensor_field(Numbers::Type type) {
    switch (type) {
        case Numbers::Type::float64: return 3;
        case Numbers::Type::int32: return 7;
        default: return 2;
    }
}

// Negative numbers take ten bytes, as protobuf's int32 does.
std::uint64_t as_varint(std::int32_t value) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(value)); }

// A slice of a flat array, as the `values` of a tensor.
struct Slice {
    Numbers::Type type;
    const std::uint8_t* data;
    std::size_t count;

    Slice(const Numbers& numbers, std::size_t begin, std::size_t end)
        : type(numbers.type),
          data(static_cast<const std::uint8_t*>(numbers.data) + begin * element_size(numbers.type)),
          count(end - begin) {}

    std::int32_t int32_at(std::size_t i) const {
        std::int32_t value;
        std::memcpy(&value, data + i * sizeof value, sizeof value);
        return value;
    }

    std::size_t packed_size() const {
        if (type != Numbers::Type::int32) return count * element_size(type);
        std::size_t size = 0;
        for (std::size_t i = 0; i < count; ++i) size += varint_size(as_varint(int32_at(i)));
        return size;
    }

    std::uint8_t* write(std::uint8_t* out) const {
        if (type != Numbers::Type::int32) return write_bytes(out, data, count * element_size(type));
        for (std::size_t i = 0; i < count; ++i) out = write_varint(out, as_varint(int32_at(i)));
        return out;
    }
};

// An entry of one of a record's maps: a name and a tensor. All sizes are known before the first byte is written.
class Entry {
public:
    Entry(std::uint32_t map, std::string_view name, Slice values) : map_(map), name_(name), values_(values) { measure(); }

    Entry(std::uint32_t map, std::string_view name, Slice values, const std::int32_t* keys, std::uint64_t width)
        : map_(map), name_(name), values_(values), keys_(keys), width_(width) {
        keys_size_ = total_varint_size(keys, values.count);
        shape_size_ = varint_size(width);
        measure();
    }

    std::size_t size() const { return field_size(entry_size_); }

    void prefetch_next() const {
        prefetch_behind(values_.data, values_.count * element_size(values_.type));
        if (keys_ != nullptr) prefetch_behind(keys_, values_.count * sizeof *keys_);
    }

    std::uint8_t* write(std::uint8_t* out) const {
        out = write_field_header(out, map_, entry_size_);
        out = write_field_header(out, 1, name_.size());
        out = write_bytes(out, name_.data(), name_.size());
        out = write_field_header(out, 2, value_size_);
        out = write_field_header(out, tensor_field(values_.type), tensor_size_);
        if (values_size_ != 0) out = values_.write(write_field_header(out, 1, values_size_));
        if (keys_size_ != 0) {
            out = write_field_header(out, 2, keys_size_);
            for (std::size_t i = 0; i < values_.count; ++i) out = write_varint32(out, key(i));
        }
        if (shape_size_ != 0) out = write_varint(write_field_header(out, 3, shape_size_), width_);
        return out;
    }

private:
    std::uint32_t key(std::size_t i) const { return static_cast<std::uint32_t>(keys_[i]); }

    void measure() {
        values_size_ = values_.packed_size();
        tensor_size_ = packed_field_size(values_size_) + packed_field_size(keys_size_) + packed_field_size(shape_size_);
        value_size_ = field_size(tensor_size_);
        entry_size_ = field_size(name_.size()) + field_size(value_size_);
    }

    std::uint32_t map_;
    std::string_view name_;
    Slice values_;
    const std::int32_t* keys_ = nullptr;
    std::uint64_t width_ = 0;
    std::size_t values_size_ = 0, keys_size_ = 0, shape_size_ = 0;
    std::size_t tensor_size_ = 0, value_size_ = 0, entry_size_ = 0;
};

// An entry that may be missing.
std::size_t size_of(const Entry* entry) { return entry != nullptr ? entry->size() : 0; }

std::uint8_t* write_entry(const Entry* entry, std::uint8_t* out) { return entry != nullptr ? entry->write(out) : out; }

// One record of one to three map entries and of further fields that are serialised already.
void write_record(const Entry& first, const Entry* second, const Entry* third, Span fields, Column<std::uint8_t>& out) {
    const std::size_t size = first.size() + size_of(second) + size_of(third) + fields.size();
    if (size > kMaxFrameLength) throw std::length_error("a record is longer than recordIO can frame (2^29 - 1 bytes)");
    const std::size_t padding = (4 - size % 4) % 4;
    const std::uint32_t header[2] = {kMagic, static_cast<std::uint32_t>(size)};
    std::uint8_t* p = out.reserve(sizeof header + size + padding + kOverrun);
    p = write_bytes(p, header, sizeof header);
    p = first.write(p);
    p = write_entry(third, write_entry(second, p));
    p = write_bytes(p, fields.begin, fields.size());
    std::memset(p, 0, padding);
    out.commit(sizeof header + size + padding);
}

Entry features_of(const Rows& rows, std::size_t i) {
    if (rows.indptr == nullptr) {
        return {kFeaturesField, "values", Slice(rows.values, i * rows.width, (i + 1) * rows.width)};
    }
    const auto begin = static_cast<std::size_t>(rows.indptr[i]);
    const auto end = static_cast<std::size_t>(rows.indptr[i + 1]);
    return {kFeaturesField, "values", Slice(rows.values, begin, end), rows.indices + begin, rows.width};
}

// Enough for rows of floats; others may need more.
std::size_t expected_size(const Rows& rows) {
    constexpr std::size_t largest_key = 5;
    const std::size_t frame_and_names = rows.weights == nullptr ? 96 : 128;
    const std::size_t value_size = element_size(rows.values.type);
    if (rows.indptr == nullptr) return rows.count * (rows.width * value_size + frame_and_names);
    const auto values = static_cast<std::size_t>(rows.indptr[rows.count] - rows.indptr[0]);
    return rows.count * frame_and_names + values * (value_size + largest_key);
}

}  // namespace

void encode_rows(const Rows& rows, Column<std::uint8_t>& out) {
    out.reserve(expected_size(rows));
    for (std::size_t i = 0; i < rows.count; ++i) {
        const Entry features = features_of(rows, i);
        features.prefetch_next();
        std::optional<Entry> label, weight;
        if (rows.labels != nullptr) label.emplace(kLabelField, "values", Slice(*rows.labels, i, i + 1));
        if (rows.weights != nullptr) weight.emplace(kLabelField, "weight", Slice(*rows.weights, i, i + 1));
        write_record(features, label ? &*label : nullptr, weight ? &*weight : nullptr, {}, out);
    }
}

void encode_scores(const Scores& answer, Column<std::uint8_t>& out) {
    const Numbers score_numbers{Numbers::Type::float32, answer.scores};
    const Numbers label_numbers{Numbers::Type::float32, answer.predicted_labels};
    for (std::size_t i = 0; i < answer.count; ++i) {
        Span identity;
        if (answer.identities != nullptr) {
            identity = {answer.identities + answer.identity_offsets[i], answer.identities + answer.identity_offsets[i + 1]};
        }
        const Entry score(kLabelField, "score", Slice(score_numbers, i, i + 1));
        if (answer.predicted_labels == nullptr) {
            write_record(score, nullptr, nullptr, identity, out);
        } else {
            const Entry label(kLabelField, "predicted_label", Slice(label_numbers, i, i + 1));
            write_record(score, &label, nullptr, identity, out);
        }
    }
}

}  // namespace openfm::records
