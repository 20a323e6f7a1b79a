"""The lines of the log, and the regular expressions that users have for them."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from openfm.contract.hyperparameters import Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.contract.metric_definitions import METRIC_DEFINITIONS
from openfm.errors import PlatformError

PREFIX = re.compile(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) (\d+)\] (.*)")


class Recorder(io.StringIO):
    """A stream that knows how much of it was flushed."""

    flushed = ""

    def flush(self) -> None:
        self.flushed = self.getvalue()


def written(act: Callable[[JobLog], None], **options: str) -> list[str]:
    stream = Recorder()
    act(JobLog(stream=stream, **options))
    assert stream.flushed == stream.getvalue()
    return stream.getvalue().splitlines()


def whole_job(log: JobLog) -> None:
    """Every kind of line that a job writes."""
    log.info("Train channel has 80000 records")
    log.warning("Dense records are trained by the documented network")
    log.error("No value(s) were specified for 'test rmse <loss>=1'")
    metrics = [
        ("binary_classification_accuracy", "score", 0.5),
        ("binary_classification_cross_entropy", "loss", 0.25),
        ("binary_f_1.000", "score", 0.125),
        ("rmse", "loss", 1.5),
        ("mse", "loss", 2.25),
        ("absolute_loss", "loss", 1.0),
    ]
    for name, direction, value in metrics:
        log.quality_metric(name, direction, value + 1, epoch=0, batch=500)
        log.quality_metric(name, direction, value + 2, epoch=0)
        log.quality_metric(name, direction, value + 3)
        log.quality_metric(name, direction, value + 4, channel="test")
    log.quality_metric("auc", "score", 0.75, channel="test")
    log.progress(50)
    log.throughput(229405.34775444906)
    log.test_scores([(name, value) for name, _, value in metrics])
    log.metrics({"update.time": 12.5}, start=1.0, end=2.0)


def test_each_public_regex_matches_its_line_and_no_other() -> None:
    lines = written(whole_job)
    found = {
        definition.name: [match[1] for line in lines if (match := re.search(definition.regex, line))]
        for definition in METRIC_DEFINITIONS
    }
    values = {
        "binary_classification_accuracy": 0.5,
        "binary_classification_cross_entropy": 0.25,
        "binary_f_beta": 0.125,
        "rmse": 1.5,
    }
    expected = {"test:auc": ["0.75"], "train:progress": ["50.0"], "train:throughput": ["229405.34775444906"]}
    for name, value in values.items():
        expected |= {
            f"train:{name}:batch": [str(value + 1)],
            f"train:{name}:epoch": [str(value + 2)],
            f"train:{name}": [str(value + 3)],
            f"test:{name}": [str(value + 4)],
        }
    assert len(METRIC_DEFINITIONS) == len(found) == 19
    assert found == expected
    log = "\n".join(lines)
    for definition in METRIC_DEFINITIONS:
        assert definition.find(log) == [float(value) for value in expected[definition.name]]


def test_metric_definitions_are_amazons() -> None:
    regexes = {definition.name: definition.regex for definition in METRIC_DEFINITIONS}
    assert regexes["test:binary_f_beta"] == r"#quality_metric: host=\S+, test binary_f_1.000 <score>=(\S+)"
    assert regexes["train:rmse"] == r"#quality_metric: host=\S+, train rmse <loss>=(\S+)"
    assert regexes["train:rmse:epoch"] == r"#quality_metric: host=\S+, epoch=\S+, train rmse <loss>=(\S+)"
    assert regexes["train:rmse:batch"] == r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train rmse <loss>=(\S+)"
    assert {d.name: d.objective for d in METRIC_DEFINITIONS if d.objective} == {
        "test:auc": "Maximize",
        "test:binary_classification_accuracy": "Maximize",
        "test:binary_classification_cross_entropy": "Minimize",
        "test:binary_f_beta": "Maximize",
        "test:rmse": "Minimize",
    }


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (
            lambda log: log.quality_metric("rmse", "loss", 3.846082752497988, epoch=0, batch=0),
            "#quality_metric: host=algo-1, epoch=0, batch=0 train rmse <loss>=3.846082752497988",
        ),
        (
            lambda log: log.quality_metric("mse", "loss", 3.301292084503174, epoch=12),
            "#quality_metric: host=algo-1, epoch=12, train mse <loss>=3.301292084503174",
        ),
        (
            lambda log: log.quality_metric("binary_f_1.000", "score", 0.0, channel="test"),
            "#quality_metric: host=algo-1, test binary_f_1.000 <score>=0.0",
        ),
        (
            lambda log: log.quality_metric("mse", "loss", np.float32(0.1)),
            "#quality_metric: host=algo-1, train mse <loss>=0.10000000149011612",
        ),
        (
            lambda log: log.progress(2),
            "#progress_metric: host=algo-1, completed 2.0 % of epochs",
        ),
        (
            lambda log: log.throughput(229405.34775444906),
            "#throughput_metric: host=algo-1, train throughput=229405.34775444906 records/second",
        ),
        (
            lambda log: log.test_scores([("rmse", np.float64(1.0002629948968227))]),
            "#test_score (algo-1) : ('rmse', 1.0002629948968227)",
        ),
    ],
)
def test_metric_lines_are_those_of_amazons_logs(act: Callable[[JobLog], None], line: str) -> None:
    (only,) = written(act)
    prefixed = PREFIX.fullmatch(only)
    assert prefixed is not None
    assert prefixed.groups() == ("INFO", str(threading.get_ident()), line)


def test_the_moment_is_the_clocks() -> None:
    stream = io.StringIO()
    JobLog(stream=stream, clock=lambda: 86400.0 * 365).info("a")
    assert re.match(r"\[(01/01/1971|12/31/1970) ", stream.getvalue())


def test_a_metrics_line_is_json() -> None:
    (line,) = written(
        lambda log: log.metrics(
            {"Total Records Seen": 1000, "update.time": [1.5, 2.5, 0.5]},
            start=1682087205.0878313,
            end=1682087205.1340022,
            extra_dimensions={"epoch": 0, "Meta": "training_data_iter"},
        ),
        host="algo-7",
    )
    assert line == (
        '#metrics {"StartTime": 1682087205.0878313, "EndTime": 1682087205.1340022, '
        '"Dimensions": {"Algorithm": "factorization-machines", "Host": "algo-7", '
        '"Operation": "training", "epoch": 0, "Meta": "training_data_iter"}, '
        '"Metrics": {"Total Records Seen": {"sum": 1000.0, "count": 1, "min": 1000, "max": 1000}, '
        '"update.time": {"sum": 4.5, "count": 3, "min": 0.5, "max": 2.5}}}'
    )
    json.loads(line.removeprefix("#metrics "))


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("info", ["INFO", "WARNING", "ERROR"]),
        ("warning", ["WARNING", "ERROR"]),
        ("error", ["ERROR"]),
        ("critical", ["ERROR"]),
    ],
)
def test_a_level_quiets_all_but_metrics_and_errors(level: str, kept: list[str]) -> None:
    def messages(log: JobLog) -> None:
        for write in (log.debug, log.info, log.warning, log.error):
            write("message")

    lines = written(messages, level=level)
    assert [PREFIX.fullmatch(line)[1] for line in lines] == kept
    metric_lines = [line for line in written(whole_job) if "#" in line]
    assert len(metric_lines) == 4 * 6 + 1 + 2 + 6 + 1
    assert len([line for line in written(whole_job, level=level) if "#" in line]) == len(metric_lines)


def test_a_message_is_one_line_without_control_characters() -> None:
    (line,) = written(lambda log: log.info("a\tb\nc\r\x1b[31md\x00\u2028é"))
    assert PREFIX.fullmatch(line)[3] == r"a b\nc\r\x1b[31md\x00\u2028é"


def test_opening_lines(tmp_path: Path) -> None:
    given = {"predictor_type": '"regressor"', "num_factors": 3, "feature_dim": "9", "epochs": "2"}
    hyperparameters = Hyperparameters.parse({**given, "sagemaker_program": "x", "seed": "1"})
    lines = written(lambda log: log.configuration(hyperparameters, tmp_path / "h.json"))
    default, provided, final = [PREFIX.fullmatch(line)[3] for line in lines]
    source, _, defaults = default.removeprefix("Reading default configuration from ").partition(": ")
    assert Path(source).is_file()
    assert defaults.startswith("{'epochs': 1, 'mini_batch_size': '1000', 'use_bias': 'true', ")
    assert provided == (
        f"Merging with provided configuration from {tmp_path}/h.json: {{'epochs': '2', "
        f"'feature_dim': '9', 'num_factors': '3', 'predictor_type': 'regressor', 'seed': '1'}}"
    )
    assert final == f"Final configuration: {hyperparameters.final_configuration()}"


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    JobLog().info("hello")
    assert capsys.readouterr().out.endswith("] hello\n")


def test_a_log_that_cannot_be_written_says_so() -> None:
    # Closing the stream would fail if it still held what it could not write.
    with Path("/dev/full").open("w") as full, pytest.raises(PlatformError, match="standard output: No space left"):
        JobLog(stream=full).info("hello")
