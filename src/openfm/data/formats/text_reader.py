"""Lines of text in blocks of bounded size."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from typing import Protocol, TypeVar

from openfm.data.files import ByteStream
from openfm.data.formats.source import Source
from openfm.data.formats.text_faults import TextFault, sentence
from openfm.data.places import START, Place

__all__ = ["TEXT_BLOCK_BYTES", "TextReader"]

TEXT_BLOCK_BYTES = 4 * 2**20
"""How much text is parsed at a time."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Parsed(Protocol):
    @property
    def consumed(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def fault(self) -> tuple[str, int, int, int, int, int, int] | None: ...


_AnyParsed = TypeVar("_AnyParsed", bound=_Parsed)


class TextReader:
    """Reads a text once, block by block; memory is bounded by the block, or by the longest line if that is longer.

    Args:
        source: the text, in UTF-8, with or without a byte order mark.
        unit: what errors call a field of a line: ``column`` or ``field``.
        block_bytes: how much is parsed at a time.
        start: where to begin: offset and line.
    """

    def __init__(
        self, source: Source, *, unit: str = "column", block_bytes: int = TEXT_BLOCK_BYTES, start: Place = START
    ) -> None:
        self._source = source
        self._unit = unit
        self._stream: ByteStream = source.open(offset=start.offset)
        self._buffer = bytearray(block_bytes)
        self._filled = 0
        self._ended = False
        self._line = start.line  # of the buffer's first byte, in the text
        self._offset = start.offset  # likewise
        self._names: Sequence[str] | None = None
        try:
            self._fill()
        except BaseException:
            self._stream.close()
            raise
        if start == START and self._buffer.startswith(_BYTE_ORDER_MARK):
            self._drop(len(_BYTE_ORDER_MARK))

    def close(self) -> None:
        """Closes the source."""
        self._stream.close()

    def header(self, delimiter: str) -> list[str]:
        """Takes the first line as the columns' names.

        Raises:
            DataError: there is none, or two columns have the same name.
        """
        while (end := self._buffer.find(b"\n", 0, self._filled)) < 0 and not self._ended:
            self._fill()
        line = bytes(self._buffer[: end if end >= 0 else self._filled])
        self._drop(end + 1 if end >= 0 else self._filled)
        self._line += 1
        try:
            names = next(csv.reader([line.decode().rstrip("\r")], delimiter=delimiter, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._source.error(
                f"The first line of {self._source.name} cannot be read as the columns' names: {error}. Correct it."
            ) from error
        if not names:
            raise self._source.error(f"{self._source.name} has no line that names the columns. Add one.")
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
        if twice:
            raise self._source.error(
                f"{self._source.name} has more than one column '{min(twice)}'. Give each column a name of its own."
            )
        self._names = names
        return names

    def blocks(
        self, parse: Callable[[memoryview, bool], _AnyParsed], *, no_features: Collection[int] = ()
    ) -> Iterator[_AnyParsed]:
        """What ``parse`` makes of the text, block by block; closes the source at the end.

        Args:
            parse: takes bytes and whether they are the last, and tells how many it took.
            no_features: the columns, by number from 0, that are something else, such as the label: for errors.

        Raises:
            DataError: a row is faulty; names source, line, column and value.
        """
        with closing(self):
            while True:
                parsed = parse(memoryview(self._buffer)[: self._filled], self._ended)
                if parsed.fault is not None:
                    raise self._source.error(self._sentence(TextFault(*parsed.fault), no_features))
                yield parsed
                self._line += parsed.lines
                self._drop(parsed.consumed)
                if self._ended:
                    return
                self._fill()

    def place_after(self, parsed: _Parsed) -> Place:
        """Where that ends which :meth:`blocks` gave last: offset and line."""
        return Place(offset=self._offset + parsed.consumed, line=self._line + parsed.lines)

    def _sentence(self, fault: TextFault, no_features: Collection[int]) -> str:
        value = self._buffer[fault.begin : fault.end].decode(errors="backslashreplace")
        fault = TextFault(
            fault.kind, self._line + fault.line, fault.column, fault.begin, fault.end, fault.found, fault.expected
        )
        return sentence(
            fault,
            value,
            self._source.name,
            names=self._names,
            header=self._names is not None or self._unit == "field",
            no_features=no_features,
            unit=self._unit,
        )

    def _drop(self, count: int) -> None:
        """Forgets bytes that were taken."""
        self._buffer[: self._filled - count] = self._buffer[count : self._filled]
        self._filled -= count
        self._offset += count

    def _fill(self) -> None:
        """Reads until the buffer is full, which grows if it is, or the text ends."""
        if self._filled == len(self._buffer):
            self._buffer.extend(bytes(len(self._buffer)))
        with memoryview(self._buffer) as view:
            while self._filled < len(view):
                count = self._stream.readinto(view[self._filled :])
                if not count:
                    self._ended = True
                    return
                self._filled += count
