"""Tells the C library's allocator how a server uses memory."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

_LARGE_BLOCK = 8 * 2**20
_KEPT = 32 * 2**20
_ARENAS = 2


def keep_freed_memory() -> None:
    """Let this process, and those forked from it, keep what a request has freed for the next one.

    By default glibc gets each block of more than 128 KiB from the kernel and gives it back at once, some bodies' pages
    over and over again. Fetching those took nine tenths of the time of reading a body of 480 kB. Kept are at most
    32 MiB in each of two arenas; blocks above 8 MiB still come and go. Does nothing where there is no glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    for parameter, value in ((_M_MMAP_THRESHOLD, _LARGE_BLOCK), (_M_TRIM_THRESHOLD, _KEPT), (_M_ARENA_MAX, _ARENAS)):
        mallopt(parameter, value)
