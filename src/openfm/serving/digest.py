"""Which model is served: the SHA-256 of its file."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

__all__ = ["FileDigest"]

_PIECE_BYTES = 2**20


class FileDigest:
    """The SHA-256 of a file, computed when it is first asked for: with a gigabyte it takes a second.

    The file is opened here, so that it is still the same when another has taken its name. Safe to use from several
    threads, and from processes that were forked in between.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._digest: str | None = None

    def __call__(self) -> str:
        """The digest, in hexadecimal.

        Raises:
            OSError: the file cannot be read.
        """
        with self._lock:
            if self._digest is None:
                self._digest = self._computed()
                os.close(self._descriptor)
            return self._digest

    def _computed(self) -> str:
        # By pread: processes that were forked share the place where read goes on.
        digest, offset = hashlib.sha256(), 0
        while piece := os.pread(self._descriptor, _PIECE_BYTES, offset):
            digest.update(piece)
            offset += len(piece)
        return digest.hexdigest()
