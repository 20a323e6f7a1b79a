"""How much memory reading an artifact may take, whatever the artifact says of itself."""

from __future__ import annotations

import io
from typing import Protocol

from openfm.encoding.members import MAX_MEMBERS_BYTES
from openfm.errors import ArtifactError

__all__ = ["MAX_ENCODER_BYTES", "MAX_EXTRAS_BYTES", "MAX_JSON_BYTES", "BoundedReader", "unpacked_limit"]

MAX_JSON_BYTES = 2**20
"""``meta.json`` and ``symbol.json`` are a few thousand bytes; no more than this is read of each."""

MAX_EXTRAS_BYTES = 4 * 2**20
"""What the members ``openfm/*`` of a model file may take together, but for the encoder's."""

MAX_ENCODER_BYTES = MAX_MEMBERS_BYTES
"""What the encoder's members may take together."""

_SMALLEST_LIMIT = 2**30
_LARGEST_RATIO = 100
_LARGEST_READ = 2**20


def unpacked_limit(packed_bytes: int) -> int:
    """The most bytes that ``packed_bytes`` of compressed or sparse data may turn into.

    Trained parameters hardly compress (Amazon's own archive is 0.87 times its content), so 1 GiB or
    a hundred times the packed size, whichever is more, leaves room for every honest artifact.
    """
    return max(_SMALLEST_LIMIT, _LARGEST_RATIO * packed_bytes)


class _Seekable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class BoundedReader(io.BufferedIOBase):
    """A seekable file whose reader cannot be made to take much memory.

    ``zipfile`` and ``tarfile`` read a directory or an extended header in one piece of whatever
    length the file names. This refuses a single read of more than 1 MiB, and all reading past
    ``limit``.

    Args:
        file: the file underneath, which stays open when this is closed.
        limit: the most bytes that may be read or skipped; None where the file underneath is all there is.
    """

    def __init__(self, file: _Seekable, *, limit: int | None = None) -> None:
        self._file = file
        self._limit = limit

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The position in the file underneath."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move as ``file.seek`` does.

        Raises:
            ArtifactError: to a place before the beginning or past the limit.
        """
        if whence == io.SEEK_SET:
            if offset < 0:
                raise ArtifactError("it points to a place before its beginning")
            self._check(offset)
        return self._file.seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as ``file.read`` does.

        Raises:
            ArtifactError: more than 1 MiB at once, or past the limit.
        """
        if size is not None and size > _LARGEST_READ:
            raise ArtifactError(f"its directory or a header claims to be {size} bytes long")
        data = self._file.read(_LARGEST_READ + 1 if size is None or size < 0 else size)
        if len(data) > _LARGEST_READ:
            raise ArtifactError("its directory is too long for a model")
        self._check(self._file.tell())
        return data

    def _check(self, position: int) -> None:
        if self._limit is not None and position > self._limit:
            raise ArtifactError(
                f"it unpacks to more than {self._limit} bytes, far more than a model of its size "
                "holds; if it is one, unpack it first and load the file inside"
            )
