"""recordIO-protobuf, what SageMaker's Factorization Machines train on: see :mod:`openfm.data.records`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import BinaryIO

from openfm.data.faults import Fault, data_error
from openfm.data.formats.columns import dense_array
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.identities import RecordIdentities
from openfm.data.records import BLOCK_BYTES, RecordBlock
from openfm.data.writing import encode_matrix, encode_rows
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["RECORDIO"]


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    buffer = bytearray(BLOCK_BYTES)
    filled = record = offset = 0
    final = False
    with closing(source.open()) as stream:
        while not final:
            with memoryview(buffer) as view:
                while filled < len(view) and not final:
                    count = stream.readinto(view[filled:])
                    filled += count
                    final = count == 0
            decoded = _core.decode_records(
                memoryview(buffer)[:filled],
                options.feature_dim,
                "optional",
                framed=True,
                final=final,
                identities=options.identities,
            )
            if decoded.fault is not None:
                kind, number, start, found, expected = decoded.fault
                error = data_error(Fault(kind, record + number, offset + start, found, expected))
                raise source.error(f"{source.name}: {error}")
            block = RecordBlock(
                SparseRows(decoded.indptr, decoded.indices, decoded.values, decoded.feature_dim),
                decoded.labels,
                decoded.dense_records,
                None if decoded.identities is None else RecordIdentities(*decoded.identities),
            )
            if len(block):
                yield block
            record += len(block)
            offset += decoded.consumed
            buffer[: filled - decoded.consumed] = buffer[decoded.consumed : filled]
            filled -= decoded.consumed
            if filled == len(buffer):  # one record is larger than the buffer
                buffer.extend(bytes(len(buffer)))


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    for block in blocks:
        if block.dense_records == len(block):
            file.writelines(encode_matrix(dense_array(block), block.labels, dense=True))
        else:
            file.writelines(encode_rows(block.rows, block.labels))


RECORDIO = Format(
    name="recordio",
    suffixes=(".rec", ".recordio", ".pbr", ".protobuf"),
    streams=True,
    width_varies=True,
    read=_read,
    write=_write,
)
"""Records with the label and the features named ``values``; dense where the rows came from a table or an array."""
