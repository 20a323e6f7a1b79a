#include "json_scanner.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace openfm::json {
namespace {

constexpr std::uint64_t kExactWhole = std::uint64_t{1} << 53;  // up to here every whole number is a double
constexpr int kExactPower = 22;                                // and up to here every power of ten
constexpr double kPowers[kExactPower + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                             1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr std::ptrdiff_t kDigitsOf64Bits = 19;  // any number of so many digits fits

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

const char* read_digits(const char* p, std::uint64_t& value) {
    while (is_digit(*p)) value = 10 * value + static_cast<std::uint64_t>(*p++ - '0');
    return p;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
constexpr bool kLittleEndian = true;
#else
constexpr bool kLittleEndian = false;
#endif

std::uint64_t eight_bytes(const char* p) {
    std::uint64_t text;
    std::memcpy(&text, p, 8);
    return text;
}

// The digits that eight characters start with.
struct Digits {
    int count;
    std::uint64_t value;
};

// All of them at once, since a loop of unforeseeable length costs more than its arithmetic. Three multiplications add
// neighbours up: two digits, four, eight. For little-endian machines.
inline Digits leading_digits(const char* p) {
    const std::uint64_t digits = eight_bytes(p) ^ 0x3030303030303030;
    // The high bit of a byte, where it is no digit; right up to the first one, which is the one that counts.
    const std::uint64_t others = ((digits + 0x7676767676767676) | digits) & 0x8080808080808080;
    if ((others & 0x80) != 0) return {0, 0};
    const int count = others == 0 ? 8 : __builtin_ctzll(others) / 8;
    std::uint64_t eight = digits << 8 * (8 - count);  // those that are missing become zeros in front
    eight = 10 * eight + (eight >> 8);
    eight = ((eight & 0x000000ff000000ff) * 0x000f424000000064 +
             ((eight >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >>
            32;
    return {count, eight};
}

// The same as read_digits, of what may be many.
inline const char* read_fraction(const char* p, const char* end, std::uint64_t& value) {
    if (kLittleEndian) {
        // Whether a digit follows is easy to foresee, unlike whether there were eight.
        while (end - p >= 8 && is_digit(*p)) {
            const Digits digits = leading_digits(p);
            value = value * static_cast<std::uint64_t>(kPowers[digits.count]) + digits.value;
            p += digits.count;
        }
    }
    return read_digits(p, value);
}

// After the letter e; nullptr where there is no whole number. A large one is cut, far beyond what a double has.
const char* read_exponent(const char* p, int& exponent) {
    const bool negative = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    if (!is_digit(*p)) return nullptr;
    int value = 0;
    for (; is_digit(*p); ++p) {
        if (value < 100000) value = 10 * value + (*p - '0');
    }
    exponent += negative ? -value : value;
    return p;
}

// The nearest double of the number at `p`, and where it ends; nullptr where there is none, or none that is finite.
//
// The common case is W. D. Clinger's (How to Read Floating Point Numbers Accurately, PLDI 1990): digits and power of ten
// are both exact as doubles, so that one multiplication or division rounds once, to the nearest.
inline const char* read_number(const char* p, const char* text_end, double& value) {
    const char* const start = p;
    const bool negative = *p == '-';
    if (negative) ++p;

    const char* const whole = p;
    std::uint64_t digits = 0;
    p = read_digits(p, digits);
    std::ptrdiff_t count = p - whole;
    if (count == 0 || (*whole == '0' && count > 1)) return nullptr;
    int exponent = 0;
    if (*p == '.') {
        const char* const fraction = ++p;
        p = read_fraction(p, text_end, digits);
        if (p == fraction) return nullptr;
        count += p - fraction;
        if (count <= kDigitsOf64Bits) exponent = static_cast<int>(fraction - p);
    }
    if (*p == 'e' || *p == 'E') {
        p = read_exponent(p + 1, exponent);
        if (p == nullptr) return nullptr;
    }

    if (count <= kDigitsOf64Bits && digits <= kExactWhole && exponent >= -kExactPower && exponent <= kExactPower) {
        value = static_cast<double>(digits);
        value = exponent < 0 ? value / kPowers[-exponent] : value * kPowers[exponent];
        if (negative) value = -value;
        return p;
    }
    const auto [end, error] = std::from_chars(start, p, value);
    return error == std::errc() && end == p ? p : nullptr;
}

// What floats around 1 mostly are: a digit, a point, at most eight digits, a comma. Reads it, or returns nullptr. There
// must be kShort characters to read.
constexpr std::ptrdiff_t kShort = 12;
inline const char* read_short(const char* p, double& value) {
    if (!kLittleEndian || p[1] != '.' || !is_digit(p[0])) return nullptr;
    const Digits fraction = leading_digits(p + 2);
    const char* const end = p + 2 + fraction.count;
    if (fraction.count == 0 || *end != ',') return nullptr;
    const double power = kPowers[fraction.count];
    value = (static_cast<double>(p[0] - '0') * power + static_cast<double>(fraction.value)) / power;
    return end;
}

// Zeros as they are written in a row: with a point or not, after a space or not. As many as fill whole words.
template <int kLength>
constexpr const char* kZeros = "";
template <>
constexpr const char* kZeros<5> = " 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,";
template <>
constexpr const char* kZeros<4> = "0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,";
template <>
constexpr const char* kZeros<3> = " 0, 0, 0, 0, 0, 0, 0, 0,";
template <>
constexpr const char* kZeros<2> = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,";

// Steps over zeros that are written with kLength characters each, and counts them.
template <int kLength>
const char* skip_zeros(const char* p, const char* end, std::int64_t& count) {
    constexpr int kWords = kLength == 3 ? 3 : 5;
    const char* const start = p;
    for (; end - p >= 8 * kWords; p += 8 * kWords) {
        std::uint64_t differences[kWords], any = 0;
        int equal = 0;  // words before the first difference, counted without a branch that nobody could foresee
        for (int i = 0; i < kWords; ++i) {
            differences[i] = eight_bytes(p + 8 * i) ^ eight_bytes(kZeros<kLength> + 8 * i);
            any |= differences[i];
            equal += any == 0 ? 1 : 0;
        }
        if (any == 0) continue;
        const std::uint64_t first = differences[equal];
        p += (8 * equal + (kLittleEndian ? __builtin_ctzll(first) : __builtin_clzll(first)) / 8) / kLength * kLength;
        break;
    }
    count += (p - start) / kLength;
    return p;
}

// Any number of zeros and the commas behind them: what most of a dense row of sparse data is. May stop before the last.
inline const char* read_zeros(const char* p, const char* end, std::int64_t& count) {
    if (p[0] != '0') return p;
    if (p[1] == ',') return p[2] == ' ' ? skip_zeros<3>(p + 2, end, ++count) : skip_zeros<2>(p + 2, end, ++count);
    if (p[1] != '.' || p[2] != '0' || p[3] != ',') return p;
    return p[4] == ' ' ? skip_zeros<5>(p + 4, end, ++count) : skip_zeros<4>(p + 4, end, ++count);
}

bool is_surrogate(std::uint32_t code) { return code >= 0xd800 && code < 0xe000; }

}  // namespace

bool Scanner::take_word(std::string_view word) {
    for (const char c : word) {
        if (*p_ != c) return false;
        ++p_;
    }
    return true;
}

bool Scanner::take_null() {
    skip_spaces();
    return *p_ == 'n' && take_word("null");
}

// The hot loop: nearly all of a request's text is read here. Hence the pointer of its own, which stays in a register.
// Numbers: add(float) takes a value, add_zeros(count) some zeros at once; false where they take no more.
template <class Numbers>
bool Scanner::numbers(Numbers& numbers) {
    if (!take('[')) return false;
    if (take(']')) return true;
    const char* p = p_;
    while (true) {
        p = after_spaces(p, end_);
        std::int64_t zeros = 0;
        p = read_zeros(p, end_, zeros);
        if (zeros != 0) {
            if (!numbers.add_zeros(zeros)) return false;
            p = after_spaces(p, end_);
        }
        double number = 0;
        if (const char* const comma = end_ - p >= kShort ? read_short(p, number) : nullptr; comma != nullptr) {
            if (!numbers.add(static_cast<float>(number))) return false;
            p = comma + 1;
            continue;
        }
        p = read_number(p, end_, number);
        if (p == nullptr) return false;
        const auto value = static_cast<float>(number);
        if (!std::isfinite(value) || !numbers.add(value)) return false;
        p = after_spaces(p, end_);
        if (*p != ',') break;
        ++p;
    }
    p_ = p;
    return take(']');
}

bool Scanner::floats(std::vector<float>& values) {
    struct All {
        std::vector<float>& values;
        bool add(float value) {
            values.push_back(value);
            return true;
        }
        bool add_zeros(std::int64_t count) {
            values.insert(values.end(), static_cast<std::size_t>(count), 0.0f);
            return true;
        }
    } all{values};
    values.clear();
    return numbers(all);
}

bool Scanner::non_zeros(std::int64_t width, records::Column<std::int32_t>& indices, records::Column<float>& values) {
    struct NonZeros {
        const std::int64_t width;
        std::int32_t* indices;
        float* values;
        std::int64_t place = 0;
        std::size_t count = 0;
        bool add(float value) {
            if (place == width) return false;
            indices[count] = static_cast<std::int32_t>(place++);
            values[count] = value;
            count += value != 0 ? 1 : 0;
            return true;
        }
        bool add_zeros(std::int64_t zeros) {
            place += zeros;
            return place <= width;
        }
    };
    // A number takes two characters at least.
    const auto most = static_cast<std::size_t>(std::min<std::int64_t>(width, (end_ - p_) / 2 + 1));
    NonZeros found{width, indices.reserve(most), values.reserve(most)};
    if (!numbers(found) || found.place != width) return false;
    indices.commit(found.count);
    values.commit(found.count);
    return true;
}

bool Scanner::skip_number() {
    double value = 0;
    const char* const end = read_number(p_, end_, value);
    if (end != nullptr) p_ = end;
    return end != nullptr;
}

bool Scanner::index(std::int64_t limit, std::int32_t& value) {
    skip_spaces();
    const char* const start = p_;
    std::uint64_t digits = 0;
    p_ = read_digits(p_, digits);
    const std::ptrdiff_t count = p_ - start;
    if (count == 0 || count > 10 || (*start == '0' && count > 1)) return false;
    if (digits >= static_cast<std::uint64_t>(limit)) return false;
    value = static_cast<std::int32_t>(digits);
    return true;
}

bool Scanner::name(std::string_view& value) {
    skip_spaces();
    return string(value);
}

// Steps over a string. `value` becomes its text, or a cut copy where it has escapes.
bool Scanner::string(std::string_view& value) {
    if (*p_ != '"') return false;
    const char* const start = ++p_;
    std::size_t length = 0;
    bool copied = false;
    for (; *p_ != '"'; ++length) {
        std::uint32_t code = 0xff;  // what no known name has, for characters beyond ASCII
        if (static_cast<unsigned char>(*p_) < 0x20) return false;
        if (*p_ == '\\') {
            if (!copied) {
                length = std::string_view(start, static_cast<std::size_t>(p_ - start)).copy(name_, kLongestName);
                copied = true;
            }
            if (!escape(code)) return false;
        } else if (static_cast<unsigned char>(*p_) < 0x80) {
            code = static_cast<unsigned char>(*p_++);
        } else if (!multibyte()) {
            return false;
        }
        if (copied && length < kLongestName) name_[length] = static_cast<char>(code < 0x80 ? code : 0xff);
    }
    if (copied) {
        value = {name_, length < kLongestName ? length : kLongestName};
    } else {
        value = {start, static_cast<std::size_t>(p_ - start)};
    }
    ++p_;
    return true;
}

// An escape, at its backslash; two of them where they are the halves of one character.
bool Scanner::escape(std::uint32_t& code) {
    const char kind = p_[1];
    p_ += 2;
    switch (kind) {
        case '"':
        case '\\':
        case '/': code = static_cast<unsigned char>(kind); return true;
        case 'b': code = '\b'; return true;
        case 'f': code = '\f'; return true;
        case 'n': code = '\n'; return true;
        case 'r': code = '\r'; return true;
        case 't': code = '\t'; return true;
        case 'u': break;
        default: return false;
    }
    if (!hex4(code)) return false;
    if (!is_surrogate(code)) return true;
    std::uint32_t low = 0;
    return code < 0xdc00 && *p_ == '\\' && p_[1] == 'u' && (p_ += 2, hex4(low)) && low >= 0xdc00 && low < 0xe000;
}

bool Scanner::hex4(std::uint32_t& code) {
    code = 0;
    for (const char* const end = p_ + 4; p_ != end; ++p_) {
        const char letter = static_cast<char>(*p_ | 0x20);
        const bool is_letter = letter >= 'a' && letter <= 'f';
        if (!is_letter && !is_digit(*p_)) return false;
        code = 16 * code + static_cast<std::uint32_t>(is_letter ? letter - 'a' + 10 : *p_ - '0');
    }
    return true;
}

// A character of two to four bytes (Unicode, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
bool Scanner::multibyte() {
    const auto lead = static_cast<unsigned char>(*p_);
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4) return false;
    std::uint32_t code = lead & (0x3fu >> more);
    for (int i = 0; i < more; ++i) {
        const auto byte = static_cast<unsigned char>(*++p_);
        if ((byte & 0xc0) != 0x80) return false;
        code = code << 6 | (byte & 0x3fu);
    }
    ++p_;
    constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
    return code >= least[more - 1] && code <= 0x10ffff && !is_surrogate(code);
}

bool Scanner::skip_value(int depth) {
    if (depth > kMaxDepth) return false;
    skip_spaces();
    std::string_view text;
    switch (*p_) {
        case '"': return string(text);
        case '{': return object([&](std::string_view) { return skip_value(depth + 1); });
        case '[': return array([&] { return skip_value(depth + 1); });
        case 't': return take_word("true");
        case 'f': return take_word("false");
        case 'n': return take_word("null");
        default: return skip_number();
    }
}

}  // namespace openfm::json
