"""The training job: reads the contract and the data, trains, writes the model and the log."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from openfm.artifact.model import Model
from openfm.artifact.saving import save_model
from openfm.contract.channel_table import MODEL, TEST, TRAIN, VALIDATION
from openfm.contract.checkpoints import CheckpointFolder, checkpoint_folder
from openfm.contract.config import InputDataConfig, ResourceConfig, read_hyperparameters
from openfm.contract.environment import Environment
from openfm.contract.failure import classify, write_failure
from openfm.contract.hyperparameters import DenseNetwork, Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.contract.paths import ContractPaths
from openfm.data.channel import Channel, find_channel
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.errors import ChannelError, PlatformError
from openfm.fm.model import FactorizationMachine
from openfm.fm.trainer import Trainer, initial_machine
from openfm.training.checkpointing import Checkpointing, SavedJob
from openfm.training.epochs import EpochLoop
from openfm.training.scoring import score_channel
from openfm.training.stop import StopRequest
from openfm.training.warm_start import machine_to_start_from

__all__ = ["MODEL_NAME", "main", "run"]

MODEL_NAME = "model_algo-1"
"""Name of the artifact, whatever the host is called: it is what existing loaders look for."""

_STOPPED = "Stopped on request. The model holds what was trained until then."

_NETWORKS = {
    DenseNetwork.DOCUMENTED: "[Sparse network] Building a sparse network.",
    DenseNetwork.AMAZON: "[Fully symbolic network] Building a fully symbolic network.",
}


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
    stop = StopRequest()
    stop.catch()
    try:
        run(paths, environ, stop)
    except Exception as exception:  # the last place where blame can be told
        stop.ignore()
        error = classify(exception)
        print(error.failure_reason, file=sys.stderr, flush=True)
        write_failure(paths, error)
        if error is not exception:
            sys.excepthook(type(exception), exception, exception.__traceback__)
        return error.exit_code
    stop.ignore()
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
    hyperparameters = Hyperparameters.parse(read_hyperparameters(paths.hyperparameters), strict=environment.strict)
    inputs = InputDataConfig.read(paths.input_data_config)
    log = JobLog(resources.current_host, level=hyperparameters.log_level)
    log.configuration(hyperparameters, paths.hyperparameters)
    for remark in hyperparameters.remarks() + inputs.remarks():
        log.info(remark)
    channels = _Channels.find(paths, inputs.pipe_channels, hyperparameters)
    _make_writable(paths.model)
    paths.failure.unlink(missing_ok=True)  # of an earlier run in the same tree

    def reader(channel: Channel) -> ChannelReader:
        return ChannelReader(
            channel,
            feature_dim=hyperparameters.feature_dim,
            stopping=lambda: stop.requested,
            pipe_timeout=environment.pipe_timeout,
        )

    watched = channels.validation if hyperparameters.early_stopping_patience is not None else None
    validation = None if watched is None else reader(watched)
    threads = environment.num_threads
    checkpointing = _checkpointing(paths, hyperparameters, environment, log)
    saved = None if checkpointing is None else checkpointing.find()
    initial = _initial_machine(hyperparameters, paths, saved, log, threads=threads)
    if stop.requested and saved is None:
        # Before the first mini-batch. What the trainer needs of memory and time beside these is not spent.
        _save(initial, hyperparameters, paths, log)
        log.info(_STOPPED)
        return
    loop = EpochLoop(
        hyperparameters,
        Trainer(hyperparameters.network_settings(), initial=initial, threads=threads),
        reader(channels.train),
        validation,
        log=log,
        stop=stop,
        checkpointing=checkpointing,
        saved=saved,
        threads=threads,
    )
    log.metrics({"initialize.time": _milliseconds(begin)}, start=begin, end=time.time())
    setup = _milliseconds(begin)

    loop.run()
    machine = loop.machine()
    _save(machine, hyperparameters, paths, log)
    if stop.requested:
        _save_last_checkpoint(loop, log)
        log.info(_STOPPED)
    elif channels.scored is None:
        log.info("Test data is not provided.")
    else:
        # FIFOs go on from where early stopping left them: each is read once.
        test = validation if validation is not None and channels.scored == watched else reader(channels.scored)
        _score(machine, test, log, threads=threads)
    log.metrics({"setuptime": setup, "totaltime": _milliseconds(begin)}, start=begin, end=time.time())


@dataclass(frozen=True, slots=True)
class _Channels:
    """The channels of a job: which to train on, to watch, and to score at the end."""

    train: Channel
    validation: Channel | None
    scored: Channel | None

    @classmethod
    def find(cls, paths: ContractPaths, pipes: Collection[str], hyperparameters: Hyperparameters) -> _Channels:
        train = find_channel(paths.data, TRAIN.names, pipes=pipes)
        if train is None:
            raise ChannelError(
                f"The channel 'train' is missing: there is neither "
                f"{' nor '.join(str(paths.data / name) for name in TRAIN.names)}. Mount a folder or a file with the "
                "training records there."
            )
        validation = find_channel(paths.data, VALIDATION.names, pipes=pipes)
        if validation is None and hyperparameters.early_stopping_patience is not None:
            raise ChannelError(
                "early_stopping_patience is given, but there is no channel 'validation' to watch. Provide "
                f"{paths.data / VALIDATION.names[0]}, or leave early_stopping_patience out."
            )
        return cls(train, validation, find_channel(paths.data, TEST.names, pipes=pipes) or validation)


def _initial_machine(
    hyperparameters: Hyperparameters, paths: ContractPaths, saved: SavedJob | None, log: JobLog, *, threads: int
) -> FactorizationMachine:
    """What training starts from: a checkpoint, else the model in the channel ``model``, else drawn values."""
    log.info(_NETWORKS[hyperparameters.dense_network])
    settings = hyperparameters.network_settings()
    path = paths.data / MODEL.names[0]
    if saved is not None:
        return FactorizationMachine(*saved.trainer.parameters, settings.predictor_type)
    if path.exists():
        machine = machine_to_start_from(path, settings, threads=threads)
        log.info(f"Training starts from the parameters of the model in {path}.")
        return machine
    return initial_machine(settings, threads=threads)


def _checkpointing(
    paths: ContractPaths, hyperparameters: Hyperparameters, environment: Environment, log: JobLog
) -> Checkpointing | None:
    folder = checkpoint_folder(paths)
    if folder is None:
        log.info("Checkpoint loading and saving are disabled.")
        return None
    log.info(f"Checkpoints are kept in {folder}.")
    return Checkpointing(CheckpointFolder(folder), hyperparameters, log, seconds=environment.checkpoint_seconds)


def _make_writable(folder: Path) -> None:
    """Fail before the training, not after it, where the model cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PlatformError(
            f"The model cannot be written to {folder}: {error.strerror}. Mount a folder there that openfm may write to."
        ) from error


def _save_last_checkpoint(loop: EpochLoop, log: JobLog) -> None:
    """The model is saved, and time may be short: a checkpoint that cannot be written is no failure any more."""
    try:
        loop.save_checkpoint()
    except PlatformError as error:
        log.warning(error.message)


def _save(machine: FactorizationMachine, hyperparameters: Hyperparameters, paths: ContractPaths, log: JobLog) -> None:
    begin = time.time()
    path = paths.model / MODEL_NAME
    save_model(Model(machine, hyperparameters.final_configuration()), path)
    log.metrics({"finalize.time": _milliseconds(begin)}, start=begin, end=time.time())
    log.info(f'Saved model to "{path}"')


def _score(machine: FactorizationMachine, reader: ChannelReader, log: JobLog, *, threads: int) -> None:
    begin = time.time()
    name = reader.channel.name
    try:
        metrics, records = score_channel(machine, reader, threads=threads)
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
