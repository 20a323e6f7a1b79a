// Delimited text to typed columns: numbers, and categories as codes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "records_column.hpp"
#include "text_csv.hpp"
#include "text_dictionary.hpp"

namespace openfm::text {

enum class ColumnKind : std::uint8_t { number, category };

struct ParsedColumn {
    ColumnKind kind = ColumnKind::number;
    records::Column<double> numbers;      // NaN where the field is empty
    records::Column<std::int32_t> codes;  // as `coder` gives them
    Coder coder;
};

struct Columns {
    std::size_t consumed = 0;
    std::int64_t lines = 0;  // in what was consumed
    std::int64_t rows = 0;
    std::vector<ParsedColumn> columns;
    Fault fault;
};

// Appends rows to `out.columns`, whose kinds are set. Unless `final`, an unfinished row is left. Stops at the first fault;
// the columns are of no use then.
void parse_columns(std::string_view text, char delimiter, bool final, Columns& out);

}  // namespace openfm::text
