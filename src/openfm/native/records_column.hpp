#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include "records_memory.hpp"

namespace openfm::records {

// A growing array, which NumPy takes over without a copy.
template <class T>
class Column {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    Column() = default;
    Column(Column&& other) noexcept : memory_(other.memory_), size_(other.size_) {
        other.memory_ = {};
        other.size_ = 0;
    }
    Column& operator=(Column&&) = delete;
    ~Column() { give_memory(memory_); }

    std::size_t size() const { return size_; }
    T* data() { return static_cast<T*>(memory_.data); }

    // Room for `extra` more elements; they count once they are committed.
    T* reserve(std::size_t extra) {
        if (capacity() - size_ < extra) move_to(std::max(size_ + extra, capacity() + capacity() / 2 + 16));
        return data() + size_;
    }

    void commit(std::size_t count) { size_ += count; }

    void push(T value) {
        *reserve(1) = value;
        commit(1);
    }

    // Gives back memory that is not used, if it is much: whoever gets the column may keep it for long.
    void trim() {
        if (capacity() / 2 > size_) move_to(size_);
    }

private:
    std::size_t capacity() const { return memory_.bytes / sizeof(T); }

    void move_to(std::size_t capacity) {
        if (capacity > SIZE_MAX / sizeof(T)) throw std::bad_alloc();
        memory_ = move_memory(memory_, size_ * sizeof(T), capacity * sizeof(T));
    }

    Memory memory_;
    std::size_t size_ = 0;
};

}  // namespace openfm::records
