"""The campaign of soak/load.py, for seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import load
from soak.load import Load


def test_every_answer_is_right_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # How fast it answers is the campaign's business: this machine may have other work.
    monkeypatch.setattr(load, "PING_SECONDS", 30.0)
    report = Load(tmp_path, clients=64, seed=1).run(seconds=8)

    assert "requests with" in report
