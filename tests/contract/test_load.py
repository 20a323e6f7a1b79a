"""The campaign of soak/load.py, for seconds."""

from __future__ import annotations

from pathlib import Path

from soak.load import Load


def test_every_answer_is_right_under_load(tmp_path: Path) -> None:
    report = Load(tmp_path, clients=64, seed=1).run(seconds=8)

    assert "requests with" in report
