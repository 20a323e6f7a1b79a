"""The training job: reads the contract and the data, trains, writes the model and the log."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openfm.artifact.model import Model
from openfm.artifact.saving import save_model
from openfm.contract.channel_table import MODEL, TEST, TRAIN, VALIDATION
from openfm.contract.checkpoints import CheckpointFolder, checkpoint_folder
from openfm.contract.config import InputDataConfig, ResourceConfig, read_hyperparameters
from openfm.contract.environment import Environment
from openfm.contract.failure import classify, write_failure
from openfm.contract.hyperparameters import DenseNetwork, Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.contract.memory import map_arrays
from openfm.contract.metrics_file import MetricsFile
from openfm.contract.paths import ContractPaths
from openfm.data.channel import Channel, find_channel
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.errors import ChannelError, CustomerError, PlatformError
from openfm.fm.auc import AreaUnderCurve
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.trainer import Trainer, initial_machine
from openfm.training.checkpointing import Checkpointing, SavedJob
from openfm.training.epochs import EpochLoop
from openfm.training.hosts.leaving import leave_failed, leave_if_connected
from openfm.training.memory import JobMemory
from openfm.training.scoring import score_channel
from openfm.training.stop import JoiningStoppedError, StopRequest
from openfm.training.warm_start import machine_to_start_from

if TYPE_CHECKING:  # a job of one host does without the modules of several
    from openfm.training.hosts.collective import Collective
    from openfm.training.hosts.fleet import Connect, Fleet

__all__ = ["MODEL_NAME", "main", "run"]

MODEL_NAME = "model_algo-1"
"""Name of the artifact, whatever the host is called: it is what existing loaders look for."""

_STOPPED = "Stopped on request. The model holds what was trained until then."

_NETWORKS = {
    DenseNetwork.DOCUMENTED: "[Sparse network] Building a sparse network.",
    DenseNetwork.AMAZON: "[Fully symbolic network] Building a fully symbolic network.",
}


def main(environ: Mapping[str, str], arguments: Sequence[str] = ()) -> int:
    """Run the job that the environment names; the program ``train``.

    Whatever goes wrong is told in one sentence, on standard error and in ``output/failure``.

    Args:
        environ: such as ``os.environ``.
        arguments: what the program was given, which takes none.

    Returns:
        The exit code: 0 done or stopped on request, 1 a bug of openfm, 2 something that the
        customer can mend, 3 the machine refused something. A job of several hosts does not
        return: it ends the process with that code.
    """
    paths = ContractPaths.from_environ(environ)
    stop = StopRequest()
    stop.catch()
    map_arrays()
    try:
        if arguments:
            raise CustomerError(
                f"train takes no arguments, not {' '.join(arguments)!r}: it trains the job that "
                f"{paths.base} describes; 'openfm train FILE' trains on a file"
            )
        run(paths, environ, stop, connect=partial(_connect, paths))
    except KeyboardInterrupt:
        leave_if_connected(130)
        raise
    except JoiningStoppedError:
        print("Stopped on request before all hosts were connected. There is no model.", flush=True)
    except Exception as exception:  # the last place where blame can be told
        stop.ignore()
        error = classify(exception)
        print(error.failure_reason, file=sys.stderr, flush=True)
        write_failure(paths, error)
        if error is not exception:
            sys.excepthook(type(exception), exception, exception.__traceback__)
        leave_if_connected(error.exit_code)
        return error.exit_code
    stop.ignore()
    leave_if_connected(0)
    return 0


def run(paths: ContractPaths, environ: Mapping[str, str], stop: StopRequest, *, connect: Connect | None = None) -> None:
    """Train the job of a contract tree and write its model.

    Args:
        paths: the tree.
        environ: for openfm's own variables.
        stop: asked between mini-batches whether to stop early, with the model as it is then.
        connect: called where the job has several hosts.

    Raises:
        OpenFMError: the job cannot be done; nothing half-written is left.
        OSError: the machine refuses to read or write.
    """
    _Job(paths, environ, stop, connect).run()


def _connect(
    paths: ContractPaths,
    resources: ResourceConfig,
    environment: Environment,
    *,
    stopping: Callable[[], bool],
    log: Callable[[str], None],
) -> Collective:
    """Connect this host with the others of its job, and let it leave at once where one is lost."""
    from openfm.training.hosts.rendezvous import connect

    return connect(resources, environment, stopping=stopping, log=log, leave=partial(leave_failed, paths))


class _Job:
    """A job whose contract is read and found to be sound."""

    def __init__(
        self, paths: ContractPaths, environ: Mapping[str, str], stop: StopRequest, connect: Connect | None
    ) -> None:
        self._begin = time.time()
        self._paths = paths
        self._own_stop = stop
        self._environment = Environment.read(environ)
        paths.require_job()
        resources = ResourceConfig.read(paths.resource_config)
        self._hyperparameters = Hyperparameters.parse(
            read_hyperparameters(paths.hyperparameters), strict=self._environment.strict
        )
        self._inputs = inputs = InputDataConfig.read(paths.input_data_config)
        self._log = JobLog(resources.current_host, level=self._hyperparameters.log_level, metrics=resources.rank == 0)
        self._log.configuration(self._hyperparameters, paths.hyperparameters)
        for remark in self._hyperparameters.remarks() + inputs.remarks():
            self._log.info(remark)
        self._fleet = self._join(resources, connect)
        self._stop = stop if self._fleet is None else self._fleet.agreed
        self._metrics_file = MetricsFile(paths.metrics if resources.rank == 0 else None, self._log.warning)
        self._channels = _Channels.find(paths, self._hyperparameters, self._find_channel)
        _make_writable(paths.model)
        paths.failure.unlink(missing_ok=True)  # of an earlier run in the same tree

    def _join(self, resources: ResourceConfig, connect: Connect | None) -> Fleet | None:
        """The hosts of the job, connected; None: this is the only one."""
        if len(resources.hosts) == 1:
            return None
        if connect is None:
            raise CustomerError(
                f"The job has {len(resources.hosts)} hosts ({', '.join(resources.hosts)}), but runs on one. "
                "Run the program 'train' on each, or 'openfm train'."
            )
        from openfm.training.hosts.fleet import Fleet

        collective = connect(
            resources, self._environment, stopping=lambda: self._own_stop.requested, log=self._log.info
        )
        fleet = Fleet(collective, resources.hosts, self._inputs, self._own_stop)
        fleet.check_same(self._hyperparameters.model_dump_json(by_alias=True))
        return fleet

    def _find_channel(self, names: Sequence[str]) -> Channel | None:
        if self._fleet is not None:
            return self._fleet.find_channel(self._paths.data, names)
        return find_channel(self._paths.data, names, pipes=self._inputs.pipe_channels)

    def run(self) -> None:
        """Train, save, and score what is to be scored."""
        self._run()
        if self._fleet is not None:
            self._fleet.finish()

    def _run(self) -> None:
        watched = self._channels.validation if self._hyperparameters.early_stopping_patience is not None else None
        validation = None if watched is None else self._reader(watched)
        loop = self._start(validation)
        if loop is None:
            self._log.info(_STOPPED)
            return
        self._log.metrics({"initialize.time": _milliseconds(self._begin)}, start=self._begin, end=time.time())
        setup = _milliseconds(self._begin)
        loop.run()
        machine = loop.finish()
        self._save(machine)
        if self._stop.requested:
            self._save_last_checkpoint(loop)
            self._log.info(_STOPPED)
        elif self._channels.scored is None:
            self._log.info("Test data is not provided.")
        elif validation is not None and self._channels.scored == watched:
            self._score(machine, validation)  # FIFOs go on from where early stopping left them: each is read once
        else:
            self._score(machine, self._reader(self._channels.scored))
        seconds = time.time() - self._begin
        self._metrics_file.end(
            epochs=loop.epochs, seconds=seconds, stopped=self._stop.requested, best_epoch=loop.chosen_epoch
        )
        timings = {"setuptime": setup, "totaltime": _milliseconds(self._begin)}
        self._log.metrics(timings, start=self._begin, end=time.time())

    def _start(self, validation: ChannelReader | None) -> EpochLoop | None:
        """All that training needs; None if a stop was requested before, and the model of no training is saved."""
        fleet = self._fleet
        checkpointing = self._checkpointing() if fleet is None or fleet.is_first else None
        saved = None if checkpointing is None else checkpointing.find()
        settings, threads = self._hyperparameters.network_settings(), self._environment.num_threads
        if fleet is not None:
            saved, settings = fleet.share_saved(saved), fleet.settings(settings)
        # Early stopping keeps the best epoch's parameters, and scores with a copy of the present ones.
        copies = 0 if self._hyperparameters.early_stopping_patience is None else 2
        memory = JobMemory.plan(
            settings,
            self._environment.cache_bytes,
            model_copies=copies,
            saved=0 if saved is None else saved.nbytes,
            hosts=1 if fleet is None else fleet.size,
        )
        self._log.info(str(memory))
        initial = self._given_machine(saved)
        if fleet is not None:
            fleet.agree_to_stop()
        if self._stop.requested and saved is None:
            # What the trainer needs of memory and time beside the model is not spent.
            self._save(initial or initial_machine(settings, threads=threads))
            return None
        return EpochLoop(
            self._hyperparameters,
            Trainer(settings, initial=initial, threads=threads),
            self._reader(self._channels.train),
            validation,
            log=self._log,
            metrics_file=self._metrics_file,
            stop=self._stop,
            checkpointing=checkpointing,
            saved=saved,
            cache_bytes=memory.cache,
            threads=threads,
            fleet=fleet,
        )

    def _reader(self, channel: Channel) -> ChannelReader:
        content_type = self._inputs.content_type(channel.name)
        return ChannelReader(
            channel,
            feature_dim=self._hyperparameters.feature_dim,
            format=content_type.format,
            index_base=content_type.index_base,
            weight=content_type.weight,
            stopping=lambda: self._own_stop.requested,
            pipe_timeout=self._environment.pipe_timeout,
            threads=self._environment.num_threads,
        )

    def _checkpointing(self) -> Checkpointing | None:
        folder = checkpoint_folder(self._paths)
        if folder is None:
            self._log.info("Checkpoint loading and saving are disabled.")
            return None
        self._log.info(f"Checkpoints are kept in {folder}.")
        return Checkpointing(
            CheckpointFolder(folder), self._hyperparameters, self._log, seconds=self._environment.checkpoint_seconds
        )

    def _given_machine(self, saved: SavedJob | None) -> FactorizationMachine | None:
        """What training starts from: a checkpoint, else the model in the channel ``model``, else None: drawn values."""
        self._log.info(_NETWORKS[self._hyperparameters.dense_network])
        settings = self._hyperparameters.network_settings()
        path = self._paths.data / MODEL.names[0]
        if saved is not None:
            return FactorizationMachine(*saved.trainer.parameters, settings.predictor_type)
        machine = None
        if path.exists():
            machine = machine_to_start_from(path, settings, threads=self._environment.num_threads)
        if self._fleet is not None:
            machine = self._fleet.share_machine(machine, settings)
        if machine is not None:
            self._log.info(f"Training starts from the parameters of the model in {path}.")
        return machine

    def _save(self, machine: FactorizationMachine) -> None:
        if self._fleet is not None and not self._fleet.is_first:
            return
        begin = time.time()
        path = self._paths.model / MODEL_NAME
        save_model(Model(machine, self._hyperparameters.final_configuration()), path)
        self._log.metrics({"finalize.time": _milliseconds(begin)}, start=begin, end=time.time())
        self._log.info(f'Saved model to "{path}"')

    def _save_last_checkpoint(self, loop: EpochLoop) -> None:
        """The model is saved, and time may be short: a checkpoint that cannot be written is no failure any more."""
        try:
            loop.save_checkpoint()
        except PlatformError as error:
            self._log.warning(error.message)

    def _score(self, machine: FactorizationMachine, reader: ChannelReader) -> None:
        begin = time.time()
        name = reader.channel.name
        auc = AreaUnderCurve() if machine.predictor_type is PredictorType.BINARY_CLASSIFIER else None
        try:
            score = score_channel if self._fleet is None else self._fleet.score
            metrics, records = score(machine, reader, threads=self._environment.num_threads, auc=auc)
        except ReadingStoppedError:
            self._log.info(f"Stopped on request while channel '{name}' was scored: its metrics are left out.")
            return
        if not records:
            self._log.warning(f"Channel '{name}' holds no records: nothing is scored.")
            return
        self._log.metrics(
            {"Total Records Seen": records, "score.time": _milliseconds(begin)},
            start=begin,
            end=time.time(),
            extra_dimensions={"Meta": "test_data_iter"},
        )
        seconds = time.time() - begin
        values = metrics.values()
        self._log.test_scores([(metric.name, metric.value) for metric in values])
        for metric in values:
            self._log.quality_metric(metric.name, metric.direction, metric.value, channel="test")
        area = None if auc is None else auc.value()
        if area is not None:  # after Amazon's lines
            self._log.quality_metric("auc", "score", area, channel="test")
        named = {metric.name: metric.value for metric in values} | ({} if area is None else {"auc": area})
        self._metrics_file.score(name, named, rows=records, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Channels:
    """The channels of a job: which to train on, to watch, and to score at the end."""

    train: Channel
    validation: Channel | None
    scored: Channel | None

    @classmethod
    def find(
        cls,
        paths: ContractPaths,
        hyperparameters: Hyperparameters,
        find_channel: Callable[[Sequence[str]], Channel | None],
    ) -> _Channels:
        train = find_channel(TRAIN.names)
        if train is None:
            raise ChannelError(
                f"The channel 'train' is missing: there is neither "
                f"{' nor '.join(str(paths.data / name) for name in TRAIN.names)}. Mount a folder or a file with the "
                "training records there."
            )
        validation = find_channel(VALIDATION.names)
        if validation is None and hyperparameters.early_stopping_patience is not None:
            raise ChannelError(
                "early_stopping_patience is given, but there is no channel 'validation' to watch. Provide "
                f"{paths.data / VALIDATION.names[0]}, or leave early_stopping_patience out."
            )
        return cls(train, validation, find_channel(TEST.names) or validation)


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


def _milliseconds(begin: float) -> float:
    return (time.time() - begin) * 1000.0
