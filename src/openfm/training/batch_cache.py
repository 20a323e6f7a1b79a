"""The mini-batches that later epochs need not read again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from openfm.data.batches import LabelledRows, joined
from openfm.data.places import START, Place
from openfm.fm.trainer import BatchBlock

__all__ = ["BatchCache", "Remainder"]


@dataclass(frozen=True, slots=True)
class Remainder:
    """What follows some mini-batches in the data.

    Attributes:
        place: where reading goes on.
        records: how many records of the channel lie before the place.
        held: those of them that are in none of the mini-batches; they begin the next one.
    """

    place: Place = START
    records: int = 0
    held: tuple[LabelledRows, ...] = ()


class BatchCache:
    """The first mini-batches of the data, as many as a budget of memory holds.

    Args:
        budget: how many bytes they may take.

    Attributes:
        blocks: the mini-batches that are kept, from the first on.
        rest: what follows them; None if they are all.
    """

    def __init__(self, budget: int) -> None:
        self.blocks: list[BatchBlock] = []
        self.rest: Remainder | None = Remainder()
        self._left = budget
        self._is_full = False

    def offer(self, block: BatchBlock, rest: Remainder | None) -> None:
        """Keep the mini-batches that follow those kept, if the budget holds them.

        After the first that it does not hold none is kept: the order must not change.

        Args:
            block: the mini-batches.
            rest: what follows them; None: nothing.
        """
        if self._is_full:
            return
        if block.nbytes <= self._left:
            self._left -= block.nbytes
            self.blocks.append(block)
            self.rest = rest
            return
        self._is_full = True
        if self.rest is not None and self.rest.held:
            # A copy, for they share the memory of all that was read with them.
            self.rest = replace(self.rest, held=(joined(self.rest.held),))

    def complete(self) -> None:
        """Say that the data end with the mini-batches that were offered last: if all are kept, nothing follows them."""
        if not self._is_full:
            self.rest = None
