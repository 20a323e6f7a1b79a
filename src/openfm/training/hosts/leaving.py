"""How a process leaves that is, or was, connected to other hosts: at once.

The engine takes a connection down by talking to the other hosts, also to those that are gone, and was seen to crash on
the way after an error. The other hosts need no goodbye: they see the closed connections.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from openfm.contract.failure import write_failure
from openfm.contract.paths import ContractPaths
from openfm.errors import OpenFMError

__all__ = ["engine_is_used", "leave", "leave_failed", "leave_if_connected"]

_used = False


def engine_is_used() -> None:
    """From here on this process must not end in the usual way."""
    global _used
    _used = True


def leave_if_connected(exit_code: int) -> None:
    """End the process if it has used the engine; else do nothing. Call it when nothing is left to do but to end."""
    if _used:
        leave(exit_code)


def leave(exit_code: int) -> NoReturn:
    """End the process without finalisers, its output flushed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(exit_code)


def leave_failed(paths: ContractPaths, error: OpenFMError) -> NoReturn:
    """Say why on standard error and in ``output/failure``, and end the process; from any thread."""
    print(error.failure_reason, file=sys.stderr, flush=True)
    write_failure(paths, error)
    leave(error.exit_code)
