"""``params``: MXNet's list of named arrays, read and written without MXNet.

The form is that of ``NDArray::Save`` in apache/mxnet ``src/ndarray/ndarray.cc`` (version 2, MXNet
0.12 to 1.9), all little endian::

    uint64 0x112, uint64 0
    uint64 n, then n arrays:
        uint32 0xF993FAC9                       version 2
        int32 storage type                      0 dense, 1 row_sparse
        shape of the stored rows                row_sparse only
        shape                                   uint32 dimensions, int64 each
        int32 device type, int32 device id      1, 0: the CPU
        int32 type of the values
        int32 type, shape of the row ids        row_sparse only
        values, then row ids
    uint64 n, then n names: uint64 length, bytes
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from openfm.artifact.limits import unpacked_limit
from openfm.errors import ArtifactError
from openfm.stored_zip import PIECE_BYTES

__all__ = ["LIST_MAGIC", "Readable", "StoredArray", "array_pieces", "arrays_size", "read_arrays"]

LIST_MAGIC = 0x112
"""The first eight bytes of a file of arrays."""

_MAGIC_V2 = 0xF993FAC9
_MAGIC_V3 = 0xF993FACA  # the same layout; MXNet writes it where NumPy's rules for shapes are switched on
_DENSE, _ROW_SPARSE = 0, 1
_CPU = (1, 0)
_FLOAT32, _INT64 = 0, 6
_DTYPES: dict[int, str] = {0: "<f4", 1: "<f8", 2: "<f2", 3: "|u1", 4: "<i4", 5: "|i1", 6: "<i8"}

_MAX_ARRAYS = 64
_MAX_DIMENSIONS = 8
_MAX_NAME_BYTES = 1024
_PIECE_IDS = PIECE_BYTES // 8
_OWN_PAGES_BYTES = 2**22  # from here on NumPy asks for huge pages


class Readable(Protocol):
    """Where arrays are read from."""

    def readinto(self, memory: memoryview, /) -> int:
        """Fill ``memory`` as far as there is something; 0: there is no more."""
        ...


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array as it lies in the file.

    Attributes:
        shape: the array's shape.
        values: the stored values: of ``shape``, or of (stored rows, *shape[1:]) when ``row_ids`` is
            given.
        row_ids: the rows that ``values`` holds, integers of shape (stored rows,), each once and below ``shape[0]``;
            all others are zero. None: ``values`` holds all rows in order.
        as_rows: whether it is stored as row_sparse, not dense.
        finite: whether the values are known to be finite float32; False: nobody looked.
    """

    shape: tuple[int, ...]
    values: npt.NDArray[Any]
    row_ids: npt.NDArray[Any] | None = None
    as_rows: bool = False
    finite: bool = False

    @classmethod
    def dense(cls, values: npt.NDArray[np.float32]) -> StoredArray:
        """An array to be stored whole."""
        return cls(values.shape, values)

    @classmethod
    def row_sparse(cls, values: npt.NDArray[np.float32]) -> StoredArray:
        """An array to be stored as rows, all of them, as Amazon's container stores w and V."""
        return cls(values.shape, values, as_rows=True)

    def to_float32(self) -> npt.NDArray[np.float32]:
        """The whole array in float32; the stored values themselves where they are just that.

        Raises:
            ArtifactError: the values are integers, or the rows left out take far more room than
                those stored.
        """
        if self.values.dtype.kind != "f":
            raise ArtifactError(f"it stores {self.values.dtype} values where floats were expected")
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which is refused later
            values = self.values.astype(np.float32, copy=False)
        if self.row_ids is None:
            return values
        needed = math.prod(self.shape) * values.itemsize
        if needed > unpacked_limit(values.nbytes):
            raise ArtifactError(f"it stores {values.nbytes} bytes of rows for {needed} bytes of array")
        whole = np.zeros(self.shape, dtype=np.float32)
        whole[self.row_ids] = values
        return whole


def read_arrays(stream: Readable, size: int, *, max_values: int | None = None) -> dict[str, StoredArray]:
    """Read a whole file of named arrays; each array's values are read once, into their own memory.

    Args:
        stream: positioned at the file's first byte.
        size: the bytes that the file has; no array is given memory beyond it.
        max_values: the most values, or row ids, that an array may have.

    Returns:
        Name to array, in the file's order.

    Raises:
        ArtifactError: it is no such file, ends early, goes on after its end, or holds arrays of a
            kind that a Factorization Machine has not.
    """
    source = _Source(stream, size)
    if source.unpack("<Q", "its first bytes") != LIST_MAGIC:
        raise ArtifactError("params is not an MXNet file of arrays (it does not begin with 0x112)")
    source.unpack("<Q", "its reserved word")
    count = source.unpack("<Q", "its number of arrays")
    if count > _MAX_ARRAYS:
        raise ArtifactError(f"params claims to hold {count} arrays; a Factorization Machine has three")
    arrays = [_read_array(source, max_values, f"array {index}") for index in range(count)]
    names = _read_names(source, count)
    if source.remaining:
        raise ArtifactError(f"params has {source.remaining} bytes after its last name")
    return dict(zip(names, arrays, strict=True))


def array_pieces(arrays: Mapping[str, StoredArray]) -> Iterator[bytes | memoryview]:
    """The bytes of a file of named arrays (float32, row ids int64), as MXNet's ``nd.save`` writes them, in pieces."""
    yield struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays))
    for array in arrays.values():
        yield _array_header(array)
        yield _bytes_of(np.ascontiguousarray(array.values, dtype="<f4"))
        if array.as_rows:
            rows = array.shape[0]
            for start in range(0, rows, _PIECE_IDS):
                yield _bytes_of(np.arange(start, min(rows, start + _PIECE_IDS), dtype="<i8"))
    yield _names(arrays)


def arrays_size(arrays: Mapping[str, StoredArray]) -> int:
    """The number of bytes of :func:`array_pieces`."""
    return (
        struct.calcsize("<QQQ")
        + sum(len(_array_header(array)) + 4 * array.values.size for array in arrays.values())
        + sum(8 * array.shape[0] for array in arrays.values() if array.as_rows)
        + len(_names(arrays))
    )


def _array_header(array: StoredArray) -> bytes:
    context = struct.pack("<iii", *_CPU, _FLOAT32)
    if not array.as_rows:
        return struct.pack("<Ii", _MAGIC_V2, _DENSE) + _shape(array.shape) + context
    return (
        struct.pack("<Ii", _MAGIC_V2, _ROW_SPARSE)
        + _shape(array.shape)  # of the rows that are stored: all
        + _shape(array.shape)
        + context
        + struct.pack("<i", _INT64)
        + _shape(array.shape[:1])
    )


def _shape(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<I{len(shape)}q", len(shape), *shape)


def _names(arrays: Mapping[str, StoredArray]) -> bytes:
    encoded = [name.encode() for name in arrays]
    return struct.pack("<Q", len(encoded)) + b"".join(struct.pack("<Q", len(name)) + name for name in encoded)


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


class _Source:
    """The bytes still to come, of which no more can be asked for than there are."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self.remaining = size

    def unpack(self, layout: str, what: str) -> int:
        """One number."""
        (number,) = struct.unpack(layout, self.take(struct.calcsize(layout), what))
        return int(number)

    def take(self, count: int, what: str) -> bytes:
        """A few bytes; ``what`` they are, for the sentence when they are missing."""
        return self.array(np.dtype(np.uint8), (count,), what)[0].tobytes()

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...], what: str) -> tuple[npt.NDArray[Any], bool]:
        """An array of its own memory, filled from the stream, and whether it is known to be finite float32."""
        size = math.prod(shape) * dtype.itemsize
        if size > self.remaining:
            raise ArtifactError(f"params ends early: {what} takes {size} bytes and {self.remaining} are left")
        out = _new_array(shape, dtype, size)
        self.remaining -= size
        memory, flat = _bytes_of(out), out.reshape(-1)
        finite = dtype == np.float32
        length = PIECE_BYTES // dtype.itemsize
        for start in range(0, len(flat), length):
            piece = flat[start : start + length]
            self._fill(memory[start * dtype.itemsize :][: piece.nbytes], what)
            finite = finite and _is_finite(piece)
        return out, finite

    def _fill(self, memory: memoryview, what: str) -> None:
        while len(memory):
            count = self._stream.readinto(memory)
            if not count:
                raise ArtifactError(f"params ends early, within {what}")
            memory = memory[count:]


def _new_array(shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> npt.NDArray[Any]:
    """An array of ``size`` bytes, whose memory has pages of the ordinary size.

    NumPy asks for huge pages where an array is large. On a virtual machine whose host has to find them first, filling
    such an array was seen to take five times as long, and a server waits for that when it starts.
    """
    if size < _OWN_PAGES_BYTES:
        return np.empty(shape, dtype=dtype)
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no memory for an array of {size} bytes") from error
    return np.frombuffer(memory, dtype=dtype).reshape(shape)


def _is_finite(values: npt.NDArray[np.float32]) -> bool:
    # Both are NaN if any value is; much faster than a mask.
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _read_array(source: _Source, max_values: int | None, what: str) -> StoredArray:
    magic = source.unpack("<I", f"{what}'s version")
    if magic not in (_MAGIC_V2, _MAGIC_V3):
        raise ArtifactError(
            f"params: {what} begins with {magic:#010x}; only MXNet's version 2 ({_MAGIC_V2:#010x}) can be read"
        )
    storage = source.unpack("<i", f"{what}'s storage type")
    if storage not in (_DENSE, _ROW_SPARSE):
        raise ArtifactError(f"params: {what} has storage type {storage}, neither dense nor row_sparse")
    stored_shape = _read_shape(source, f"{what}'s stored shape") if storage == _ROW_SPARSE else None
    shape = _read_shape(source, f"{what}'s shape")
    source.take(8, f"{what}'s device")
    dtype = _read_dtype(source, f"{what}'s value type")
    values_or_ids = max(math.prod(stored_shape or shape), stored_shape[0] if stored_shape else 0)
    if max_values is not None and values_or_ids > max_values:
        raise ArtifactError(
            f"params: {what} of shape {shape} stores {values_or_ids} values or row ids, where a machine of the "
            f"feature_dim and num_factors of meta.json has at most {max_values}"
        )
    if stored_shape is None:
        values, finite = source.array(dtype, shape, f"{what} of shape {shape}")
        return StoredArray(shape, values, finite=finite)
    id_dtype = _read_dtype(source, f"{what}'s row id type")
    id_shape = _read_shape(source, f"{what}'s row ids' shape")
    rows = stored_shape[0]
    if stored_shape[1:] != shape[1:] or rows > shape[0] or id_shape != (rows,):
        raise ArtifactError(
            f"params: {what} has shape {shape}, stored rows of shape {stored_shape} and row ids of "
            f"shape {id_shape}, which do not fit each other"
        )
    values, finite = source.array(dtype, stored_shape, f"{what} of shape {stored_shape}")
    row_ids, _ = source.array(id_dtype, id_shape, f"{what}'s row ids")
    if _counts_up(row_ids, shape[0]):
        return StoredArray(shape, values, as_rows=True, finite=finite)
    _check_row_ids(row_ids, shape[0], what)
    return StoredArray(shape, values, row_ids, as_rows=True, finite=finite)


def _read_shape(source: _Source, what: str) -> tuple[int, ...]:
    dimensions = source.unpack("<I", what)
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ArtifactError(f"params: {what} has {dimensions} dimensions; 1 to {_MAX_DIMENSIONS} can be read")
    shape = struct.unpack(f"<{dimensions}q", source.take(8 * dimensions, what))
    if min(shape) < 0:
        raise ArtifactError(f"params: {what} is {shape}; no dimension may be negative")
    return tuple(shape)


def _read_dtype(source: _Source, what: str) -> np.dtype[Any]:
    flag = source.unpack("<i", what)
    if flag not in _DTYPES:
        raise ArtifactError(f"params: {what} is {flag}, which is none of MXNet's")
    return np.dtype(_DTYPES[flag])


def _check_row_ids(row_ids: npt.NDArray[Any], rows: int, what: str) -> None:
    if row_ids.dtype.kind != "i":
        raise ArtifactError(f"params: {what} has row ids of type {row_ids.dtype}")
    if not len(row_ids):
        return
    low, high = int(row_ids.min()), int(row_ids.max())
    if low < 0 or high >= rows:
        wrong = low if low < 0 else high
        raise ArtifactError(f"params: {what} stores row {wrong}, but has rows 0 to {rows - 1}")
    if len(np.unique(row_ids)) < len(row_ids):
        raise ArtifactError(f"params: {what} stores a row twice")


def _counts_up(row_ids: npt.NDArray[Any], rows: int) -> bool:
    """Whether these are all rows in order."""
    if row_ids.dtype.kind != "i" or len(row_ids) != rows:
        return False
    first = np.arange(min(rows, _PIECE_IDS), dtype=row_ids.dtype)
    pieces = ((start, row_ids[start : start + _PIECE_IDS]) for start in range(0, rows, _PIECE_IDS))
    return all(np.array_equal(piece, first[: len(piece)] + start) for start, piece in pieces)


def _read_names(source: _Source, arrays: int) -> list[str]:
    count = source.unpack("<Q", "the number of names")
    if count != arrays:
        raise ArtifactError(f"params holds {arrays} arrays, but {count} names")
    names: list[str] = []
    for index in range(count):
        length = source.unpack("<Q", f"name {index}'s length")
        if length > _MAX_NAME_BYTES:
            raise ArtifactError(f"params: name {index} claims to be {length} bytes long")
        try:
            names.append(source.take(length, f"name {index}").decode())
        except UnicodeDecodeError as error:
            raise ArtifactError(f"params: name {index} is not UTF-8") from error
    if len(set(names)) < len(names):
        raise ArtifactError(f"params names two arrays alike: {', '.join(names)}")
    return names
