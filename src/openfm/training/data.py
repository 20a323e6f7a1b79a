"""The training data of a job: read once, checked, cut into mini-batches, kept for the epochs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openfm.contract.hyperparameters import DenseNetwork
from openfm.data.batches import LabelledRows, whole_batches
from openfm.data.reader import ChannelReader
from openfm.data.records import RecordBlock
from openfm.errors import DataError
from openfm.fm.model import PredictorType
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import BatchBlock, Trainer

__all__ = ["LabelOrder", "TrainingData", "checked_labels"]

_SHUFFLED_PIECE = 65536  # rows indexed at once where each epoch has an order of its own


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


class TrainingData:
    """The records of the channel ``train`` as mini-batches, epoch after epoch.

    The first epoch reads the records and keeps their batches; later epochs use these again. In Pipe mode each epoch
    reads the records anew, from the next FIFO.

    Args:
        reader: of the channel; each epoch that reads takes one pass.
        settings: of the job.
        trainer: indexes the batches.
        network: ``amazon`` takes dense records only.
        on_dense: called once, when the first dense record is met, before it is trained on.
    """

    def __init__(
        self,
        reader: ChannelReader,
        *,
        settings: TrainingSettings,
        trainer: Trainer,
        network: DenseNetwork,
        on_dense: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._channel = reader.channel.name
        self._settings = settings
        self._trainer = trainer
        self._network = network
        self._on_dense: Callable[[], None] | None = on_dense
        self._kept: list[BatchBlock] | None = None
        self._all_rows: LabelledRows | None = None
        self.records = 0
        self.label_order = LabelOrder()

    def epoch(self, number: int) -> Generator[BatchBlock, None, None]:
        """The mini-batches of an epoch, in order, in pieces.

        Raises:
            ReadingStoppedError: a stop was requested while records were read.
            DataError: a record cannot be trained on, or there is none.
        """
        if self._settings.shuffle:
            yield from self._shuffled(number)
        elif self._kept is not None:
            yield from self._kept
        else:
            kept = []
            for rows, labels in whole_batches(self._read(), self._settings.mini_batch_size):
                batches = self._trainer.batches(rows, labels)
                if self._reader.repeats:
                    kept.append(batches)
                yield batches
            self._kept = kept or None

    def _shuffled(self, epoch: int) -> Iterator[BatchBlock]:
        if self._all_rows is None or not self._reader.repeats:
            parts = list(self._read())
            self._all_rows = next(whole_batches(parts, max(1, self.records)))
        rows, labels = self._all_rows
        # RandomState's streams are frozen: the order is the same with every version of NumPy.
        seeds = np.random.SeedSequence([self._settings.seed, epoch])
        order = np.random.RandomState(np.random.MT19937(seeds)).permutation(len(labels))
        size = self._settings.mini_batch_size
        piece = max(1, _SHUFFLED_PIECE // size) * size
        for begin in range(0, len(order), piece):
            taken = order[begin : begin + piece]
            yield self._trainer.batches(rows.take(taken), labels[taken])

    def _read(self) -> Generator[LabelledRows, None, None]:
        self.records = 0
        self.label_order = LabelOrder()
        with closing(self._reader.read_pass()) as blocks:
            for block in blocks:
                self._check_density(block)
                labels = checked_labels(block, self._settings.predictor_type, self._channel, self.records)
                self.label_order.add(labels)
                self.records += len(labels)
                yield block.rows, labels
        if not self.records:
            raise DataError(f"Channel '{self._channel}' holds no records. Provide at least one labelled record.")

    def _check_density(self, block: RecordBlock) -> None:
        if block.dense_records and self._on_dense is not None:
            self._on_dense()
            self._on_dense = None
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
