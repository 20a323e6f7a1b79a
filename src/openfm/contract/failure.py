"""How a job fails: whose fault it is, and the file that tells the platform why."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path

from openfm.contract.paths import ContractPaths
from openfm.errors import AlgorithmError, OpenFMError, PlatformError

__all__ = ["classify", "write_failure"]

_MAX_BYTES = 1023
"""The platform shows the first 1024 characters; in bytes, so that no encoding exceeds it."""

_MAX_CAUSE_BYTES = 700
"""Of a bug's cause, so that the innermost frames of its traceback still fit."""

_FULL = "Free some space there, or mount a larger volume."
_LOCKED = "Mount a folder there that openfm may use."
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f).",
    errno.EROFS: _LOCKED,
    errno.EACCES: _LOCKED,
    errno.EPERM: _LOCKED,
    errno.EIO: "Check the disk or the mounted volume.",
}


def classify(error: Exception) -> OpenFMError:
    """Say whose fault an exception is: the error to fail with.

    An :class:`OpenFMError` is returned as it is. What the machine refuses (space, permission,
    memory) becomes a PlatformError; anything else was not foreseen and is an AlgorithmError. The
    exception stays its ``__cause__``.
    """
    if isinstance(error, OpenFMError):
        return error
    found: OpenFMError
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        reason = os.strerror(error.errno)
        place = f": {error.filename}" if error.filename is not None else ""
        found = PlatformError(f"{reason}{place}. {_REMEDIES[error.errno]}")
    elif isinstance(error, MemoryError):
        found = PlatformError(
            "The job needs more memory than the machine gives it. Take a machine or a limit with "
            "more memory, or a smaller feature_dim, num_factors or mini_batch_size."
        )
    else:
        text = str(error) or "Unknown error"
        found = AlgorithmError(f"{text} (caused by {type(error).__name__})")
    found.__cause__ = error
    return found


def write_failure(paths: ContractPaths, error: OpenFMError) -> None:
    """Write ``output/failure``: the cause first, and after a bug's cause where it happened.

    The file is under 1024 bytes of UTF-8, written at once with mode 0644, and replaces an older
    one. If it cannot be written, standard error says so: a job that fails has no better place.
    """
    try:
        paths.output.mkdir(exist_ok=True)
        _write_atomically(paths.failure, _failure_text(error))
    except OSError as problem:
        print(f"openfm: cannot write {paths.failure}: {problem.strerror or problem}", file=sys.stderr)


def _failure_text(error: OpenFMError) -> bytes:
    cause = error.failure_reason
    if not isinstance(error, AlgorithmError):
        return _first_bytes(cause, _MAX_BYTES)
    head = _first_bytes(cause, _MAX_CAUSE_BYTES) + b"\n\n"
    frames = traceback.format_tb((error.__cause__ or error).__traceback__)
    return head + _last_frames(frames, _MAX_BYTES - len(head))


def _encoded(text: str) -> bytes:
    # A file's name may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
    return text.encode("utf-8", errors="backslashreplace")


def _first_bytes(text: str, limit: int) -> bytes:
    """As much of the text's beginning as fits, with an ellipsis where it is cut."""
    encoded = _encoded(text)
    if len(encoded) <= limit:
        return encoded
    return encoded[: limit - 3].decode("utf-8", errors="ignore").encode() + b"..."


def _last_frames(frames: list[str], limit: int) -> bytes:
    """As many frames as fit, the innermost at the end."""
    kept: list[bytes] = []
    for frame in map(_encoded, reversed(frames)):
        if sum(map(len, kept)) + len(frame) > limit:
            break
        kept.insert(0, frame)
    return b"".join(kept)


def _write_atomically(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".failure-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
