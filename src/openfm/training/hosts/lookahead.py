"""A host's mini-batches of an epoch, some steps ahead of training."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from openfm.data.reader import ReadingStoppedError
from openfm.fm.trainer import BatchBlock

__all__ = ["MOST_STEPS", "Lookahead", "OwnBatch"]

MOST_STEPS = 8
"""How many steps the hosts agree on at once."""

_MOST_BYTES = 32 * 2**20  # of blocks waiting: what is more is not read before it is needed


@dataclass(frozen=True)
class OwnBatch:
    """A mini-batch of this host.

    Attributes:
        block: it is in.
        number: within the block.
    """

    block: BatchBlock
    number: int

    @property
    def records(self) -> int:
        """Its records, without padding."""
        return self.block.rows(self.number)

    @cached_property
    def features(self) -> npt.NDArray[np.int32]:
        """What occurs in it, each feature once."""
        return self.block.features(self.number)


class Lookahead:
    """Takes mini-batches from a generator before they are needed.

    Args:
        blocks: of an epoch.
        done: mini-batches that are left out, because their steps are done.

    Attributes:
        batches: how many there were so far, the done ones too.
        stopped: whether reading ended because a stop was requested.
    """

    def __init__(self, blocks: Generator[BatchBlock, None, None], done: int) -> None:
        self.batches = 0
        self.stopped = False
        self._blocks = blocks
        self._done = done
        self._waiting: deque[OwnBatch] = deque()
        self._waiting_bytes = 0
        self._is_over = False

    def look(self) -> tuple[list[OwnBatch], bool]:
        """What comes next.

        Returns:
            mini-batches, at most :data:`MOST_STEPS` and at least one unless the epoch is over; and whether they are the
            last.

        Raises:
            DataError: a record cannot be read or trained on.
        """
        while not self._is_over and len(self._waiting) <= MOST_STEPS:
            if len(self._waiting) > 1 and self._waiting_bytes > _MOST_BYTES:
                break
            self._fetch()
        all_seen = self._is_over and len(self._waiting) <= MOST_STEPS
        # One is kept back where more may follow, so that the last is known for what it is.
        count = len(self._waiting) if all_seen else min(MOST_STEPS, len(self._waiting) - 1)
        return [self._waiting[i] for i in range(count)], all_seen

    def take(self, count: int) -> None:
        """Leave out the next mini-batches: they are trained."""
        for _ in range(count):
            taken = self._waiting.popleft()
            if not self._waiting or self._waiting[0].block is not taken.block:
                self._waiting_bytes -= taken.block.nbytes

    def close(self) -> None:
        """Read no more."""
        self._blocks.close()

    def _fetch(self) -> None:
        try:
            block = next(self._blocks)
        except (StopIteration, ReadingStoppedError) as end:
            self._is_over = True
            self.stopped = isinstance(end, ReadingStoppedError)
            return
        left = range(max(0, self._done - self.batches), block.batches)
        self.batches += block.batches
        self._waiting.extend(OwnBatch(block, number) for number in left)
        if left:
            self._waiting_bytes += block.nbytes
