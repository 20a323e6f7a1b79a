"""Logs in the form of Amazon's container, made of the numbers that it logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openfm.contract.hyperparameters import DEFAULT_CONFIGURATION

_STAMP = "[04/21/2023 14:26:45 INFO 139893122135872]"


def training_log(golden: Mapping[str, Any]) -> str:
    """The log of a public job, as far as its numbers are in a file of ``tests/golden``."""
    given = golden["hyperparameters"]
    lines = [
        "Docker entrypoint called with argument(s): train",
        "Running default environment configuration script",
        f"{_STAMP} Reading default configuration from /opt/amazon/lib/python3.7/site-packages/algorithm/resources/"
        f"default-conf.json: {DEFAULT_CONFIGURATION}",
        f"{_STAMP} Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: {given}",
        f"{_STAMP} Final configuration: {DEFAULT_CONFIGURATION | given}",
        "[04/21/2023 14:26:45 WARNING 139893122135872] Loggers have already been setup.",
        "Process 7 is a worker.",
        "[2023-04-21 14:26:45.091] [tensorio] [warning] TensorIO is already initialized; ignoring the initialization "
        "routine.",
        f"{_STAMP} [Sparse network] Building a sparse network.",
        f"{_STAMP} Create Store: local",
        '#metrics {"StartTime": 1682087205.0878313, "EndTime": 1682087205.1340022, "Dimensions": {"Algorithm": '
        '"factorization-machines", "Host": "algo-1", "Operation": "training"}, "Metrics": {"initialize.time": {"sum": '
        '39.68691825866699, "count": 1, "min": 39.68691825866699, "max": 39.68691825866699}}}',
    ]
    names = list(golden["final_train"])
    for epoch in range(10):
        for place, values in (
            (f"epoch={epoch}, batch=0 train", golden["first_batch_of_every_epoch_0_to_9"]),
            (f"epoch={epoch}, train", golden["epoch_0_to_9"]),
        ):
            lines += [_metric(place, name, values[name][epoch]) for name in names]
        lines.append(f"{_STAMP} #progress_metric: host=algo-1, completed {2.0 * (epoch + 1)} % of epochs")
    lines += [_metric("train", name, golden["final_train"][name]) for name in names]
    lines += [f"{_STAMP} #test_score (algo-1) : {(name, golden['test'][name])}" for name in names]
    lines += [_metric("test", name, golden["test"][name]) for name in names]
    return "\n".join(lines) + "\n"


def as_events(log: str) -> str:
    """The log as ``aws logs get-log-events`` prints it."""
    events = [
        {"timestamp": 1682087205091 + number, "message": line, "ingestionTime": 1682087209000}
        for number, line in enumerate(log.splitlines())
    ]
    return json.dumps({"events": events, "nextForwardToken": "f/1", "nextBackwardToken": "b/1"}, indent=4)


def as_csv(log: str) -> str:
    """The log as the console's download has it."""
    rows = [f'{1682087205091 + n},"{line.replace(chr(34), chr(34) * 2)}"' for n, line in enumerate(log.splitlines())]
    return "\n".join(["timestamp,message", *rows]) + "\n"


def _metric(place: str, name: str, value: float) -> str:
    return f"{_STAMP} #quality_metric: host=algo-1, {place} {name} <loss>={value!r}"
