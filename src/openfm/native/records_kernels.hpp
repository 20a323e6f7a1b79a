// The loops over the values and keys of a record, once for each instruction set. All give the same results.
#pragma once

#include <cstddef>
#include <cstdint>

#include "records_wire.hpp"

namespace openfm::records {

// So many bytes behind a record's packed keys must be readable, whatever they hold.
constexpr std::size_t kReadAhead = 64;

// So many elements behind the last one the outputs must have room for: whole vectors are stored.
constexpr std::size_t kOverrun = 16;

// From these bits on, a float32's absolute value is infinite or no number.
constexpr std::uint32_t kInfinityBits = 0x7f800000u;

// What was found in a row of float32 values; the non-zero ones (-0.0 is a zero) and their columns were written.
struct Kept {
    std::size_t count = 0;
    bool finite = true;  // all of the row
};

struct RecordKernels {
    const char* name;

    // Keeps the non-zero values of a row, little endian and not aligned. The columns are keys[i], or i where `keys` is
    // null; `keys` has room for kOverrun more.
    Kept (*keep_non_zero)(const std::uint8_t* row, std::size_t count, const std::int32_t* keys, std::int32_t* indices,
                          float* values);

    // Unpacks keys that are as nearly all are: exactly `count` of them, at most 4 bytes long (below 2^28), ascending.
    // False if they are not; `keys` then holds nothing of use.
    bool (*unpack_keys)(Span packed, std::size_t count, std::int32_t* keys);
};

// nullptr if this processor has no instruction set of that name; empty: the best it has. Of AVX-512, VBMI and VBMI2 are
// needed too; a processor without them gets AVX2's kernels under its name.
const RecordKernels* find_record_kernels(const char* instruction_set);

}  // namespace openfm::records
