"""Weights of records: what each record's gradient is multiplied by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError

__all__ = ["checked_weights", "joined_weights"]

_Weights = npt.NDArray[np.float32] | None


def checked_weights(weights: Any, rows: int, name: str) -> npt.NDArray[np.float32]:
    """Weights as float32, shape (rows,), contiguous; of -0.0 comes 0.

    Args:
        weights: anything that NumPy takes for an array of the shape (rows,) or (rows, 1).
        rows: how many there must be.
        name: what the weights are called, for the error, such as ``weights``.

    Raises:
        DataError: they are of another shape, not numeric, not finite as float32, or below 0; names row and value.
    """
    given = np.asarray(weights)
    if given.shape not in {(rows,), (rows, 1)}:
        raise DataError(f"The {name} have the shape {given.shape}, where ({rows},) is needed: one weight a row.")
    if given.dtype.kind not in "biuf":
        raise DataError(f"The {name} are {given.dtype} values, where numbers are needed.")
    with np.errstate(over="ignore"):
        numbers = given.reshape(rows).astype(np.float32)
    sound = np.isfinite(numbers) & (numbers >= 0)
    if not sound.all():
        row = int(np.argmin(sound))
        raise DataError(
            f"Row {row} of the {name} is {given.flat[row]}, where a finite float32 of at least 0 is needed. Correct it."
        )
    return numbers + np.float32(0)


def joined_weights(parts: list[tuple[_Weights, int]]) -> _Weights:
    """The weights of consecutive parts of some rows, in memory of their own; None where no part has any.

    Args:
        parts: of each its weights, float32 of shape (rows,), and how many rows it has. None stands for ones.
    """
    if all(weights is None for weights, _ in parts):
        return None
    return np.concatenate([np.ones(rows, dtype=np.float32) if weights is None else weights for weights, rows in parts])
