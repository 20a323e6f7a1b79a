// Steps through JSON text (RFC 8259), strictly: UTF-8, no trailing commas, no leading zeros, no lone surrogates.
//
// It takes no more than orjson does; a property test holds that. Whatever it does not take is left to orjson, which
// then has the words for it, so that every function here says no more than true or false.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "records_column.hpp"

namespace openfm::json {

inline const char* after_spaces(const char* p, const char* end) {
    while (p != end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) ++p;
    return p;
}

class Scanner {
public:
    // Steps through [begin, end). Where the text ends there must be a byte that can be read and is less than a space: no
    // token goes on across it, which spares a check of the bounds for every digit.
    Scanner(const char* begin, const char* end) : p_(begin), end_(end) {}

    // Whether nothing is left but spaces.
    bool at_end() {
        skip_spaces();
        return p_ == end_;
    }

    // Steps over spaces and then `symbol`, if it comes next.
    bool take(char symbol) {
        skip_spaces();
        if (*p_ != symbol) return false;
        ++p_;
        return true;
    }

    // Steps over the word null, if it comes next.
    bool take_null();

    // An array of numbers, each as the nearest double and that as the nearest float. False also where one is infinite, or
    // so close to 0 that no double is.
    bool floats(std::vector<float>& values);

    // The same of `width` numbers, of which those that are not zero are appended, with their places. False also where
    // there are more or fewer.
    bool non_zeros(std::int64_t width, records::Column<std::int32_t>& indices, records::Column<float>& values);

    // An index: a number without sign, fraction and exponent that is less than `limit`, at most 2^31 - 1.
    bool index(std::int64_t limit, std::int32_t& value);

    // The name of a member. One that has escapes lives until the next call, and is cut off after 16 characters.
    bool name(std::string_view& value);

    // Any value: checked, and stepped over.
    bool skip_value() { return skip_value(0); }

    // Calls `element` at the start of each element of an array, which steps over it.
    template <class Element>
    bool array(Element element) {
        if (!take('[')) return false;
        if (take(']')) return true;
        do {
            if (!element()) return false;
        } while (take(','));
        return take(']');
    }

    // Calls `member` with the name of each member of an object, at the start of its value, which it steps over.
    template <class Member>
    bool object(Member member) {
        if (!take('{')) return false;
        if (take('}')) return true;
        do {
            std::string_view key;
            if (!name(key) || !take(':') || !member(key)) return false;
        } while (take(','));
        return take('}');
    }

private:
    static constexpr int kMaxDepth = 128;  // orjson allows 1024
    static constexpr std::size_t kLongestName = 16;

    void skip_spaces() { p_ = after_spaces(p_, end_); }

    template <class Numbers>
    bool numbers(Numbers& numbers);

    bool take_word(std::string_view word);
    bool skip_value(int depth);
    bool skip_number();
    bool string(std::string_view& value);
    bool escape(std::uint32_t& code);
    bool hex4(std::uint32_t& code);
    bool multibyte();

    const char* p_;
    const char* end_;
    char name_[kLongestName];
};

}  // namespace openfm::json
