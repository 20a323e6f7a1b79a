"""A channel's files of other formats: blocks tell where they end, and reading goes on from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openfm.data.files import open_file
from openfm.data.formats.channel import FormatReader
from openfm.data.formats.files import write_data
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.registry import FORMATS
from openfm.data.places import Place
from openfm.errors import ChannelError


def reader(files: list[Path], format: str) -> FormatReader:
    options = ReadOptions(feature_dim=3, index_base=1, target=0, header=False)
    return FormatReader(
        files,
        channel="train",
        format=FORMATS[format],
        options=options,
        open_stream=lambda path: open_file(path, channel="train"),
    )


@pytest.mark.parametrize("format", ["csv", "libsvm", "parquet"])
def test_reading_goes_on_from_a_block(tmp_path: Path, format: str) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for first, file in enumerate(files):
        labels = np.arange(600_000) + first * 600_000
        write_data(file, np.ones((600_000, 3)), labels, format=format, index_base=1, header=False)
    blocks = list(reader(files, format).read())
    assert {block.end.file for block in blocks} == {0, 1}
    assert blocks[-1].end == Place(1, record=600_000)

    for number in (0, len(blocks) // 2, len(blocks) - 2):
        again = list(reader(files, format).read(blocks[number].end))
        assert [block.end for block in again] == [block.end for block in blocks[number + 1 :]]
        np.testing.assert_array_equal(again[0].labels, blocks[number + 1].labels)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match=r"Unable to read data channel 'train'. Cannot read .*gone"):
        list(reader([tmp_path / "gone"], "csv").read())
