from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import make_quickstart
from make_quickstart import HYPERPARAMETERS, QUICKSTART, TABLES

OPENFM = Path(sys.executable).parent / "openfm"


def committed_files() -> list[Path]:
    inputs = [path for path in (QUICKSTART / "input").rglob("*") if path.is_file()]
    others = [QUICKSTART / name for name in ("request.json", *TABLES.values())]
    return [path.relative_to(QUICKSTART) for path in [*inputs, *others]]


def test_script_makes_the_committed_files(tmp_path: Path) -> None:
    make_quickstart.main(tmp_path)
    for name in committed_files():
        assert (tmp_path / name).read_bytes() == (QUICKSTART / name).read_bytes(), name


def test_it_is_small() -> None:
    assert sum((QUICKSTART / name).stat().st_size for name in committed_files()) < 250_000


def rmse_after_training(folder: Path, **hyperparameters: str) -> float:
    shutil.copytree(QUICKSTART / "input", folder / "input")
    (folder / "input" / "config" / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS | hyperparameters))
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(folder)}
    log = subprocess.check_output([OPENFM, "train"], env=environment, text=True)
    found = re.search(r"#quality_metric: host=\S+, test rmse <loss>=(\S+)", log)
    assert found is not None
    return float(found[1])


def test_model_finds_the_tastes_that_a_linear_model_cannot(tmp_path: Path) -> None:
    assert rmse_after_training(tmp_path / "factors") == pytest.approx(0.4506, abs=1e-4)
    assert rmse_after_training(tmp_path / "linear", factors_lr="0") > 1.25
