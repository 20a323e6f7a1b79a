// The protobuf wire format: steps through the fields of a message, checking every bound; and writes fields.
//
// Accepts and rejects exactly the bytes that Google's own parser (upb, the engine of the Python package) does; the
// property tests hold that. Reference: https://protobuf.dev/programming-guides/encoding/
#pragma once

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "records are little endian, and so must the machine be"
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace openfm::records {

struct Span {
    const std::uint8_t* begin = nullptr;
    const std::uint8_t* end = nullptr;

    std::size_t size() const { return static_cast<std::size_t>(end - begin); }
    bool empty() const { return begin == end; }
};

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, length = 2, start_group = 3, end_group = 4, fixed32 = 5 };

// Messages and groups may nest this deep; a record itself is level 0.
constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxVarintBytes = 10;

// Reads a varint of at most 10 bytes; bits above the 64th are dropped. nullptr when it is cut off or longer.
inline const std::uint8_t* read_varint(const std::uint8_t* p, const std::uint8_t* end, std::uint64_t& value) {
    value = 0;
    for (unsigned i = 0; i < kMaxVarintBytes && p != end; ++i) {
        const std::uint64_t byte = *p++;
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) return p;
    }
    return nullptr;
}

// One field: its payload is the value's bytes, for WireType::length without the length. A group's payload is empty.
struct Field {
    std::uint32_t number = 0;
    WireType type = WireType::varint;
    Span payload;

    bool is(std::uint32_t wanted_number, WireType wanted_type) const {
        return number == wanted_number && type == wanted_type;
    }
};

// Iterates over the fields of one message: `while (fields.next(field)) ...; return !fields.malformed();`.
class FieldReader {
public:
    // depth: how many levels of messages the caller is inside of.
    FieldReader(Span message, int depth) : p_(message.begin), end_(message.end), depth_(depth) {}

    bool next(Field& field) {
        if (p_ == end_) return false;
        malformed_ = !read_tag(field) || field.number == 0 || !read_payload(field, depth_);
        return !malformed_;
    }

    bool malformed() const { return malformed_; }

private:
    // Tags and lengths are varints of at most 5 bytes.
    bool read_uint32(std::uint64_t& value, std::uint64_t maximum) {
        const std::uint8_t* const start = p_;
        p_ = read_varint(p_, end_, value);
        return p_ != nullptr && p_ - start <= 5 && value <= maximum;
    }

    bool read_tag(Field& field) {
        std::uint64_t tag;
        if (!read_uint32(tag, UINT32_MAX)) return false;
        field.number = static_cast<std::uint32_t>(tag >> 3);
        field.type = static_cast<WireType>(tag & 7);
        return true;
    }

    bool read_payload(Field& field, int depth) {
        const std::uint8_t* start = p_;
        std::uint64_t size = 0;
        switch (field.type) {
            case WireType::varint:
                p_ = read_varint(p_, end_, size);
                if (p_ == nullptr) return false;
                break;
            case WireType::fixed32:
            case WireType::fixed64:
                if (!advance(field.type == WireType::fixed32 ? 4 : 8)) return false;
                break;
            case WireType::length:
                if (!read_uint32(size, INT32_MAX)) return false;
                start = p_;
                if (!advance(size)) return false;
                break;
            case WireType::start_group:
                if (!skip_group(field.number, depth + 1)) return false;
                start = p_;
                break;
            default:  // the end of a group that never started, or a wire type that does not exist
                return false;
        }
        field.payload = {start, p_};
        return true;
    }

    bool advance(std::uint64_t size) {
        if (size > static_cast<std::uint64_t>(end_ - p_)) return false;
        p_ += size;
        return true;
    }

    bool skip_group(std::uint32_t number, int depth) {
        if (depth > kMaxDepth) return false;
        Field field;
        while (p_ != end_) {
            if (!read_tag(field)) return false;
            if (field.type == WireType::end_group) return field.number == number;
            if (!read_payload(field, depth)) return false;
        }
        return false;
    }

    const std::uint8_t* p_;
    const std::uint8_t* end_;
    int depth_;
    bool malformed_ = false;
};

// Whether a packed run of varints ends with a varint's end and holds none longer than 10 bytes.
bool valid_packed_varints(Span packed);

// The number of varints in a valid packed run.
std::size_t count_varints(Span packed);

// Joins the low 7 bits of the 8 bytes of a word.
inline std::uint64_t compact7(std::uint64_t word) {
    word = (word & 0x007f007f007f007fu) | ((word & 0x7f007f007f007f00u) >> 1);
    word = (word & 0x00003fff00003fffu) | ((word & 0x3fff00003fff0000u) >> 2);
    return (word & 0x0fffffffu) | ((word & 0x0fffffff00000000u) >> 4);
}

// The next varint of a valid packed run, advancing p. Where 8 bytes are left there is no branch on the length, which is
// as good as random for hashed features.
inline std::uint64_t next_varint(const std::uint8_t*& p, const std::uint8_t* end) {
    constexpr std::uint64_t continuation_bits = 0x8080808080808080u;
    if (end - p >= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, sizeof word);
        const std::uint64_t stops = ~word & continuation_bits;
        if (stops != 0) {
            p += (__builtin_ctzll(stops) >> 3) + 1;
            const std::uint64_t own_bytes = stops ^ (stops - 1);  // up to and with the first stop
            return compact7(word & own_bytes & ~continuation_bits);
        }
    }
    std::uint64_t value;
    p = read_varint(p, end, value);
    return value;
}

inline std::size_t varint_size(std::uint64_t value) {
    const auto highest_bit = static_cast<unsigned>(63 - __builtin_clzll(value | 1));
    return highest_bit / 7 + 1;
}

inline std::uint8_t* write_varint(std::uint8_t* out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *out++ = static_cast<std::uint8_t>(value | 0x80);
    *out++ = static_cast<std::uint8_t>(value);
    return out;
}

// The same as sums of comparisons, which become vectors.
inline std::size_t total_varint_size(const std::int32_t* values, std::size_t count) {
    std::uint32_t more = 0;  // than one byte each
    for (std::size_t i = 0; i < count; ++i) {
        const auto value = static_cast<std::uint32_t>(values[i]);
        more += (value >> 7 != 0) + (value >> 14 != 0) + (value >> 21 != 0) + (value >> 28 != 0);
    }
    return count + more;
}

// Puts the lowest 56 bits of a word in the low 7 bits of its 8 bytes.
inline std::uint64_t spread7(std::uint64_t word) {
    word = (word & 0x0fffffffu) | (word & 0x00fffffff0000000u) << 4;
    word = (word & 0x00003fff00003fffu) | (word & 0x0fffc0000fffc000u) << 2;
    return (word & 0x007f007f007f007fu) | (word & 0x3f803f803f803f80u) << 1;
}

// As write_varint without a branch on the length. There must be room for 8 bytes.
inline std::uint8_t* write_varint32(std::uint8_t* out, std::uint32_t value) {
    const std::uint64_t parts = spread7(value);
    const auto last = static_cast<unsigned>(63 - __builtin_clzll(parts | 1)) / 8;  // byte of the varint
    const std::uint64_t continued = ((std::uint64_t{1} << 8 * last) - 1) & 0x8080808080808080u;
    const std::uint64_t word = parts | continued;
    std::memcpy(out, &word, sizeof word);
    return out + last + 1;
}

// A length-delimited field: tag (one byte: all field numbers are below 16), length, payload.
inline std::size_t field_size(std::size_t payload) { return 1 + varint_size(payload) + payload; }

inline std::uint8_t* write_field_header(std::uint8_t* out, std::uint32_t number, std::size_t payload) {
    *out++ = static_cast<std::uint8_t>(number << 3 | static_cast<std::uint32_t>(WireType::length));
    return write_varint(out, payload);
}

inline std::uint8_t* write_bytes(std::uint8_t* out, const void* bytes, std::size_t size) {
    if (size != 0) std::memcpy(out, bytes, size);
    return out + size;
}

// What a repeated scalar field received, in packed form: a field may come in any number of packed runs and single
// values. Nearly always there is one run, which is then read where it lies.
class PackedRuns {
public:
    void add(Span run) {
        if (run.empty()) return;
        if (first_.empty()) {
            first_ = run;
        } else {
            more_.push_back(run);
        }
    }

    void clear() {
        first_ = {};
        more_.clear();
    }

    // All runs as one: in place if there is one, else joined in `scratch`.
    Span joined(std::vector<std::uint8_t>& scratch) const {
        if (more_.empty()) return first_;
        scratch.assign(first_.begin, first_.end);
        for (const Span& run : more_) scratch.insert(scratch.end(), run.begin, run.end);
        return {scratch.data(), scratch.data() + scratch.size()};
    }

private:
    Span first_;
    std::vector<Span> more_;
};

}  // namespace openfm::records
