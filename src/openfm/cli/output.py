"""Where verbs write: a file that appears when all is written, or standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from openfm.errors import CustomerError

__all__ = ["open_output"]


@contextmanager
def open_output(path: str) -> Iterator[BinaryIO]:
    """A file to write bytes to, which takes the place of ``path`` when all went well; - is standard output.

    Raises:
        CustomerError: its folder does not exist.
        OSError: the file cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise CustomerError(f"There is no folder '{target.parent}'. Make it first.")
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
