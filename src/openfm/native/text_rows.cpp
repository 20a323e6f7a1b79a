#include "text_rows.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "text_numbers.hpp"

namespace openfm::text {
namespace {

// One line of libsvm at a time.
class LibsvmParser {
public:
    LibsvmParser(const char* text, std::int64_t index_base, std::int64_t feature_dim, Rows& rows)
        : text_(text), index_base_(index_base), feature_dim_(feature_dim), rows_(rows) {}

    // Appends the row of a line, if there is one on it; on a fault nothing.
    Fault append(const char* p, const char* end) {
        if (const void* comment = std::memchr(p, '#', static_cast<std::size_t>(end - p))) {
            end = static_cast<const char*>(comment);
        }
        p = skip_spaces(p, end);
        if (p == end) return {};
        token_ = 0;
        features_.clear();
        float label = 0;
        const char* stop = token_end(p, end);
        if (std::memchr(p, ':', static_cast<std::size_t>(stop - p)) != nullptr) return fault("no_label", p, stop);
        if (Fault f = number(p, p, stop, label)) return f;
        p = skip_spaces(stop, end);
        for (token_ = 1; p != end; ++token_) {
            stop = token_end(p, end);
            if (Fault f = feature(p, stop)) return f;
            p = skip_spaces(stop, end);
        }
        if (Fault f = sort(end)) return f;
        commit(label);
        return {};
    }

private:
    static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

    static const char* skip_spaces(const char* p, const char* end) {
        while (p != end && is_space(*p)) ++p;
        return p;
    }

    static const char* token_end(const char* p, const char* end) {
        while (p != end && !is_space(*p)) ++p;
        return p;
    }

    Fault fault(std::string_view kind, const char* begin, const char* end, std::int64_t found = 0,
                std::int64_t expected = 0) const {
        Fault result;
        result.kind = kind;
        result.column = token_;
        result.begin = static_cast<std::size_t>(begin - text_);
        result.end = static_cast<std::size_t>(end - text_);
        result.found = found;
        result.expected = expected;
        return result;
    }

    // The number that a field ends with, from `p` on.
    Fault number(const char* field, const char* p, const char* end, float& value) const {
        const NumberKind kind = parse_number({p, static_cast<std::size_t>(end - p)}, value);
        return kind == NumberKind::finite ? Fault{} : fault(name_of(kind), field, end);
    }

    Fault feature(const char* p, const char* end) {
        std::int64_t index = 0;
        const auto [colon, error] = std::from_chars(p, end, index);
        if (error == std::errc::invalid_argument || colon == end || *colon != ':') return fault("no_pair", p, end);
        if (error == std::errc::result_out_of_range) return fault("too_wide", p, colon, 0, kMaxFeatureDim);
        index -= index_base_;
        if (index < 0) return fault("below_base", p, end, index + index_base_, index_base_);
        const std::int64_t limit = feature_dim_ == kUnknown ? kMaxFeatureDim : feature_dim_;
        if (index >= limit) return fault(feature_dim_ == kUnknown ? "too_wide" : "above_range", p, colon, index, limit);
        float value = 0;
        if (Fault f = number(p, colon + 1, end, value)) return f;
        widest_ = std::max(widest_, index + 1);
        features_.emplace_back(static_cast<std::int32_t>(index), value);
        return {};
    }

    Fault sort(const char* end) {
        const auto before = [](const auto& a, const auto& b) { return a.first < b.first; };
        if (!std::is_sorted(features_.begin(), features_.end(), before)) {
            std::stable_sort(features_.begin(), features_.end(), before);
        }
        const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
        const auto repeated = std::adjacent_find(features_.begin(), features_.end(), same);
        if (repeated == features_.end()) return {};
        return fault("repeated", end, end, repeated->first + index_base_);
    }

    void commit(float label) {
        std::int32_t* const indices = rows_.indices.reserve(features_.size());
        float* const values = rows_.values.reserve(features_.size());
        std::size_t count = 0;
        for (const auto& [index, value] : features_) {
            indices[count] = index;
            values[count] = value;
            count += value != 0;
        }
        rows_.indices.commit(count);
        rows_.values.commit(count);
        rows_.indptr.push(static_cast<std::int64_t>(rows_.indices.size()));
        rows_.labels.push(label);
        rows_.feature_dim = feature_dim_ == kUnknown ? widest_ : feature_dim_;
    }

    const char* text_;
    std::int64_t index_base_;
    std::int64_t feature_dim_;
    Rows& rows_;
    std::int64_t token_ = 0;
    std::int64_t widest_ = 0;
    std::vector<std::pair<std::int32_t, float>> features_;
};

// The fields of one row of delimited text: its fault, if it has one, before it is appended.
class CsvAppender {
public:
    CsvAppender(const RowScanner& scanner, const CsvColumns& columns, Rows& rows)
        : scanner_(scanner), columns_(columns), rows_(rows) {}

    Fault append() {
        const auto& fields = scanner_.fields();
        const auto count = static_cast<std::int64_t>(fields.size());
        if (columns_.count == kUnknown) {
            if (columns_.label >= count) return scanner_.fault("no_label_column", 0, count, columns_.label + 1);
            if (columns_.weight >= count) return scanner_.fault("no_weight_column", 0, count, columns_.weight + 1);
            columns_.count = count;
        }
        if (count != columns_.count) return scanner_.fault("columns", 0, count, columns_.count);
        rows_.feature_dim = count - (columns_.label != kUnknown) - (columns_.weight != kUnknown);
        std::int32_t* const indices = rows_.indices.reserve(fields.size());
        float* const values = rows_.values.reserve(fields.size());
        float label = 0, weight = 0;
        std::size_t kept = 0;
        std::int32_t feature = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            float value = 0;
            const NumberKind kind = parse_number(fields[static_cast<std::size_t>(i)], value);
            if (kind != NumberKind::finite) return scanner_.fault(name_of(kind), static_cast<std::size_t>(i));
            if (i == columns_.label) {
                label = value;
                continue;
            }
            if (i == columns_.weight) {
                if (value < 0) return scanner_.fault("negative_weight", static_cast<std::size_t>(i));
                weight = value == 0 ? 0.0f : value;
                continue;
            }
            indices[kept] = feature++;
            values[kept] = value;
            kept += value != 0;
        }
        rows_.indices.commit(kept);
        rows_.values.commit(kept);
        rows_.indptr.push(static_cast<std::int64_t>(rows_.indices.size()));
        if (columns_.label != kUnknown) rows_.labels.push(label);
        if (columns_.weight != kUnknown) rows_.weights.push(weight);
        return {};
    }

private:
    const RowScanner& scanner_;
    CsvColumns columns_;
    Rows& rows_;
};

}  // namespace

void parse_libsvm(std::string_view text, std::int64_t index_base, std::int64_t feature_dim, bool final, Rows& rows) {
    LibsvmParser parser(text.data(), index_base, feature_dim, rows);
    rows.feature_dim = std::max<std::int64_t>(feature_dim, 0);
    while (rows.consumed != text.size()) {
        std::size_t end = text.find('\n', rows.consumed);
        const bool ended = end != std::string_view::npos;
        if (!ended && !final) return;
        if (!ended) end = text.size();
        rows.fault = parser.append(text.data() + rows.consumed, text.data() + end);
        if (rows.fault) {
            rows.fault.line = rows.lines;
            return;
        }
        rows.consumed = end + ended;
        ++rows.lines;
    }
}

void parse_csv(std::string_view text, char delimiter, const CsvColumns& columns, bool final, Rows& rows) {
    RowScanner scanner(text, delimiter, final);
    CsvAppender appender(scanner, columns, rows);
    for (;;) {
        const RowScanner::Status status = scanner.next();
        if (status == RowScanner::Status::row) {
            rows.fault = appender.append();
            if (rows.fault) return;
            scanner.forget_texts();
        } else if (status == RowScanner::Status::bad_quote) {
            rows.fault = scanner.fault("bad_quote", scanner.fields().size() - 1);
            return;
        }
        rows.consumed = scanner.position();
        rows.lines = scanner.lines();
        if (status != RowScanner::Status::row) return;
    }
}

}  // namespace openfm::text
