"""Which model is served: the SHA-256 of its file."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

__all__ = ["CHANGED", "FileDigest"]

CHANGED = "changed"
"""What stands for the digest of a file that has been written to since it was opened."""

_PIECE_BYTES = 2**20


class FileDigest:
    """The SHA-256 of a file, computed when it is first asked for: with a gigabyte it takes a second.

    The file is opened here, so that it is still the same when another has taken its name. One that has been written to
    in the meantime has no digest any more: what was loaded of it is not there. Safe to use from several threads, and
    from processes that were forked in between.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._state = self._state_now()
        self._lock = threading.Lock()
        self._digest: str | None = None

    def is_of(self, path: Path) -> bool:
        """Whether this file, as it was when it was opened, has that name now.

        Raises:
            OSError: there is no file of that name.
        """
        found, opened = path.stat(), os.fstat(self._descriptor)
        return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino) and self._state_now() == self._state

    def __call__(self) -> str:
        """The digest, in hexadecimal, or :data:`CHANGED`.

        Raises:
            OSError: the file cannot be read.
        """
        with self._lock:
            if self._digest is None:
                digest = self._computed()
                self._digest = digest if self._state_now() == self._state else CHANGED
                os.close(self._descriptor)
            return self._digest

    def _state_now(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def _computed(self) -> str:
        # By pread: processes that were forked share the place where read goes on.
        digest, offset = hashlib.sha256(), 0
        while piece := os.pread(self._descriptor, _PIECE_BYTES, offset):
            digest.update(piece)
            offset += len(piece)
        return digest.hexdigest()
