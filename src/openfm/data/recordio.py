"""recordIO framing, in plain Python: for the reference decoder and for :mod:`openfm.sagemaker`.

A frame is, little endian: uint32 magic, uint32 of 3 bits continuation flag and 29 bits length, the payload, and zeros
up to a multiple of 4. A payload that holds the magic may be split there into a first, middle and last part; they are
joined again with the magic between them (dmlc-core, ``include/dmlc/recordio.h``). The native decoder does the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from openfm.data.faults import Fault, FaultError

__all__ = ["MAGIC", "MAX_LENGTH", "Frame", "frame", "is_recordio", "iter_frames"]

MAGIC = 0xCED7230A
"""The first word of every frame."""

MAX_LENGTH = 2**29 - 1
"""The longest payload that one frame can hold, in bytes."""

_HEADER = struct.Struct("<II")
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


class Frame(NamedTuple):
    """One record's payload and where its first frame starts, in bytes."""

    offset: int
    payload: bytes


def is_recordio(data: bytes | bytearray | memoryview) -> bool:
    """Whether the data start with recordIO's magic."""
    return bytes(data[:4]) == _MAGIC_BYTES


def frame(payload: bytes) -> bytes:
    """The payload in one frame.

    Raises:
        ValueError: the payload is longer than ``MAX_LENGTH``.
    """
    if len(payload) > MAX_LENGTH:
        raise ValueError(f"a record of {len(payload)} bytes is longer than recordIO can frame ({MAX_LENGTH} bytes)")
    padding = -len(payload) % 4
    return _HEADER.pack(MAGIC, len(payload)) + payload + bytes(padding)


def iter_frames(data: bytes | bytearray | memoryview) -> Iterator[Frame]:
    """The records of a whole recordIO stream, split ones joined.

    Raises:
        FaultError: the framing is broken (``bad_magic``, ``bad_continuation``, ``truncated``).
    """
    view = memoryview(data)
    offset = record = 0
    while offset < len(view):
        parts: list[bytes] = []
        start = offset
        while True:
            if parts and offset == len(view):
                raise FaultError(Fault("truncated", record, start))
            flag, part, offset = _read_part(view, offset, record, start)
            if (flag in (_MIDDLE, _LAST)) != bool(parts):
                raise FaultError(Fault("bad_continuation", record, start))
            parts.append(part)
            if flag in (_WHOLE, _LAST):
                break
        yield Frame(start, _MAGIC_BYTES.join(parts))
        record += 1


def _read_part(view: memoryview, offset: int, record: int, start: int) -> tuple[int, bytes, int]:
    """Continuation flag, payload and end of the frame at ``offset``."""
    header = bytes(view[offset : offset + _HEADER.size])
    if header[:4] != _MAGIC_BYTES[: len(header)]:
        raise FaultError(Fault("bad_magic", record, start))
    if len(header) < _HEADER.size:
        raise FaultError(Fault("truncated", record, start))
    word = _HEADER.unpack(header)[1]
    flag, length = word >> 29, word & MAX_LENGTH
    if flag > _LAST:
        raise FaultError(Fault("bad_continuation", record, start))
    begin = offset + _HEADER.size
    end = begin + length + -length % 4
    if end > len(view):
        raise FaultError(Fault("truncated", record, start))
    return flag, bytes(view[begin : begin + length]), end
