"""One FIFO: waited for, read to its end or closed before, and never in the way of a stop."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from openfm.data.pipes import PipeStream, ReadingStoppedError
from openfm.errors import PlatformError
from support.pipes import PipeFeeder


def stream(path: Path, stopping=lambda: False, timeout=60.0) -> PipeStream:
    return PipeStream(path, channel="train", stopping=stopping, timeout=timeout)


def read_all(source: PipeStream) -> bytes:
    buffer = bytearray(7)
    read = b""
    while count := source.readinto(memoryview(buffer)):
        read += buffer[:count]
    return read


def after(seconds: float):
    """Becomes true so many seconds from now."""
    then = time.monotonic() + seconds
    return lambda: time.monotonic() >= then


@pytest.fixture
def fifo(tmp_path) -> Path:
    os.mkfifo(tmp_path / "train_0")
    return tmp_path / "train_0"


def test_it_is_read_to_the_writers_end(tmp_path):
    with PipeFeeder(tmp_path / "train", [b"some", b"", b"thing"], passes=2) as feeder:
        for number in range(2):
            with closing(stream(tmp_path / f"train_{number}")) as source:
                assert read_all(source) == b"something"
    assert feeder.read == [9, 9]


def test_a_writer_may_take_its_time(tmp_path):
    with (
        PipeFeeder(tmp_path / "train", [b"slow"], passes=1, chunk=1, pause=0.07, delay=0.1),
        closing(stream(tmp_path / "train_0")) as source,
    ):
        assert read_all(source) == b"slow"


def test_a_writer_may_come_and_go_without_a_word(fifo):
    with closing(stream(fifo)) as source:
        os.close(os.open(fifo, os.O_WRONLY))
        assert read_all(source) == b""


def test_a_second_writer_may_come_as_the_first_one_goes(fifo):
    class Late(PipeStream):
        """Another writer comes after the end was seen and before it is read."""

        other = None

        def _has_data(self) -> bool:
            ready = super()._has_data()
            if ready and self.other is None:
                self.other = os.open(fifo, os.O_WRONLY)
                threading.Timer(0.1, self.write).start()
            return ready

        def write(self) -> None:
            os.write(self.other, b"more")
            os.close(self.other)

    with closing(Late(fifo, channel="train", stopping=lambda: False, timeout=60)) as source:
        os.close(os.open(fifo, os.O_WRONLY))
        assert read_all(source) == b"more"


def test_a_regular_file_in_its_place(tmp_path):
    (tmp_path / "train_0").write_bytes(b"from an emulator")
    with closing(stream(tmp_path / "train_0")) as source:
        assert read_all(source) == b"from an emulator"


def test_closed_early_the_writer_is_told(tmp_path):
    with PipeFeeder(tmp_path / "train", [bytes(10_000_000)], passes=1) as feeder:
        source = stream(tmp_path / "train_0")
        assert source.readinto(memoryview(bytearray(10)))
        source.close()
        source.close()  # again does no harm
    assert 0 < feeder.read[0] < 10_000_000


class TestStop:
    """It is honoured in time, long before any timeout, also on a machine that is busy."""

    @pytest.fixture(autouse=True)
    def quickly(self):
        begin = time.monotonic()
        yield
        assert time.monotonic() - begin < 30

    def test_before_the_fifo_is_there(self, tmp_path):
        with pytest.raises(ReadingStoppedError):
            stream(tmp_path / "train_0", after(0.1))

    def test_before_anything_is_opened(self, tmp_path):
        with pytest.raises(ReadingStoppedError):
            stream(tmp_path, lambda: True)  # a folder, which could not be opened and read

    def test_before_a_writer_is_there(self, fifo):
        with closing(stream(fifo, after(0.1))) as source, pytest.raises(ReadingStoppedError):
            read_all(source)

    def test_between_data(self, fifo):
        with closing(stream(fifo, after(0.1))) as source:
            writer = os.open(fifo, os.O_WRONLY)
            os.write(writer, b"some")
            with pytest.raises(ReadingStoppedError):
                read_all(source)
            os.close(writer)

    def test_while_data_trickle(self, tmp_path):
        with PipeFeeder(tmp_path / "train", [bytes(1000)], chunk=1, pause=0.01):
            source = stream(tmp_path / "train_0", after(0.1))
            with pytest.raises(ReadingStoppedError):
                read_all(source)
            source.close()


class TestTimeout:
    def fails(self, path: Path, complaint: str):
        sentence = (
            f"Channel 'train' is read in Pipe mode, but the FIFO '{path}' {complaint} within 0.1 seconds. Check what "
            "feeds the FIFOs, one for each pass over the data, or set OPENFM_PIPE_TIMEOUT to wait longer."
        )
        return pytest.raises(PlatformError, match=f"^{re.escape(sentence)}$")

    def test_no_fifo(self, tmp_path):
        with self.fails(tmp_path / "train_0", "did not appear"):
            stream(tmp_path / "train_0", timeout=0.1)

    def test_no_writer(self, fifo):
        with closing(stream(fifo, timeout=0.1)) as source, self.fails(fifo, "got no data"):
            read_all(source)

    def test_a_silent_writer(self, fifo):
        with closing(stream(fifo, timeout=0.1)) as source:
            writer = os.open(fifo, os.O_WRONLY)
            os.write(writer, b"some")
            with self.fails(fifo, "got no more data"):
                read_all(source)
            os.close(writer)
