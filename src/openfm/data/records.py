"""Records of SageMaker's recordIO-protobuf format to sparse rows and back.

What a record means:

* Its features are the tensor named ``values`` in the map ``features``; a Float32, Float64 or Int32 tensor, whose values
  become float32. Other names are ignored.
* With keys the tensor is sparse: key i is the 0-based column of value i. Keys may come in any order; a repeated key is
  an error. Without keys it is dense. With neither keys nor values it is a row of zeros.
* Zeros (and -0.0) are dropped, explicit ones of sparse records too: how a file is encoded never changes what is
  learned from it.
* ``shape`` is the number of columns; where it is missing, ``feature_dim`` is. A different one is an error.
* Its label is the tensor named ``values`` in the map ``label``, with one value.
* Its weight is the tensor named ``weight`` in the map ``label``, with one value of at least 0; where it is missing it
  is 1.
* NaN and infinity are errors, in features, labels and weights.

The native decoder does all this at the speed of memory. :func:`openfm.data.records_reference.decode_records_reference`
states the same rules slowly, on Google's parser, and is what the tests compare it with.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

from openfm.data.faults import Fault, channel_error, data_error
from openfm.data.files import GZIP_MAGIC, ByteStream, open_file
from openfm.data.identities import RecordIdentities
from openfm.data.places import START, Place
from openfm.data.record_stream import BLOCK_BYTES, decode_stream
from openfm.data.recordio import is_recordio
from openfm.data.writing import write_records
from openfm.errors import ChannelError
from openfm.fm.rows import SparseRows
from openfm.native import _core

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "BLOCK_BYTES",
    "OpenStream",
    "RecordBlock",
    "RecordReader",
    "block_of",
    "decode_bare_record",
    "decode_records",
    "encode_scores",
    "is_recordio",
    "read_records",
    "write_records",
]

Bytes = bytes | bytearray | memoryview
LabelMode = Literal["required", "optional", "ignored"]

_FRAME_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Decoded records.

    Attributes:
        rows: the features.
        labels: float32, shape (rows,), finite; None where the records have none or they were ignored.
        dense_records: how many of the records were dense.
        identities: the records' uid and metadata, where they were asked for and any record has one.
        end: where the next record lies, of a block that was read from a channel's files.
        weights: float32, shape (rows,), finite and at least 0; None where no record has one, which says 1.
    """

    rows: SparseRows
    labels: npt.NDArray[np.float32] | None
    dense_records: int
    identities: RecordIdentities | None = None
    end: Place | None = None
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """The bytes of memory that features, labels and weights take."""
        return self.rows.nbytes + sum(array.nbytes for array in (self.labels, self.weights) if array is not None)


Labelled = tuple["csr_matrix", npt.NDArray[np.float32] | None]
Weighted = tuple["csr_matrix", npt.NDArray[np.float32] | None, npt.NDArray[np.float32] | None]


@overload
def read_records(
    source: str | os.PathLike[str] | Bytes | BinaryIO,
    *,
    feature_dim: int | None = None,
    return_weights: Literal[False] = False,
) -> Labelled: ...
@overload
def read_records(
    source: str | os.PathLike[str] | Bytes | BinaryIO,
    *,
    feature_dim: int | None = None,
    return_weights: Literal[True],
) -> Weighted: ...
def read_records(
    source: str | os.PathLike[str] | Bytes | BinaryIO,
    *,
    feature_dim: int | None = None,
    return_weights: bool = False,
) -> Labelled | Weighted:
    """Reads a recordIO-protobuf file, as the SageMaker SDK's and openfm's writers make it.

    Args:
        source: a path, the bytes themselves, or a file open for reading bytes.
        feature_dim: the number of columns. By default the records tell: their shape, the length of dense ones, or
            else one more than the largest key.
        return_weights: whether to return the records' weights too.

    Returns:
        X, float32 of shape (records, feature_dim) with sorted indices and without stored zeros, and y, float32 of
        shape (records,), or None if the records have no labels. With ``return_weights`` also the weights, float32 of
        shape (records,), or None if no record has one.

    Raises:
        DataError: the bytes are not records, or not such as the module's description allows; it names the record.
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data: Bytes = source
    elif isinstance(source, str | os.PathLike):
        data = Path(source).read_bytes()
    else:
        data = source.read()
    block = decode_records(data, feature_dim=feature_dim)
    X = block.rows.to_scipy()
    return (X, block.labels, block.weights) if return_weights else (X, block.labels)


def decode_records(
    data: Bytes, *, feature_dim: int | None, labels: LabelMode = "optional", identities: bool = False
) -> RecordBlock:
    """Decodes a whole buffer of framed records.

    Args:
        data: any number of records, framed in recordIO.
        feature_dim: the number of columns; None infers it (see :func:`read_records`).
        labels: ``required``: each record must have one. ``optional``: all must have one, or none. ``ignored``: they
            are not looked at, and neither are weights.
        identities: whether uid and metadata are wanted.

    Raises:
        DataError: names the record, from 0, its first byte, and what is wrong with it.
    """
    decoded = _core.decode_records(data, feature_dim, labels, framed=True, final=True, identities=identities)
    return _block_or_error(decoded)


def decode_bare_record(data: Bytes, *, feature_dim: int | None, identities: bool = False) -> RecordBlock:
    """Decodes one record that comes without a recordIO frame; its label is ignored.

    Raises:
        DataError: as :func:`decode_records`.
    """
    decoded = _core.decode_records(data, feature_dim, "ignored", framed=False, final=True, identities=identities)
    return _block_or_error(decoded)


def encode_scores(
    scores: npt.NDArray[np.float32],
    predicted_labels: npt.NDArray[np.float32] | None = None,
    identities: RecordIdentities | None = None,
) -> bytes:
    """The server's answer in recordIO-protobuf.

    Args:
        scores: shape (n,).
        predicted_labels: shape (n,); None for a regressor.
        identities: the uid and metadata that the records get; None for none.

    Returns:
        n framed records without features, whose label map holds ``score`` and, if given, ``predicted_label``, each a
        Float32 tensor of one value.
    """
    return _core.encode_scores(
        np.ascontiguousarray(scores, dtype=np.float32),
        None if predicted_labels is None else np.ascontiguousarray(predicted_labels, dtype=np.float32),
        None if identities is None else identities.offsets,
        None if identities is None else identities.fields,
    )


class OpenStream(Protocol):
    """Opens one file of a channel."""

    def __call__(self, path: Path, *, offset: int = 0) -> ByteStream:
        """Its data from ``offset`` on, in unpacked bytes.

        Raises:
            OSError: the file cannot be read.
        """


class RecordReader:
    """Reads files of records in order, block by block; every record must have a label.

    Iterating again reads the files again. Memory is bounded by the block, or by the largest record if that is larger.

    Args:
        files: the files, which are read in this order.
        channel: the channel's name, for error messages.
        feature_dim: the number of columns.
        block_bytes: how much is read and decoded at a time.
        open_stream: opens one of the files; by default :func:`openfm.data.files.open_file`.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        channel: str,
        feature_dim: int,
        block_bytes: int = BLOCK_BYTES,
        open_stream: OpenStream | None = None,
    ) -> None:
        self.files = tuple(files)
        self.channel = channel
        self.feature_dim = feature_dim
        self.block_bytes = block_bytes
        self._open: OpenStream = open_stream or partial(open_file, channel=channel)

    def __iter__(self) -> Generator[RecordBlock, None, None]:
        """All blocks; see :meth:`read`."""
        return self.read()

    def read(self, start: Place = START) -> Generator[RecordBlock, None, None]:
        """Yields blocks of at least one record; closing the iterator closes the file.

        Args:
            start: where to begin, such as the ``end`` of a block of an earlier pass.

        Raises:
            DataError: a record is broken or does not fit; in Amazon's words, with channel, file and record.
            ChannelError: a file cannot be read.
        """
        for number in range(start.file, len(self.files)):
            yield from self._read_file(start if number == start.file else Place(number))

    def _read_file(self, start: Place) -> Generator[RecordBlock, None, None]:
        path = self.files[start.file]
        try:
            with closing(self._open(path, offset=start.offset)) as stream:
                found = decode_stream(
                    stream,
                    feature_dim=self.feature_dim,
                    labels="required",
                    start=start,
                    refuse=lambda fault, frame: channel_error(fault, self.channel, path, _hint(fault, frame)),
                    block_bytes=self.block_bytes,
                )
                for decoded, end in found:
                    yield block_of(decoded, end)
        except OSError as error:
            raise ChannelError(
                f"Unable to read data channel '{self.channel}'. Cannot read '{path}': {error.strerror or error}. "
                "Make it readable for the user that openfm runs as."
            ) from error


def _hint(fault: Fault, frame: bytes) -> str:
    """What the data are instead, as the first bytes of the refused record's frame tell."""
    if fault.kind == "bad_magic" and fault.offset == 0 and frame.startswith(GZIP_MAGIC):
        return "It is compressed with gzip: in Pipe mode set the channel's CompressionType to Gzip."
    if is_recordio(frame[_FRAME_HEADER_BYTES:]):
        return "It holds a whole file of records: set the channel's RecordWrapperType to None."
    return ""


def _block_or_error(decoded: _core.Decoded) -> RecordBlock:
    if decoded.fault is not None:
        raise data_error(Fault(*decoded.fault))
    return block_of(decoded)


def block_of(decoded: _core.Decoded, end: Place | None = None) -> RecordBlock:
    """What the native decoder gave, which is without fault, as a block that ends at a place."""
    rows = SparseRows(decoded.indptr, decoded.indices, decoded.values, decoded.feature_dim)
    identities = None if decoded.identities is None else RecordIdentities(*decoded.identities)
    return RecordBlock(rows, decoded.labels, decoded.dense_records, identities, end, decoded.weights)
