"""A channel's records, pass by pass, from files and from FIFOs."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import openfm
from openfm.data.channel import Channel, find_channel
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.data.recordio import frame
from openfm.errors import ChannelError, DataError
from support.pipes import PipeFeeder


def records(labels, feature_dim: int = 4) -> bytes:
    """Dense records, told apart by their labels."""
    file = io.BytesIO()
    openfm.write_records(file, np.ones((len(labels), feature_dim), dtype=np.float32), np.float32(labels))
    return file.getvalue()


def labels_of(blocks) -> list[float]:
    return [float(label) for block in blocks for label in block.labels]


class TestFindChannel:
    NAMES = ("train", "training")

    def find(self, folder: Path, *pipes: str) -> tuple[str, bool] | None:
        channel = find_channel(folder, self.NAMES, pipes=pipes)
        return channel and (channel.name, channel.is_pipe)

    def test_a_fifo_whatever_the_configuration_says(self, tmp_path):
        os.mkfifo(tmp_path / "training_0")
        assert self.find(tmp_path) == ("training", True)
        assert self.find(tmp_path, "training") == ("training", True)
        assert self.find(tmp_path, "train") == ("training", True)

    def test_a_folder_whatever_the_configuration_says(self, tmp_path):
        (tmp_path / "training").mkdir()
        (tmp_path / "training" / "part-0").write_bytes(b"data")
        assert self.find(tmp_path, "training") == ("training", False)
        assert self.find(tmp_path, "train") == ("training", False)

    def test_both_as_the_configuration_says(self, tmp_path):
        (tmp_path / "train").write_bytes(b"data")
        os.mkfifo(tmp_path / "train_0")
        assert self.find(tmp_path) == ("train", False)
        assert self.find(tmp_path, "train") == ("train", True)

    def test_a_fifo_that_is_yet_to_come(self, tmp_path):
        assert self.find(tmp_path) is None
        assert self.find(tmp_path, "training", "test") == ("training", True)

    def test_a_regular_file_in_the_fifos_place(self, tmp_path):
        (tmp_path / "train_0").touch()
        assert self.find(tmp_path) == ("train", True)

    def test_a_folder_in_the_fifos_place_is_another_channel(self, tmp_path):
        (tmp_path / "train_0").mkdir()
        assert self.find(tmp_path) is None

    def test_fifos_lie_beside_the_channels_path(self, tmp_path):
        os.mkfifo(tmp_path / "a.b_0")
        channel = find_channel(tmp_path, ["a.b"])
        assert channel.pipe(0) == tmp_path / "a.b_0"
        assert channel.pipe(12) == tmp_path / "a.b_12"
        assert channel.files == ()


class TestFiles:
    def test_each_pass_reads_them_again(self, tmp_path):
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "a").write_bytes(records([1, 2]))
        (tmp_path / "train" / "b").write_bytes(gzip.compress(records([3])))
        reader = ChannelReader(find_channel(tmp_path, ["train"]), feature_dim=4)
        assert reader.repeats
        for _ in range(2):
            assert labels_of(reader.read_pass()) == [1, 2, 3]

    def test_no_files_give_no_records(self, tmp_path):
        assert list(ChannelReader(Channel("train", tmp_path, ()), feature_dim=4).read_pass()) == []

    def test_a_broken_record_in_a_gzip_file_is_named(self, tmp_path):
        path = tmp_path / "train"
        path.write_bytes(gzip.compress(records([1, 2, 3])[:-1]))
        reader = ChannelReader(find_channel(tmp_path, ["train"]), feature_dim=4)
        with pytest.raises(DataError, match=rf"Record 2 \(byte \d+\) of '{path}' is cut off"):
            list(reader.read_pass())

    def test_a_broken_gzip_file_gives_its_records_up_to_there(self, tmp_path):
        data = records(range(2000))
        (tmp_path / "train").write_bytes(gzip.compress(data)[:-8])
        reader = ChannelReader(find_channel(tmp_path, ["train"]), feature_dim=4, block_bytes=len(data) // 2)
        blocks = reader.read_pass()
        assert labels_of([next(blocks)])[:3] == [0, 1, 2]
        with pytest.raises(DataError, match=f"The gzip file '{tmp_path / 'train'}' is cut off"):
            list(blocks)

    def test_memory_is_bounded_by_the_block(self, tmp_path):
        with gzip.open(tmp_path / "train", "wb", compresslevel=1) as file:
            for _ in range(100):
                file.write(records(np.zeros(100), feature_dim=1000))
        reader = ChannelReader(find_channel(tmp_path, ["train"]), feature_dim=1000, block_bytes=2**20)
        tracemalloc.start()
        try:
            assert sum(len(block) for block in reader.read_pass()) == 10_000  # 40 MB
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()

    def test_a_stop_ends_a_pass(self, tmp_path):
        (tmp_path / "train").write_bytes(records(range(1000)))
        stops = iter([False, True])
        reader = ChannelReader(
            find_channel(tmp_path, ["train"]), feature_dim=4, block_bytes=1000, stopping=lambda: next(stops)
        )
        blocks = reader.read_pass()
        assert len(next(blocks))
        with pytest.raises(ReadingStoppedError):
            next(blocks)


class TestPipes:
    def reader(self, folder: Path, **options) -> ChannelReader:
        return ChannelReader(find_channel(folder, ["train"], pipes=["train"]), feature_dim=4, **options)

    def test_each_pass_reads_the_next_one(self, tmp_path):
        reader = self.reader(tmp_path)
        assert not reader.repeats
        with PipeFeeder(tmp_path / "train", lambda number: [records([number]), records([7])], passes=3, delay=0.02):
            for number in range(3):
                assert labels_of(reader.read_pass()) == [number, 7]

    def test_a_pass_that_is_never_begun_opens_none(self, tmp_path):
        reader = self.reader(tmp_path)
        reader.read_pass()
        with PipeFeeder(tmp_path / "train", lambda number: [records([number])], passes=1):
            assert labels_of(reader.read_pass()) == [0]

    @pytest.mark.parametrize("block_bytes", [64, 1000, 1 << 20])
    def test_records_come_in_bits(self, tmp_path, block_bytes):
        data = records(range(20))
        with PipeFeeder(tmp_path / "train", [data[:33], data[33:]], passes=1, chunk=7, pause=0.0001):
            assert labels_of(self.reader(tmp_path, block_bytes=block_bytes).read_pass()) == list(range(20))

    def test_closing_a_pass_closes_the_fifo(self, tmp_path):
        data = records(range(50_000))
        reader = self.reader(tmp_path, block_bytes=1000)
        with PipeFeeder(tmp_path / "train", [data], passes=2) as feeder:
            with closing(reader.read_pass()) as blocks:
                assert labels_of([next(blocks)])[0] == 0
            assert len(labels_of(reader.read_pass())) == 50_000  # the next one is whole
        assert feeder.read[0] < feeder.read[1] == len(data)

    def test_an_empty_one_gives_no_records(self, tmp_path):
        with PipeFeeder(tmp_path / "train", [], passes=1):
            assert list(self.reader(tmp_path).read_pass()) == []

    def test_a_writer_that_dies_within_a_record(self, tmp_path):
        data = records(range(10))
        with (
            PipeFeeder(tmp_path / "train", [data[:-5]], passes=1),
            pytest.raises(DataError, match=rf"Record 9 \(byte \d+\) of '{tmp_path / 'train_0'}' is cut off"),
        ):
            list(self.reader(tmp_path).read_pass())

    def test_packed_data_are_told_apart(self, tmp_path):
        with (
            PipeFeeder(tmp_path / "train", [gzip.compress(records([1]))], passes=1),
            pytest.raises(DataError, match="in Pipe mode set the channel's CompressionType to Gzip"),
        ):
            list(self.reader(tmp_path).read_pass())

    def test_objects_wrapped_once_more_are_told_apart(self, tmp_path):
        """As RecordWrapperType RecordIO does it, which is for objects that are no recordIO files yet."""
        with (
            PipeFeeder(tmp_path / "train", [frame(records([1, 2])), frame(records([3]))], passes=1),
            pytest.raises(
                DataError, match=r"Record 0 .* holds a whole file of records: set the channel's RecordWrapper"
            ),
        ):
            list(self.reader(tmp_path).read_pass())

    def test_a_folder_in_the_fifos_place(self, tmp_path):
        reader = self.reader(tmp_path)
        (tmp_path / "train_0").mkdir()
        with pytest.raises(ChannelError, match=f"Cannot read '{tmp_path / 'train_0'}': Is a directory"):
            list(reader.read_pass())
