"""The training job: reads the contract and the data, trains, writes the model and the log."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from openfm.artifact.model import Model
from openfm.artifact.saving import save_model
from openfm.contract.config import (
    TEST_CHANNELS,
    TRAIN_CHANNELS,
    InputDataConfig,
    ResourceConfig,
    read_hyperparameters,
)
from openfm.contract.environment import Environment
from openfm.contract.failure import classify, write_failure
from openfm.contract.hyperparameters import Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.contract.paths import ContractPaths
from openfm.data.channel import Channel, find_channel
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.errors import ChannelError, PlatformError
from openfm.fm.metrics import running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.training.data import checked_labels
from openfm.training.epochs import EpochLoop
from openfm.training.stop import StopRequest

__all__ = ["MODEL_NAME", "main", "run"]

MODEL_NAME = "model_algo-1"
"""Name of the artifact, whatever the host is called: it is what existing loaders look for."""


def main(environ: Mapping[str, str]) -> int:
    """Run the job that the environment names; the program ``train``.

    Whatever goes wrong is told in one sentence, on standard error and in ``output/failure``.

    Args:
        environ: such as ``os.environ``.

    Returns:
        The exit code: 0 done or stopped on request, 1 a bug of openfm, 2 something that the
        customer can mend, 3 the machine refused something.
    """
    paths = ContractPaths.from_environ(environ)
    with StopRequest() as stop:
        try:
            run(paths, environ, stop)
        except Exception as exception:  # the last place where blame can be told
            error = classify(exception)
            write_failure(paths, error)
            print(error.failure_reason, file=sys.stderr, flush=True)
            if error is not exception:
                sys.excepthook(type(exception), exception, exception.__traceback__)
            return error.exit_code
    return 0


def run(paths: ContractPaths, environ: Mapping[str, str], stop: StopRequest) -> None:
    """Train the job of a contract tree and write its model.

    Args:
        paths: the tree.
        environ: for openfm's own variables.
        stop: asked between mini-batches whether to stop early, with the model as it is then.

    Raises:
        OpenFMError: the job cannot be done; nothing half-written is left.
        OSError: the machine refuses to read or write.
    """
    begin = time.time()
    environment = Environment.read(environ)
    paths.require_job()
    resources = ResourceConfig.read(paths.resource_config)
    hyperparameters = Hyperparameters.parse(
        read_hyperparameters(paths.hyperparameters), strict=environment.strict
    )
    inputs = InputDataConfig.read(paths.input_data_config)
    log = JobLog(resources.current_host, level=hyperparameters.log_level)
    log.configuration(hyperparameters, paths.hyperparameters)
    for remark in hyperparameters.remarks() + inputs.remarks():
        log.info(remark)
    train, test = _channels(paths, inputs.pipe_channels)

    def reader(channel: Channel) -> ChannelReader:
        return ChannelReader(
            channel,
            feature_dim=hyperparameters.feature_dim,
            stopping=lambda: stop.requested,
            pipe_timeout=environment.pipe_timeout,
        )

    _make_writable(paths.model)
    paths.failure.unlink(missing_ok=True)  # of an earlier run in the same tree
    loop = EpochLoop(hyperparameters, reader(train), log, stop, threads=environment.num_threads)
    log.metrics({"initialize.time": _milliseconds(begin)}, start=begin, end=time.time())
    setup = _milliseconds(begin)

    loop.run()
    _save(loop.machine(), hyperparameters, paths, log)
    if stop.requested:
        log.info("Stopped on request. The model holds what was trained until then.")
    elif test is None:
        log.info("Test data is not provided.")
    else:
        _score(loop.machine(), reader(test), log, threads=environment.num_threads)
    log.metrics(
        {"setuptime": setup, "totaltime": _milliseconds(begin)}, start=begin, end=time.time()
    )


def _channels(paths: ContractPaths, pipes: Collection[str]) -> tuple[Channel, Channel | None]:
    train = find_channel(paths.data, TRAIN_CHANNELS, pipes=pipes)
    if train is None:
        raise ChannelError(
            f"The channel 'train' is missing: there is neither {paths.data / TRAIN_CHANNELS[0]} nor "
            f"{paths.data / TRAIN_CHANNELS[1]}. Mount a folder or a file with the training records "
            "there."
        )
    return train, find_channel(paths.data, TEST_CHANNELS, pipes=pipes)


def _make_writable(folder: Path) -> None:
    """Fail before the training, not after it, where the model cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PlatformError(
            f"The model cannot be written to {folder}: {error.strerror}. Mount a folder there that "
            "openfm may write to."
        ) from error


def _save(
    machine: FactorizationMachine, hyperparameters: Hyperparameters, paths: ContractPaths, log: JobLog
) -> None:
    begin = time.time()
    path = paths.model / MODEL_NAME
    save_model(Model(machine, hyperparameters.final_configuration()), path)
    log.metrics({"finalize.time": _milliseconds(begin)}, start=begin, end=time.time())
    log.info(f'Saved model to "{path}"')


def _score(machine: FactorizationMachine, reader: ChannelReader, log: JobLog, *, threads: int) -> None:
    begin = time.time()
    metrics = running_metrics(machine.predictor_type)
    name = reader.channel.name
    records = 0
    try:
        for block in reader.read_pass():
            labels = checked_labels(block, machine.predictor_type, name, records)
            metrics.add_scores(machine.score(block.rows, threads=threads), labels)
            records += len(labels)
    except ReadingStoppedError:
        log.info(f"Stopped on request while channel '{name}' was scored: its metrics are left out.")
        return
    if not records:
        log.warning(f"Channel '{name}' holds no records: nothing is scored.")
        return
    log.metrics(
        {"Total Records Seen": records, "score.time": _milliseconds(begin)},
        start=begin,
        end=time.time(),
        extra_dimensions={"Meta": "test_data_iter"},
    )
    values = metrics.values()
    log.test_scores([(metric.name, metric.value) for metric in values])
    for metric in values:
        log.quality_metric(metric.name, metric.direction, metric.value, channel="test")


def _milliseconds(begin: float) -> float:
    return (time.time() - begin) * 1000.0
