// Decimal numbers in text, and back.
#pragma once

#include <cstddef>
#include <string_view>

namespace openfm::text {

enum class NumberKind { finite, empty, nan, infinite, not_a_number };

// The nearest float or double to a decimal number such as 3, -2.50, +.5 or 1e-3, with spaces around it. What is too small
// becomes a zero; what is too large is infinite, as are the words inf and infinity. The words are read in any case.
NumberKind parse_number(std::string_view text, float& value);
NumberKind parse_number(std::string_view text, double& value);

// The kind of fault that a field which is no finite number is; empty for one that is.
std::string_view name_of(NumberKind kind);

// As many characters as a float takes at most, as written by `write_float`.
constexpr std::size_t kLongestFloat = 24;

// The shortest decimal number that reads as this float again; returns its end. `out` has room for kLongestFloat.
char* write_float(char* out, float value);

}  // namespace openfm::text
