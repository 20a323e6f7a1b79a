#include "records_usual.hpp"

namespace openfm::records {
namespace {

constexpr std::uint8_t length_tag(std::uint8_t number) { return static_cast<std::uint8_t>(number << 3 | 2); }

// Steps through a message of which each field is known before it comes.
class Cursor {
public:
    explicit Cursor(Span message) : p_(message.begin), end_(message.end) {}

    bool done() const { return p_ == end_; }

    // The payload of a length-delimited field. False, and no step, if another field is next or this one is cut off.
    bool take(std::uint8_t tag, Span& payload) {
        if (p_ == end_ || *p_ != tag) return false;
        std::uint64_t size = 0;
        const std::uint8_t* p = p_ + 1;
        for (unsigned shift = 0; shift < 28 && p != end_; shift += 7) {
            const std::uint64_t byte = *p++;
            size |= (byte & 0x7f) << shift;
            if (byte >= 0x80) continue;
            if (size > static_cast<std::uint64_t>(end_ - p)) return false;
            payload = {p, p + size};
            p_ = payload.end;
            return true;
        }
        return false;
    }

    bool take_constant(const char* bytes, std::size_t size) {
        if (static_cast<std::size_t>(end_ - p_) < size || std::memcmp(p_, bytes, size) != 0) return false;
        p_ += size;
        return true;
    }

    // So many bytes, or null if there are fewer.
    const std::uint8_t* take_bytes(std::size_t size) {
        if (static_cast<std::size_t>(end_ - p_) < size) return nullptr;
        const std::uint8_t* const bytes = p_;
        p_ += size;
        return bytes;
    }

private:
    const std::uint8_t* p_;
    const std::uint8_t* end_;
};

// A whole label but for the four bytes of its value: entry, name, Value, Float32Tensor, values.
constexpr char kLabelStart[] = "\x12\x12\x0a\x06values\x12\x08\x12\x06\x0a\x04";
constexpr char kWeightStart[] = "\x12\x12\x0a\x06weight\x12\x08\x12\x06\x0a\x04";
constexpr char kName[] = "\x0a\x06values";

bool read_tensor(Span message, UsualRecord& record) {
    Cursor tensor(message);
    if (!tensor.take(length_tag(1), record.values)) return false;
    if (record.values.empty() || record.values.size() % sizeof(float) != 0) return false;
    tensor.take(length_tag(2), record.keys);
    Span shape;
    if (tensor.take(length_tag(3), shape)) {
        record.has_shape = true;
        if (read_varint(shape.begin, shape.end, record.shape) != shape.end) return false;
    }
    return tensor.done();
}

}  // namespace

bool read_usual(Span message, UsualRecord& record) {
    Cursor fields(message);
    Span entry_bytes, value_bytes, tensor;
    if (!fields.take(length_tag(1), entry_bytes)) return false;
    Cursor entry(entry_bytes);
    if (!entry.take_constant(kName, sizeof kName - 1)) return false;
    if (!entry.take(length_tag(2), value_bytes) || !entry.done()) return false;
    Cursor value(value_bytes);
    if (!value.take(length_tag(2), tensor) || !value.done()) return false;
    if (!read_tensor(tensor, record)) return false;
    if (fields.done()) return true;
    if (!fields.take_constant(kLabelStart, sizeof kLabelStart - 1)) return false;
    record.label = fields.take_bytes(sizeof(float));
    if (record.label == nullptr || fields.done()) return record.label != nullptr;
    if (!fields.take_constant(kWeightStart, sizeof kWeightStart - 1)) return false;
    record.weight = fields.take_bytes(sizeof(float));
    return record.weight != nullptr && fields.done();
}

}  // namespace openfm::records
