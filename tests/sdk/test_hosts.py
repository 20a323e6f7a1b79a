"""Two instances in Local Mode, with versions 2 and 3 of the SDK."""

from __future__ import annotations

import pytest

import openfm
from support.docker import IMAGE
from support.sdk import Workplace

pytestmark = pytest.mark.sdk


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_two_instances_and_one_that_fails(workplace: Workplace, version: str) -> None:
    printed = workplace.run(version, f"scripts/{version}_hosts.py", IMAGE)
    result = workplace.result()
    assert result["files"] == ["model_algo-1"]
    folder = workplace.folder / "together"
    model = openfm.load_model(folder if version == "v2" else folder / "model")
    assert model.feature_dim == 40
    assert "error" in result, printed  # the second job failed, and the SDK says so
    assert not list((workplace.folder / "lost").rglob("model_algo-1"))
