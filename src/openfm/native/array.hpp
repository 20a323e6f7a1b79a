// Memory for what the kernels read and write.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

namespace openfm {

// An array that is not set to zero first and can give back what it does not use.
template <class T>
class Array {
public:
    Array() = default;
    explicit Array(int64_t size) : data_(static_cast<T*>(std::malloc(bytes(size)))) {
        if (!data_) throw std::bad_alloc();
    }
    T* get() { return data_.get(); }
    const T* get() const { return data_.get(); }
    T& operator[](int64_t i) { return data_.get()[i]; }
    const T& operator[](int64_t i) const { return data_.get()[i]; }

    void shrink(int64_t size) {
        T* moved = static_cast<T*>(std::realloc(data_.get(), bytes(size)));
        if (!moved) return;  // the larger array serves as well
        data_.release();
        data_.reset(moved);
    }

private:
    static size_t bytes(int64_t size) {
        if (size > std::numeric_limits<int64_t>::max() / static_cast<int64_t>(sizeof(T))) throw std::bad_alloc();
        return sizeof(T) * static_cast<size_t>(size > 0 ? size : 1);
    }
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> data_;
};

// Floats on their own cache lines, not set to zero first. Many lie on huge pages where the system gives them, since the
// kernels jump about in them.
class AlignedFloats {
public:
    AlignedFloats() = default;
    // Room for floats * times.
    AlignedFloats(int64_t floats, int64_t times);
    // The memory is then the caller's, for std::free or std::realloc.
    float* release() { return data_.release(); }
    float* get() { return data_.get(); }
    const float* get() const { return data_.get(); }
    // What the memory takes: all of its last huge page too.
    int64_t bytes() const { return bytes_; }

private:
    struct Free {
        void operator()(float* p) const { std::free(p); }
    };
    std::unique_ptr<float, Free> data_;
    int64_t bytes_ = 0;
};

}  // namespace openfm
