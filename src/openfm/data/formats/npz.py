"""NumPy's npz: a sparse matrix as ``scipy.sparse.save_npz`` writes it, or an array ``X``; labels in ``y``, weights in
``weights``.

What is written here ``scipy.sparse.load_npz`` reads, and ``numpy.load`` finds labels and weights in it.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from openfm.data.formats.columns import check_width
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.matrix import block_of_matrix, labels_of_array, matrix_blocks
from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock
from openfm.data.weights import checked_weights
from openfm.errors import DataError

__all__ = ["NPZ"]

_ROWS_OF_A_BLOCK = 65536


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    try:
        yield from _blocks(source, options)
    except DataError:
        raise
    except (ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise source.error(f"{source.name} cannot be read as npz: {error}. Write the file again.") from error


def _blocks(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    assert source.path is not None  # the format does not stream
    with np.load(source.path, allow_pickle=False) as members:
        names = set(members.files)
        form = members["format"].item() if "format" in names else None
        y = members["y"] if "y" in names else None
        weights = members["weights"] if "weights" in names else None
        X = members["X"] if "X" in names and form is None else None
        shape = members["shape"] if form is not None else None
    if X is None and shape is None:
        raise source.error(
            f"{source.name} holds {', '.join(sorted(names)) or 'nothing'}: neither a matrix of scipy.sparse.save_npz "
            "nor an array named X. Save one of them, and the labels as y."
        )
    if X is not None:
        yield from _checked(matrix_blocks(X, y, name=source.name, weights=weights), options, source)
    elif form in (b"csr", "csr"):
        assert shape is not None
        yield from _checked(_read_csr(source, source.path, shape, y, weights), options, source)
    else:  # rows cannot be had one after the other
        from scipy.sparse import load_npz

        matrix = load_npz(source.path).tocsr()
        yield from _checked(matrix_blocks(matrix, y, name=source.name, weights=weights), options, source)


def _checked(blocks: Iterator[RecordBlock], options: ReadOptions, source: Source) -> Iterator[RecordBlock]:
    for block in blocks:
        check_width(block.rows.feature_dim, options.feature_dim, source)
        yield block


def _read_csr(
    source: Source,
    path: Path,
    shape: npt.NDArray[Any],
    y: npt.NDArray[Any] | None,
    weights: npt.NDArray[Any] | None,
) -> Iterator[RecordBlock]:
    """Compressed sparse rows member by member, each from its own place in the file."""
    from scipy.sparse import csr_matrix

    count, width = (int(size) for size in shape)
    labels = None if y is None else labels_of_array(y, count, source.name)
    factors = None if weights is None else checked_weights(weights, count, f"weights of {source.name}")
    with ExitStack() as stack:
        indptr, indices, data = (_Member(stack, path, name) for name in ("indptr", "indices", "data"))
        last = int(indptr.take(1)[0])
        for start in range(0, count, _ROWS_OF_A_BLOCK):
            stop = min(start + _ROWS_OF_A_BLOCK, count)
            offsets = np.concatenate(([last], indptr.take(stop - start)))
            size = int(offsets[-1]) - last
            try:
                matrix = csr_matrix(
                    (data.take(size), indices.take(size), offsets - last), shape=(stop - start, width), copy=False
                )
                matrix.check_format(full_check=True)
            except ValueError as error:
                raise source.error(
                    f"{source.name} holds no valid matrix: {error} (in rows {start} to {stop - 1}). Write the "
                    "file again."
                ) from error
            last = int(offsets[-1])
            part = slice(start, stop)
            yield block_of_matrix(
                matrix,
                None if labels is None else labels[part],
                first_row=start,
                name=source.name,
                weights=None if factors is None else factors[part],
            )


class _Member:
    """A one-dimensional array of an npz file, taken piece by piece."""

    def __init__(self, stack: ExitStack, path: Path, name: str) -> None:
        archive = stack.enter_context(zipfile.ZipFile(path))
        self._file = stack.enter_context(archive.open(f"{name}.npy"))
        version = np.lib.format.read_magic(self._file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self._dtype = read(self._file)[2]

    def take(self, count: int) -> npt.NDArray[Any]:
        """The next elements; ValueError where the file ends before."""
        data = self._file.read(count * self._dtype.itemsize)
        if count < 0 or len(data) != count * self._dtype.itemsize:
            raise ValueError("it ends before its rows do")
        return np.frombuffer(data, dtype=self._dtype)


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    parts: dict[str, IO[bytes]] = {}
    sizes = dict.fromkeys(("indptr", "indices", "data", "y", "weights"), 0)
    width = 0
    with ExitStack() as stack:

        def append(name: str, array: npt.NDArray[Any]) -> None:
            if name not in parts:
                parts[name] = stack.enter_context(tempfile.TemporaryFile())
            parts[name].write(array.tobytes())
            sizes[name] += len(array)

        append("indptr", np.zeros(1, dtype="<i8"))
        append("indices", np.zeros(0, dtype="<i4"))
        append("data", np.zeros(0, dtype="<f4"))
        for block in blocks:
            width = block.rows.feature_dim
            if block.weights is not None and "weights" not in parts:  # of the rows before
                append("weights", np.ones(sizes["indptr"] - 1, dtype="<f4"))
            if "weights" in parts:
                append("weights", np.ones(len(block), dtype="<f4") if block.weights is None else block.weights)
            append("indptr", block.rows.indptr[1:] + sizes["indices"])
            append("indices", block.rows.indices)
            append("data", block.rows.values)
            if block.labels is not None:
                append("y", block.labels)
        with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
            for name, part in parts.items():
                dtype = {"indptr": "<i8", "indices": "<i4"}.get(name, "<f4")
                part.seek(0)
                _copy(archive, name, (sizes[name],), dtype, part)
            _save(archive, "format", np.array(b"csr"))
            _save(archive, "shape", np.array([sizes["indptr"] - 1, width], dtype="<i8"))


def _copy(archive: zipfile.ZipFile, name: str, shape: tuple[int], dtype: str, content: IO[bytes]) -> None:
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": dtype, "fortran_order": False, "shape": shape})
        shutil.copyfileobj(content, member, 2**20)


def _save(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


NPZ = Format(name="npz", suffixes=(".npz",), streams=False, weights="each", read=_read, write=_write)
"""Compressed sparse rows, the labels and the weights."""
