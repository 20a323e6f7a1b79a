#include "json_answers.hpp"

#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

namespace openfm::json {
namespace {

using Text = records::Column<char>;

constexpr std::size_t kLongestNumber = 32;  // -1.2345678901234567e-308 has 24 characters

char* put(char* out, std::string_view text) {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* put_zeros(char* out, int count) {
    std::memset(out, '0', static_cast<std::size_t>(count));
    return out + count;
}

// The digits d.ddd times ten to the power of `exponent`, laid out as orjson does: a point where it falls within
// 16 digits or at most 5 places before the first, elsewhere an exponent without padding.
char* put_digits(char* out, std::string_view digits, int exponent) {
    const int count = static_cast<int>(digits.size());
    const int before = exponent + 1;  // digits before the point
    if (before >= count && before <= 16) {
        out = put_zeros(put(out, digits), before - count);
        return put(out, ".0");
    }
    if (before > 0 && before <= 16) {
        const auto split = static_cast<std::size_t>(before);
        out = put(put(out, digits.substr(0, split)), ".");
        return put(out, digits.substr(split));
    }
    if (before > -5 && before <= 0) return put(put_zeros(put(out, "0."), -before), digits);
    *out++ = digits[0];
    if (count > 1) out = put(put(out, "."), digits.substr(1));
    out = put(out, exponent < 0 ? "e" : "e+");
    return std::to_chars(out, out + 8, exponent).ptr;
}

// The shortest number that reads back as the same double.
char* put_number(char* out, double value) {
    if (!std::isfinite(value)) return put(out, "null");
    if (std::signbit(value)) *out++ = '-';
    if (value == 0) return put(out, "0.0");
    if (value == 1) return put(out, "1.0");

    char text[kLongestNumber];  // d.ddde+dd
    const char* const end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
    const auto* const letter = static_cast<const char*>(std::memchr(text, 'e', static_cast<std::size_t>(end - text)));
    int exponent = 0;
    std::from_chars(letter + 2, end, exponent);
    if (letter[1] == '-') exponent = -exponent;
    // Without the point the digits are in one piece.
    char* digits = text;
    if (text[1] == '.') {
        text[1] = text[0];
        ++digits;
    }
    return put_digits(out, {digits, static_cast<std::size_t>(letter - digits)}, exponent);
}

void put_prediction(const Answers& answers, std::size_t row, Text& text) {
    constexpr std::string_view score = "{\"score\":";
    constexpr std::string_view label = ",\"predicted_label\":";
    char* const start = text.reserve(score.size() + label.size() + 1 + 2 * kLongestNumber);
    // Widened to a double as it is, so that it prints as 0.5895045399665833 and not as 0.58950454.
    char* out = put_number(put(start, score), static_cast<double>(answers.scores[row]));
    if (answers.predicted_labels != nullptr) {
        out = put_number(put(out, label), static_cast<double>(answers.predicted_labels[row]));
    }
    *out++ = '}';
    text.commit(static_cast<std::size_t>(out - start));
}

void append(Text& text, std::string_view piece) {
    put(text.reserve(piece.size()), piece);
    text.commit(piece.size());
}

}  // namespace

void encode_document(const Answers& answers, Text& out) {
    append(out, "{\"predictions\":[");
    for (std::size_t row = 0; row < answers.count; ++row) {
        if (row > 0) out.push(',');
        put_prediction(answers, row, out);
    }
    append(out, "]}");
}

void encode_lines(const Answers& answers, Text& out) {
    for (std::size_t row = 0; row < answers.count; ++row) {
        put_prediction(answers, row, out);
        out.push('\n');
    }
}

}  // namespace openfm::json
