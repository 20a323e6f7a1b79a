// The kernels for one instruction set: compiled once for each, with OPENFM_ISA as the name.
#include "records_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>

#define OPENFM_STRING(text) #text
#define OPENFM_NAME(text) OPENFM_STRING(text)

namespace openfm::records::OPENFM_ISA {
namespace {

constexpr std::uint32_t kAllButSign = 0x7fffffffu;

// The loops ask for the data so many bytes ahead: of the next record, mostly. Left to itself a processor may stop at
// each page's end, or not look ahead at all.
constexpr std::size_t kPrefetchAhead = 4096;

#if defined(__AVX512F__)

Kept keep_non_zero(const std::uint8_t* row, std::size_t count, const std::int32_t* keys, std::int32_t* indices,
                   float* values) {
    constexpr std::size_t lanes = 16;
    const __m512i all_but_sign = _mm512_set1_epi32(static_cast<int>(kAllButSign));
    __m512i columns = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i infinity = _mm512_set1_epi32(static_cast<int>(kInfinityBits));
    unsigned not_finite = 0;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; i += lanes) {
        const std::size_t left = std::min(count - i, lanes);
        const auto valid = static_cast<__mmask16>((1u << left) - 1);
        __builtin_prefetch(row + i * sizeof(float) + kPrefetchAhead);
        const __m512i bits = _mm512_maskz_loadu_epi32(valid, row + i * sizeof(float));
        if (keys != nullptr) columns = _mm512_loadu_si512(keys + i);
        const __mmask16 non_zero = _mm512_test_epi32_mask(bits, all_but_sign);
        not_finite |= _mm512_cmpge_epi32_mask(_mm512_and_si512(bits, all_but_sign), infinity);
        _mm512_storeu_si512(indices + kept, _mm512_maskz_compress_epi32(non_zero, columns));
        _mm512_storeu_si512(values + kept, _mm512_maskz_compress_epi32(non_zero, bits));
        kept += static_cast<std::size_t>(__builtin_popcount(non_zero));
        if (keys == nullptr) columns = _mm512_add_epi32(columns, _mm512_set1_epi32(lanes));
    }
    return {kept, not_finite == 0};
}

#elif defined(__AVX2__)

// For each set of lanes to keep: those lanes, in order.
constexpr auto kLanesToKeep = [] {
    std::array<std::array<std::uint8_t, 8>, 256> table{};
    for (unsigned set = 0; set < table.size(); ++set) {
        std::size_t kept = 0;
        for (std::uint8_t lane = 0; lane < 8; ++lane) {
            if (set >> lane & 1) table[set][kept++] = lane;
        }
    }
    return table;
}();

Kept keep_non_zero(const std::uint8_t* row, std::size_t count, const std::int32_t* keys, std::int32_t* indices,
                   float* values) {
    constexpr std::size_t lanes = 8;
    const __m256i all_but_sign = _mm256_set1_epi32(static_cast<int>(kAllButSign));
    const __m256i lane_numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i largest_finite = _mm256_set1_epi32(static_cast<int>(kInfinityBits - 1));
    __m256i not_finite = _mm256_setzero_si256();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; i += lanes) {
        const int left = static_cast<int>(std::min(count - i, lanes));
        const __m256i valid = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane_numbers);
        const __m256i bits = _mm256_maskload_epi32(reinterpret_cast<const int*>(row + i * sizeof(float)), valid);
        __builtin_prefetch(row + i * sizeof(float) + kPrefetchAhead);
        const __m256i magnitude = _mm256_and_si256(bits, all_but_sign);
        const __m256i zero = _mm256_cmpeq_epi32(magnitude, _mm256_setzero_si256());
        not_finite = _mm256_or_si256(not_finite, _mm256_cmpgt_epi32(magnitude, largest_finite));
        const auto non_zero = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(zero))) ^ 0xffu;
        const auto* const to_keep = reinterpret_cast<const __m128i*>(kLanesToKeep[non_zero].data());
        const __m256i from = _mm256_cvtepu8_epi32(_mm_loadl_epi64(to_keep));
        const __m256i columns =
            keys == nullptr
                ? _mm256_add_epi32(from, _mm256_set1_epi32(static_cast<int>(i)))
                : _mm256_permutevar8x32_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(keys + i)), from);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(indices + kept), columns);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + kept), _mm256_permutevar8x32_epi32(bits, from));
        kept += static_cast<std::size_t>(__builtin_popcount(non_zero));
    }
    return {kept, _mm256_movemask_epi8(not_finite) == 0};
}

#else

// Every value is written, and the end moves on behind a non-zero only. A block of zeros, such as an image's border,
// costs one test.
Kept keep_non_zero(const std::uint8_t* row, std::size_t count, const std::int32_t* keys, std::int32_t* indices,
                   float* values) {
    constexpr std::size_t block = 8;
    Kept kept;
    for (std::size_t i = 0; i < count; i += block) {
        __builtin_prefetch(row + i * sizeof(float) + kPrefetchAhead);
        const std::size_t size = std::min(count - i, block);
        std::array<std::uint32_t, block> bits{};
        std::memcpy(bits.data(), row + i * sizeof(float), size * sizeof(float));
        std::uint32_t any = 0;
        for (const std::uint32_t value : bits) any |= value;
        if ((any & kAllButSign) == 0) continue;
        for (std::size_t j = 0; j < size; ++j) {
            const std::uint32_t magnitude = bits[j] & kAllButSign;
            indices[kept.count] = keys == nullptr ? static_cast<std::int32_t>(i + j) : keys[i + j];
            std::memcpy(values + kept.count, &bits[j], sizeof(float));
            kept.count += magnitude != 0;
            kept.finite &= magnitude < kInfinityBits;
        }
    }
    return kept;
}

#endif

#if defined(__AVX512VBMI2__)

// 16 keys at a time, which lie in 64 bytes if none is longer than 4.
bool unpack_keys(Span packed, std::size_t count, std::int32_t* keys) {
    constexpr std::size_t lanes = 16;
    const __m512i byte_numbers = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35,
        34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5,
        4, 3, 2, 1, 0);
    const __m512i four_of_each = _mm512_srli_epi16(_mm512_and_si512(byte_numbers, _mm512_set1_epi8(0x3c)), 2);
    const __m512i next_four = _mm512_set1_epi32(0x03020100);
    const __m128i behind_last_end = _mm_setr_epi8(0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m512i continuation = _mm512_set1_epi32(static_cast<int>(0x80808080u));
    __m512i previous = _mm512_set1_epi32(-1);
    unsigned refused = 0;
    const std::uint8_t* start = packed.begin;
    for (std::size_t i = 0; i < count; i += lanes) {
        if (start >= packed.end) return false;
        __builtin_prefetch(start + kPrefetchAhead);
        const auto wanted = static_cast<unsigned>(std::min(count - i, lanes));
        const __m512i bytes = _mm512_loadu_si512(start);
        const std::uint64_t ends = ~static_cast<std::uint64_t>(_mm512_movepi8_mask(bytes));
        const std::uint64_t last_end = _pdep_u64(std::uint64_t{1} << (wanted - 1), ends);
        if (last_end == 0) return false;
        start += __builtin_ctzll(last_end) + 1;

        const __m128i positions = _mm512_castsi512_si128(_mm512_maskz_compress_epi8(ends, byte_numbers));
        const __m128i starts = _mm_add_epi8(_mm_slli_si128(positions, 1), behind_last_end);
        const __m512i from = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(starts), four_of_each);
        const __m512i words = _mm512_permutexvar_epi8(_mm512_add_epi8(from, next_four), bytes);

        // The low 7 bits of the bytes up to and with the first that has no continuation bit, joined in pairs.
        const __m512i word_ends = _mm512_andnot_si512(words, continuation);
        const __m512i own = _mm512_xor_si512(word_ends, _mm512_sub_epi32(word_ends, _mm512_set1_epi32(1)));
        const __m512i parts = _mm512_andnot_si512(continuation, _mm512_and_si512(words, own));
        const __m512i pairs = _mm512_maddubs_epi16(_mm512_set1_epi16(static_cast<short>(0x8001)), parts);
        const __m512i joined = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x40000001));

        const __m512i before = _mm512_alignr_epi32(joined, previous, lanes - 1);
        const __mmask16 valid = static_cast<__mmask16>((1u << wanted) - 1);
        refused |= _mm512_mask_cmple_epi32_mask(valid, joined, before);
        refused |= _mm512_mask_testn_epi32_mask(valid, word_ends, word_ends);
        previous = joined;
        _mm512_storeu_si512(keys + i, joined);
    }
    return refused == 0 && start == packed.end;
}

#else

// Of 32 bytes those that end a varint: bit i for byte i.
std::uint32_t varint_ends(const std::uint8_t* bytes) {
#if defined(__AVX2__)
    return ~static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes))));
#elif defined(__SSE2__)
    const auto half = [bytes](int i) {
        return static_cast<std::uint32_t>(
            _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + i)));
    };
    return ~(half(0) | half(1) << 16);
#else
    std::uint32_t ends = 0;
    for (unsigned i = 0; i < 4; ++i) {
        std::uint64_t word;
        std::memcpy(&word, bytes + 8 * i, sizeof word);
        const std::uint64_t end_bits = ~word >> 7 & 0x0101010101010101u;
        ends |= static_cast<std::uint32_t>(end_bits * 0x0102040810204080u >> 56) << 8 * i;  // gathers them on top
    }
    return ends;
#endif
}

// The low 7 bits of the bytes up to and with the first that has no continuation bit, joined.
inline std::int32_t join_key(const std::uint8_t* bytes) {
    std::uint32_t word;
    std::memcpy(&word, bytes, sizeof word);
    const std::uint32_t ends = ~word & 0x80808080u;
    word &= (ends ^ (ends - 1)) & 0x7f7f7f7fu;
    word -= (word & 0x7f007f00u) >> 1;
    return static_cast<std::int32_t>((word & 0x00003fffu) | (word & 0x3fff0000u) >> 2);
}

// 8 keys at a time, which lie in 32 bytes if none is longer than 4.
bool unpack_keys(Span packed, std::size_t count, std::int32_t* keys) {
    constexpr std::size_t group = 8;
    const std::uint8_t* start = packed.begin;
    std::int32_t previous = -1;
    std::int32_t ascending = -1;  // its sign
    const auto unpack = [&](std::size_t first, std::size_t size) {
        if (start >= packed.end) return false;
        __builtin_prefetch(start + kPrefetchAhead);
        std::uint32_t ends = varint_ends(start);
        if (static_cast<std::size_t>(__builtin_popcount(ends)) < size) return false;
        const std::uint32_t more = ~ends;
        const std::uint32_t too_long = more & more >> 1 & more >> 2 & more >> 3;
        unsigned from = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const std::int32_t key = join_key(start + from);
            from = static_cast<unsigned>(__builtin_ctz(ends)) + 1;
            ends &= ends - 1;
            ascending &= previous - key;
            previous = keys[first + i] = key;
        }
        start += from;
        return (too_long & ((std::uint64_t{1} << from) - 1)) == 0;
    };
    std::size_t i = 0;
    for (; i + group <= count; i += group) {
        if (!unpack(i, group)) return false;
    }
    if (i < count && !unpack(i, count - i)) return false;
    return ascending < 0 && start == packed.end;
}

#endif

}  // namespace

extern const RecordKernels kernels;
const RecordKernels kernels = {OPENFM_NAME(OPENFM_ISA), keep_non_zero, unpack_keys};

}  // namespace openfm::records::OPENFM_ISA
