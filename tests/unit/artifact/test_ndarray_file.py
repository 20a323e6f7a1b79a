from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest

from openfm.artifact.ndarray_file import StoredArray, array_pieces, arrays_size, read_arrays
from openfm.errors import ArtifactError
from support.artifacts import dense_array, params_bytes, row_sparse_array, shape_bytes

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3) - 5.5
V2 = 0xF993FAC9


def read(data: bytes) -> dict[str, StoredArray]:
    return read_arrays(io.BytesIO(data), len(data))


def written(arrays: dict[str, StoredArray]) -> bytes:
    return b"".join(array_pieces(arrays))


def one(array: bytes) -> StoredArray:
    return read(params_bytes({"x": array}))["x"]


def test_writes_the_bytes_of_the_format():
    arrays = {
        "arg:w": StoredArray.row_sparse(VALUES),
        "arg:b": StoredArray.dense(np.array([2.5], dtype=np.float32)),
    }
    by_hand = params_bytes({"arg:w": row_sparse_array(VALUES), "arg:b": dense_array([2.5])})
    assert written(arrays) == by_hand
    assert arrays_size(arrays) == len(by_hand)


def test_params_of_the_published_artifact_have_its_size():
    arrays = {
        "arg:w1_weight": StoredArray.row_sparse(np.zeros((2625, 1), dtype=np.float32)),
        "arg:w0_weight": StoredArray.dense(np.zeros(1, dtype=np.float32)),
        "arg:v": StoredArray.row_sparse(np.zeros((2625, 64), dtype=np.float32)),
    }
    assert len(written(arrays)) == arrays_size(arrays) == 724_775


def test_writes_arrays_that_are_not_contiguous():
    assert written({"x": StoredArray.dense(VALUES.T)}) == params_bytes({"x": dense_array(VALUES.T)})


def test_reads_arrays_in_the_order_of_the_file():
    arrays = read(params_bytes({"z": dense_array([1.0]), "a": row_sparse_array(VALUES)}))
    assert list(arrays) == ["z", "a"]
    assert arrays["a"].shape == (4, 3)
    np.testing.assert_array_equal(arrays["a"].to_float32(), VALUES)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("make", [dense_array, row_sparse_array])
def test_other_floats_become_float32(make, dtype):
    array = one(make(VALUES, dtype=dtype)).to_float32()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, VALUES)


def test_integers_are_no_parameters():
    with pytest.raises(ArtifactError, match="int32 values where floats were expected"):
        one(dense_array([1, 2], dtype="int32")).to_float32()


@pytest.mark.parametrize("id_dtype", ["int32", "int64"])
def test_rows_left_out_are_zero_and_row_ids_come_in_any_order(id_dtype):
    array = one(row_sparse_array(VALUES[:3], [6, 0, 3], rows=7, id_dtype=id_dtype)).to_float32()
    expected = np.zeros((7, 3), dtype=np.float32)
    expected[[6, 0, 3]] = VALUES[:3]
    np.testing.assert_array_equal(array, expected)


def test_all_rows_in_another_order():
    array = one(row_sparse_array(VALUES, [2, 3, 1, 0])).to_float32()
    np.testing.assert_array_equal(array[[2, 3, 1, 0]], VALUES)


def test_no_stored_row_is_all_zeros():
    array = one(row_sparse_array(np.zeros((0, 3)), [], rows=4)).to_float32()
    np.testing.assert_array_equal(array, np.zeros((4, 3)))


def test_values_are_read_once_and_not_copied():
    data = params_bytes({"x": row_sparse_array(np.ones((100_000, 8)))})
    stream = io.BytesIO(data)
    tracemalloc.start()
    try:
        array = read_arrays(stream, len(data))["x"].to_float32()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert array.nbytes == 3_200_000
    # Values, row ids, as many to compare these with, and one piece of the stream.
    assert peak < 3_200_000 + 2 * 800_000 + 2 * 2**20


def test_cut_at_every_byte():
    data = params_bytes({"arg:w": row_sparse_array(VALUES), "arg:b": dense_array([2.5])})
    for length in range(len(data)):
        with pytest.raises(ArtifactError, match=r"ends early|not an MXNet file"):
            read(data[:length])
        with pytest.raises(ArtifactError, match=r"ends early, within|not an MXNet file"):
            read_arrays(io.BytesIO(data[:length]), len(data))


def header(magic: int = V2, storage: int = 0) -> bytes:
    return struct.pack("<Ii", magic, storage)


def device_and(dtype: int = 0) -> bytes:
    return struct.pack("<iii", 1, 0, dtype)


HOSTILE = {
    "not_0x112": (b"\x13" + bytes(23), "does not begin with 0x112"),
    "four_billion_arrays": (struct.pack("<QQQ", 0x112, 0, 2**32), "claims to hold 4294967296 arr"),
    "bytes_after_the_end": (params_bytes({"x": dense_array([1.0])}) + b"x", "1 bytes after its"),
    "two_names_alike": (
        params_bytes({"x": dense_array([1.0])})[:-17].replace(
            struct.pack("<QQQ", 0x112, 0, 1), struct.pack("<QQQ", 0x112, 0, 2)
        )
        + dense_array([1.0])
        + struct.pack("<Q", 2)
        + 2 * (struct.pack("<Q", 1) + b"x"),
        "names two arrays alike: x, x",
    ),
    "names_missing": (
        struct.pack("<QQQ", 0x112, 0, 1) + dense_array([1.0]) + struct.pack("<Q", 0),
        "1 arrays, but 0 names",
    ),
    "endless_name": (
        struct.pack("<QQQ", 0x112, 0, 1) + dense_array([1.0]) + struct.pack("<QQ", 1, 2**60),
        "name 0 claims to be",
    ),
    "name_not_utf8": (
        struct.pack("<QQQ", 0x112, 0, 1) + dense_array([1.0]) + struct.pack("<QQ", 1, 1) + b"\xff",
        "name 0 is not UTF-8",
    ),
}


@pytest.mark.parametrize(("data", "sentence"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files(data, sentence):
    with pytest.raises(ArtifactError, match=sentence):
        read(data)


HOSTILE_ARRAYS = {
    "version_1": (header(magic=0xF993FAC8), "begins with 0xf993fac8"),
    "csr": (header(storage=2), "storage type 2"),
    "no_dimension": (header() + shape_bytes(()), "0 dimensions"),
    "four_billion_dimensions": (header() + struct.pack("<I", 2**32 - 1), "4294967295 dimensions"),
    "negative_dimension": (header() + shape_bytes((-1, 3)), "no dimension may be negative"),
    "absurd_dimension": (
        header() + shape_bytes((2**60, 64)) + device_and(),
        "takes 295147905179352825856 bytes",
    ),
    "unknown_dtype": (header() + shape_bytes((1,)) + device_and(77), "is 77, which is none of"),
    "more_stored_rows_than_rows": (
        row_sparse_array(VALUES, rows=3),
        "do not fit each other",
    ),
    "stored_rows_of_another_width": (
        header(storage=1)
        + shape_bytes((4, 2))
        + shape_bytes((4, 3))
        + device_and()
        + struct.pack("<i", 6)
        + shape_bytes((4,)),
        "do not fit each other",
    ),
    "fewer_row_ids_than_rows": (
        row_sparse_array(VALUES, [0, 1, 2]),
        "do not fit each other",
    ),
    "row_id_too_high": (row_sparse_array(VALUES, [0, 1, 2, 9], rows=9), "stores row 9, but has"),
    "row_id_negative": (row_sparse_array(VALUES, [0, -1, 2, 3]), "stores row -1, but has rows 0"),
    "row_id_twice": (row_sparse_array(VALUES, [0, 1, 1, 3]), "stores a row twice"),
    "row_ids_of_floats": (
        row_sparse_array(VALUES, id_dtype="float64"),
        "row ids of type float64",
    ),
}


@pytest.mark.parametrize(("array", "sentence"), HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS.keys())
def test_hostile_arrays(array, sentence):
    with pytest.raises(ArtifactError, match=sentence):
        one(array)


@pytest.mark.parametrize(
    "array",
    [dense_array(VALUES), row_sparse_array(VALUES), row_sparse_array(np.zeros((12, 0)))],
    ids=["dense", "row_sparse", "row_ids_alone"],
)
def test_more_values_than_the_machine_has(array):
    data = params_bytes({"x": array})
    assert list(read_arrays(io.BytesIO(data), len(data), max_values=12)) == ["x"]
    with pytest.raises(ArtifactError, match=r"stores 12 values or row ids, where a machine .* has at most 11"):
        read_arrays(io.BytesIO(data), len(data), max_values=11)


def test_one_row_does_not_make_a_terabyte():
    array = one(row_sparse_array(VALUES[:1], [0], rows=2**31 - 1))
    with pytest.raises(ArtifactError, match="12 bytes of rows for 25769803764 bytes of array"):
        array.to_float32()
