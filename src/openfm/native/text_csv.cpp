#include "text_csv.hpp"

#include <algorithm>

namespace openfm::text {

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
            const char* q = text_.data() + p;
            const char* const end = text_.data() + text_.size();
            while (q != end && *q != delimiter_ && *q != '\n') ++q;
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
    fields_.push_back(value);
    begins_.push_back(begin);
    ends_.push_back(end);
}

}  // namespace openfm::text
