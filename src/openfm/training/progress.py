"""Whether a job that ends would have gone on to improve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["LossHistory", "still_improving"]

_LEAST_GAIN = 0.01  # of the loss, relative
_MOST_GROUPS = 256


@dataclass(slots=True)
class LossHistory:
    """The losses of an epoch's mini-batches, in groups: never more than 256 numbers, however many there are.

    Attributes:
        group: mini-batches of a group; doubled whenever there would be too many groups.
        sums: of the losses of each group.
        last: mini-batches of the last group.
    """

    group: int = 1
    sums: list[float] = field(default_factory=list)
    last: int = 0

    def add(self, losses: Iterable[float]) -> None:
        """Add the next mini-batches' losses."""
        for loss in losses:
            if not self.sums or self.last == self.group:
                if len(self.sums) == _MOST_GROUPS:
                    self.sums = [a + b for a, b in zip(self.sums[::2], self.sums[1::2], strict=True)]
                    self.group *= 2
                self.sums.append(0.0)
                self.last = 0
            self.sums[-1] += loss
            self.last += 1

    def halves(self) -> tuple[float, float] | None:
        """The mean losses of the first and the second half; None if there are no two halves."""
        half = len(self.sums) // 2
        if not half:
            return None
        later = (len(self.sums) - half - 1) * self.group + self.last
        return sum(self.sums[:half]) / (half * self.group), sum(self.sums[half:]) / later


def still_improving(epoch_losses: Sequence[float], history: LossHistory) -> bool:
    """Say whether the loss was still falling by more than 1 percent at the end.

    Args:
        epoch_losses: the mean losses of the last two epochs, or of the only one.
        history: of the last epoch, which tells where there was only one: its halves are compared.
    """
    compared = tuple(epoch_losses) if len(epoch_losses) == 2 else history.halves()
    if compared is None:
        return False
    before, after = compared
    return before - after > _LEAST_GAIN * before
