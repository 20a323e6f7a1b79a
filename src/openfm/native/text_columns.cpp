#include "text_columns.hpp"

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

Fault append_row(std::vector<ParsedColumn>& columns, const RowScanner& scanner, std::vector<std::uint64_t>& hashes) {
    const std::size_t count = scanner.fields().size();
    if (count != columns.size()) {
        return scanner.fault("columns", 0, static_cast<std::int64_t>(count), static_cast<std::int64_t>(columns.size()));
    }
    for (std::size_t i = 0; i < count; ++i) {  // first, since each column's dictionary is somewhere else
        if (!columns[i].coder.looks_up()) continue;
        hashes[i] = Dictionary::hash(scanner.fields()[i]);
        columns[i].coder.dictionary->prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (columns[i].kind == ColumnKind::category) {
            columns[i].codes.push(columns[i].coder.code(scanner.fields()[i], hashes[i]));
        } else if (Fault fault = append_number(columns[i], scanner, i)) {
            return fault;
        }
    }
    return {};
}

}  // namespace

void parse_columns(std::string_view text, char delimiter, bool final, Columns& out) {
    RowScanner scanner(text, delimiter, final);
    std::vector<std::uint64_t> hashes(out.columns.size());
    for (;;) {
        const RowScanner::Status status = scanner.next();
        if (status == RowScanner::Status::row) {
            out.fault = append_row(out.columns, scanner, hashes);
            if (out.fault) return;
            ++out.rows;
        } else if (status == RowScanner::Status::bad_quote) {
            out.fault = scanner.fault("bad_quote", scanner.fields().size() - 1);
            return;
        }
        out.consumed = scanner.position();
        out.lines = scanner.lines();
        if (status != RowScanner::Status::row) return;
    }
}

}  // namespace openfm::text
