#include "text_columns.hpp"

#include <algorithm>
#include <limits>

#include "text_numbers.hpp"

namespace openfm::text {
namespace {

Fault append_number(ParsedColumn& column, const RowScanner& scanner, std::size_t field) {
    double value = 0;
    const NumberKind kind = parse_number(scanner.fields()[field], value);
    if (kind == NumberKind::infinite || kind == NumberKind::not_a_number) return scanner.fault(name_of(kind), field);
    if (kind != NumberKind::finite) value = std::numeric_limits<double>::quiet_NaN();
    column.numbers.push(value);
    return {};
}

// Texts of some rows, whose codes are then made column by column: each column's dictionary is somewhere else.
class TextBatch {
public:
    explicit TextBatch(std::vector<ParsedColumn>& columns) : columns_(columns) {
        std::size_t count = 0;
        for (const ParsedColumn& column : columns) count += column.kind == ColumnKind::category;
        most_rows_ = std::clamp<std::size_t>(kMostTexts / std::max<std::size_t>(count, 1), 1, kMostRows);
        texts_.resize(count * most_rows_);
    }

    // Appends the numbers of a row, and takes its texts.
    Fault add(const RowScanner& scanner) {
        const std::string_view* const fields = scanner.fields().data();
        std::string_view* text = texts_.data() + rows_;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (columns_[i].kind == ColumnKind::category) {
                *text = fields[i];
                text += most_rows_;
            } else if (Fault fault = append_number(columns_[i], scanner, i)) {
                return fault;
            }
        }
        ++rows_;
        return {};
    }

    bool is_full() const { return rows_ == most_rows_; }

    // Appends the codes of all texts, which are no longer needed then.
    void flush() {
        const std::string_view* text = texts_.data();
        for (ParsedColumn& column : columns_) {
            if (column.kind != ColumnKind::category) continue;
            column.coder.codes(text, rows_, column.codes.reserve(rows_));
            column.codes.commit(rows_);
            text += most_rows_;
        }
        rows_ = 0;
    }

private:
    static constexpr std::size_t kMostRows = 1024, kMostTexts = 32768;

    std::vector<ParsedColumn>& columns_;
    std::size_t rows_ = 0, most_rows_ = 0;
    std::vector<std::string_view> texts_;  // column by column
};

}  // namespace

void parse_columns(std::string_view text, char delimiter, bool final, Columns& out) {
    RowScanner scanner(text, delimiter, final);
    TextBatch batch(out.columns);
    for (;;) {
        const RowScanner::Status status = scanner.next();
        if (status == RowScanner::Status::row) {
            const auto found = static_cast<std::int64_t>(scanner.fields().size());
            const auto expected = static_cast<std::int64_t>(out.columns.size());
            out.fault = found == expected ? batch.add(scanner) : scanner.fault("columns", 0, found, expected);
            if (out.fault) return;
            ++out.rows;
        } else if (status == RowScanner::Status::bad_quote) {
            out.fault = scanner.fault("bad_quote", scanner.fields().size() - 1);
            return;
        }
        if (batch.is_full() || status != RowScanner::Status::row) {
            batch.flush();
            scanner.forget_texts();
        }
        out.consumed = scanner.position();
        out.lines = scanner.lines();
        if (status != RowScanner::Status::row) return;
    }
}

}  // namespace openfm::text
