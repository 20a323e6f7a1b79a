#include "records_wire.hpp"

namespace openfm::records {
namespace {

// A varint longer than 10 bytes starts with 10 continuing bytes, which cover an aligned group of four. Such groups are
// rare in good data and fast to look for.
bool may_hold_long_varint(Span packed) {
    constexpr std::uint32_t continuation_bits = 0x80808080u;
    bool found = false;
    const std::size_t groups = packed.size() / 4;
    for (std::size_t i = 0; i < groups; ++i) {
        std::uint32_t group;
        std::memcpy(&group, packed.begin + 4 * i, sizeof group);
        found |= (group & continuation_bits) == continuation_bits;
    }
    return found;
}

}  // namespace

bool valid_packed_varints(Span packed) {
    if (packed.empty()) return true;
    if (packed.end[-1] >= 0x80) return false;
    if (!may_hold_long_varint(packed)) return true;
    std::size_t length = 0;
    for (const std::uint8_t* p = packed.begin; p != packed.end; ++p) {
        if (++length > kMaxVarintBytes) return false;
        if (*p < 0x80) length = 0;
    }
    return true;
}

std::size_t count_varints(Span packed) {
    std::size_t count = 0;
    for (const std::uint8_t* p = packed.begin; p != packed.end; ++p) count += *p < 0x80;
    return count;
}

}  // namespace openfm::records
