"""A training channel's files in a format other than recordIO-protobuf."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from openfm.data.formats.format import Format, ReadOptions
from openfm.data.formats.source import Source
from openfm.data.places import START, Place
from openfm.data.records import OpenStream, RecordBlock
from openfm.errors import ChannelError

__all__ = ["FormatReader"]


class FormatReader:
    """Reads files of any format in order, block by block; every row must have a label.

    It does for them what :class:`openfm.data.records.RecordReader` does for records.

    Args:
        files: the files, which are read in this order.
        channel: the channel's name, for error messages.
        format: theirs.
        options: how to read them; with ``feature_dim``, and with the target where there are columns.
        open_stream: opens one of the files.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        channel: str,
        format: Format,
        options: ReadOptions,
        open_stream: OpenStream,
    ) -> None:
        self._files = tuple(files)
        self._channel = channel
        self._format = format
        self._options = options
        self._open = open_stream

    def read(self, start: Place = START) -> Generator[RecordBlock, None, None]:
        """Yields blocks of at least one row; closing the iterator closes the file.

        Args:
            start: where to begin, such as the ``end`` of a block of an earlier pass.

        Raises:
            DataError: a row is broken or does not fit; names channel, file, line or row, column and value.
            ChannelError: a file cannot be read.
        """
        for number in range(start.file, len(self._files)):
            yield from self._read_file(start if number == start.file else Place(number))

    def _read_file(self, start: Place) -> Generator[RecordBlock, None, None]:
        path = self._files[start.file]
        source = Source(f"'{path}'", path, partial(self._open, path), self._channel)
        seeks = self._format.seeks
        row = start.record if seeks else 0
        try:
            with closing(self._format.read(source, replace(self._options, start=start if seeks else START))) as blocks:
                for block in blocks:
                    row += len(block)
                    if row > start.record:  # what lies before it in a file without seeking is read and passed over
                        end = block.end or START
                        yield replace(block, end=Place(start.file, end.offset, row, end.line))
        except OSError as error:
            raise ChannelError(
                f"Unable to read data channel '{self._channel}'. Cannot read '{path}': {error.strerror or error}. "
                "Make it readable for the user that openfm runs as."
            ) from error
