"""What identifies a record: its fields ``uid`` and ``metadata``, from a request to its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["RecordIdentities"]


@dataclass(frozen=True, slots=True, eq=False)
class RecordIdentities:
    """The fields ``uid`` and ``metadata`` of many records, as they stand in the messages.

    They are only ever copied from a request's records to the answer's, so they stay serialised: no object for each
    record, and bytes that are no UTF-8 come back as they were.

    Attributes:
        offsets: int64, shape (records + 1,): where each record's fields begin, and the end.
        fields: uint8, shape (offsets[-1],); nothing for a record that has neither field.
    """

    offsets: npt.NDArray[np.int64]
    fields: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1
