"""The training data of a job: read once, checked, cut into mini-batches, kept for the epochs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from openfm.contract.hyperparameters import DenseNetwork
from openfm.data.ahead import Abandoned, run_ahead
from openfm.data.batches import BatchCutter, LabelledRows, joined
from openfm.data.reader import ChannelReader
from openfm.data.records import RecordBlock
from openfm.errors import DataError, HyperparameterError
from openfm.fm.model import PredictorType
from openfm.fm.rows import SparseRows
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import BatchBlock, Trainer
from openfm.training.batch_cache import BatchCache, Remainder
from openfm.training.part import WHOLE, Part

__all__ = ["LabelOrder", "TrainingData", "checked_labels"]

_SHUFFLED_PIECE = 2**18  # non-zeros and rows indexed at once where each epoch has an order of its own


class LabelOrder:
    """Whether labels, seen piece by piece, are sorted."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._rises = False
        self._falls = False

    def add(self, labels: npt.NDArray[np.float32]) -> None:
        """See the next labels: float32, shape (n,)."""
        if not len(labels):
            return
        steps = np.diff(labels, prepend=labels[0] if self._last is None else self._last)
        self._rises |= bool((steps > 0).any())
        self._falls |= bool((steps < 0).any())
        self._last = float(labels[-1])

    @property
    def is_sorted(self) -> bool:
        """Whether there were several labels, and they only rose or only fell."""
        return self._rises != self._falls


@dataclass(frozen=True, slots=True)
class _Step:
    """Mini-batches that come next, whether dense records were met for them, and what follows them; None: nothing."""

    batches: BatchBlock
    met_dense: bool
    rest: Remainder | None


class TrainingData:
    """The records of the channel ``train`` as mini-batches, epoch after epoch.

    The first epoch reads the records and keeps their mini-batches while they fit the memory that it may use; later
    epochs use these again and read only what follows them. In Pipe mode each epoch reads all, from the next FIFO.

    Where there is more than one thread, reading, decoding and indexing have one of their own, a step ahead of training.

    Args:
        reader: of the channel; each epoch that reads takes one pass.
        settings: of the job.
        trainer: indexes the batches.
        network: ``amazon`` takes dense records only.
        on_dense: called once, when the first dense record is met, before it is trained on.
        cache_bytes: how much memory may be used to keep data from one epoch to the next.
        threads: how many threads may work.
        part: which mini-batches are this host's; the others are read, but neither indexed nor kept.
        may_be_empty: whether there may be no records.
    """

    def __init__(
        self,
        reader: ChannelReader,
        *,
        settings: TrainingSettings,
        trainer: Trainer,
        network: DenseNetwork,
        on_dense: Callable[[], None],
        cache_bytes: int,
        threads: int,
        part: Part = WHOLE,
        may_be_empty: bool = False,
    ) -> None:
        self._reader = reader
        self.part = part
        self._may_be_empty = may_be_empty
        self._channel = reader.channel.name
        self._settings = settings
        self._trainer = trainer
        self._network = network
        self._on_dense: Callable[[], None] | None = on_dense
        self._cache_bytes = cache_bytes
        self._threads = threads
        self._cache = BatchCache(cache_bytes if reader.repeats else 0)
        self._all_rows: LabelledRows | None = None
        self._records_at_first: int | None = None
        self.records = 0
        self.label_order = LabelOrder()

    def epoch(self, number: int) -> Generator[BatchBlock, None, None]:
        """The mini-batches of an epoch, in order, in pieces.

        Raises:
            ReadingStoppedError: a stop was requested while records were read.
            DataError: a record cannot be trained on, there is none, or there are others than in the first epoch.
            HyperparameterError: the records are to be shuffled, and do not fit into the memory that they may use.
        """
        if self._settings.shuffle:
            produce = partial(self._shuffled, number)
        else:
            yield from self._cache.blocks
            if self._cache.rest is None:
                return
            produce = partial(self._in_order, self._cache.rest)
        with closing(run_ahead(produce, threads=self._threads)) as steps:
            for step in steps:
                if step.met_dense and self._on_dense is not None:
                    self._on_dense()
                    self._on_dense = None
                if not self._settings.shuffle:
                    self._cache.offer(step.batches, step.rest)
                yield step.batches
        if not self._settings.shuffle and self._reader.repeats:
            self._cache.complete()

    def forget(self) -> None:
        """Free all data that were kept; an epoch reads them anew."""
        self._cache = BatchCache(0)
        self._all_rows = None

    def _in_order(self, rest: Remainder, abandoned: Abandoned) -> Generator[_Step, None, None]:
        # Rounds, in which each host has a batch.
        cutter = BatchCutter(self._settings.mini_batch_size * self.part.of, rest.held)
        met_dense = False
        with closing(self._read(rest, abandoned)) as blocks:
            for block, labels in blocks:
                met_dense |= block.dense_records > 0
                if (piece := cutter.add(block.rows, labels, block.weights)) is not None:
                    assert block.end is not None  # ChannelReader tells it
                    following = Remainder(block.end, self.records, cutter.held)
                    yield _Step(self._trainer.batches(*self._own(piece)), met_dense, following)
        if (piece := cutter.last()) is not None and len((own := self._own(piece))[1]):
            yield _Step(self._trainer.batches(*own), met_dense, None)

    def _own(self, rounds: LabelledRows) -> LabelledRows:
        """This host's part of rounds of mini-batches."""
        if self.part.of == 1:
            return rounds
        return rounds.take(self.part.rows(0, len(rounds.labels), self._settings.mini_batch_size))

    def _shuffled(self, epoch: int, abandoned: Abandoned) -> Generator[_Step, None, None]:
        met_dense = False
        if self._all_rows is None or not self._reader.repeats:
            self._all_rows, met_dense = self._read_all(abandoned)
        all_rows = self._all_rows
        rows = all_rows.rows
        if not len(rows):
            return
        # RandomState's streams are frozen: the order is the same with every version of NumPy.
        seeds = np.random.SeedSequence([self._settings.seed, epoch])
        order = np.random.RandomState(np.random.MT19937(seeds)).permutation(len(rows))
        size = self._settings.mini_batch_size
        if self.part.of > 1:
            order = order[self.part.rows(0, len(order), size)]
        piece = max(1, int(_SHUFFLED_PIECE * len(rows) / (rows.nnz + len(rows)) / size)) * size
        for begin in range(0, len(order), piece):
            taken = order[begin : begin + piece]
            yield _Step(self._trainer.batches(*all_rows.take(taken)), met_dense, None)

    def _read_all(self, abandoned: Abandoned) -> tuple[LabelledRows, bool]:
        """All records, and whether dense ones are among them."""
        parts: list[LabelledRows] = []
        needed, met_dense = 0, False
        self._all_rows = None  # of the last FIFO
        with closing(self._read(Remainder(), abandoned)) as blocks:
            for block, labels in blocks:
                parts.append(LabelledRows(block.rows, labels, block.weights))
                met_dense |= block.dense_records > 0
                needed += 2 * block.nbytes  # in pieces, and then joined
                if needed > self._cache_bytes:
                    raise HyperparameterError(
                        f"shuffle is 'true', for which all records of channel '{self._channel}' must be in memory, but "
                        f"they take more than the {self._cache_bytes} bytes that they may have. Give the job more "
                        "memory or a larger OPENFM_CACHE_BYTES, or shuffle the records in their files and leave "
                        "shuffle out."
                    )
        nothing = LabelledRows(SparseRows.none(self._settings.feature_dim), np.empty(0, np.float32))
        return joined(parts or [nothing]), met_dense

    def _read(
        self, rest: Remainder, abandoned: Abandoned
    ) -> Generator[tuple[RecordBlock, npt.NDArray[np.float32]], None, None]:
        """The blocks of records from a place on, with their labels, checked."""
        self.records = rest.records
        self.label_order = LabelOrder()
        with closing(self._reader.read_pass(rest.place, abandoned=abandoned)) as blocks:
            for block in blocks:
                self._check_density(block)
                labels = checked_labels(block, self._settings.predictor_type, self._channel, self.records)
                self.label_order.add(labels)
                self.records += len(labels)
                yield block, labels
        self._check_count()

    def _check_count(self) -> None:
        if not self.records and not self._may_be_empty:
            raise DataError(f"Channel '{self._channel}' holds no records. Provide at least one labelled record.")
        if not self._reader.repeats:
            return
        if self._records_at_first is None:
            self._records_at_first = self.records
        if self.records != self._records_at_first:
            raise DataError(
                f"Channel '{self._channel}' held {self._records_at_first} records in the first epoch and holds "
                f"{self.records} now. Leave its files as they are while the job runs."
            )

    def _check_density(self, block: RecordBlock) -> None:
        if self._network is DenseNetwork.AMAZON and block.dense_records < len(block.rows):
            raise DataError(
                f"dense_network is 'amazon', which trains dense records only, but channel "
                f"'{self._channel}' holds sparse records. Set dense_network to 'documented', or "
                "write the records dense."
            )


def checked_labels(
    block: RecordBlock, predictor_type: PredictorType, channel: str, first_record: int
) -> npt.NDArray[np.float32]:
    """The labels of a block, fit for the predictor type: float32, shape (rows,).

    Args:
        block: labelled records.
        predictor_type: a binary classifier takes 0 and 1 only.
        channel: its name, for the error.
        first_record: number of the block's first record within the channel, counted from 0.

    Raises:
        DataError: a label is neither 0 nor 1; names the record.
    """
    labels = block.labels
    assert labels is not None  # ChannelReader requires them
    if predictor_type is PredictorType.BINARY_CLASSIFIER:
        binary = (labels == 0) | (labels == 1)
        if not binary.all():
            wrong = int(np.argmin(binary))
            raise DataError(
                f"Record {first_record + wrong} of channel '{channel}' has the label "
                f"{float(labels[wrong])!r}, but a binary_classifier takes the labels 0 and 1 only. "
                "Correct the labels, or set predictor_type to 'regressor'."
            )
    return labels
