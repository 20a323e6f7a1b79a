"""A channel's files of other formats: blocks tell where they end, and reading goes on from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import openfm
from openfm.data.files import ByteStream, open_file
from openfm.data.formats.channel import FormatReader
from openfm.data.formats.files import write_data
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.registry import FORMATS
from openfm.data.places import Place
from openfm.errors import ChannelError, DataError


def reader(files: list[Path], format: str, *, opened: list[int] | None = None) -> FormatReader:
    def open_stream(path: Path, *, offset: int = 0) -> ByteStream:
        if opened is not None:
            opened.append(offset)
        return open_file(path, channel="train", offset=offset)

    options = ReadOptions(feature_dim=3, index_base=1, target=0, header=False)
    return FormatReader(
        files,
        channel="train",
        format=FORMATS[format],
        options=options,
        open_stream=open_stream,
    )


@pytest.mark.parametrize("format", ["csv", "libsvm", "parquet"])
def test_reading_goes_on_from_a_block(tmp_path: Path, format: str) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for first, file in enumerate(files):
        labels = np.arange(600_000) + first * 600_000
        write_data(file, np.ones((600_000, 3)), labels, format=format, index_base=1, header=False)
    blocks = list(reader(files, format).read())
    assert {block.end.file for block in blocks} == {0, 1}
    assert blocks[-1].end._replace(offset=0, line=0) == Place(1, record=600_000)

    for number in (0, len(blocks) // 2, len(blocks) - 2):
        again = list(reader(files, format).read(blocks[number].end))
        assert [block.end for block in again] == [block.end for block in blocks[number + 1 :]]
        np.testing.assert_array_equal(again[0].labels, blocks[number + 1].labels)


@pytest.mark.parametrize("format", ["csv", "libsvm"])
def test_what_lies_before_is_not_read_again(tmp_path: Path, format: str) -> None:
    path = tmp_path / "part-0"
    write_data(path, np.ones((600_000, 3)), np.arange(600_000), format=format, index_base=1, header=False)
    blocks = list(reader([path], format).read())
    opened: list[int] = []

    path.write_bytes(b"?" * blocks[0].end.offset + path.read_bytes()[blocks[0].end.offset :])
    again = list(reader([path], format, opened=opened).read(blocks[0].end))

    assert opened == [blocks[0].end.offset]
    assert [block.end for block in again] == [block.end for block in blocks[1:]]
    with path.open("ab") as file:
        file.write(b"x\n")
    with pytest.raises(DataError, match=r"Line 600001\b"):
        list(reader([path], format).read(blocks[0].end))


def test_row_groups_that_lie_before_are_not_read_again(tmp_path: Path) -> None:
    table = openfm.to_table(np.ones((50_000, 3)), np.arange(50_000))
    parquet.write_table(table, tmp_path / "part-0", row_group_size=20_000)
    labels = np.concatenate([block.labels for block in reader([tmp_path / "part-0"], "parquet").read()])
    for record in (0, 1, 19_999, 20_000, 20_001, 36_384, 49_999, 50_000):
        again = list(reader([tmp_path / "part-0"], "parquet").read(Place(0, 0, record)))
        found = [label for block in again for label in block.labels]
        assert found == labels[record:].tolist()
        assert not again or again[-1].end == Place(0, 0, 50_000)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match=r"Unable to read data channel 'train'. Cannot read .*gone"):
        list(reader([tmp_path / "gone"], "csv").read())
