#include "records_frame.hpp"

namespace openfm::records {
namespace {

enum class Part : std::uint32_t { whole = 0, first = 1, middle = 2, last = 3 };

struct Frame {
    Part part = Part::whole;
    Span payload;
    std::size_t end = 0;  // where the next frame starts
};

FrameStatus read_frame(Span data, std::size_t offset, Frame& frame) {
    const std::size_t left = data.size() - offset;
    std::uint32_t header[2];
    if (left < kFrameHeaderBytes) {
        std::uint32_t magic = kMagic;
        std::memcpy(&magic, data.begin + offset, left < 4 ? left : 4);
        return magic == kMagic ? FrameStatus::truncated : FrameStatus::bad_magic;
    }
    std::memcpy(header, data.begin + offset, kFrameHeaderBytes);
    if (header[0] != kMagic) return FrameStatus::bad_magic;
    const std::size_t length = header[1] & kMaxFrameLength;
    const std::size_t padded = (length + 3) & ~std::size_t{3};
    frame.part = static_cast<Part>(header[1] >> 29);
    if (frame.part > Part::last) return FrameStatus::bad_continuation;
    if (padded > left - kFrameHeaderBytes) return FrameStatus::truncated;
    const std::uint8_t* start = data.begin + offset + kFrameHeaderBytes;
    frame.payload = {start, start + length};
    frame.end = offset + kFrameHeaderBytes + padded;
    return FrameStatus::complete;
}

}  // namespace

FrameStatus FrameReader::next(std::size_t& offset, Span& payload) {
    parts_.clear();
    std::size_t at = offset;
    for (;;) {
        if (!parts_.empty() && at == data_.size()) return FrameStatus::truncated;
        Frame frame;
        const FrameStatus status = read_frame(data_, at, frame);
        if (status != FrameStatus::complete) return status;
        const bool continues = frame.part == Part::middle || frame.part == Part::last;
        if (continues == parts_.empty()) return FrameStatus::bad_continuation;
        parts_.push_back(frame.payload);
        at = frame.end;
        if (frame.part == Part::whole || frame.part == Part::last) break;
    }
    payload = parts_.size() == 1 ? parts_.front() : join_parts();
    offset = at;
    return FrameStatus::complete;
}

Span FrameReader::join_parts() {
    const auto* magic = reinterpret_cast<const std::uint8_t*>(&kMagic);
    joined_.assign(parts_.front().begin, parts_.front().end);
    for (std::size_t i = 1; i < parts_.size(); ++i) {
        joined_.insert(joined_.end(), magic, magic + sizeof kMagic);
        joined_.insert(joined_.end(), parts_[i].begin, parts_[i].end);
    }
    return {joined_.data(), joined_.data() + joined_.size()};
}

}  // namespace openfm::records
