"""``model_algo-1``: a stored zip of ``meta.json``, ``symbol.json`` and ``params``, in that order.

What openfm adds to a model goes into further members ``openfm/*`` after them. Members of other
names are ignored, as Amazon's code and MXNet ignore ours.
"""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, cast

from openfm.artifact.limits import (
    MAX_ENCODER_BYTES,
    MAX_EXTRAS_BYTES,
    MAX_JSON_BYTES,
    BoundedReader,
    unpacked_limit,
)
from openfm.artifact.names import leads_out, listed
from openfm.artifact.ndarray_file import (
    LIST_MAGIC,
    Readable,
    StoredArray,
    array_pieces,
    arrays_size,
    read_arrays,
)
from openfm.encoding.members import is_encoder_member
from openfm.errors import ArtifactError
from openfm.stored_zip import StoredMember, StoredZipWriter

__all__ = [
    "EXTRAS_PREFIX",
    "ModelFile",
    "check_extras",
    "inspect_model_file",
    "read_extras",
    "read_model_file",
    "write_extras",
    "write_model_file",
]

EXTRAS_PREFIX = "openfm/"
"""Members of the zip below this are openfm's own."""

_META, _SYMBOL, _PARAMS = "meta.json", "symbol.json", "params"
_REQUIRED = (_META, _SYMBOL, _PARAMS)
_ZIP_MAGIC = b"PK\x03\x04"
_UNIX = 3
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The content of a ``model_algo-1``.

    Attributes:
        meta: ``meta.json``.
        symbol: ``symbol.json``.
        arrays: the arrays of ``params``, by name.
        extras: the members ``openfm/*``, by full name; opaque here.
    """

    meta: bytes
    symbol: bytes
    arrays: dict[str, StoredArray]
    extras: Mapping[str, bytes] = field(default_factory=dict)


def read_model_file(
    source: IO[bytes],
    *,
    limit: int | None = None,
    max_values: Callable[[bytes], int] | None = None,
) -> ModelFile:
    """Read a ``model_algo-1``.

    Args:
        source: a seekable file that holds nothing else.
        limit: the most bytes that its members may unpack to; by default what a file of its size may.
        max_values: the most values that an array may have, told by ``meta.json``; by default the file's size decides.

    Raises:
        ArtifactError: it is no such file, is damaged, or would take more memory than its size
            warrants; or what ``max_values`` raises.
    """
    with _opened(source, limit, _REQUIRED) as (archive, members):
        meta = _read_json(archive, members[_META])
        return ModelFile(
            meta=meta,
            symbol=_read_json(archive, members[_SYMBOL]),
            arrays=_read_params(source, archive, members[_PARAMS], None if max_values is None else max_values(meta)),
            extras=_read_extras(archive, members),
        )


def read_extras(source: IO[bytes]) -> dict[str, bytes]:
    """The members ``openfm/*`` of a zip file that need hold nothing else.

    Raises:
        ArtifactError: it is no zip file, is damaged, or would take more memory than its size warrants.
    """
    with _opened(source, None, ()) as (archive, members):
        return _read_extras(archive, members)


def inspect_model_file(source: IO[bytes]) -> tuple[int, bytes]:
    """How many bytes the members of a ``model_algo-1`` take unpacked, and its ``meta.json``; no more is read.

    Raises:
        ArtifactError: as :func:`read_model_file`.
    """
    with _opened(source, None, _REQUIRED) as (archive, members):
        return sum(info.file_size for info in members.values()), _read_json(archive, members[_META])


@contextlib.contextmanager
def _opened(
    source: IO[bytes], limit: int | None, required: Iterable[str]
) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    _check_magic(source.read(8))
    try:
        with zipfile.ZipFile(BoundedReader(source)) as archive:
            members = _checked_members(archive, size, required)
            _check_sum(members, size, unpacked_limit(size) if limit is None else limit)
            yield archive, members
    except ArtifactError:
        raise
    # zipfile raises NotImplementedError for compression methods that it does not know, and lets
    # struct's, the decoder's and its own seek's errors through where a length or an offset makes no
    # sense.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        ValueError,
        struct.error,
    ) as error:
        raise ArtifactError(f"it is a damaged zip file: {error}") from error


def write_model_file(destination: IO[bytes], content: ModelFile) -> None:
    """Write a ``model_algo-1`` to a seekable file: equal content, equal bytes."""
    archive = StoredZipWriter(destination)
    archive.add(_META, [content.meta], len(content.meta))
    archive.add(_SYMBOL, [content.symbol], len(content.symbol))
    archive.add(_PARAMS, array_pieces(content.arrays), arrays_size(content.arrays))
    _add_extras(archive, content.extras)
    archive.close()


def write_extras(destination: IO[bytes], extras: Mapping[str, bytes]) -> None:
    """Write a zip of members ``openfm/*`` alone to a seekable file."""
    archive = StoredZipWriter(destination)
    _add_extras(archive, extras)
    archive.close()


def _add_extras(archive: StoredZipWriter, extras: Mapping[str, bytes]) -> None:
    for name, extra in sorted(extras.items()):
        archive.add(name, [extra], len(extra))


def _check_magic(start: bytes) -> None:
    if start[:4] == _ZIP_MAGIC:
        return
    if start == LIST_MAGIC.to_bytes(8, "little"):
        raise ArtifactError(
            "it is a bare MXNet file of arrays, such as Amazon's k-means and PCA write, not a "
            "Factorization Machine: that is a zip of meta.json, symbol.json and params"
        )
    raise ArtifactError("it is neither a model.tar.gz nor a model_algo-1 (a zip of meta.json, symbol.json and params)")


def _checked_members(archive: zipfile.ZipFile, size: int, required: Iterable[str]) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        _check_member(info, size)
        if info.filename in members:
            raise ArtifactError(f"it holds two members {info.filename}")
        members[info.filename] = info
    missing = [name for name in required if name not in members]
    if missing:
        raise ArtifactError(f"it has no {' and no '.join(missing)}; it holds {listed(members)}")
    return members


def _check_sum(members: Mapping[str, zipfile.ZipInfo], size: int, limit: int) -> None:
    # Each may be small for its own size, and members may even share their bytes.
    total = sum(info.file_size for info in members.values())
    if total > limit:
        raise ArtifactError(
            f"its members claim {total} bytes in a file of {size}, and at most {limit} can be read; if it is a model, "
            "zip it without compression"
        )
    check_extras({name: info.file_size for name, info in members.items() if name.startswith(EXTRAS_PREFIX)})


def check_extras(sizes: Mapping[str, int]) -> None:
    """Refuses members ``openfm/*`` that are too large, given the bytes of each.

    Raises:
        ArtifactError: the encoder's take more than 2 GiB, or the others more than 4 MiB.
    """
    encoder = sum(size for name, size in sizes.items() if is_encoder_member(name))
    others = sum(sizes.values()) - encoder
    for what, found, limit in (("other members", others, MAX_EXTRAS_BYTES), ("encoder", encoder, MAX_ENCODER_BYTES)):
        if found > limit:
            raise ArtifactError(
                f"its {what} below {EXTRAS_PREFIX} claim {found} bytes, and at most {limit} can be read"
            )


def _check_member(info: zipfile.ZipInfo, size: int) -> None:
    name = info.filename
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
    if leads_out(name):
        raise ArtifactError(f"it holds a member {name!r}, which is a path out of it")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArtifactError(f"its member {name!r} is not a regular file")
    if info.flag_bits & _ENCRYPTED:
        raise ArtifactError(f"its member {name!r} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArtifactError(f"its member {name!r} is neither stored nor deflated")
    stored = info.compress_type == zipfile.ZIP_STORED
    limit = info.compress_size if stored else unpacked_limit(info.compress_size)
    if info.header_offset + info.compress_size > size or info.file_size > limit:
        raise ArtifactError(
            f"its member {name!r} claims {info.file_size} bytes ({info.compress_size} packed) in a file of {size}"
        )


def _read_json(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_JSON_BYTES:
        raise ArtifactError(f"its {info.filename} is {info.file_size} bytes long; at most {MAX_JSON_BYTES} can be read")
    return archive.read(info)


def _read_params(
    source: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_values: int | None
) -> dict[str, StoredArray]:
    if info.compress_type == zipfile.ZIP_STORED:
        return read_arrays(StoredMember(source, archive, info), info.file_size, max_values=max_values)
    with archive.open(info) as stream:
        arrays = read_arrays(cast(Readable, stream), info.file_size, max_values=max_values)
        stream.read(1)  # makes zipfile compare the checksum, which it does at a member's end only
    return arrays


def _read_extras(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> dict[str, bytes]:
    return {name: _read_extra(archive, info) for name, info in members.items() if name.startswith(EXTRAS_PREFIX)}


def _read_extra(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # In pieces: the file underneath refuses to be read at once.
    with archive.open(info) as stream:
        return b"".join(iter(lambda: stream.read(MAX_JSON_BYTES), b""))
