"""Which of a channel's records are this host's, where all hosts have the whole channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["WHOLE", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """One of equal parts: pieces of records are dealt in turn, as cards are.

    Attributes:
        number: which part, from 0.
        of: how many there are.
    """

    number: int = 0
    of: int = 1

    def rows(self, first: int, count: int, piece: int) -> npt.NDArray[np.int64]:
        """Which of some records are in the part: int64, ascending, counted from the first of them.

        Args:
            first: the number of the first of them within the channel.
            count: how many they are.
            piece: records of a piece.
        """
        numbers = np.arange(count, dtype=np.int64)
        if self.of == 1:
            return numbers
        own: npt.NDArray[np.int64] = numbers[(first + numbers) // piece % self.of == self.number]
        return own


WHOLE = Part()
"""All records: there is one host, or each has records of its own."""
