"""Stored zips against those of the standard library's zipfile."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import pytest

from openfm.stored_zip import StoredMember, StoredZipWriter

MEMBERS = [("a.json", b"{}"), ("empty", b""), ("large", bytes(range(256)) * 40), ("openfm/ü", b"x" * 999), ("z", b"1")]


def by_zipfile(members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def by_us(members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    writer = StoredZipWriter(buffer)
    for name, content in members:
        writer.add(name, [content[:700], memoryview(content)[700:]], len(content))
    writer.close()
    return buffer.getvalue()


@pytest.mark.parametrize("members", [[], MEMBERS[:1], MEMBERS])
def test_the_bytes_of_zipfile(members):
    assert by_us(members) == by_zipfile(members)


@pytest.mark.parametrize("limit", [0, 1, 2, 950, 1000, 9000, 9999, 10_200, 10_239, 10_240, 10_600, 11_700, 12_000])
def test_the_bytes_of_zipfile_beyond_the_limits_of_32_bits(monkeypatch, limit):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    monkeypatch.setattr("openfm.stored_zip._MAX_31", limit)
    data = by_us(MEMBERS)
    assert data == by_zipfile(MEMBERS)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None


def test_writes_from_where_the_file_stands():
    class Counting(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            assert offset >= 0
            return super().seek(offset, whence)

    buffer = Counting()
    writer = StoredZipWriter(buffer)
    writer.add("x", [b"12"], 2)
    writer.close()
    assert buffer.tell() == len(buffer.getvalue())


def member(data: bytes, name: str) -> StoredMember:
    source = io.BytesIO(data)
    archive = zipfile.ZipFile(source)
    return StoredMember(source, archive, archive.getinfo(name))


def read(stream: StoredMember, size: int) -> bytes:
    found = b""
    memory = bytearray(size)
    while count := stream.readinto(memoryview(memory)):
        found += memory[:count]
    return found


@pytest.mark.parametrize("size", [1, 100, 256 * 40, 100_000])
@pytest.mark.parametrize("name", [name for name, _ in MEMBERS])
def test_reads_a_member_and_nothing_else(name, size):
    assert read(member(by_zipfile(MEMBERS), name), size) == dict(MEMBERS)[name]


def test_extra_fields_of_a_members_own_header_are_skipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("large", "w", force_zip64=True) as stream:
        stream.write(b"content")
    assert read(member(buffer.getvalue(), "large"), 100) == b"content"


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_changed_byte(size):
    data = bytearray(by_zipfile(MEMBERS))
    data[data.index(bytes(range(256))) + 5000] ^= 4
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32 for file 'large'"):
        read(member(bytes(data), "large"), size)


def test_a_header_that_disagrees_with_the_directory():
    data = by_zipfile(MEMBERS).replace(b"large", b"small", 1)
    with pytest.raises(zipfile.BadZipFile, match="differ"):
        member(data, "large")


def test_a_file_that_is_cut_while_it_is_read():
    source = io.BytesIO(by_zipfile(MEMBERS))
    archive = zipfile.ZipFile(source)
    stream = StoredMember(source, archive, archive.getinfo("large"))
    source.truncate(5000)
    with pytest.raises(EOFError, match="it ends within large"):
        read(stream, 100_000)
