"""scikit-learn's own checks of estimators."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    parametrize_with_checks,
)

from openfm import FactorizationMachineClassifier, FactorizationMachineRegressor

BY_MINI_BATCHES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "mini-batches: a weight of 2 is not two rows"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [FactorizationMachineClassifier(), FactorizationMachineRegressor()],
    expected_failed_checks=lambda _: BY_MINI_BATCHES,
)
@pytest.mark.filterwarnings("ignore")  # some checks warn on purpose
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_sample_weight_equivalence_on_dense_data, check_sample_weight_equivalence_on_sparse_data]
)
@pytest.mark.parametrize("kind", [FactorizationMachineClassifier, FactorizationMachineRegressor])
def test_in_one_batch_a_weight_of_2_is_two_rows(kind: Any, check: Any) -> None:
    check(kind.__name__, kind(mini_batch_size=1000))
