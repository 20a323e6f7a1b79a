// Delimited text to typed columns: numbers, and categories as codes into a dictionary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "records_column.hpp"
#include "text_csv.hpp"

namespace openfm::text {

// The different texts of a column, each once, in the order in which they were first seen.
class Dictionary {
public:
    // The number of a text, which is added if it is new.
    std::int32_t code(std::string_view text);

    // The number of a text, -1 if it is not there. Safe to call from several threads while nothing is added.
    std::int32_t find(std::string_view text) const;

    std::size_t size() const { return hashes_.size(); }
    std::string_view text(std::size_t code) const;
    std::size_t nbytes() const;  // of memory

    const std::vector<std::int64_t>& offsets() const { return offsets_; }  // where each text begins, and the end
    const std::string& bytes() const { return bytes_; }

private:
    std::size_t slot_of(std::string_view text, std::uint64_t hash) const;
    void grow();

    std::vector<std::int64_t> offsets_{0};
    std::string bytes_;
    std::vector<std::uint64_t> hashes_;
    std::vector<std::int32_t> slots_;  // of an open hash table with room for twice as many; -1 where free
};

enum class ColumnKind : std::uint8_t { number, category };

struct ParsedColumn {
    ColumnKind kind = ColumnKind::number;
    records::Column<double> numbers;      // NaN where the field is empty
    records::Column<std::int32_t> codes;  // -1 where the field is empty
    Dictionary dictionary;
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
