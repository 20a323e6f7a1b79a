from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from openfm.serving import allocator

CODE = """
import ctypes
from openfm.serving.allocator import keep_freed_memory

keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
libc.free.argtypes = libc.sbrk.argtypes = [ctypes.c_void_p]
block = libc.malloc(4 * 2**20)
end = libc.sbrk(0)
libc.free(block)
print(block < end, libc.sbrk(0) == end)
"""


def test_a_freed_block_stays_with_the_process() -> None:
    """It is of the heap, below its end, which does not move when the block is freed."""
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    assert run.stdout.split() == ["True", "True"]


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())

    allocator.keep_freed_memory()
