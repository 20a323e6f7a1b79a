#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace openfm::records {

// A growing array in malloc'd memory, which NumPy takes over without a copy.
template <class T>
class Column {
public:
    Column() = default;
    Column(const Column&) = delete;
    Column& operator=(const Column&) = delete;
    ~Column() { std::free(data_); }

    std::size_t size() const { return size_; }

    // Room for `extra` more elements; they count once they are committed.
    T* reserve(std::size_t extra) {
        if (capacity_ - size_ < extra) resize_to(std::max(size_ + extra, capacity_ + capacity_ / 2 + 16));
        return data_ + size_;
    }

    void commit(std::size_t count) { size_ += count; }

    void push(T value) {
        *reserve(1) = value;
        commit(1);
    }

    // Gives the memory away, cut to size. It is not null, and the caller frees it.
    T* release() {
        resize_to(std::max<std::size_t>(size_, 1));
        T* data = data_;
        data_ = nullptr;
        size_ = capacity_ = 0;
        return data;
    }

private:
    void resize_to(std::size_t capacity) {
        if (capacity > SIZE_MAX / sizeof(T)) throw std::bad_alloc();
        void* data = std::realloc(data_, capacity * sizeof(T));
        if (data == nullptr) throw std::bad_alloc();
        data_ = static_cast<T*>(data);
        capacity_ = capacity;
        ask_for_huge_pages(data, capacity * sizeof(T));
    }

    // Most of the time of a large decode would go into page faults. NumPy asks for its own large arrays likewise.
    static void ask_for_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
        constexpr std::size_t worthwhile = std::size_t{4} << 20;
        constexpr std::size_t page = 4096;
        if (bytes < worthwhile) return;
        const auto start = (reinterpret_cast<std::uintptr_t>(data) + page - 1) & ~(page - 1);
        const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) & ~(page - 1);
        madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);  // advice: failing does no harm
#endif
    }

    T* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace openfm::records
