#include "text_csv.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace openfm::text {
namespace {

// The first of two characters, or the end: eight bytes at a time, of which the zero ones are found in `word ^ character`
// (H. Warren, Hacker's Delight, 6-1; the lowest one is never wrong).
const char* find_either(const char* p, const char* end, char a, char b) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    constexpr std::uint64_t ones = 0x0101010101010101U, highs = 0x8080808080808080U;
    const std::uint64_t all_a = ones * static_cast<unsigned char>(a), all_b = ones * static_cast<unsigned char>(b);
    for (; end - p >= 8; p += 8) {
        std::uint64_t word;
        std::memcpy(&word, p, sizeof word);
        const std::uint64_t x = word ^ all_a, y = word ^ all_b;
        const std::uint64_t found = (((x - ones) & ~x) | ((y - ones) & ~y)) & highs;
        if (found != 0) return p + (__builtin_ctzll(found) >> 3);
    }
#endif
    while (p != end && *p != a && *p != b) ++p;
    return p;
}

}  // namespace

RowScanner::Status RowScanner::next() {
    skip_empty_lines();
    line_ = lines_;
    fields_.clear();
    begins_.clear();
    ends_.clear();
    unquoted_used_ = 0;
    if (position_ == text_.size()) return Status::end;
    std::size_t p = position_;
    std::int64_t breaks = 0;  // of lines, inside quotes
    for (;;) {
        const std::size_t start = p;
        if (p < text_.size() && text_[p] == '"') {
            const Status status = scan_quoted(p);
            if (status != Status::row) return status;
            breaks += std::count(text_.begin() + static_cast<std::ptrdiff_t>(start),
                                 text_.begin() + static_cast<std::ptrdiff_t>(p), '\n');
        } else {
            const char* const end = text_.data() + text_.size();
            const char* const q = find_either(text_.data() + p, end, delimiter_, '\n');
            p = static_cast<std::size_t>(q - text_.data());
            const bool cr = p > start && (p == text_.size() || *q == '\n') && q[-1] == '\r';
            add(start, p - cr, text_.substr(start, p - cr - start));
        }
        if (p == text_.size()) {
            if (!final_) return Status::unfinished;
            position_ = p;
            lines_ += breaks + 1;
            return Status::row;
        }
        if (text_[p++] == '\n') break;
    }
    position_ = p;
    lines_ += breaks + 1;
    return Status::row;
}

void RowScanner::skip_empty_lines() {
    for (;;) {
        const bool cr = position_ + 1 < text_.size() && text_[position_] == '\r';
        const std::size_t p = position_ + cr;
        if (p >= text_.size() || text_[p] != '\n') return;
        position_ = p + 1;
        ++lines_;
    }
}

// From the opening quote to the delimiter or line break after the closing one.
RowScanner::Status RowScanner::scan_quoted(std::size_t& p) {
    const std::size_t start = p;
    std::size_t from = ++p;
    std::string* joined = nullptr;
    for (;;) {
        p = text_.find('"', p);
        if (p == std::string_view::npos) {
            if (!final_) return Status::unfinished;
            add(start, text_.size(), {});
            return Status::bad_quote;
        }
        if (p + 1 == text_.size() && !final_) return Status::unfinished;  // the next character may be a quote too
        if (p + 1 == text_.size() || text_[p + 1] != '"') break;
        if (joined == nullptr) {
            if (unquoted_used_ == unquoted_.size()) unquoted_.emplace_back();
            joined = &unquoted_[unquoted_used_++];
            joined->clear();
        }
        joined->append(text_.substr(from, p + 1 - from));
        from = p += 2;
    }
    std::string_view value = text_.substr(from, p - from);
    if (joined != nullptr) value = joined->append(value);
    ++p;
    const std::size_t end = p;
    if (p < text_.size() && text_[p] == '\r' && (p + 1 == text_.size() || text_[p + 1] == '\n')) ++p;
    if (p < text_.size() && text_[p] != delimiter_ && text_[p] != '\n') {
        add(start, end, {});
        return Status::bad_quote;
    }
    add(start, end, value);
    return Status::row;
}

Fault RowScanner::fault(std::string_view kind, std::size_t field, std::int64_t found, std::int64_t expected) const {
    Fault result;
    result.kind = kind;
    result.line = line_;
    result.column = static_cast<std::int64_t>(field);
    result.begin = begins_[field];
    result.end = ends_[field];
    result.found = found;
    result.expected = expected;
    return result;
}

void RowScanner::add(std::size_t begin, std::size_t end, std::string_view value) {
    fields_.emplace_back(value.data(), value.size());  // as a whole it would go through memory
    begins_.push_back(begin);
    ends_.push_back(end);
}

}  // namespace openfm::text
