"""Requests: what a codec makes of the bytes, before the model sees it."""

from __future__ import annotations

from dataclasses import dataclass

from openfm.data.identities import RecordIdentities
from openfm.fm.rows import SparseRows

__all__ = ["Body", "Request"]

Body = bytes | bytearray
"""A request's body as it came."""


@dataclass(frozen=True, slots=True)
class Request:
    """The instances of one request.

    Attributes:
        rows: their features.
        identities: what the answer must repeat of each, in formats that have such a thing.
    """

    rows: SparseRows
    identities: RecordIdentities | None = None

    def __len__(self) -> int:
        return len(self.rows)
