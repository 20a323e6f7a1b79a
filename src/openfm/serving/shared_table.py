"""Numbers that a server's processes share, in memory alone: no file, no semaphore, no /dev/shm."""

from __future__ import annotations

import mmap
import threading

__all__ = ["SharedTable"]


class SharedTable:
    """A table of float64, all 0 at first, that every process forked after it was made sees.

    Each process writes a row of its own, so that processes need no lock between them, and reads the sums of all rows.
    A process that dies leaves its row to its successor: what it counted stays counted.

    Args:
        rows: for how many processes.
        columns: numbers in a row.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self._columns = columns
        self._cells = memoryview(mmap.mmap(-1, rows * columns * 8)).cast("d")
        self._start = 0
        self._lock = threading.Lock()

    def use_row(self, row: int) -> None:
        """Let this process write row ``row`` from now on; row 0 until then."""
        self._start = row * self._columns

    def add(self, *amounts: tuple[int, float]) -> None:
        """Add to columns of this process's row: pairs of a column and what to add."""
        with self._lock:
            for column, amount in amounts:
                self._cells[self._start + column] += amount

    def clear(self, row: int, column: int) -> None:
        """Set a number in any row to 0, once the process that wrote it has ended."""
        self._cells[row * self._columns + column] = 0

    def total(self, column: int) -> float:
        """The sum of a column over all processes."""
        return sum(self._cells[column :: self._columns])
