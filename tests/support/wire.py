"""Protobuf and recordIO bytes put together by hand, for records that no writer would write."""

from __future__ import annotations

import struct

MAGIC = bytes.fromhex("0a23d7ce")


def varint(value: int, *, length: int = 0) -> bytes:
    """A varint, padded to `length` bytes with continuation bits where that is longer than needed."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number, 2) + varint(len(payload)) + payload


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def varints(*values: int) -> bytes:
    return b"".join(varint(value % 2**64) for value in values)


def float32_tensor(values: bytes = b"", keys: bytes = b"", shape: bytes = b"") -> bytes:
    """A Value with a Float32Tensor of three packed fields; empty ones are left out."""
    fields = ((1, values), (2, keys), (3, shape))
    return field(2, b"".join(field(number, payload) for number, payload in fields if payload))


def entry(value: bytes, name: bytes = b"values") -> bytes:
    """The content of a map entry."""
    return field(1, name) + field(2, value)


def features(value: bytes, name: bytes = b"values") -> bytes:
    return field(1, entry(value, name))


def label(value: bytes, name: bytes = b"values") -> bytes:
    return field(2, entry(value, name))


def frame(payload: bytes, *, flag: int = 0) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | len(payload)) + payload + bytes(-len(payload) % 4)
