"""Where verbs write: a file that appears when all is written, or standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_output"]


@contextmanager
def open_output(path: str) -> Iterator[BinaryIO]:
    """A file to write bytes to, which takes the place of ``path`` when all went well; - is standard output.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(path)
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif target.exists() and not target.is_file():  # such as a FIFO
        with target.open("wb") as file:
            yield file
    else:
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                yield file
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
