"""Version 3 of the SageMaker Python SDK in Local Mode."""

from __future__ import annotations

import numpy as np
import pytest

import openfm
from support.sdk import Workplace

pytestmark = pytest.mark.sdk


def test_model_trainer_and_local_session(workplace: Workplace) -> None:
    """Run as an ordinary user, who cannot remove what the container has made: the SDK has the image do it."""
    printed = workplace.run("v3", "scripts/v3_model_trainer.py", ordinary_user=True)
    job = workplace.folder / "job"
    assert "test rmse" in printed
    assert (job / "model" / "model_algo-1").stat().st_uid == 0
    assert not (job / "algo-1").exists()
    scores = openfm.load_model(job / "model").predict(np.load(workplace.folder / "rows.npy")).tolist()
    assert workplace.result() == {"json": scores, "records": scores}
