// The memory of columns. That of a file's decoded blocks is used again for the next blocks: the system would take it
// back and give fresh pages, each of them zeroed, which costs more than decoding does.
#pragma once

#include <cstddef>

namespace openfm::records {

struct Memory {
    void* data = nullptr;
    std::size_t bytes = 0;
};

// Memory of at least `bytes` (never null) that starts with the `used` bytes of `old`, which is given back.
// Throws std::bad_alloc, and `old` then stays as it is.
Memory move_memory(Memory old, std::size_t used, std::size_t bytes);

void give_memory(Memory memory) noexcept;

}  // namespace openfm::records
