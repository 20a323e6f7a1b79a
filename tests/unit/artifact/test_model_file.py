from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from openfm.artifact.model_file import ModelFile, read_model_file, write_model_file
from openfm.artifact.ndarray_file import StoredArray
from openfm.errors import ArtifactError
from support.artifacts import dense_array, model_bytes, params_bytes, zip_bytes

CONTENT = ModelFile(
    meta=b'{"version": 1}',
    symbol=b"{}",
    arrays={"arg:x": StoredArray.dense(np.array([1.5], dtype=np.float32))},
)
MEMBERS = {
    "meta.json": CONTENT.meta,
    "symbol.json": CONTENT.symbol,
    "params": params_bytes({"arg:x": dense_array([1.5])}),
}


def written(content: ModelFile = CONTENT) -> bytes:
    buffer = io.BytesIO()
    write_model_file(buffer, content)
    return buffer.getvalue()


def read(data: bytes) -> ModelFile:
    return read_model_file(io.BytesIO(data))


def test_members_as_amazons_container_writes_them():
    with zipfile.ZipFile(io.BytesIO(written())) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS
        assert archive.namelist() == ["meta.json", "symbol.json", "params"]
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.create_system == 3
            assert info.external_attr == 0o100644 << 16
            assert (info.create_version, info.extract_version) == (20, 20)
            assert (info.flag_bits, info.extra, info.comment) == (0, b"", b"")
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert archive.comment == b""


def test_no_byte_beside_headers_and_content():
    names_and_content = sum(2 * len(name) + len(content) for name, content in MEMBERS.items())
    local_header, directory_entry, directory_end = 30, 46, 22
    expected = names_and_content + 3 * (local_header + directory_entry) + directory_end
    assert len(written()) == expected


def test_local_headers_hold_sizes_and_checksum():
    data = written()
    assert struct.unpack_from("<4sHHH", data) == (b"PK\x03\x04", 20, 0, 0)
    crc, packed, size = struct.unpack_from("<III", data, 14)
    assert packed == size == len(CONTENT.meta)
    assert crc != 0


def test_equal_content_equal_bytes():
    assert written() == written()


def test_round_trip_with_extras_after_params():
    extras = {"openfm/b": b"2", "openfm/a": b"1"}
    content = ModelFile(CONTENT.meta, CONTENT.symbol, CONTENT.arrays, extras)
    data = written(content)
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert names == ["meta.json", "symbol.json", "params", "openfm/a", "openfm/b"]
    found = read(data)
    assert (found.meta, found.symbol, found.extras) == (content.meta, content.symbol, extras)
    np.testing.assert_array_equal(found.arrays["arg:x"].values, [1.5])


def test_large_extras_are_read_whole():
    extra = bytes(range(256)) * 10_000
    assert read(zip_bytes(MEMBERS | {"openfm/x": extra})).extras == {"openfm/x": extra}


@pytest.mark.parametrize("sizes", [[4 * 2**20 + 1], [2**20] * 5], ids=["one", "sum"])
def test_endless_extras(sizes):
    members = MEMBERS | {f"openfm/{i}": bytes(size) for i, size in enumerate(sizes)}
    with pytest.raises(ArtifactError, match=f"below openfm/ claim {sum(sizes)} bytes, and at most 4194304"):
        read(zip_bytes(members, zipfile.ZIP_DEFLATED))


def test_members_are_limited_in_sum(monkeypatch):
    monkeypatch.setattr("openfm.artifact.limits._SMALLEST_LIMIT", 2**20)
    members = MEMBERS | {f"x{i}": bytes(2**20 - 1) for i in range(2)}
    with pytest.raises(ArtifactError, match=r"its members claim \d+ bytes in a file of \d+, and at most 1048576"):
        read(zip_bytes(members, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zipped_again_by_someone(compression):
    """Another order, folders, members of no meaning, times, deflated."""
    members = {"params": MEMBERS["params"], "notes/": b"", "notes/x.txt": b"x", **MEMBERS}
    found = read(zip_bytes(members, compression))
    assert found.meta == CONTENT.meta
    assert found.extras == {}


def test_streamed_zip_with_data_descriptors():
    class Unseekable(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data
            return len(data)

    target = Unseekable()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in MEMBERS.items():
            archive.writestr(name, content)
    assert read(bytes(target.data)).meta == CONTENT.meta


@pytest.mark.parametrize("missing", MEMBERS)
def test_missing_member(missing):
    members = {name: content for name, content in MEMBERS.items() if name != missing}
    with pytest.raises(ArtifactError, match=f"it has no {missing}; it holds {', '.join(sorted(members))}"):
        read(zip_bytes(members))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..", "a\\..\\x"])
def test_member_with_a_path_out(name):
    with pytest.raises(ArtifactError, match="a path out of it"):
        read(zip_bytes(MEMBERS | {name: b"x"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_twice():
    with pytest.raises(ArtifactError, match=r"two members meta\.json"):
        read(zip_bytes([*MEMBERS.items(), ("meta.json", b"{}")]))


def info_with(name, **attributes):
    info = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def test_symbolic_link():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info_with("params", external_attr=0o120777 << 16), "/etc/passwd")
    with pytest.raises(ArtifactError, match="'params' is not a regular file"):
        read(buffer.getvalue())


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(compression):
    with pytest.raises(ArtifactError, match="neither stored nor deflated"):
        read(zip_bytes(MEMBERS, compression))


def patched_directory(data: bytes, offset: int, value: bytes) -> bytes:
    """The zip with bytes of its first directory entry changed."""
    (start,) = struct.unpack("<I", data[-6:-2])
    assert data[start : start + 4] == b"PK\x01\x02"
    return data[: start + offset] + value + data[start + offset + len(value) :]


def test_encrypted():
    data = patched_directory(zip_bytes(MEMBERS), 8, b"\x01\x00")
    with pytest.raises(ArtifactError, match=r"'meta\.json' is encrypted"):
        read(data)


@pytest.mark.parametrize("offset", [20, 24], ids=["packed", "unpacked"])
def test_claimed_sizes_are_not_believed(offset):
    data = patched_directory(zip_bytes(MEMBERS), offset, b"\x00\x00\x00\x70")
    with pytest.raises(ArtifactError, match=r"'meta\.json' claims .* in a file of"):
        read(data)


@pytest.mark.parametrize("member", ["meta.json", "symbol.json"])
def test_endless_json(member):
    members = MEMBERS | {member: b" " * (2**20 + 1)}
    with pytest.raises(ArtifactError, match=f"its {member} is 1048577 bytes long; at most"):
        read(zip_bytes(members, zipfile.ZIP_DEFLATED))


def test_wrong_checksum():
    data = bytearray(zip_bytes(MEMBERS))
    data[data.index(MEMBERS["params"]) + 70] ^= 1
    with pytest.raises(ArtifactError, match=r"params: (array|name) 0|Bad CRC-32 for file 'params'"):
        read(bytes(data))


def test_changed_weight_is_found_by_the_checksum():
    data = bytearray(zip_bytes(MEMBERS))
    data[data.index(np.float32(1.5).tobytes())] ^= 1
    with pytest.raises(ArtifactError, match="Bad CRC-32 for file 'params'"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "neither a model.tar.gz nor a model_algo-1"),
        (b"not a zip at all", "neither a model.tar.gz nor a model_algo-1"),
        (params_bytes({"x": dense_array([1.0])}), "Amazon's k-means and PCA write"),
        (b"PK\x03\x04" + bytes(100), "damaged zip file"),
    ],
)
def test_no_zip(data, sentence):
    with pytest.raises(ArtifactError, match=sentence):
        read(data)


def test_cut_anywhere(small):
    data = model_bytes(small.parameters, small.symbol, small.arrays)
    for length in range(0, len(data), 7):
        with pytest.raises(ArtifactError):
            read(data[:length])


def peak_memory(data: bytes) -> int:
    source = io.BytesIO(data)
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError):
            read_model_file(source)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMB = zip_bytes(MEMBERS | {"params": bytes(200 * 2**20)}, zipfile.ZIP_DEFLATED)
DIRECTORY = zip_bytes([*MEMBERS.items(), *((f"openfm/{i}", b"") for i in range(40_000))])


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        DIRECTORY,
        patched_directory(BOMB, 24, b"\xff\xff\xff\x7f"),
        zip_bytes(MEMBERS | {"symbol.json": bytes(200 * 2**20)}, zipfile.ZIP_DEFLATED),
    ],
    ids=["zeros", "endless_directory", "lying_directory", "endless_symbol"],
)
def test_bombs_take_little_memory(data):
    assert peak_memory(data) < 16 * 2**20


def test_flipped_bytes_raise_nothing_else(small):
    data = model_bytes(small.parameters, small.symbol, small.arrays)
    generator = np.random.default_rng(5)
    for _ in range(1500):
        changed = bytearray(data)
        for position in generator.integers(0, len(data), size=generator.integers(1, 4)):
            changed[position] = generator.integers(0, 256)
        with suppress(ArtifactError):
            read(bytes(changed))
