"""docs/aws.md against moto, which stands for AWS, and against the API's own model."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import boto3
import botocore.session
import click
import pytest
from botocore import xform_name
from botocore.model import OperationModel
from moto import mock_aws
from moto.sagemakerruntime.models import sagemakerruntime_backends

from openfm.cli import main
from openfm.contract.config import InputDataConfig
from openfm.contract.hyperparameters import Hyperparameters
from openfm.contract.metric_definitions import METRIC_DEFINITIONS
from openfm.serving.settings import ServingSettings
from support.documents import REPOSITORY, blocks_of
from support.service_model import assert_valid

PAGE = Path("docs/aws.md")
BLOCKS = [block for block in blocks_of(PAGE) if block.needs == "aws" and not {"v2", "v3"} & set(block.hint.split())]
REGION = "eu-central-1"
ACCOUNT = "123456789012"
ANSWER = json.loads(next(block.code for block in BLOCKS if block.has("answer")))


@pytest.fixture(scope="module")
def requests() -> Iterator[dict[str, list[dict[str, object]]]]:
    """The requests that the page's program makes, by operation; each was found to be valid."""
    made: dict[str, list[dict[str, object]]] = {}

    def note(params: dict[str, object], model: OperationModel, **_: object) -> None:
        assert_valid(params, model.input_shape)
        made.setdefault(model.name, []).append(dict(params))

    class Session(boto3.Session):
        def __init__(self, **given: str) -> None:
            super().__init__("none", "none", **given)
            self.events.register("before-parameter-build.*.*", note)

    printed = io.StringIO()
    with mock_aws(), pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(REPOSITORY)
        patch.setattr(boto3, "Session", Session)
        results = sagemakerruntime_backends[ACCOUNT][REGION].results_queue
        results.append((json.dumps(ANSWER), "application/json", "all", ""))
        namespace: dict[str, object] = {}
        for block in BLOCKS:
            if block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.code, str(PAGE), "exec"), namespace)
    assert json.loads(printed.getvalue().splitlines()[-1]) == ANSWER
    yield made


def test_every_step_makes_its_request(requests: dict[str, list[dict[str, object]]]) -> None:
    assert {
        "CreateRole",
        "PutRolePolicy",
        "CreateTrainingJob",
        "CreateHyperParameterTuningJob",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "InvokeEndpoint",
        "CreateTransformJob",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DeleteBucket",
        "DeleteRole",
    } <= requests.keys()
    assert len(requests["CreateTrainingJob"]) == 3
    assert len(requests["CreateEndpoint"]) == len(requests["DeleteEndpoint"]) == len(requests["DeleteModel"]) == 2


def test_jobs_are_such_as_the_image_takes(requests: dict[str, list[dict[str, object]]], tmp_path: Path) -> None:
    for job in requests["CreateTrainingJob"]:
        Hyperparameters.parse(job["HyperParameters"])
        channels = {
            channel["ChannelName"]: {
                "ContentType": channel["ContentType"],
                "TrainingInputMode": job["AlgorithmSpecification"]["TrainingInputMode"],
            }
            for channel in job["InputDataConfig"]
        }
        config = tmp_path / "inputdataconfig.json"
        config.write_text(json.dumps(channels))
        assert InputDataConfig.read(config).remarks() == []


def test_tuning_varies_what_is_not_static_and_is_after_a_metric(
    requests: dict[str, list[dict[str, object]]],
) -> None:
    (tuning,) = requests["CreateHyperParameterTuningJob"]
    config, definition = tuning["HyperParameterTuningJobConfig"], tuning["TrainingJobDefinition"]
    varied = {given["Name"] for given in config["ParameterRanges"]["ContinuousParameterRanges"]}
    assert varied == {"linear_lr", "factors_lr"}
    assert not varied & definition["StaticHyperParameters"].keys()
    Hyperparameters.parse(definition["StaticHyperParameters"] | dict.fromkeys(varied, "0.01"))
    objective = config["HyperParameterTuningJobObjective"]
    assert (objective["MetricName"], objective["Type"]) in {(m.name, m.objective) for m in METRIC_DEFINITIONS}


def test_containers_have_settings_that_the_server_reads(requests: dict[str, list[dict[str, object]]]) -> None:
    isolated, serverless = requests["CreateModel"]
    assert ServingSettings.from_environ(isolated["PrimaryContainer"]["Environment"]).log_format == "json"
    assert ServingSettings.from_environ(serverless["PrimaryContainer"]["Environment"]).workers == 1
    assert "EnableNetworkIsolation" not in serverless


def test_the_role_may_do_what_a_job_needs(requests: dict[str, list[dict[str, object]]]) -> None:
    (given,) = requests["PutRolePolicy"]
    actions: set[str] = set()
    for statement in json.loads(given["PolicyDocument"])["Statement"]:
        actions |= {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
    assert {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "ecr:BatchGetImage", "logs:PutLogEvents"} <= actions


def commands() -> list[list[str]]:
    """The commands of the page, one for each line, continued lines and substitutions taken apart."""
    code = "\n".join(block.code for block in BLOCKS if block.language == "bash").replace("\\\n", " ")
    code = re.sub(r"\w+=\$\((.*)\)$", r"\1", code, flags=re.MULTILINE)
    pieces = [piece for line in code.splitlines() for piece in re.split(r" [|>] ", line)]
    return [shlex.split(piece) for piece in pieces if piece.strip()]


def test_the_commands_of_aws_exist_with_their_options() -> None:
    session = botocore.session.get_session()
    checked = 0
    for command in commands():
        if command[0] != "aws":
            continue
        _, service, operation, *rest = command
        model = session.get_service_model(service)
        if operation == "get-login-password":  # the client's own; it asks GetAuthorizationToken
            continue
        (found,) = [name for name in model.operation_names if xform_name(name, "-") == operation]
        members = model.operation_model(found).input_shape.members if model.operation_model(found).input_shape else {}
        options = {word[2:] for word in rest if word.startswith("--")} - {"query", "output", "cli-input-json"}
        assert options <= {xform_name(member, "-") for member in members}, command
        checked += 1
    assert checked == 4


def test_the_commands_of_openfm_exist_with_their_options() -> None:
    found = [command for command in commands() if command[0] == "openfm"]
    assert len(found) == 2
    for _, name, *rest in found:
        verb = main.get_command(click.Context(main), name)
        assert verb is not None
        options = {option for parameter in verb.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options
