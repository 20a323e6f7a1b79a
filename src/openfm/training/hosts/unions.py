"""Which features the hosts update together in a step: all that occur in any host's mini-batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openfm.training.hosts.collective import Collective

__all__ = ["Unions"]

_ID_BYTES = 4


class Unions:
    """Agrees with the other hosts on the features of steps.

    A bit for each feature there is travels, or the number of each feature that occurs, whichever is less.

    Args:
        collective: of the hosts.
        feature_dim: how many features there are.
    """

    def __init__(self, collective: Collective, feature_dim: int) -> None:
        self._collective = collective
        self._feature_dim = feature_dim
        self._bitmap_bytes = -(-feature_dim // 8)
        self._occurs = np.zeros(0, dtype=bool)  # of each feature, all False between calls; made for the first bitmap

    def agree(self, own: Sequence[npt.NDArray[np.int32]], counts: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int32]]:
        """Unite the features of several steps.

        Args:
            own: the features of this host in each step, each once, in any order.
            counts: shape (hosts, steps): how many features each host has in each step.

        Returns:
            the features of each step, ascending.
        """
        totals = counts.sum(axis=0)
        as_bitmap = self._bitmap_bytes < _ID_BYTES * totals
        sizes = np.where(as_bitmap, self._bitmap_bytes, _ID_BYTES * totals)
        ends = np.cumsum(sizes)
        content = np.zeros(int(sizes.sum()), dtype=np.uint8)
        parts = [content[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        before = counts[: self._collective.rank].sum(axis=0) * _ID_BYTES
        for part, features, bitmap, begin in zip(parts, own, as_bitmap, before, strict=True):
            if bitmap:
                part[:] = self._to_bitmap(features)
            else:
                part[begin : begin + features.nbytes] = features.view(np.uint8)
        if len(content):
            self._collective.bitwise_or(content)
        return [
            _from_bitmap(part) if bitmap else _distinct(np.frombuffer(part.tobytes(), dtype=np.int32))
            for part, bitmap in zip(parts, as_bitmap, strict=True)
        ]

    def _to_bitmap(self, features: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        if not len(self._occurs):
            self._occurs = np.zeros(self._feature_dim, dtype=bool)
        self._occurs[features] = True
        bitmap = np.packbits(self._occurs, bitorder="little")
        self._occurs[features] = False
        return bitmap


def _from_bitmap(bitmap: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """The numbers of the bits that are set. Most bytes are 0: only the others are unpacked."""
    used = np.flatnonzero(bitmap != 0).astype(np.int32)
    bits = np.unpackbits(bitmap[used], bitorder="little")
    found = np.flatnonzero(bits.view(bool))  # NumPy finds what is True several times as fast as what is not 0
    features: npt.NDArray[np.int32] = (used[found >> 3] << 3) + (found & 7).astype(np.int32)
    return features


def _distinct(features: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Each once, ascending: what ``np.unique`` gives, which takes 25 times as long for tens of thousands."""
    ascending = np.sort(features)
    is_new = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=is_new[1:])
    return ascending[is_new]
