"""Logs of jobs, read back in every form that they come in."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from openfm.contract.hyperparameters import DEFAULT_CONFIGURATION, Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.contract.job_log_reader import LoggedJob, MetricKey, read_job_log
from openfm.errors import CustomerError
from support.amazon_logs import as_csv, as_events, training_log

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "amazon_ml100k_u1_regressor.json").read_text())
LOG = training_log(GOLDEN)


def with_times(log: str) -> str:
    """As ``aws logs tail`` prints it."""
    return "".join(f"2023-04-21T14:26:45.091000+00:00 job/algo-1-1682087 {line}\n" for line in log.splitlines())


def as_python_2(log: str) -> str:
    return log.replace("'epochs': '50'", "u'epochs': u'50'")


@pytest.mark.parametrize("form", [str, with_times, as_events, as_csv, as_python_2, lambda log: f"\ufeff{log}"])
def test_every_form_says_the_same(tmp_path: Path, form: object) -> None:
    path = tmp_path / "job.log"
    path.write_text(form(LOG), encoding="utf-8")
    job = read_job_log(path)
    assert job.configuration == DEFAULT_CONFIGURATION | GOLDEN["hyperparameters"]
    assert not job.fully_symbolic
    assert len(job.metrics) == 10 * 6 + 6
    assert job.metrics[MetricKey("train", "rmse", 0, 0)] == 3.846082752497988
    assert job.metrics[MetricKey("train", "mse", 9)] == GOLDEN["epoch_0_to_9"]["mse"][9]
    assert job.metrics[MetricKey("train", "absolute_loss")] == GOLDEN["final_train"]["absolute_loss"]
    assert job.metrics[MetricKey("test", "rmse")] == GOLDEN["test"]["rmse"]


def test_a_list_of_events_and_a_compressed_export(tmp_path: Path) -> None:
    expected = LoggedJob.parse(LOG, "log")
    assert LoggedJob.parse(json.dumps(json.loads(as_events(LOG))["events"]), "log") == expected
    path = tmp_path / "000000.gz"
    path.write_bytes(gzip.compress(LOG.encode()))
    assert read_job_log(path) == expected


def test_openfms_own_log() -> None:
    stream = io.StringIO()
    log = JobLog(stream=stream)
    hyperparameters = Hyperparameters.parse(
        {"feature_dim": "3", "num_factors": "2", "predictor_type": "binary_classifier"}
    )
    log.configuration(hyperparameters, Path("hyperparameters.json"))
    log.info("[Fully symbolic network] Building a fully symbolic network.")
    log.quality_metric("binary_f_1.000", "score", 0.125, epoch=2, batch=500)
    log.quality_metric("binary_classification_cross_entropy", "loss", 1e-9, channel="test")
    job = LoggedJob.parse(stream.getvalue(), "log")
    assert job == LoggedJob(
        hyperparameters.final_configuration(),
        {
            MetricKey("train", "binary_f_1.000", 2, 500): 0.125,
            MetricKey("test", "binary_classification_cross_entropy"): 1e-9,
        },
        fully_symbolic=True,
    )


def test_names_of_metrics_are_readable() -> None:
    assert str(MetricKey("train", "rmse", 0, 500)) == "train rmse, epoch 0, batch 500"
    assert str(MetricKey("train", "rmse", 3)) == "train rmse, epoch 3"
    assert str(MetricKey("test", "rmse")) == "test rmse"


def test_of_an_interrupted_job_the_last_counts() -> None:
    again = LOG + LOG.replace("=3.846082752497988", "=3.5")
    assert LoggedJob.parse(again, "log").metrics[MetricKey("train", "rmse", 0, 0)] == 3.5


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        ("", "has no line 'Final configuration: {...}'"),
        (LOG + LOG.replace("'epochs': '50'", "'epochs': '51'"), "has 2 different lines 'Final configuration"),
        (LOG.replace("#quality_metric", "#metric"), "has no line with a #quality_metric"),
        (LOG + LOG.replace("host=algo-1", "host=algo-2"), r"has the metrics of 2 hosts \(algo-1, algo-2\)"),
        (LOG.replace("=3.846082752497988", "=3.8x"), "has a metric that is no number: '3.8x'"),
        (LOG.replace("'50'", "'50"), "has a broken line 'Final configuration'"),
        (as_events(LOG)[:-10], "begins like JSON, but is not the events of a log stream"),
        ('{"logs": []}', "begins like JSON, but is not the events of a log stream: KeyError"),
        ('[{"text": "x"}]', "begins like JSON, but is not the events of a log stream: KeyError"),
    ],
)
def test_what_is_no_log_of_one_job_is_refused(log: str, complaint: str) -> None:
    with pytest.raises(CustomerError, match=f"^job.log {complaint}"):
        LoggedJob.parse(log, "job.log")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "000000.gz"
    for content in (gzip.compress(LOG.encode())[:-20], b"\x1f\x8bnonsense"):
        path.write_bytes(content)
        with pytest.raises(CustomerError, match=r"000000\.gz cannot be read"):
            read_job_log(path)
    with pytest.raises(CustomerError, match="No such file"):
        read_job_log(tmp_path / "missing")
