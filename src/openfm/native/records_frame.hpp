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

    // Likewise, but false unless it is a complete record in one frame.
    bool next_whole(std::size_t& offset, Span& payload) const {
        const std::size_t left = data_.size() - offset;
        std::uint32_t header[2];
        if (left < kFrameHeaderBytes) return false;
        std::memcpy(header, data_.begin + offset, kFrameHeaderBytes);
        const std::size_t padded = (std::size_t{header[1]} + 3) & ~std::size_t{3};
        if (header[0] != kMagic || header[1] > kMaxFrameLength || padded > left - kFrameHeaderBytes) return false;
        const std::uint8_t* const start = data_.begin + offset + kFrameHeaderBytes;
        payload = {start, start + header[1]};
        offset += kFrameHeaderBytes + padded;
        return true;
    }

private:
    Span join_parts();

    Span data_;
    std::vector<Span> parts_;
    std::vector<std::uint8_t> joined_;
};

}  // namespace openfm::records
