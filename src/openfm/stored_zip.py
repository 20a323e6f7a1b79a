"""Stored members of zip files, read and written at the speed of memory.

``zipfile`` of the standard library reads and checks a zip's directory. What it does with the bytes of a member is too
slow for models of gigabytes: copies in small pieces, and a CRC-32 of about 1 GB/s. Here the bytes go between the file
and the caller's own memory, and ISA-L sums them up while they are in the cache.

The form is that of PKWARE's APPNOTE.TXT 6.3: 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (its end) and
4.5.3 (sizes of more than 32 bits).
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from isal import isal_zlib

__all__ = ["PIECE_BYTES", "StoredMember", "StoredZipWriter"]

PIECE_BYTES = 2**18
"""What is best read or written at a time: it stays in a core's cache until it is summed up."""

_LOCAL = struct.Struct("<4s2B4HL2L2H")
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")

_EPOCH_DATE = 1 << 5 | 1  # 1 January 1980, the first day that a zip can hold
_REGULAR_0644 = (stat.S_IFREG | 0o644) << 16
_UNIX = 3
_VERSION, _VERSION_64 = 20, 45
_MAX_31 = 2**31 - 1  # beyond this, sizes and offsets go into an extra field, as zipfile does it
_IN_EXTRA = 0xFFFFFFFF
_UTF8_NAME = 0x800


class StoredMember:
    """The bytes of a stored member, once from front to back.

    Args:
        source: the zip file; nobody else may read it meanwhile.
        archive: the same file, opened.
        info: of the member; stored.

    Raises:
        zipfile.BadZipFile: the member's own header disagrees with the directory.
    """

    def __init__(self, source: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        archive.open(info).close()  # compares the two headers
        source.seek(info.header_offset)
        *_, name_length, extra_length = _LOCAL.unpack(source.read(_LOCAL.size))
        source.seek(info.header_offset + _LOCAL.size + name_length + extra_length)
        self._source = source
        self._info = info
        self._left = info.file_size
        self._crc = 0

    def readinto(self, memory: memoryview) -> int:
        """Fill ``memory`` as far as the member goes, and compare its checksum when that is its end.

        Returns:
            the bytes read; 0: there are no more.

        Raises:
            zipfile.BadZipFile: the checksum is not that of the directory.
            EOFError: the file ends within the member.
        """
        count: int = self._source.readinto(memory[: self._left])  # type: ignore[attr-defined]
        if not count and self._left and len(memory):
            raise EOFError(f"it ends within {self._info.filename}")
        self._crc = isal_zlib.crc32(memory[:count], self._crc)
        self._left -= count
        if not self._left and self._crc != self._info.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._info.filename!r}")
        return count


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the directory says of a member."""

    name: str
    crc: int
    size: int
    offset: int

    @property
    def encoded_name(self) -> bytes:
        return self.name.encode()

    @property
    def flags(self) -> int:
        return 0 if self.name.isascii() else _UTF8_NAME

    @property
    def version(self) -> int:
        """To read the member; zipfile's own measure of when a size may turn out to need 64 bits."""
        return _VERSION_64 if self.size * 1.05 > _MAX_31 else _VERSION

    def local_header(self) -> bytes:
        name, extra, size = self.encoded_name, b"", self.size
        if self.version == _VERSION_64:
            extra, size = _extra_field(size, size), _IN_EXTRA
        fixed = _LOCAL.pack(
            b"PK\x03\x04", self.version, 0, self.flags, zipfile.ZIP_STORED, 0, _EPOCH_DATE, self.crc, size, size,
            len(name), len(extra),
        )  # fmt: skip
        return fixed + name + extra

    def directory_entry(self) -> bytes:
        name, size, offset = self.encoded_name, self.size, self.offset
        large: list[int] = []
        if size > _MAX_31:
            large, size = [size, size], _IN_EXTRA
        if offset > _MAX_31:
            large, offset = [*large, offset], _IN_EXTRA
        extra = _extra_field(*large)
        version = _VERSION_64 if extra else self.version
        fixed = _ENTRY.pack(
            b"PK\x01\x02", version, _UNIX, version, 0, self.flags, zipfile.ZIP_STORED, 0, _EPOCH_DATE, self.crc,
            size, size, len(name), len(extra), 0, 0, 0, _REGULAR_0644, offset,
        )  # fmt: skip
        return fixed + name + extra


class StoredZipWriter:
    """Writes a zip of stored members without times, byte for byte as ``zipfile`` would; its directory by :meth:`close`.

    Args:
        destination: a seekable file, at its beginning.
    """

    def __init__(self, destination: IO[bytes]) -> None:
        self._destination = destination
        self._entries: list[_Entry] = []
        self._position = 0

    def add(self, name: str, pieces: Iterable[bytes | memoryview], size: int) -> None:
        """Write a member.

        Args:
            name: of the member.
            pieces: its content, in order; each has been written when the next is asked for.
            size: of all of them, in bytes.
        """
        crc, offset = 0, self._position
        self._write(_Entry(name, crc, size, offset).local_header())
        for piece in pieces:
            memory = memoryview(piece)
            for start in range(0, len(memory), PIECE_BYTES):
                part = memory[start : start + PIECE_BYTES]
                crc = isal_zlib.crc32(part, crc)
                self._write(part)
        entry = _Entry(name, crc, size, offset)
        self._destination.seek(offset)
        self._destination.write(entry.local_header())  # again, with the checksum
        self._destination.seek(self._position)
        self._entries.append(entry)

    def close(self) -> None:
        """Write the directory, without which there is no zip; the file underneath stays open."""
        start = self._position
        for entry in self._entries:
            self._write(entry.directory_entry())
        count, end = len(self._entries), self._position
        if start > _MAX_31:
            self._write(
                _END64.pack(b"PK\x06\x06", 44, _VERSION_64, _VERSION_64, 0, 0, count, count, end - start, start)
            )
            self._write(_LOCATOR64.pack(b"PK\x06\x07", 0, end, 1))
        self._write(_END.pack(b"PK\x05\x06", 0, 0, count, count, end - start, min(start, _IN_EXTRA), 0))

    def _write(self, data: bytes | memoryview) -> None:
        self._position += self._destination.write(data)


def _extra_field(*numbers: int) -> bytes:
    """The zip64 field of numbers that have no room in their own."""
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
