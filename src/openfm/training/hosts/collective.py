"""What several hosts can do together: the seam between training and the engine that connects them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Collective", "gathered", "send"]

_PIECE_BYTES = 2**22  # sent at a time, so that what the engine copies stays small


class Collective(Protocol):
    """Operations in which all hosts of a job take part: each calls the same ones, in the same order, with arrays of the
    same length and dtype.

    Arrays are one-dimensional, C-contiguous and writable; the result replaces their content. It is the same to the last
    bit on every host, and the same in every run with the same arrays.

    Every method raises a PlatformError that names this host and its neighbours where another host is gone or silent.
    Nothing more can be done together then. A host that lives may take as long as it likes.

    Attributes:
        step: the number of the mini-batch that is being trained, for that error.
    """

    step: int

    @property
    def rank(self) -> int:
        """The number of this host: its place in the sorted list of hosts, 0 for the first."""

    @property
    def size(self) -> int:
        """How many hosts there are."""

    def sum(self, array: npt.NDArray[Any]) -> None:
        """Add up: float32, float64 or int64, in that precision. An element to which all hosts but one give 0 is that
        one's, but for the sign of a zero."""

    def maximum(self, array: npt.NDArray[Any]) -> None:
        """Keep the largest of each element: float32, float64 or int64."""

    def bitwise_or(self, array: npt.NDArray[np.uint8]) -> None:
        """Keep the bits that any host has set: uint8."""

    def finish(self) -> None:
        """Wait until all hosts have come here, after which any may leave."""


def gathered(collective: Collective, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What every host gives, on every host.

    Args:
        collective: of the hosts.
        values: shape (n,), of the same n and dtype on every host.

    Returns:
        shape (hosts, n): the row of each host, to the bit.
    """
    table = np.zeros((collective.size, len(values)), dtype=values.dtype)
    table[collective.rank] = values
    if table.size:
        collective.bitwise_or(table.reshape(-1).view(np.uint8))
    return table


def send(collective: Collective, array: npt.NDArray[Any], *, source: int = 0) -> None:
    """Give every host the array of one.

    Args:
        collective: of the hosts.
        array: C-contiguous and, but on the source, writable: it is overwritten there. Of the same shape and dtype on
            every host.
        source: the rank of the host that sends it.
    """
    content = array.reshape(-1).view(np.uint8)
    is_source = collective.rank == source
    for begin in range(0, len(content), _PIECE_BYTES):
        piece = content[begin : begin + _PIECE_BYTES]
        # A sum of zeros would lose the sign of a zero; bits lose nothing.
        bits = piece.copy() if is_source else np.zeros_like(piece)
        collective.bitwise_or(bits)
        if not is_source:
            piece[:] = bits
