"""NumPy's npy: one two-dimensional array of numbers. It is mapped, not loaded.

The labels may be one of its columns; in files that are written they are the first one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import BinaryIO

import numpy as np

from openfm.data.formats.columns import block_of_array, check_width, dense_array, target_number
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.matrix import matrix_blocks
from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock

__all__ = ["NPY"]


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    assert source.path is not None  # the format does not stream
    try:
        array = np.load(source.path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise source.error(f"{source.name} cannot be read as a NumPy array: {error}. Write the file again.") from error
    if array.ndim != 2:
        raise source.error(f"{source.name} has {array.ndim} dimension(s), where two are needed: rows and columns.")
    width = array.shape[1]
    target = target_number(options.target, None, source)
    if target is not None and target >= width:
        raise source.error(f"{source.name} has {width} columns, numbered from 0: none is the target {target}.")
    check_width(width - (target is not None), options.feature_dim, source)
    for block in matrix_blocks(array, None, name=source.name):
        if target is None:
            yield block
        else:
            dense = dense_array(block)
            yield block_of_array(np.delete(dense, target, axis=1), dense[:, target].copy())


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    start, count, width = file.tell(), 0, 0
    for block in blocks:
        array = dense_array(block)
        if block.labels is not None:
            array = np.column_stack((block.labels, array))
        if count == 0:
            width = array.shape[1]
            _write_header(file, 0, width)
        file.write(array.tobytes())
        count += len(array)
    end = file.tell()
    file.seek(start)
    _write_header(file, count, width)  # NumPy leaves room for the count of rows to grow
    file.seek(max(end, file.tell()))


def _write_header(file: BinaryIO, rows: int, columns: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns)}
    np.lib.format.write_array_header_1_0(file, header)


NPY = Format(name="npy", suffixes=(".npy",), streams=False, weights="no", read=_read, write=_write)
"""A dense float32 array, the label first if there are labels."""
