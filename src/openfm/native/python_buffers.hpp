// Bytes from Python and columns to it, without a copy where one can be spared.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "records_column.hpp"

namespace openfm {

// The bytes of a bytes-like object, held for as long as this lives.
class BytesView {
public:
    explicit BytesView(nanobind::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_SIMPLE) != 0) throw nanobind::python_error();
    }
    BytesView(const BytesView&) = delete;
    BytesView& operator=(const BytesView&) = delete;
    ~BytesView() { PyBuffer_Release(&buffer_); }

    template <class Byte>
    const Byte* begin() const {
        return static_cast<const Byte*>(buffer_.buf);
    }
    std::size_t size() const { return static_cast<std::size_t>(buffer_.len); }

private:
    Py_buffer buffer_;
};

// Hands a column to NumPy.
template <class T>
nanobind::object to_numpy(records::Column<T>& column) {
    column.trim();
    auto own = std::make_unique<records::Column<T>>(std::move(column));
    const std::size_t size = own->size();
    T* const data = own->reserve(1) - size;  // not null, even if it is empty
    const nanobind::capsule owner(own.get(), [](void* p) noexcept { delete static_cast<records::Column<T>*>(p); });
    own.release();
    return nanobind::cast(nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>>(data, {size}, owner));
}

// A copy of such values as an array of NumPy.
template <class T>
nanobind::object copied(const T* data, std::size_t size) {
    records::Column<T> column;
    if (size != 0) std::memcpy(column.reserve(size), data, size * sizeof(T));
    column.commit(size);
    return to_numpy(column);
}

// Gives the GIL up while this lives, if the work is long. What takes some ten microseconds is done before another thread
// would have woken up, and would then wait until that one gives the GIL back.
class ReleaseIfLong {
public:
    explicit ReleaseIfLong(bool is_long) {
        if (is_long) release_.emplace();
    }

private:
    std::optional<nanobind::gil_scoped_release> release_;
};

// What `encode` appends to a column of bytes, without the GIL if that takes long.
template <class Byte, class Encode>
nanobind::bytes encode_to_bytes(bool is_long, Encode encode) {
    records::Column<Byte> out;
    {
        const ReleaseIfLong release(is_long);
        encode(out);
    }
    return nanobind::bytes(out.data(), out.size());
}

}  // namespace openfm
