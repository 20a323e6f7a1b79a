#include "text_numbers.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <system_error>

namespace openfm::text {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Short numbers, which most are: so few digits, with or without a point, that they and the power of ten are exact. One
// division then rounds to the nearest.
template <class T>
bool parse_short(const char* p, const char* end, T& value) {
    constexpr std::ptrdiff_t most_digits = std::numeric_limits<T>::digits10 + (sizeof(T) == 4);
    static constexpr T powers[] = {T(1e0), T(1e1), T(1e2),  T(1e3),  T(1e4),  T(1e5),  T(1e6),  T(1e7),
                                   T(1e8), T(1e9), T(1e10), T(1e11), T(1e12), T(1e13), T(1e14), T(1e15)};
    if (end - p > most_digits + 1) return false;
    std::uint64_t digits = 0;
    const char* point = nullptr;
    const char* const begin = p;
    for (; p != end; ++p) {
        if (is_digit(*p)) {
            digits = digits * 10 + static_cast<std::uint64_t>(*p - '0');
        } else if (*p == '.' && point == nullptr) {
            point = p;
        } else {
            return false;
        }
    }
    const std::ptrdiff_t count = end - begin - (point != nullptr);
    if (count == 0 || count > most_digits) return false;
    value = static_cast<T>(digits);
    if (point != nullptr) value /= powers[end - point - 1];
    return true;
}

// Whether a number that no float holds is too large, not too small: where its first digit stands, counted from the point.
bool is_large(const char* p, const char* end) {
    std::int64_t before_point = 0, zeros_after_point = 0;
    bool seen_digit = false, seen_point = false;
    for (; p != end && (is_digit(*p) || *p == '.'); ++p) {
        if (*p == '.') {
            seen_point = true;
            continue;
        }
        seen_digit |= *p != '0';
        if (seen_digit && !seen_point) ++before_point;
        if (!seen_digit && seen_point) ++zeros_after_point;
    }
    std::int64_t exponent = 0;
    if (p != end) {
        p += 1 + (end - p > 1 && p[1] == '+');
        const bool negative = p != end && *p == '-';
        if (std::from_chars(p, end, exponent).ec == std::errc::result_out_of_range) return !negative;
    }
    constexpr std::int64_t huge = std::int64_t{1} << 40;  // no text is so long that its digits would outweigh this
    if (exponent > huge || exponent < -huge) return exponent > 0;
    return before_point - zeros_after_point + exponent > 0;
}

template <class T>
NumberKind parse(std::string_view text, T& value) {
    const char* p = text.data();
    const char* end = p + text.size();
    while (p != end && is_space(*p)) ++p;
    while (p != end && is_space(end[-1])) --end;
    if (p == end) return NumberKind::empty;
    const bool negative = *p == '-';
    if (negative || *p == '+') ++p;
    if (p == end || *p == '-') return NumberKind::not_a_number;
    if (!parse_short(p, end, value)) {
        const auto [stop, error] = std::from_chars(p, end, value);
        if (error == std::errc::invalid_argument || stop != end) return NumberKind::not_a_number;
        if (error == std::errc::result_out_of_range) {
            if (is_large(p, end)) return NumberKind::infinite;
            value = 0;
        }
        if (std::isnan(value)) return NumberKind::nan;
        if (std::isinf(value)) return NumberKind::infinite;
    }
    if (negative) value = -value;
    return NumberKind::finite;
}

}  // namespace

NumberKind parse_number(std::string_view text, float& value) { return parse(text, value); }
NumberKind parse_number(std::string_view text, double& value) { return parse(text, value); }

std::string_view name_of(NumberKind kind) {
    switch (kind) {
        case NumberKind::empty: return "empty";
        case NumberKind::nan: return "nan";
        case NumberKind::infinite: return "infinite";
        case NumberKind::not_a_number: return "not_a_number";
        default: return {};
    }
}

char* write_float(char* out, float value) { return std::to_chars(out, out + kLongestFloat, value).ptr; }

}  // namespace openfm::text
