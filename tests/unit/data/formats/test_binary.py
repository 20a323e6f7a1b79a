"""Parquet, npz, npy and recordio: what is read, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
from pyarrow import parquet

from openfm.data.formats.files import iter_data, read_data, write_data
from openfm.data.formats.registry import find_format
from openfm.data.records import write_records
from openfm.errors import DataError

X = np.array([[1.0, 0.0, 2.5], [0.0, 0.0, 0.0], [0.0, -3.0, 0.0]], dtype=np.float32)
Y = np.array([1.0, 0.0, 5.5], dtype=np.float32)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("compressed", [True, False])
def test_npz_is_what_scipy_saves(tmp_path: Path, kind: str, compressed: bool) -> None:
    scipy.sparse.save_npz(tmp_path / "X.npz", scipy.sparse.csr_matrix(X).asformat(kind), compressed=compressed)

    rows, labels = read_data(tmp_path / "X.npz")

    np.testing.assert_array_equal(rows.toarray(), X)
    assert labels is None


def test_scipy_loads_npz(tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz", X, Y)

    np.testing.assert_array_equal(scipy.sparse.load_npz(tmp_path / "data.npz").toarray(), X)
    np.testing.assert_array_equal(np.load(tmp_path / "data.npz")["y"], Y)


def test_npz_may_hold_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", X=X.astype(np.float64), y=Y.reshape(-1, 1).astype(int))

    rows, labels = read_data(tmp_path / "data.npz")

    np.testing.assert_array_equal(rows.toarray(), X)
    np.testing.assert_array_equal(labels, [1, 0, 5])


def test_npz_is_read_in_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    matrix = scipy.sparse.csr_matrix(rng.integers(0, 2, (150_000, 9)).astype(np.float32))
    write_data(tmp_path / "data.npz", matrix, np.arange(150_000))

    blocks = list(iter_data(tmp_path / "data.npz"))

    assert len(blocks) == 3
    assert (scipy.sparse.vstack([rows for rows, _ in blocks]) != matrix).nnz == 0
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in blocks]), np.arange(150_000))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Z": X}, "holds Z: neither a matrix of scipy.sparse.save_npz nor an array named X"),
        ({"X": Y}, "has 1 dimension(s), where two are needed"),
        ({"X": X, "y": Y[:2]}, "The labels of '{}' have the shape (2,), where (3,) is needed"),
        ({"X": X, "y": Y * np.nan}, "The label of row 0 of '{}' is nan, which is not a finite float32"),
        ({"X": np.array([[1.0, 2.0], [3.0, 1e39]])}, "Row 1, column 1 of '{}' is missing (NaN), infinite or too large"),
        ({"X": X.astype(str)}, "holds <U32 values, where numbers are needed"),
        ({"X": np.array([[None]])}, "cannot be read as npz: Object arrays cannot be loaded"),
        (
            {"format": b"csr", "shape": (2, 3), "indptr": [0, 1, 2], "indices": [0, 7], "data": [1.0, 1.0]},
            "no valid matrix",
        ),
        (
            {"format": b"csr", "shape": (2, 3), "indptr": [0, 1, 9], "indices": [0, 1], "data": [1.0, 1.0]},
            "no valid matrix",
        ),
        ({"format": b"csr", "shape": (2, 3), "indices": [0], "data": [1.0]}, "cannot be read as npz"),
        ({"format": b"csr", "shape": (2,), "indptr": [0], "indices": [0], "data": [1.0]}, "cannot be read as npz"),
        ({"format": b"xyz", "shape": (2, 3)}, "cannot be read as npz"),
    ],
)
def test_npz_faults_say_what_is_wrong(tmp_path: Path, members: dict, message: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **members)
    with pytest.raises(DataError) as raised:
        read_data(path)
    assert message.format(path) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "what"), [("x.npz", "as npz"), ("x.npy", "as a NumPy array"), ("x.parquet", "as Parquet")]
)
def test_other_files_are_refused(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_text("nothing of the kind, but long enough to look into")
    with pytest.raises(DataError, match=f"cannot be read {what}"):
        read_data(tmp_path / name)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2", "?"])
def test_npy_of_any_numbers(tmp_path: Path, order: str, dtype: str) -> None:
    array = np.asarray(X, dtype=dtype, order=order)
    np.save(tmp_path / "X.npy", array)

    rows, labels = read_data(tmp_path / "X.npy", target=1)

    np.testing.assert_array_equal(rows.toarray(), array[:, [0, 2]])
    np.testing.assert_array_equal(labels, array[:, 1])


def test_numpy_loads_npy_written_in_blocks(tmp_path: Path) -> None:
    write_data(tmp_path / "data.npy", iter([(X, Y), (X[:1], Y[:1])]))

    expected = np.column_stack((Y, X))
    np.testing.assert_array_equal(np.load(tmp_path / "data.npy"), np.vstack((expected, expected[:1])))


def test_npy_faults_say_what_is_wrong(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(DataError, match="has 3 columns, numbered from 0: none is the target 3"):
        read_data(tmp_path / "X.npy", target=3)
    with pytest.raises(DataError, match="give the target by its number, from 0, not as 'y'"):
        read_data(tmp_path / "X.npy", target="y")
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(DataError, match=r"has 1 dimension\(s\), where two are needed"):
        read_data(tmp_path / "y.npy")


def test_parquet_of_any_numbers(tmp_path: Path) -> None:
    table = pa.table(
        {
            "i": pa.array([1, 0, 3], pa.int64()),
            "rating": pa.array([5, 4, 3], pa.uint8()),
            "b": pa.array([True, False, True]),
            "h": pa.array([0.5, 0.0, -1.5], pa.float32()),
        }
    )
    parquet.write_table(table, tmp_path / "data.parquet", row_group_size=2)

    rows, labels = read_data(tmp_path / "data.parquet", target="rating")

    assert rows.toarray().tolist() == [[1, 1, 0.5], [0, 0, 0], [3, 1, -1.5]]
    assert labels.tolist() == [5.0, 4.0, 3.0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["a", "b"]), "Column 'c' of '{}' is of the type string, where numbers are needed"),
        (pa.array([1.0, None]), "Row 1 of '{}' has no value in column 'c'"),
        (pa.array([float("nan"), 1.0]), "Row 0 of '{}' holds nan in column 'c', which is not a finite float32"),
        (pa.array([1.0, 1e39]), "Row 1 of '{}' holds 1e+39 in column 'c', which is not a finite float32"),
    ],
)
def test_parquet_faults_name_row_and_column(tmp_path: Path, column: pa.Array, message: str) -> None:
    path = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"c": column}), path)
    with pytest.raises(DataError) as raised:
        read_data(path)
    assert message.format(path) in str(raised.value)


def test_recordio_keeps_rows_dense_or_sparse(tmp_path: Path) -> None:
    for rows in (X, scipy.sparse.csr_matrix(X)):
        write_data(tmp_path / "ours.rec", rows, Y)
        write_records(tmp_path / "theirs.rec", rows, Y)
        assert (tmp_path / "ours.rec").read_bytes() == (tmp_path / "theirs.rec").read_bytes()


def test_recordio_faults_name_the_record(tmp_path: Path) -> None:
    write_records(tmp_path / "x.rec", X, Y)
    data = (tmp_path / "x.rec").read_bytes()
    (tmp_path / "x.rec").write_bytes(data[:-3])
    with pytest.raises(DataError, match=r"x.rec': Record 2 \(byte \d+\) is cut off"):
        read_data(tmp_path / "x.rec")
    write_records(tmp_path / "y.rec", X)
    (tmp_path / "x.rec").write_bytes(data + (tmp_path / "y.rec").read_bytes())
    with pytest.raises(DataError, match="unlike the records before it"):
        read_data(tmp_path / "x.rec")


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("before")
    with pytest.raises(DataError, match="Row 0, column 0 of X is missing"):
        write_data(path, np.array([[np.nan]]))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_names_tell_formats() -> None:
    assert find_format(None, Path("a/B.CSV.gz")).name == "csv"
    assert find_format("tsv", Path("b.csv")).name == "tsv"
    with pytest.raises(DataError, match=r"The name of 'model.tar.gz' does not tell its format"):
        find_format(None, Path("model.tar.gz"))
    with pytest.raises(DataError, match=r"There is no format 'xls'\. The formats are recordio, libsvm"):
        find_format("xls", None)
