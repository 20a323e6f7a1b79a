// Where two characters are in a text: delimiters and line breaks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace openfm::text {

constexpr std::size_t kFinderBlock = 64;

// Bit i is set where byte i of a block is one of two characters.
inline std::uint64_t find_in_block(const char* block, char a, char b) {
    std::uint64_t found = 0;
#if defined(__SSE2__)
    const __m128i all_a = _mm_set1_epi8(a), all_b = _mm_set1_epi8(b);
    for (unsigned i = 0; i < kFinderBlock; i += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + i));
        const __m128i equal = _mm_or_si128(_mm_cmpeq_epi8(bytes, all_a), _mm_cmpeq_epi8(bytes, all_b));
        found |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(equal))} << i;
    }
#else
    for (unsigned i = 0; i < kFinderBlock; ++i) found |= std::uint64_t{block[i] == a || block[i] == b} << i;
#endif
    return found;
}

// Finds one after the other. A block's are found together, so that each costs a few instructions, however far it is.
class Finder {
public:
    Finder(std::string_view text, char a, char b)
        : next_block_(text.data()), end_(text.data() + text.size()), a_(a), b_(b) {}

    // The first one behind that which was found last, or the end.
    const char* next() {
        while (found_ == 0) {
            if (next_block_ == end_) return end_;
            load();
        }
        const char* const at = block_ + __builtin_ctzll(found_);
        found_ &= found_ - 1;
        return at;
    }

    // From now on, what is found is at `p` or behind it.
    void seek(const char* p) {
        next_block_ = p;
        found_ = 0;
    }

private:
    void load() {
        block_ = next_block_;
        const auto left = static_cast<std::size_t>(end_ - block_);
        if (left >= kFinderBlock) {
            found_ = find_in_block(block_, a_, b_);
            next_block_ += kFinderBlock;
        } else {
            char padded[kFinderBlock] = {};
            std::memcpy(padded, block_, left);
            found_ = find_in_block(padded, a_, b_) & ((std::uint64_t{1} << left) - 1);
            next_block_ = end_;
        }
    }

    const char* block_ = nullptr;
    const char* next_block_;
    const char* end_;
    std::uint64_t found_ = 0;
    char a_, b_;
};

}  // namespace openfm::text
