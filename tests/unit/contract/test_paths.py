"""Where a job's files lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from openfm.contract.paths import ContractPaths
from openfm.errors import ChannelError


def test_the_tree_is_sagemakers() -> None:
    paths = ContractPaths.from_environ({})
    assert [
        str(path)
        for path in (
            paths.base,
            paths.hyperparameters,
            paths.input_data_config,
            paths.resource_config,
            paths.data,
            paths.model,
            paths.output,
            paths.failure,
        )
    ] == [
        "/opt/ml",
        "/opt/ml/input/config/hyperparameters.json",
        "/opt/ml/input/config/inputdataconfig.json",
        "/opt/ml/input/config/resourceconfig.json",
        "/opt/ml/input/data",
        "/opt/ml/model",
        "/opt/ml/output",
        "/opt/ml/output/failure",
    ]


@pytest.mark.parametrize(("value", "base"), [("", "/opt/ml"), ("/tmp/ml", "/tmp/ml"), ("mine", "mine")])
def test_sagemaker_base_dir_moves_the_tree(value: str, base: str) -> None:
    assert ContractPaths.from_environ({"SAGEMAKER_BASE_DIR": value}).base == Path(base)


@pytest.mark.parametrize("folders", [[], ["input"], ["input/data"], ["input/config", "input/data", "model"]])
def test_a_tree_without_a_job_says_what_to_mount(tmp_path: Path, folders: list[str]) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ChannelError, match=r"-v /path/to/folder:/opt/ml .* SAGEMAKER_BASE_DIR"):
        ContractPaths(tmp_path).require_job()


@pytest.mark.parametrize("file", ["input/config/hyperparameters.json", "input/data/train/part-0"])
def test_half_a_job_is_a_job(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    ContractPaths(tmp_path).require_job()
