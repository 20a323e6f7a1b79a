from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest

from openfm.artifact.archive import read_archive, write_archive
from openfm.errors import ArtifactError
from support.artifacts import tar_gz, tar_member


@pytest.fixture
def read(tmp_path):
    """Read an archive of these bytes."""

    def read(data: bytes) -> bytes:
        path = tmp_path / "model.tar.gz"
        path.write_bytes(data)
        with path.open("rb") as file:
            return read_archive(file).getvalue()

    return read


def written(content: bytes) -> bytes:
    buffer = io.BytesIO()
    write_archive(buffer, io.BytesIO(content))
    return buffer.getvalue()


def test_one_member_without_owner_or_time(read):
    data = written(b"content")
    assert data[:10] == bytes.fromhex("1f8b08000000000000ff")  # gzip: no name, no time
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.mode, member.size) == ("model_algo-1", 0o644, 7)
    assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
    assert member.isreg() and not member.pax_headers
    assert read(data) == b"content"
    assert written(b"content") == data


@pytest.mark.parametrize("name", ["model_algo-1", "./model_algo-1", "model_algo-7", "model_x"])
def test_names_of_the_member(read, name):
    assert read(tar_gz(tar_member(name, b"content"))) == b"content"


@pytest.mark.parametrize("order", [1, -1])
def test_model_algo_1_wins_wherever_it_stands(read, order):
    members = [
        tar_member("model_algo-1", b"one"),
        tar_member("model_algo-2", b"two"),
        tar_member("readme.txt", b"x"),
        tar_member("code", type=tarfile.DIRTYPE),
    ]
    assert read(tar_gz(*members[::order])) == b"one"


def test_long_names_and_extended_headers(read):
    name = "model_" + "x" * 200
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", format=form) as archive:
            info, content = tar_member(name, b"content", mtime=0.5)
            archive.addfile(info, io.BytesIO(content))
        assert read(buffer.getvalue()) == b"content"


GOOD = tar_member("model_algo-1", b"content")
HOSTILE = {
    "parent": (tar_gz(GOOD, tar_member("../x", b"x")), "'../x', which is a path out of it"),
    "hidden_parent": (tar_gz(tar_member("a/../../model_algo-1", b"x")), "a path out of it"),
    "absolute": (tar_gz(GOOD, tar_member("/etc/x", b"x")), "'/etc/x', which is a path out of it"),
    "symlink": (
        tar_gz(tar_member("model_algo-1", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
        "'model_algo-1' is neither a regular file nor a folder",
    ),
    "hard_link": (
        tar_gz(GOOD, tar_member("x", type=tarfile.LNKTYPE, linkname="model_algo-1")),
        "neither a regular file nor a folder",
    ),
    "device": (tar_gz(tar_member("x", type=tarfile.CHRTYPE)), "neither a regular file nor a fold"),
    "fifo": (tar_gz(tar_member("model_x", type=tarfile.FIFOTYPE)), "neither a regular file nor"),
    "twice": (tar_gz(GOOD, GOOD), "two members model_algo-1"),
    "several": (
        tar_gz(tar_member("model_a", b"a"), tar_member("model_b", b"b")),
        "it holds several models",
    ),
    "none": (tar_gz(tar_member("x", b"x")), "it holds no model_algo-1; it holds x"),
    "many_members": (
        tar_gz(*(tar_member(f"x{i}") for i in range(1001))),
        "more than 1000 members",
    ),
    "many_folders": (
        tar_gz(*(tar_member("x", type=tarfile.DIRTYPE) for _ in range(1001))),
        "more than 1000 members",
    ),
    "empty_tar": (tar_gz(), "it holds nothing"),
    "not_a_tar": (gzip.compress(b"x" * 2000), "damaged tar.gz"),
    "empty_gzip": (gzip.compress(b""), "damaged tar.gz"),
    "not_a_gzip": (b"\x1f\x8bxx", "damaged tar.gz"),
}


@pytest.mark.parametrize(("data", "sentence"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archives(read, data, sentence):
    with pytest.raises(ArtifactError, match=sentence):
        read(data)


def test_cut_anywhere(read):
    content = np.random.default_rng(0).bytes(5000)
    data = tar_gz(tar_member("model_algo-1", content))
    for length in (*range(3, len(data), 97), len(data) - 1):
        with pytest.raises(ArtifactError):
            read(data[:length])


class Zeros(io.RawIOBase):
    """Endless zeros."""

    def read(self, size=-1):
        return bytes(size)


def bomb(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, Zeros())
    return buffer.getvalue()


def extended_header_bomb(kind: bytes) -> bytes:
    info = tarfile.TarInfo("x")
    info.type = kind
    info.size = 64 * 2**20
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(info.size), 1)


@pytest.mark.parametrize(
    "data",
    [
        extended_header_bomb(tarfile.XHDTYPE),
        extended_header_bomb(tarfile.XGLTYPE),
        extended_header_bomb(tarfile.GNUTYPE_LONGNAME),
    ],
    ids=["pax", "pax_global", "gnu_long_name"],
)
def test_endless_headers_take_little_memory(read, data):
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match="a header claims to be 67108864 bytes long"):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["model_algo-1", "x"])
def test_bomb_ends_at_the_limit(read, monkeypatch, name):
    monkeypatch.setattr("openfm.artifact.limits._SMALLEST_LIMIT", 2**20)
    data = bomb(name, 64 * 2**20)
    assert len(data) < 400_000
    with pytest.raises(ArtifactError, match=r"unpacks to more than .* unpack it first"):
        read(data)


def test_flipped_bytes_raise_nothing_else(read):
    content = np.random.default_rng(0).bytes(3000)
    plain = bytearray(gzip.decompress(tar_gz(tar_member("model_algo-1", content))))
    zipped = tar_gz(tar_member("model_algo-1", content))
    generator = np.random.default_rng(1)
    for _ in range(150):
        header = bytearray(plain)
        for position in generator.integers(0, 512, size=3):
            header[position] = generator.integers(0, 256)
        if generator.integers(2):  # a header whose checksum is right
            header[148:156] = b" " * 8
            header[148:156] = f"{sum(header[:512]):06o}\0 ".encode()
        body = bytearray(zipped)
        body[generator.integers(2, len(body))] = generator.integers(0, 256)
        for data in (gzip.compress(bytes(header), 1), bytes(body)):
            with suppress(ArtifactError):
                read(data)
