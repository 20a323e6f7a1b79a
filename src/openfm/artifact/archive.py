"""``model.tar.gz``: the model file in a gzipped tar, as SageMaker keeps it on S3."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import IO, cast

from isal import igzip, isal_zlib

from openfm.artifact.limits import BoundedReader, unpacked_limit
from openfm.artifact.names import MODEL_NAME, choose_model, is_model_name, leads_out, listed
from openfm.errors import ArtifactError
from openfm.stored_zip import PIECE_BYTES

__all__ = ["GZIP_MAGIC", "read_archive", "unpacked_size", "write_archive"]

GZIP_MAGIC = b"\x1f\x8b"
"""The first bytes of a gzip file."""

# tarfile lets ValueError and OverflowError through for some headers that make no sense.
_UNSOUND: tuple[type[Exception], ...] = (
    tarfile.TarError,
    gzip.BadGzipFile,
    EOFError,
    cast(type[Exception], isal_zlib.error),
    ValueError,
    OverflowError,
)
_MAX_MEMBERS = 1000
_SMALLEST_GZIP = 18  # header, empty block, trailer
_GZIP_OVERHEAD = 2**16  # what compression may add to small data
_GZIP_LEVEL = 6  # Amazon's; parameters hardly compress at any


def read_archive(source: IO[bytes]) -> io.BytesIO:
    """Take the model file out of a ``model.tar.gz``, into memory and in one pass.

    Args:
        source: the archive, a real file.

    Raises:
        ArtifactError: it is damaged, holds no model, holds anything but files and folders, or
            unpacks to far more than a model of its size could.
    """
    limit = unpacked_limit(os.fstat(source.fileno()).st_size)
    try:
        with igzip.IGzipFile(fileobj=source) as unzipped:
            bounded = BoundedReader(unzipped, limit=limit)
            model_file = _read_tar(bounded)
            while bounded.read(2**20):  # to the end, where gzip compares its checksum
                pass
            return model_file
    except ArtifactError:
        raise
    except _UNSOUND as error:
        raise ArtifactError(f"it is a damaged tar.gz: {error}") from error


def unpacked_size(source: IO[bytes]) -> int:
    """The bytes that a gzip file unpacks to, by its last four: the size modulo 4 GiB (RFC 1952).

    Trained parameters hardly compress, so the smallest such size that is not less than the packed one is taken.

    Raises:
        ArtifactError: it is too short to be one.
    """
    packed = source.seek(0, io.SEEK_END)
    if packed < _SMALLEST_GZIP:
        raise ArtifactError(f"it is a damaged tar.gz: {packed} bytes long")
    source.seek(-4, io.SEEK_END)
    size = int.from_bytes(source.read(4), "little")
    overflows = max(0, packed - _GZIP_OVERHEAD - size + 2**32 - 1) >> 32
    return size + (overflows << 32)


def write_archive(destination: IO[bytes], model: IO[bytes]) -> None:
    """Write a ``model.tar.gz`` around a model file: equal content, equal bytes (of one zlib)."""
    member = tarfile.TarInfo(MODEL_NAME)
    member.size = model.seek(0, io.SEEK_END)
    member.mode = 0o644
    model.seek(0)
    with (
        gzip.GzipFile("", "wb", _GZIP_LEVEL, destination, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        archive.addfile(member, model)


def _read_tar(unzipped: BoundedReader) -> io.BytesIO:
    names: list[str] = []
    model_file: io.BytesIO | None = None
    with tarfile.open(fileobj=unzipped, mode="r:") as archive:
        for number, member in enumerate(archive):
            if number == _MAX_MEMBERS:
                raise ArtifactError(f"it holds more than {_MAX_MEMBERS} members")
            name = _checked_name(member)
            if member.isdir():
                continue
            if name in names:
                raise ArtifactError(f"it holds two members {name}")
            names.append(name)
            if name == MODEL_NAME or (model_file is None and is_model_name(name)):
                model_file = None  # never two models in memory
                model_file = _extracted(unzipped, member)
    if choose_model(names, "it") is None or model_file is None:
        raise ArtifactError(f"it holds no {MODEL_NAME}; it holds {listed(names)}")
    return model_file


def _checked_name(member: tarfile.TarInfo) -> str:
    name = member.name.removeprefix("./")
    if leads_out(name):
        raise ArtifactError(f"it holds a member {member.name!r}, which is a path out of it")
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or member.issparse():
        raise ArtifactError(f"its member {member.name!r} is neither a regular file nor a folder")
    return name


def _extracted(unzipped: BoundedReader, member: tarfile.TarInfo) -> io.BytesIO:
    # Not by tarfile's own file, which copies everything twice more.
    memory = io.BytesIO()
    unzipped.seek(member.offset_data)
    while piece := unzipped.read(min(PIECE_BYTES, member.size - memory.tell())):
        memory.write(piece)
    if memory.tell() != member.size:
        raise ArtifactError(f"it ends within its member {member.name}")
    return memory
