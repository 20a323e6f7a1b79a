// Rows and fields of delimited text (RFC 4180): CSV, TSV.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "text_finder.hpp"

namespace openfm::text {

// Why a row was refused. `kind` is empty when none was; openfm.data.formats.text_faults has the words for each kind.
struct Fault {
    std::string_view kind;
    std::int64_t line = 0;    // of the text, from 0
    std::int64_t column = 0;  // the field in its row, from 0
    std::size_t begin = 0;    // the offending text, as offsets into the data
    std::size_t end = 0;
    std::int64_t found = 0;
    std::int64_t expected = 0;

    explicit operator bool() const { return !kind.empty(); }
};

// A field may be in quotes, and then holds delimiters, line breaks and doubled quotes. Lines end with LF or CR LF; empty
// ones are skipped.
class RowScanner {
public:
    enum class Status { row, end, unfinished, bad_quote };

    // Unless `final`, the text may go on: a row without its line break is unfinished.
    RowScanner(std::string_view text, char delimiter, bool final)
        : text_(text), delimiter_(delimiter), final_(final), finder_(text, delimiter, '\n') {}

    // The next row's fields, which the next call forgets. Their texts live until forget_texts() is called.
    Status next();

    void forget_texts() { unquoted_used_ = 0; }

    const std::vector<std::string_view>& fields() const { return fields_; }

    // What is wrong with a field of the last row.
    Fault fault(std::string_view kind, std::size_t field, std::int64_t found = 0, std::int64_t expected = 0) const;

    std::size_t position() const { return position_; }  // where the next row starts
    std::int64_t lines() const { return lines_; }       // how many were stepped over

private:
    // A field in quotes, and where it lies with them.
    struct Quoted {
        std::size_t field, begin, end;
    };

    void skip_empty_lines();
    Status scan_quoted(std::size_t& p);
    void add_quoted(std::size_t begin, std::size_t end, std::string_view value);

    std::string_view text_;
    char delimiter_;
    bool final_;
    std::size_t position_ = 0;
    std::int64_t line_ = 0;  // on which the last row starts
    std::int64_t lines_ = 0;
    Finder finder_;  // of what ends fields that are not in quotes
    std::vector<std::string_view> fields_;
    std::vector<Quoted> quoted_;  // of the fields, in their order
    std::deque<std::string> unquoted_;  // fields that held doubled quotes; a deque, for they must not move
    std::size_t unquoted_used_ = 0;
};

}  // namespace openfm::text
