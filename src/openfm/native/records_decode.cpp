#include "records_decode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace openfm::records {
namespace {

float load_float(const std::uint8_t* row, std::size_t i) {
    float value;
    std::memcpy(&value, row + i * sizeof value, sizeof value);
    return value;
}

std::uint32_t magnitude_bits(const std::uint8_t* row, std::size_t i) {
    std::uint32_t bits;
    std::memcpy(&bits, row + i * sizeof bits, sizeof bits);
    return bits & 0x7fffffffu;
}

// A weight multiplies a gradient: a finite number of at least 0.
bool is_weight(float value) { return value >= 0 && value <= std::numeric_limits<float>::max(); }

// The bits of a number, of which there is one NaN only.
std::uint32_t float_bits(float value) {
    std::uint32_t bits = 0x7fc00000u;
    if (!std::isnan(value)) std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

constexpr std::size_t kForeseeAfter = std::size_t{64} << 10;  // bytes

Fault not_finite(const std::uint8_t* row, std::size_t count, std::string_view nan, std::string_view infinity) {
    for (std::size_t i = 0; i < count; ++i) {
        if (std::isnan(load_float(row, i))) return {nan};
    }
    return {infinity};
}

Fault frame_fault(FrameStatus status) {
    switch (status) {
        case FrameStatus::bad_magic: return {"bad_magic"};
        case FrameStatus::bad_continuation: return {"bad_continuation"};
        default: return {"truncated"};
    }
}

}  // namespace

void Decoder::decode_framed(Span data, bool final) {
    FrameReader frames(data);
    while (consumed < data.size()) {
        std::size_t offset = consumed;
        Span message;
        if (frames.next_whole(offset, message) && append_usual(message, data.end)) {
            if (consumed < kForeseeAfter && offset >= kForeseeAfter) foresee(offset, data.size());
            consumed = offset;
            continue;
        }
        offset = consumed;
        const FrameStatus status = frames.next(offset, message);
        if (status == FrameStatus::truncated && !final) return;
        fault = status == FrameStatus::complete ? append(message) : frame_fault(status);
        if (fault) return;
        consumed = offset;
    }
}

// Reserves what the rest of the data will need if it is like its start.
void Decoder::foresee(std::size_t decoded, std::size_t total) {
    const double growth = 1.05 * static_cast<double>(total - decoded) / static_cast<double>(decoded);
    const auto reserve = [growth](auto& column) {
        column.reserve(static_cast<std::size_t>(growth * static_cast<double>(column.size())));
    };
    reserve(indptr);
    reserve(indices);
    reserve(values);
    reserve(labels);
    reserve(weights);
}

void Decoder::decode_bare(Span message) {
    fault = append(message);
    if (!fault) consumed = message.size();
}

std::int64_t Decoder::feature_dim() const { return feature_dim_ == kUnknownFeatureDim ? widest_key_ : feature_dim_; }

bool Decoder::append_usual(Span message, const std::uint8_t* readable_end) {
    UsualRecord record;
    if (collects_identities_ || !read_usual(message, record)) return false;
    const bool takes_label = label_mode_ != Labels::ignored && record.label != nullptr;
    if (takes_label && magnitude_bits(record.label, 0) >= kInfinityBits) return false;
    if (label_mode_ != Labels::ignored && !may_have_labels(takes_label)) return false;
    const bool takes_weight = label_mode_ != Labels::ignored && record.weight != nullptr;
    if (takes_weight && !is_weight(load_float(record.weight, 0))) return false;
    if (!append_usual_features(record, readable_end)) return false;
    if (takes_weight) {
        append_weight(load_float(record.weight, 0));
    } else if (weights.size() != 0) {
        weights.push(1);
    }
    if (takes_label) labels.push(load_float(record.label, 0));
    indptr.push(static_cast<std::int64_t>(indices.size()));
    ++usual_records;
    return true;
}

bool Decoder::append_usual_features(const UsualRecord& record, const std::uint8_t* readable_end) {
    const auto width = static_cast<std::uint64_t>(feature_dim_);
    if (feature_dim_ == kUnknownFeatureDim || (record.has_shape && record.shape != width)) return false;
    const std::size_t count = record.values.size() / sizeof(float);
    const bool dense = record.keys.empty();
    if (dense) {
        if (count != width) return false;
    } else {
        if (static_cast<std::size_t>(readable_end - record.keys.end) < kReadAhead) return false;
        if (usual_keys_.size() < count + kOverrun) usual_keys_.resize(count + kOverrun);
        if (!kernels_.unpack_keys(record.keys, count, usual_keys_.data())) return false;
        if (usual_keys_[count - 1] >= feature_dim_) return false;
    }
    std::int32_t* const out_indices = indices.reserve(count + kOverrun);
    float* const out_values = values.reserve(count + kOverrun);
    const std::int32_t* const keys = dense ? nullptr : usual_keys_.data();
    const Kept kept = kernels_.keep_non_zero(record.values.begin, count, keys, out_indices, out_values);
    if (!kept.finite) return false;
    indices.commit(kept.count);
    values.commit(kept.count);
    dense_records += dense;
    return true;
}

Fault Decoder::append(Span message) {
    if (!parser_.parse(message, record_)) return {"malformed"};
    if (!record_.has_features) return {"features_missing"};
    if (Fault fault = append_features(record_.features)) return fault;
    std::optional<float> label, weight;
    if (label_mode_ != Labels::ignored) {
        if (Fault fault = find_label(label)) return fault;
        if (Fault fault = find_weight(weight)) return fault;
    }
    if (label) labels.push(*label);
    if (weight || weights.size() != 0) append_weight(weight.value_or(1));
    if (collects_identities_) append_identity();
    indptr.push(static_cast<std::int64_t>(indices.size()));
    return {};
}

Fault Decoder::append_features(const Value& features) {
    if (features.type == TensorType::bytes) return {"features_bytes"};
    const Span row = to_float32(features);
    const Span keys = features.keys.joined(joined_keys_);
    const std::size_t count = row.size() / sizeof(float);
    if (!keys.empty() && count_varints(keys) != count) return {"keys_values", count_varints(keys), count};
    // The keys may lie in joined_keys_, so the shape is read with a scratch of its own.
    std::vector<std::uint8_t> joined_shape;
    if (Fault fault = check_shape(features.shape.joined(joined_shape))) return fault;
    if (!keys.empty()) return append_sparse(row.begin, count, keys);
    // Neither keys nor values: a sparse record without a non-zero value.
    if (count == 0) return {};
    return append_dense(row.begin, count);
}

// The tensor's values as float32, in place if they are.
Span Decoder::to_float32(const Value& tensor) {
    const Span packed = tensor.values.joined(joined_values_);
    converted_.clear();
    if (tensor.type == TensorType::float64) {
        for (const std::uint8_t* p = packed.begin; p != packed.end; p += sizeof(double)) {
            double value;
            std::memcpy(&value, p, sizeof value);
            converted_.push_back(static_cast<float>(value));
        }
    } else if (tensor.type == TensorType::int32) {
        for (const std::uint8_t* p = packed.begin; p != packed.end;) {
            converted_.push_back(static_cast<float>(static_cast<std::int32_t>(next_varint(p, packed.end))));
        }
    } else {
        return packed;
    }
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(converted_.data());
    return {bytes, bytes + converted_.size() * sizeof(float)};
}

Fault Decoder::check_shape(Span shape) {
    if (shape.empty()) return {};
    const std::size_t rank = count_varints(shape);
    if (rank != 1) return {"shape", rank};
    return declare_width(next_varint(shape.begin, shape.end));
}

// A record says how wide it is: by its shape, or by being dense.
Fault Decoder::declare_width(std::uint64_t width) {
    if (feature_dim_ == kUnknownFeatureDim) {
        if (width > static_cast<std::uint64_t>(kMaxFeatureDim)) return {"too_wide", width, kMaxFeatureDim};
        if (width < static_cast<std::uint64_t>(widest_key_)) {
            return {"widths_differ", width, static_cast<std::uint64_t>(widest_key_)};
        }
        feature_dim_ = static_cast<std::int64_t>(width);
    } else if (width != static_cast<std::uint64_t>(feature_dim_)) {
        return {infers_width_ ? "widths_differ" : "width", width, static_cast<std::uint64_t>(feature_dim_)};
    }
    return {};
}

std::uint64_t Decoder::key_limit() const {
    return static_cast<std::uint64_t>(feature_dim_ == kUnknownFeatureDim ? kMaxFeatureDim : feature_dim_);
}

Fault Decoder::append_dense(const std::uint8_t* row, std::size_t count) {
    if (Fault fault = declare_width(count)) return fault;
    std::int32_t* const out_indices = indices.reserve(count + kOverrun);
    float* const out_values = values.reserve(count + kOverrun);
    const Kept kept = kernels_.keep_non_zero(row, count, nullptr, out_indices, out_values);
    if (!kept.finite) return not_finite(row, count, "features_nan", "features_infinite");
    indices.commit(kept.count);
    values.commit(kept.count);
    ++dense_records;
    return {};
}

// The usual case: keys that increase. Whatever is not usual is noted on the way and looked into afterwards.
Fault Decoder::append_sparse(const std::uint8_t* row, std::size_t count, Span keys) {
    std::int32_t* const out_indices = indices.reserve(count);
    float* const out_values = values.reserve(count);
    std::size_t kept = 0;
    std::uint64_t largest_key = 0;
    std::uint64_t next_allowed = 0;
    std::uint32_t magnitude = 0;
    bool unsorted = false;
    const std::uint8_t* p = keys.begin;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t key = next_varint(p, keys.end);
        const std::uint32_t bits = magnitude_bits(row, i);
        unsorted |= key < next_allowed;
        next_allowed = key + 1;
        largest_key = std::max(largest_key, key);
        magnitude = std::max(magnitude, bits);
        out_indices[kept] = static_cast<std::int32_t>(key);
        out_values[kept] = load_float(row, i);
        kept += bits != 0;
    }
    if (largest_key >= key_limit()) return {"key_range", largest_key, key_limit()};
    if (feature_dim_ == kUnknownFeatureDim) {
        widest_key_ = std::max(widest_key_, static_cast<std::int64_t>(largest_key) + 1);
    }
    if (unsorted) {
        if (Fault fault = append_unsorted(row, count, keys)) return fault;
    }
    if (magnitude >= kInfinityBits) return not_finite(row, count, "features_nan", "features_infinite");
    if (!unsorted) {
        indices.commit(kept);
        values.commit(kept);
    }
    return {};
}

Fault Decoder::append_unsorted(const std::uint8_t* row, std::size_t count, Span keys) {
    unsorted_.clear();
    const std::uint8_t* p = keys.begin;
    for (std::size_t i = 0; i < count; ++i) unsorted_.emplace_back(next_varint(p, keys.end), load_float(row, i));
    const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::sort(unsorted_.begin(), unsorted_.end(), by_key);
    const auto same_key = [](const auto& a, const auto& b) { return a.first == b.first; };
    const auto repeated = std::adjacent_find(unsorted_.begin(), unsorted_.end(), same_key);
    if (repeated != unsorted_.end()) return {"key_repeated", repeated->first};
    for (const auto& [key, value] : unsorted_) {
        if (value == 0.0f) continue;
        indices.push(static_cast<std::int32_t>(key));
        values.push(value);
    }
    return {};
}

Fault Decoder::find_label(std::optional<float>& label) {
    Span row;
    if (record_.has_label) {
        if (record_.label.type == TensorType::bytes) return {"label_bytes"};
        row = to_float32(record_.label);
    }
    const std::size_t count = row.size() / sizeof(float);
    if (count > 1 || (count == 0 && label_mode_ == Labels::required)) return {"label_size", count, 1};
    if (!may_have_labels(count)) return {"label_mixed", count};
    if (count == 0) return {};
    if (magnitude_bits(row.begin, 0) >= kInfinityBits) return not_finite(row.begin, 1, "label_nan", "label_infinite");
    label = load_float(row.begin, 0);
    return {};
}

Fault Decoder::find_weight(std::optional<float>& weight) {
    if (!record_.has_weight) return {};
    if (record_.weight.type == TensorType::bytes) return {"weight_bytes"};
    const Span row = to_float32(record_.weight);
    const std::size_t count = row.size() / sizeof(float);
    if (count != 1) return {"weight_size", count, 1};
    weight = load_float(row.begin, 0);
    return is_weight(*weight) ? Fault{} : Fault{"weight_value", float_bits(*weight)};
}

// The first weight gives the records before it theirs: 1. Of -0.0 comes 0.
void Decoder::append_weight(float weight) {
    if (weights.size() == 0) {
        std::fill_n(weights.reserve(rows() + 1), rows(), 1.0f);
        weights.commit(rows());
    }
    weights.push(weight == 0 ? 0.0f : weight);
}

// All records must have a label, or none.
bool Decoder::may_have_labels(std::size_t count) const {
    if (rows() == 0) return count != 0 || label_mode_ != Labels::required;
    return (labels.size() != 0) == (count != 0);
}

void Decoder::append_identity() {
    for (const auto& [number, text] : {std::pair(kUidField, record_.uid), std::pair(kMetadataField, record_.metadata)}) {
        if (text.begin == nullptr) continue;
        std::uint8_t* const start = identities.fields.reserve(field_size(text.size()));
        std::uint8_t* const end = write_bytes(write_field_header(start, number, text.size()), text.begin, text.size());
        identities.fields.commit(static_cast<std::size_t>(end - start));
    }
    identities.offsets.push(static_cast<std::int64_t>(identities.fields.size()));
}

}  // namespace openfm::records
