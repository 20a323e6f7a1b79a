"""Whether a job that ends would have gone on to improve."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["still_improving"]

_LEAST_GAIN = 0.01  # of the loss, relative


def still_improving(epoch_losses: Sequence[float], batch_losses: Sequence[float]) -> bool:
    """Say whether the loss was still falling by more than 1 percent at the end.

    Args:
        epoch_losses: the mean loss of each epoch, in order.
        batch_losses: the mean loss of each mini-batch of the last epoch, in order. They tell where
            there was only one epoch: its two halves are compared.
    """
    if len(epoch_losses) > 1:
        before, after = epoch_losses[-2:]
    else:
        half = len(batch_losses) // 2
        if not half:
            return False
        before = sum(batch_losses[:half]) / half
        after = sum(batch_losses[half:]) / (len(batch_losses) - half)
    return before - after > _LEAST_GAIN * before
