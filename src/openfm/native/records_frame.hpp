// recordIO framing: uint32 magic, uint32 (3 bits continuation flag, 29 bits length), payload, zeros up to a multiple of 4.
//
// dmlc-core's format (include/dmlc/recordio.h): a payload that holds the magic may be split there into a first, middle
// and last part, which are joined again with the magic between them.
#pragma once

#include <vector>

#include "records_wire.hpp"

namespace openfm::records {

constexpr std::uint32_t kMagic = 0xced7230a;
constexpr std::size_t kFrameHeaderBytes = 8;
constexpr std::uint32_t kMaxFrameLength = (1u << 29) - 1;

enum class FrameStatus { complete, truncated, bad_magic, bad_continuation };

class FrameReader {
public:
    explicit FrameReader(Span data) : data_(data) {}

    // The next whole record from `offset` on. Unless it is complete, `offset` stays where it is.
    FrameStatus next(std::size_t& offset, Span& payload);

private:
    Span join_parts();

    Span data_;
    std::vector<Span> parts_;
    std::vector<std::uint8_t> joined_;
};

}  // namespace openfm::records
