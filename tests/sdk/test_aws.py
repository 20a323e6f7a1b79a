"""The programs of docs/aws.md that use the SDK, in a simulated AWS."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from openfm.metadata import metric_definitions
from support.documents import REPOSITORY, blocks_of
from support.sdk import Workplace

pytestmark = pytest.mark.sdk

BLOCKS = [block for block in blocks_of(Path("docs/aws.md")) if block.needs == "aws"]
ANSWER = json.loads(next(block.code for block in BLOCKS if block.has("answer")))

# moto simulates no policies, so that the SDK cannot look at the role; and its endpoints have no container, so that they
# are told what to answer.
BEFORE = f"""
import json, os, urllib.request
os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"
results = [{{"Body": {json.dumps(json.dumps(ANSWER))}, "ContentType": "application/json"}}]
body = json.dumps({{"region": "us-east-1", "results": results}}).encode()
proxy = urllib.request.ProxyHandler({{"http": os.environ["HTTPS_PROXY"]}})
address = "http://motoapi.amazonaws.com/moto-api/static/sagemaker/endpoint-results"
urllib.request.build_opener(proxy).open(urllib.request.Request(address, body)).read()
"""

# The job as AWS has it in the end.
AFTER = """
import boto3
sagemaker = boto3.client("sagemaker")
(name,) = [job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]
           if job["TrainingJobName"].startswith(PREFIX)]
job = sagemaker.describe_training_job(TrainingJobName=name)
with open("result.json", "w") as file:
    json.dump(job, file, default=str)
"""


@pytest.mark.parametrize("sdk", ["v2", "v3"])
def test_programs_start_the_job_that_the_page_describes(sdk: str, workplace: Workplace) -> None:
    shutil.copytree(REPOSITORY / "examples/quickstart", workplace.folder / "examples/quickstart")
    (workplace.folder / "metrics.json").write_text(json.dumps(metric_definitions()))
    (program,) = [block.code for block in BLOCKS if block.has(sdk)]
    prefix = f"quickstart-{sdk}"
    program = program.replace('base_job_name="quickstart"', f'base_job_name="{prefix}"')
    script = workplace.folder / "program.py"
    script.write_text(f"{BEFORE}{program}{AFTER.replace('PREFIX', repr(prefix))}")
    printed = workplace.run(sdk, script)

    job = workplace.result()
    given = json.loads((REPOSITORY / "examples/quickstart/input/config/hyperparameters.json").read_text())
    assert job["HyperParameters"] == given
    assert job["AlgorithmSpecification"]["TrainingImage"].endswith(".amazonaws.com/openfm:1")
    assert [channel["ChannelName"] for channel in job["InputDataConfig"]] == ["train", "test"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["EnableNetworkIsolation"] is True
    assert job["StoppingCondition"]["MaxWaitTimeInSeconds"] == 7200
    assert job["CheckpointConfig"]["S3Uri"].endswith("/quickstart/checkpoints")
    if sdk == "v2":
        assert repr(ANSWER["predictions"][0]["score"]) in printed


def test_the_notebooks_job_is_one_that_the_sdk_takes(workplace: Workplace) -> None:
    cells = nbformat.read(REPOSITORY / "examples/mnist.ipynb", as_version=4).cells
    (text,) = [cell.source for cell in cells if "ModelTrainer(" in cell.source]
    program = text.partition("```python\n")[2].partition("```")[0]
    changed = program.replace('train")])', 'train")], wait=False)')
    assert changed != program
    script = workplace.folder / "program.py"
    script.write_text(f"{BEFORE}{changed}{AFTER.replace('PREFIX', repr('openfm'))}")
    workplace.run("v3", script)
    assert workplace.result()["HyperParameters"]["mini_batch_size"] == "200"
