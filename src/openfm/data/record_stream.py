"""A stream of bytes to framed records, block by block."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Literal

from openfm.data.faults import Fault
from openfm.data.files import ByteStream
from openfm.data.places import Place
from openfm.errors import DataError
from openfm.native import _core

__all__ = ["BLOCK_BYTES", "decode_stream"]

BLOCK_BYTES = 2**19
"""How much is read and decoded at a time; it stays in the processor's caches."""

_SHOWN_BYTES = 12
"""So much of a refused record's frame is given to whoever says what is wrong with it."""


def decode_stream(
    stream: ByteStream,
    *,
    feature_dim: int | None,
    labels: Literal["required", "optional"],
    start: Place,
    refuse: Callable[[Fault, bytes], DataError],
    block_bytes: int,
    identities: bool = False,
) -> Generator[tuple[_core.Decoded, Place], None, None]:
    """Decodes the records of a stream to its end; memory is bounded by the block, or by the largest record.

    Args:
        stream: recordIO; it is not closed.
        feature_dim: the number of columns; None infers it block by block.
        labels: whether each record must have one.
        start: where the stream begins.
        refuse: makes the error for a faulty record, of which it gets the first bytes of the frame too. The fault's
            record and offset count as the place does.
        block_bytes: how much is read and decoded at a time.
        identities: whether uid and metadata are wanted.

    Yields:
        Blocks of at least one record, and where each ends.

    Raises:
        DataError: what ``refuse`` made.
    """
    buffer = bytearray(block_bytes)
    filled = 0  # bytes of the buffer that hold data, the first of which lies at `place`
    place, final = start, False
    while not final:
        filled, final = _fill(stream, buffer, filled)
        decoded = _core.decode_records(
            memoryview(buffer)[:filled], feature_dim, labels, framed=True, final=final, identities=identities
        )
        if decoded.fault is not None:
            kind, number, begin, found, expected = decoded.fault
            fault = Fault(kind, place.record + number, place.offset + begin, found, expected)
            raise refuse(fault, bytes(buffer[begin : begin + _SHOWN_BYTES]))
        rows = len(decoded.indptr) - 1
        place = Place(place.file, place.offset + decoded.consumed, place.record + rows)
        left = filled - decoded.consumed
        buffer[:left] = buffer[decoded.consumed : filled]
        filled = left
        if filled == len(buffer):  # one record is larger than the buffer
            buffer.extend(bytes(len(buffer)))
        if rows:
            yield decoded, place


def _fill(stream: ByteStream, buffer: bytearray, filled: int) -> tuple[int, bool]:
    """Reads until the buffer is full or the stream ends: the bytes filled, and whether it ended."""
    with memoryview(buffer) as view:
        while filled < len(buffer):
            count = stream.readinto(view[filled:])
            if not count:
                return filled, True
            filled += count
    return filled, False
