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
    // A text's hash. It never leaves this process.
    static std::uint64_t hash(std::string_view text);

    // Asks for the memory where a text of this hash is looked for, some texts before it is.
    void prefetch(std::uint64_t hash) const {
        if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
    }

    // The number of a text, which is added if it is new.
    std::int32_t code(std::string_view text, std::uint64_t hash);

    // The number of a text, -1 if it is not there. Safe to call from several threads while nothing is added.
    std::int32_t find(std::string_view text, std::uint64_t hash) const {
        return slots_.empty() ? -1 : slots_[slot_of(text, hash)].code;
    }

    std::size_t size() const { return offsets_.size() - 1; }
    std::string_view text(std::size_t code) const;
    std::size_t nbytes() const;  // of memory

    const std::vector<std::int64_t>& offsets() const { return offsets_; }  // where each text begins, and the end
    const std::string& bytes() const { return bytes_; }

private:
    // All that is needed to tell short texts apart, so that a look-up takes one line of memory.
    struct Slot {
        std::uint64_t hash = 0;
        std::int32_t code = -1;  // where free
        std::uint32_t size = 0;  // of the text; its lower 32 bits
    };

    std::size_t slot_of(std::string_view text, std::uint64_t hash) const;
    void grow();

    std::vector<std::int64_t> offsets_{0};
    std::string bytes_;
    std::vector<Slot> slots_;  // of an open hash table, at most three quarters of which are taken
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
