#include "records_memory.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace openfm::records {
namespace {

// Smaller pieces the allocator itself uses again; larger ones are those of whole files.
constexpr std::size_t kSmallest = std::size_t{32} << 10;
constexpr std::size_t kLargest = std::size_t{4} << 20;

// Pieces that nothing uses at the moment: those of a few blocks, at most 16 MiB. Nobody waits for it: whoever finds
// another thread at it (or one that a fork has left behind there) goes to the allocator.
class Shelf {
public:
    // The smallest piece that is large enough, or none: one far too large is kept for those who need it.
    Memory take(std::size_t bytes) {
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock) return {};
        Memory* best = nullptr;
        for (Memory& piece : pieces_) {
            const bool fits = piece.bytes >= bytes && piece.bytes / 2 <= bytes;
            if (fits && (best == nullptr || piece.bytes < best->bytes)) best = &piece;
        }
        return best == nullptr ? Memory{} : std::exchange(*best, Memory{});
    }

    // False if it could not be put there.
    bool put(Memory memory) {
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock) return false;
        std::size_t total = memory.bytes;
        Memory* place = nullptr;
        for (Memory& piece : pieces_) {
            total += piece.bytes;
            if (piece.data == nullptr) place = &piece;
        }
        if (place == nullptr || total > kMostBytes) return false;
        *place = memory;
        return true;
    }

private:
    static constexpr std::size_t kMostBytes = std::size_t{16} << 20;

    std::mutex mutex_;
    std::array<Memory, 16> pieces_{};
};

// Never destroyed: arrays may be freed while the interpreter ends.
Shelf& shelf() {
    static Shelf* const only = new Shelf;
    return *only;
}

// Four sizes to each power of two, so that the next block's columns, a little longer, fit where the last one's were.
std::size_t shelf_size(std::size_t bytes) {
    std::size_t step = kSmallest / 4;
    while (step * 8 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

bool fits_shelf(std::size_t bytes) { return bytes >= kSmallest && bytes <= kLargest; }

void ask_for_huge_pages([[maybe_unused]] Memory memory) {
#ifdef MADV_HUGEPAGE
    constexpr std::size_t page = 4096;
    if (memory.bytes <= kLargest) return;
    const auto start = (reinterpret_cast<std::uintptr_t>(memory.data) + page - 1) & ~(page - 1);
    const auto end = (reinterpret_cast<std::uintptr_t>(memory.data) + memory.bytes) & ~(page - 1);
    madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);  // advice: failing does no harm
#endif
}

}  // namespace

Memory move_memory(Memory old, std::size_t used, std::size_t bytes) {
    bytes = std::max<std::size_t>(bytes, 1);
    if (fits_shelf(bytes)) bytes = shelf_size(bytes);
    Memory moved = fits_shelf(bytes) ? shelf().take(bytes) : Memory{};
    if (moved.data == nullptr) {
        moved = {std::realloc(old.data, bytes), bytes};
        if (moved.data == nullptr) throw std::bad_alloc();
        ask_for_huge_pages(moved);
        return moved;
    }
    if (used != 0) std::memcpy(moved.data, old.data, used);
    give_memory(old);
    return moved;
}

void give_memory(Memory memory) noexcept {
    if (!fits_shelf(memory.bytes) || !shelf().put(memory)) std::free(memory.data);
}

}  // namespace openfm::records
