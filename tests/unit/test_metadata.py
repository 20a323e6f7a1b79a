"""``openfm metadata``: valid for SageMaker's API, and no other than what jobs and requests are checked with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest
from click.testing import CliRunner

from openfm.cli import main
from openfm.contract.config import InputDataConfig
from openfm.contract.hyperparameter_kinds import Choice, Flag, Integer, Number, Text
from openfm.contract.hyperparameter_table import DECLARATIONS
from openfm.contract.hyperparameters import Hyperparameters
from openfm.metadata import create_algorithm_request, metric_definitions, parameter_ranges
from support.service_model import assert_valid, faults

SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")
CREATE_ALGORITHM = SAGEMAKER.operation_model("CreateAlgorithm").input_shape
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/openfm:1"

REQUEST = create_algorithm_request("my-fm", IMAGE)
TRAINING = REQUEST["TrainingSpecification"]
HYPERPARAMETERS = {given["Name"]: given for given in TRAINING["SupportedHyperParameters"]}


def test_the_check_of_the_service_model_finds_faults() -> None:
    wrong = json.loads(json.dumps(REQUEST))
    wrong["AlgorithmName"] = "not a name"
    wrong["TrainingSpecification"]["SupportedTrainingInstanceTypes"].append("ml.none.large")
    wrong["TrainingSpecification"]["TrainingChannels"] *= 3
    assert [fault.partition(": ")[0] for fault in faults(wrong, CREATE_ALGORITHM)] == [
        ".AlgorithmName",
        f".TrainingSpecification.SupportedTrainingInstanceTypes[{len(TRAINING['SupportedTrainingInstanceTypes'])}]",
        ".TrainingSpecification.TrainingChannels",
    ]


def test_create_algorithm_takes_it() -> None:
    assert_valid(REQUEST, CREATE_ALGORITHM)


def test_metric_definitions_are_those_of_a_training_job() -> None:
    training_job = SAGEMAKER.operation_model("CreateTrainingJob").input_shape
    assert_valid(metric_definitions(), training_job.members["AlgorithmSpecification"].members["MetricDefinitions"])
    assert TRAINING["MetricDefinitions"] == metric_definitions()
    assert len(metric_definitions()) == 19


def test_parameter_ranges_are_those_of_a_tuning_job_and_allowed() -> None:
    assert_valid(parameter_ranges(), SAGEMAKER.shape_for("ParameterRanges"))
    tunable = {name for name, given in HYPERPARAMETERS.items() if given["IsTunable"]}
    ranges = [given for listed in parameter_ranges().values() for given in listed]
    assert {given["Name"] for given in ranges} == tunable
    for given in ranges:
        (allowed,) = HYPERPARAMETERS[given["Name"]]["Range"].values()
        assert float(allowed["MinValue"]) <= float(given["MinValue"]) < float(given["MaxValue"])
        assert float(given["MaxValue"]) <= float(allowed["MaxValue"])


def test_objectives_are_metrics_that_are_defined() -> None:
    names = {definition["Name"] for definition in metric_definitions()}
    objectives = TRAINING["SupportedTuningJobObjectiveMetrics"]
    assert len(objectives) == 5
    assert {objective["MetricName"] for objective in objectives} <= names


def test_every_hyperparameter_is_there_with_its_type() -> None:
    types = {Integer: "Integer", Number: "Continuous", Choice: "Categorical", Flag: "Categorical", Text: "FreeText"}
    assert {name: given["Type"] for name, given in HYPERPARAMETERS.items()} == {
        declaration.name: types[type(declaration.kind)] for declaration in DECLARATIONS
    }
    assert [name for name, given in HYPERPARAMETERS.items() if given["IsRequired"]] == [
        "feature_dim",
        "num_factors",
        "predictor_type",
    ]


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_jobs_take_the_ends_of_each_range_and_the_default(name: str) -> None:
    given = HYPERPARAMETERS[name]
    values = [given["DefaultValue"]] if "DefaultValue" in given else []
    for allowed in given.get("Range", {}).values():
        values += allowed.get("Values", [allowed.get("MinValue"), allowed.get("MaxValue")])
    required = {"feature_dim": "10", "num_factors": "2", "predictor_type": "regressor"}
    for value in values:
        Hyperparameters.parse({**required, name: value})


def test_jobs_take_every_content_type_and_input_mode_of_each_channel(tmp_path: Path) -> None:
    config = tmp_path / "inputdataconfig.json"
    channels = TRAINING["TrainingChannels"]
    assert [channel["Name"] for channel in channels] == ["train", "test", "validation", "model"]
    assert [channel["Name"] for channel in channels if channel["IsRequired"]] == ["train"]
    for channel in channels:
        for content_type in channel["SupportedContentTypes"]:
            for mode in channel["SupportedInputModes"]:
                given = {channel["Name"]: {"ContentType": content_type, "TrainingInputMode": mode}}
                config.write_text(json.dumps(given))
                assert InputDataConfig.read(config).remarks() == []


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (["--algorithm-name", "my-fm", "--image", IMAGE], REQUEST),
        (["--part", "metric-definitions"], metric_definitions()),
        (["--part", "parameter-ranges"], parameter_ranges()),
    ],
)
def test_the_command_prints_it(options: list[str], printed: object) -> None:
    run = CliRunner().invoke(main, ["metadata", *options])
    assert run.exit_code == 0
    assert json.loads(run.output) == printed


def test_the_image_is_for_training_and_inference() -> None:
    assert TRAINING["TrainingImage"] == REQUEST["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE


def test_what_to_install_is_said() -> None:
    program = "import sys; sys.modules['orjson'] = None; from openfm.cli import main; main(['metadata'])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert run.returncode == 1
    assert "This command needs the package 'orjson'" in run.stderr
    assert "pip install 'openfm[serve]'" in run.stderr
