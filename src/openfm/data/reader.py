"""A channel's records, pass by pass, whatever its input mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path

from openfm.data.channel import Channel
from openfm.data.files import ByteStream, open_file
from openfm.data.formats.channel import FormatReader
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.recordio import RECORDIO
from openfm.data.formats.registry import FORMATS
from openfm.data.pipes import PipeStream, ReadingStoppedError
from openfm.data.places import START, Place
from openfm.data.records import BLOCK_BYTES, OpenStream, RecordBlock, RecordReader
from openfm.errors import ChannelError

__all__ = ["ChannelReader", "ReadingStoppedError"]


class ChannelReader:
    """Reads a channel as often as it is asked to; every record must have a label.

    In File and FastFile mode each pass reads the channel's files again, in order and sequentially. In Pipe mode the
    first pass reads FIFO 0, the next one FIFO 1, and so on; each is opened once.

    Args:
        channel: what to read.
        feature_dim: the number of columns.
        stopping: whether a stop is requested; asked all the time, also while a FIFO is silent. By default never.
        format: the name of its files' format.
        index_base: libsvm: the number of the first feature, 0 or 1.
        weight: csv, parquet: the column of the records' weights, by number from 0 or by name; None: there is none.
        pipe_timeout: seconds to wait for a FIFO, and for each next byte of it, before that is an error. By default any.
        block_bytes: how much is read and decoded at a time.
        threads: how many threads may work. With more than one, what gzip compressed is unpacked on a thread of its own.

    Raises:
        ChannelError: files of this format cannot be read from a FIFO.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        feature_dim: int,
        format: str = RECORDIO.name,
        index_base: int | None = None,
        weight: str | int | None = None,
        stopping: Callable[[], bool] = lambda: False,
        pipe_timeout: float = math.inf,
        block_bytes: int = BLOCK_BYTES,
        threads: int = 1,
    ) -> None:
        self.channel = channel
        self._feature_dim = feature_dim
        self._format = FORMATS[format]
        if channel.is_pipe and not self._format.streams:
            raise ChannelError(
                f"Channel '{channel.name}' is in Pipe mode, but {format} cannot be read from a FIFO. Set its input "
                "mode to File or FastFile."
            )
        # The container's own convention for rows of columns: no header, and the label first.
        self._options = ReadOptions(
            feature_dim=feature_dim, index_base=index_base, target=0, weight=weight, header=False, threads=threads
        )
        self._stopping = stopping
        self._pipe_timeout = pipe_timeout
        self._block_bytes = block_bytes
        self._threads = threads
        self._passes = 0

    @property
    def repeats(self) -> bool:
        """Whether every pass gives the same records in the same order. The FIFOs of Pipe mode may not."""
        return not self.channel.is_pipe

    def read_pass(
        self, start: Place = START, *, abandoned: Callable[[], bool] = lambda: False
    ) -> Generator[RecordBlock, None, None]:
        """Reads the data once more, from the start.

        Close the iterator to end a pass early: that closes its file or FIFO.

        Args:
            start: where to begin instead: the ``end`` of a block of an earlier pass. Not in Pipe mode.
            abandoned: asked all the time, like ``stopping``, whether the pass is to end early.

        Yields:
            Blocks of at least one record; none if the channel has no files or its FIFO is empty.

        Raises:
            ReadingStoppedError: a stop was requested, or the pass was abandoned.
            DataError: a record is broken or does not fit; in Amazon's words, with channel, file and record.
            ChannelError: a file cannot be read.
            PlatformError: a FIFO was silent for too long.
        """

        def stopping() -> bool:
            return abandoned() or self._stopping()

        with closing(self._next_pass(stopping).read(start)) as blocks:
            for block in blocks:
                if stopping():
                    raise ReadingStoppedError
                yield block

    def _next_pass(self, stopping: Callable[[], bool]) -> RecordReader | FormatReader:
        channel, files = self.channel, self.channel.files
        open_stream: OpenStream
        if channel.is_pipe:
            files = (channel.pipe(self._passes),)

            def open_stream(path: Path, *, offset: int = 0) -> ByteStream:
                assert offset == 0  # each FIFO is read once, from its start
                return PipeStream(path, channel=channel.name, stopping=stopping, timeout=self._pipe_timeout)
        else:
            open_stream = partial(open_file, channel=channel.name, ahead=self._threads > 1)
        self._passes += 1
        if self._format is not RECORDIO:
            return FormatReader(
                files, channel=channel.name, format=self._format, options=self._options, open_stream=open_stream
            )
        return RecordReader(
            files,
            channel=channel.name,
            feature_dim=self._feature_dim,
            block_bytes=self._block_bytes,
            open_stream=open_stream,
        )
