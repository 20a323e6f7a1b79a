"""The steps that several hosts train together: each a mini-batch from every host."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.errors import AlgorithmError, DataError
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import Trainer
from openfm.training.data import TrainingData
from openfm.training.hosts.collective import Collective, gathered
from openfm.training.hosts.lookahead import MOST_STEPS, Lookahead, OwnBatch
from openfm.training.hosts.unions import Unions
from openfm.training.steps import StepSums, too_few_steps
from openfm.training.stop import StopRequest

__all__ = ["TogetherSteps"]

_SUMS = 7  # of Trainer.gradients
_STOP = _SUMS  # the place of the stop flag, after them


@dataclass(frozen=True, slots=True)
class _Step:
    """One step.

    Attributes:
        own: this host's mini-batch; None: it has none left.
        features: of all hosts' mini-batches, ascending.
        padding: records of padding, over all hosts.
        records: of all hosts, with padding.
    """

    own: OwnBatch | None
    features: npt.NDArray[np.int32]
    padding: int
    records: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the hosts agree on for some steps; ``is_last``: the epoch ends with them."""

    steps: list[_Step]
    is_last: bool


class TogetherSteps:
    """Each step takes a mini-batch from every host that still has one.

    What a step needs of the others travels in one sum: the gradients of the features that occur in any of its
    mini-batches, the sums of the bias and the metrics, and whether a host is asked to stop. Which features these are is
    agreed on for up to eight steps at once.

    Args:
        collective: of the hosts.
        hosts: their names.
        data: this host's mini-batches.
        trainer: of parameters that are equal on all hosts.
        settings: of the job.
        replicated: whether all hosts read the same records, of which ``data`` gives this one's part.
        stop: whether this host is asked to stop.
        agreed: set when all hosts have learnt that one is.
    """

    def __init__(
        self,
        collective: Collective,
        hosts: Sequence[str],
        data: TrainingData,
        trainer: Trainer,
        settings: TrainingSettings,
        *,
        replicated: bool,
        stop: StopRequest,
        agreed: StopRequest,
    ) -> None:
        self._collective = collective
        self._hosts = hosts
        self._data = data
        self._trainer = trainer
        self._replicated = replicated
        self._stop, self._agreed = stop, agreed
        self._step_size = settings.mini_batch_size * collective.size
        self._records = 0
        dim = settings.feature_dim
        self._unions = Unions(collective, dim) if settings.lazy_update else None
        self._all_features = np.empty(0, np.int32) if settings.lazy_update else np.arange(dim, dtype=np.int32)
        self._places = np.empty(dim, dtype=np.int32)  # of each feature among a step's
        self._width = settings.num_factors + 1
        self._memory = np.empty(0, dtype=np.float32)  # of what travels

    @property
    def step_size(self) -> int:
        """Records of a whole step."""
        return self._step_size

    @property
    def records(self) -> int:
        """Records of the epoch that was trained last, of all hosts."""
        return self._records

    def epoch(self, number: int, done: int) -> Generator[StepSums, None, None]:
        """Train an epoch: see :class:`openfm.training.steps.Steps`."""
        step = done
        with closing(Lookahead(self._data.epoch(number), done)) as ahead:
            while (plan := self._plan(ahead)) is not None:
                for planned in plan.steps:
                    yield self._train(planned, number, step)
                    if self._agreed.requested:
                        return
                    step += 1
                if plan.is_last:
                    self._end_epoch(number, done, ahead.batches)
                    return

    def _plan(self, ahead: Lookahead) -> _Plan | None:
        """The next steps; None: the hosts agreed to stop."""
        offered, all_seen = ahead.look()
        row = np.zeros(3 + 2 * MOST_STEPS, dtype=np.int64)
        row[:3] = ahead.stopped or self._stop.requested, all_seen, len(offered)
        row[3 : 3 + len(offered)] = [batch.records for batch in offered]
        row[3 + MOST_STEPS :][: len(offered)] = [len(batch.features) for batch in offered]
        table = gathered(self._collective, row)
        stops, over, counts = table[:, 0], table[:, 1], table[:, 2]
        if stops.any():
            self._agreed.requested = True
            return None
        is_last = bool(over.all())
        window = int(counts.max() if is_last else counts[over == 0].min())
        own: list[OwnBatch | None] = [*offered[:window], *[None] * (window - len(offered))]
        features = self._agree(own, table[:, 3 + MOST_STEPS :][:, :window])
        ahead.take(min(window, len(offered)))
        records = table[:, 3 : 3 + window].sum(axis=0).tolist()
        steps = []
        for i in range(window):
            # As one host pads its last mini-batch. What a host lacks in an earlier step is not there at all.
            padding = self._step_size - records[i] if is_last and i == window - 1 else 0
            steps.append(_Step(own[i], features[i], padding, records[i] + padding))
        return _Plan(steps, is_last)

    def _agree(self, own: Sequence[OwnBatch | None], counts: npt.NDArray[np.int64]) -> Sequence[npt.NDArray[np.int32]]:
        if self._unions is None:
            return [self._all_features] * len(own)
        nothing = np.empty(0, np.int32)
        return self._unions.agree([nothing if batch is None else batch.features for batch in own], counts)

    def _train(self, step: _Step, epoch: int, number: int) -> StepSums:
        self._collective.step = number
        trainer, size = self._trainer, self._collective.size
        cells = len(step.features) * self._width
        # Each sum is two floats, which together are as good as the double, at a place of its host's own, so that the
        # order in which the hosts are added up is known.
        content = self._zeros(cells + size * 2 * (_SUMS + 1))
        gradients, tail = content[:cells].reshape(-1, self._width), content[cells:].reshape(size, 2, _SUMS + 1)
        sums = np.zeros(_SUMS + 1)
        if step.own is not None:
            self._places[step.features] = np.arange(len(step.features), dtype=np.int32)
            places = self._places[step.own.features]
            sums[:_SUMS] = trainer.gradients(step.own.block, step.own.number, places, gradients)
        if step.padding and self._collective.rank == 0:
            sums[:_SUMS] += trainer.padding_sums(step.padding)
        sums[_STOP] = self._stop.requested
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found after the step
            tail[self._collective.rank, 0] = sums
            tail[self._collective.rank, 1] = sums - tail[self._collective.rank, 0]
        self._collective.sum(content)
        totals = np.zeros(_SUMS + 1)
        for of_host in tail:
            totals += of_host[0].astype(np.float64) + of_host[1]
        result = trainer.apply(step.features, gradients, totals[:_SUMS], epoch=epoch, batch=number)
        if totals[_STOP]:
            self._agreed.requested = True
        return StepSums(result[np.newaxis], step.records)

    def _zeros(self, count: int) -> npt.NDArray[np.float32]:
        if len(self._memory) < count:
            self._memory = np.empty(count + count // 4, dtype=np.float32)
        content = self._memory[:count]
        content[:] = 0
        return content

    def _end_epoch(self, epoch: int, done: int, batches: int) -> None:
        """See that all hosts are where they should be."""
        row = np.array([parameters_checksum(self._trainer), self._data.records, batches], dtype=np.int64)
        checksums, records, found = gathered(self._collective, row).T
        self._check(checksums, self._differing_parameters, epoch)
        if self._replicated:
            self._check(records, self._differing_records, epoch)
        self._records = int(records[0] if self._replicated else records.sum())
        if not self._records:
            raise DataError("The channel 'train' holds no records on any host. Provide at least one labelled record.")
        if found.max() < done:
            raise too_few_steps(done, int(found.max()))

    def _check(self, values: npt.NDArray[np.int64], error: Callable[[str, str, int], Exception], epoch: int) -> None:
        differing = np.flatnonzero(values != values[0])
        if len(differing):
            raise error(self._hosts[int(differing[0])], self._hosts[0], epoch)

    @staticmethod
    def _differing_parameters(host: str, first: str, epoch: int) -> Exception:
        return AlgorithmError(
            f"After epoch {epoch} the parameters on host '{host}' differ from those on '{first}', though all hosts "
            "make the same steps. Look for faulty memory on these hosts, and start the job again: it goes on from its "
            "last checkpoint, if it keeps checkpoints."
        )

    @staticmethod
    def _differing_records(host: str, first: str, epoch: int) -> Exception:
        return DataError(
            f"In epoch {epoch} host '{host}' read another number of records from channel 'train' than '{first}', but "
            "all hosts have the whole channel (FullyReplicated). Give all the same data, or set the channel's "
            "S3DistributionType to ShardedByS3Key if each has its own."
        )


def parameters_checksum(trainer: Trainer) -> int:
    """A checksum of w0, w and V."""
    checksum = zlib.crc32(np.float32(trainer.bias("parameters")).tobytes())
    checksum = zlib.crc32(trainer.linear("parameters").data, checksum)
    for piece in trainer.factor_pieces("parameters"):
        checksum = zlib.crc32(piece.data, checksum)
    return checksum
