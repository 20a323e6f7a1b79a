"""recordIO-protobuf, what SageMaker's Factorization Machines train on: see :mod:`openfm.data.records`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import BinaryIO

from openfm.data.faults import Fault, data_error
from openfm.data.formats.columns import dense_array
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.places import START
from openfm.data.record_stream import BLOCK_BYTES, decode_stream
from openfm.data.records import RecordBlock, block_of
from openfm.data.writing import encode_matrix, encode_rows
from openfm.errors import DataError

__all__ = ["RECORDIO"]


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    def refuse(fault: Fault, frame: bytes) -> DataError:
        return source.error(f"{source.name}: {data_error(fault)}")

    with closing(source.open()) as stream:
        found = decode_stream(
            stream,
            feature_dim=options.feature_dim,
            labels="optional",
            start=START,
            refuse=refuse,
            block_bytes=BLOCK_BYTES,
            identities=options.identities,
        )
        for decoded, _ in found:
            yield block_of(decoded)


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    for block in blocks:
        if block.dense_records == len(block):
            file.writelines(encode_matrix(dense_array(block), block.labels, dense=True, weights=block.weights))
        else:
            file.writelines(encode_rows(block.rows, block.labels, block.weights))


RECORDIO = Format(
    name="recordio",
    suffixes=(".rec", ".recordio", ".pbr", ".protobuf"),
    streams=True,
    weights="each",
    width_varies=True,
    read=_read,
    write=_write,
)
"""Records with the label and the features named ``values``; dense where the rows came from a table or an array."""
