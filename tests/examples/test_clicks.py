"""examples/clicks.py: from a log with ids to a server that is asked by columns."""

from __future__ import annotations

import hashlib
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clicks


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The example's folder, and what it prints."""
    folder = tmp_path_factory.mktemp("clicks")
    printed = io.StringIO()
    with redirect_stdout(printed):
        clicks.run(folder)
    return folder, printed.getvalue()


def answers(printed: str) -> list[list[dict[str, Any]]]:
    return [json.loads(text)["predictions"] for text in re.findall(r"^200 (\{.*\})$", printed, re.M)]


def test_the_log_is_the_same_everywhere(example: tuple[Path, str]) -> None:
    folder, _ = example
    lines = (folder / "clicks.csv").read_text().splitlines()
    assert lines[0] == "click,user,ad,site,device,hour,price"
    assert len(lines) == 1 + clicks.ROWS
    clicked = sum(line.startswith("1,") for line in lines)
    assert 0.09 < clicked / clicks.ROWS < 0.11
    ids = "\n".join(line.rpartition(",")[0] for line in lines[1:1001])  # the price's last digit may differ
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == "7fcae628516f2bfc"


def test_area_under_curve_counts_pairs() -> None:
    assert clicks.area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75


def test_the_model_finds_much_of_what_there_is_to_find(example: tuple[Path, str]) -> None:
    _, printed = example
    (possible,) = re.findall(r"reaches an AUC of (0\.\d+)", printed)
    reached = re.findall(r"^test .*\bauc (0\.\d+)", printed, re.M)
    assert float(reached[-1]) > 0.8  # a linear model reaches 0.69
    assert float(possible) < 0.9


def test_a_threshold_below_a_half_is_kept(example: tuple[Path, str]) -> None:
    _, printed = example
    (threshold,) = re.findall(r"best f1: \S+ at (\S+)", printed)
    assert 0.05 < float(threshold) < 0.5
    scored, ranked = answers(printed)
    for prediction in (*scored, *ranked[0]["top_k"]):
        assert prediction["predicted_label"] == (prediction["score"] >= float(threshold))


def test_the_server_scores_columns_and_counts_what_it_never_saw(example: tuple[Path, str]) -> None:
    _, printed = example
    scored, ranked = answers(printed)
    assert all(0 < prediction["score"] < 1 for prediction in scored)
    assert scored[0]["score"] != scored[1]["score"]
    assert len(ranked[0]["top_k"]) == 3
    assert re.search(r'^openfm_unseen\w*\{.*column="user".*\} 1(\.0)?$', printed, re.M), printed
