#include "text_csv.hpp"

#include <algorithm>

namespace openfm::text {

RowScanner::Status RowScanner::next() {
    skip_empty_lines();
    line_ = lines_;
    fields_.clear();
    quoted_.clear();
    if (position_ == text_.size()) return Status::end;
    Finder finder = finder_;  // in registers, which fields are not written to
    std::size_t p = position_;
    std::int64_t breaks = 0;  // of lines, inside quotes
    for (;;) {
        const std::size_t start = p;
        if (p < text_.size() && text_[p] == '"') {
            const Status status = scan_quoted(p);
            if (status != Status::row) return status;
            finder.seek(text_.data() + std::min(p + 1, text_.size()));
            breaks += std::count(text_.begin() + static_cast<std::ptrdiff_t>(start),
                                 text_.begin() + static_cast<std::ptrdiff_t>(p), '\n');
        } else {
            const char* const q = finder.next();
            p = static_cast<std::size_t>(q - text_.data());
            const bool cr = p > start && (p == text_.size() || *q == '\n') && q[-1] == '\r';
            fields_.emplace_back(text_.data() + start, p - cr - start);  // a whole view would go through memory
        }
        if (p == text_.size()) {
            if (!final_) return Status::unfinished;
            position_ = p;
            lines_ += breaks + 1;
            return Status::row;
        }
        if (text_[p++] == '\n') break;
    }
    finder_ = finder;
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
        finder_.seek(text_.data() + position_);
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
            add_quoted(start, text_.size(), {});
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
        add_quoted(start, end, {});
        return Status::bad_quote;
    }
    add_quoted(start, end, value);
    return Status::row;
}

Fault RowScanner::fault(std::string_view kind, std::size_t field, std::int64_t found, std::int64_t expected) const {
    Fault result;
    result.kind = kind;
    result.line = line_;
    result.column = static_cast<std::int64_t>(field);
    // The text of a field in quotes need not lie in the data.
    const auto quoted = std::find_if(quoted_.begin(), quoted_.end(), [&](const Quoted& q) { return q.field == field; });
    if (quoted != quoted_.end()) {
        result.begin = quoted->begin;
        result.end = quoted->end;
    } else {
        result.begin = static_cast<std::size_t>(fields_[field].data() - text_.data());
        result.end = result.begin + fields_[field].size();
    }
    result.found = found;
    result.expected = expected;
    return result;
}

void RowScanner::add_quoted(std::size_t begin, std::size_t end, std::string_view value) {
    quoted_.push_back({fields_.size(), begin, end});
    fields_.push_back(value);
}

}  // namespace openfm::text
