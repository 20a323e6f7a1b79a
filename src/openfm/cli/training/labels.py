"""What is to be predicted, as the labels tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from openfm.errors import CustomerError
from openfm.fm.model import PredictorType

__all__ = ["predictor_type_of"]


def predictor_type_of(labels: npt.NDArray[np.float32]) -> tuple[PredictorType, str]:
    """Whether labels are classes or numbers, and the sentence that says why.

    Args:
        labels: float32, shape (n,), n at least 1.

    Raises:
        CustomerError: they may be either.
    """
    different = np.unique(labels)
    if len(different) > 2:
        low, high = float(different[0]), float(different[-1])
        return PredictorType.REGRESSOR, (
            f"The labels are {len(different):,} different numbers from {low:g} to {high:g}: training a regressor."
        )
    if different.tolist() == [0.0, 1.0]:
        return PredictorType.BINARY_CLASSIFIER, "The labels are 0 and 1: training a binary_classifier."
    shown = " and ".join(f"{label:g}" for label in different.tolist())
    raise CustomerError(
        f"All labels are {shown}, which may be classes or numbers: say --predictor-type regressor, or make the labels "
        "0 and 1 for a binary_classifier."
    )
