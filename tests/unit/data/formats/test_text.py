"""libsvm, CSV and TSV: what is read, and what is refused with which words."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from openfm.data.formats.delimited import CSV, TSV
from openfm.data.formats.files import read_blocks, read_data, write_data
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.libsvm import LIBSVM
from openfm.data.formats.source import Source
from openfm.data.formats.text_reader import TextReader
from openfm.errors import DataError
from openfm.native import _core


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data"


def read_libsvm(file: Path, text: str, **options):
    file.write_text(text)
    return read_data(file, format="libsvm", **{"index_base": 1, **options})


def read_csv(file: Path, text: str, **options):
    file.write_bytes(text.encode())
    return read_data(file, format="csv", **options)


def test_libsvm_counts_from_the_stated_base(file: Path) -> None:
    for base, columns in [(0, [1, 3]), (1, [0, 2])]:
        X, y = read_libsvm(file, "1 1:0.5 3:2\n-1\n", index_base=base)

        assert X.shape == (2, columns[-1] + 1)
        assert X.indices.tolist() == columns
        assert X.data.tolist() == [0.5, 2.0]
        assert y.tolist() == [1.0, -1.0]


def test_libsvm_allows_comments_empty_lines_and_any_order(file: Path) -> None:
    X, y = read_libsvm(file, "# made by hand\n\n+1 3:1 1:2 2:0 # zeros are left out\r\n   \n2.5\t2:1e-3 ")

    assert X.toarray().tolist() == [[2, 0, 1], [0, np.float32(0.001), 0]]
    assert X.nnz == 3
    assert y.tolist() == [1.0, 2.5]


@pytest.mark.parametrize("base", [None, 2])
def test_libsvm_wants_its_base_stated(file: Path, base: int | None) -> None:
    with pytest.raises(DataError, match=r"count features from 0 or from 1.* state the index base, 0 or 1"):
        read_libsvm(file, "1 1:1\n", index_base=base)
    with pytest.raises(DataError, match="state the index base"):
        write_data(file, np.ones((1, 1)), np.ones(1), format="libsvm", index_base=base)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0:1", "Line 2 of '{}' has the index 0, but the first feature is said to be number 1"),
        ("1 5:1", "Line 2 of '{}' has the index 5, but there are 4 features"),
        ("1 99999999999:1", "Line 2 of '{}' has the index 99999999999, but there are 4 features"),
        ("1 99999999999999999999:1", "Line 2 of '{}' has the index 99999999999999999999, but at most 2147483647"),
        ("1 2:1 2:1", "Line 2 of '{}' has the index 2 more than once"),
        ("1:1 2:1", "Line 2 of '{}' starts with '1:1', where its label is needed"),
        ("1 2", "Line 2, field 2 of '{}' holds '2', where index:value is needed"),
        ("1 qid:3 2:1", "Line 2, field 2 of '{}' holds 'qid:3', where index:value is needed"),
        ("yes 2:1", "Line 2, field 1 of '{}' holds 'yes', which is not a number"),
        ("1 1:1 2:nan", "Line 2, field 3 of '{}' holds '2:nan': a missing value"),
        ("1 2:1e39", "Line 2, field 2 of '{}' holds '2:1e39', which is infinite as float32"),
        ("1 2:", "Line 2, field 2 of '{}' is empty"),
    ],
)
def test_libsvm_faults_name_the_line(file: Path, line: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        read_libsvm(file, f"1 1:1\n{line}\n1 1:1\n", feature_dim=4)
    assert message.format(file) in str(raised.value)


def test_csv_with_a_header_has_its_target_by_name(file: Path) -> None:
    X, y = read_csv(file, '\ufeffage,"rat""ing",price\r\n1,5,0.5\r\n\r\n0,"4",-.25', target='rat"ing')

    assert X.toarray().tolist() == [[1, 0.5], [0, -0.25]]
    assert y.tolist() == [5.0, 4.0]


def test_csv_without_a_header_has_it_by_number(file: Path) -> None:
    X, y = read_csv(file, "1,5,0.5\n0,4,2\n", target=1, header=False)

    assert X.toarray().tolist() == [[1, 0.5], [0, 2]]
    assert y.tolist() == [5.0, 4.0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n3,x\n", {}, "Line 3, column 2 ('b') of '{}' holds 'x', which is not a number. Correct it"),
        (
            "a,b c\n1,x\n",
            {},
            "or make features of the column's texts: --categorical 'b c' of openfm train and openfm con",
        ),
        ("a,b\n1,x\n", {"target": "b"}, "Line 2, column 2 ('b') of '{}' holds 'x', which is not a number. Correct it."),
        ("a,b\nx,1\n", {"weight": "a"}, "Line 2, column 1 ('a') of '{}' holds 'x', which is not a number. Correct it."),
        (
            "1,2\n1,x\n",
            {"header": False, "target": 1},
            "Line 2, column 2 of '{}' holds 'x', which is not a number. Correct it.",
        ),
        ("a,b\n1,\n", {}, "Line 2, column 2 ('b') of '{}' is empty"),
        ("a,b\n1,NaN\n", {}, "Line 2, column 2 ('b') of '{}' holds 'NaN': a missing value"),
        ("a,b\n1,-inf\n", {}, "Line 2, column 2 ('b') of '{}' holds '-inf', which is infinite as float32"),
        ("a,b\n1,2\n3\n", {}, "Line 3 of '{}' has 1 columns, where 2 are needed. Give every row the same columns"),
        ('a,b\n1,"2\n', {}, "Line 2, column 2 ('b') of '{}' starts with a quote that is not closed"),
        ('a,b\n1,2,"x\n', {}, "Line 2, column 3 of '{}' starts with a quote that is not closed"),
        ('a,b\n1,2,"x""y', {}, "Line 2, column 3 of '{}' starts with a quote that is not closed"),
        ('a,b\n1,"x""y"\n', {}, "Line 2, column 2 ('b') of '{}' holds '\"x\"\"y\"', which is not a number"),
        ('a,b\n"1"2,3\n', {}, "Line 2, column 1 ('a') of '{}' starts with a quote that is not closed"),
        ("a,b\n1,2\n", {"target": "c"}, "'{}' has no column 'c' to be the target. It has 'a', 'b'."),
        ("a,b\n1,2\n", {"feature_dim": 3}, "'{}' has 2 feature columns, but feature_dim is 3"),
        ("a,a\n1,2\n", {}, "'{}' has more than one column 'a'"),
        ("", {}, "'{}' has no line that names the columns"),
        ("a,b\n", {}, "'{}' holds no rows"),
        (
            "a,b\n1,2\n",
            {"header": False},
            "holds 'a', which is not a number. If this line names the columns, remove it",
        ),
        ("1,2\n", {"header": False, "target": "a"}, "have no names: give the target by its number"),
        (
            "1,2\n",
            {"header": False, "target": 2},
            "Line 1 of '{}' has 2 columns: there is none to be the target column 3",
        ),
        ("1,2\n", {"header": False, "feature_dim": 3}, "Line 1 of '{}' has 2 columns, where 3 are needed"),
    ],
)
def test_csv_faults_name_line_and_column(file: Path, text: str, options: dict, message: str) -> None:
    with pytest.raises(DataError) as raised:
        read_csv(file, text, **options)
    found = str(raised.value)
    assert message.format(file) in found
    assert not message.endswith("Correct it.") or found.endswith("Correct it.")


def test_lines_are_counted_over_quoted_line_breaks_and_blocks(file: Path) -> None:
    file.write_text('1,2\n\n"3","4"\n' + "5,6\n" * 1000 + "x,7\n")
    reader = TextReader(Source.of_file(file), block_bytes=16)

    with pytest.raises(DataError, match="Line 1004, column 1"):
        for _ in reader.blocks(lambda data, final: _core.parse_csv(data, ",", None, None, final)):
            pass


def test_a_row_longer_than_a_block_is_read(file: Path) -> None:
    file.write_text(",".join(["1.5"] * 1000) + "\n" + ",".join(["0"] * 1000) + "\n")
    reader = TextReader(Source.of_file(file), block_bytes=8)

    parsed = list(reader.blocks(lambda data, final: _core.parse_csv(data, ",", None, None, final)))

    assert sum(len(part.indptr) - 1 for part in parsed) == 2
    assert sum(len(part.values) for part in parsed) == 1000


@pytest.mark.parametrize("block_bytes", range(1, 40))
def test_blocks_end_anywhere(file: Path, block_bytes: int) -> None:
    text = b'u1,"a ""q"", b\nc",3\r\nu2,x,\r\n\n"u1","",4.25'
    file.write_bytes(text)
    kinds = np.array([1, 1, 0], dtype=np.uint8)
    whole = _core.parse_csv_columns(text, ",", kinds, True)
    assert whole.fault is None

    reader = TextReader(Source.of_file(file), block_bytes=block_bytes)
    parts = list(reader.blocks(lambda data, final: _core.parse_csv_columns(data, ",", kinds, final)))

    assert sum(part.rows for part in parts) == whole.rows == 3
    for i in range(2):
        assert [text for part in parts for text in texts(part.columns[i])] == texts(whole.columns[i])
    np.testing.assert_array_equal(np.concatenate([part.columns[2] for part in parts]), [3, np.nan, 4.25])


def texts(column) -> list[bytes | None]:
    codes, offsets, data = column
    return [None if code < 0 else data[offsets[code] : offsets[code + 1]].tobytes() for code in codes]


@pytest.mark.parametrize("seed", range(50))
def test_fields_are_those_of_the_csv_module(seed: int) -> None:
    """What ends a field is looked for 64 bytes at a time; fields of all lengths, quoted or not, come apart."""
    rng = np.random.default_rng(seed)
    rows = [
        [bytes(rng.choice(list(b'ab\r\n,"\t '), rng.integers(0, 40))).decode() for _ in range(3)] for _ in range(30)
    ]
    rows = [[field.replace("\r", "") for field in row] for row in rows]
    out = io.StringIO()
    writer = csv.writer(
        out, lineterminator="\r\n" if seed % 2 else "\n", quoting=csv.QUOTE_ALL if seed % 3 else csv.QUOTE_MINIMAL
    )
    for row in rows:
        writer.writerow(row)
        out.write("\n" * int(rng.integers(0, 2)))
    text = out.getvalue().encode()[: None if seed % 5 else -1]
    found = _core.parse_csv_columns(text, ",", np.ones(3, dtype=np.uint8), True)
    assert found.fault is None
    expected = [[field.encode() or None for field in column] for column in zip(*rows, strict=True)]
    assert [texts(column) for column in found.columns] == expected


def test_a_dictionary_holds_each_text_once() -> None:
    words = [f"word {i * 7919 % 500}" for i in range(5000)]
    (column,) = _core.parse_csv_columns("\n".join(words).encode(), ",", np.array([1], dtype=np.uint8), True).columns

    assert len(column[1]) - 1 == 500
    assert texts(column) == [word.encode() for word in words]


def test_gzip_is_unpacked(file: Path) -> None:
    file.write_bytes(gzip.compress(b"1\t2\n3\t4\n"))

    X, _ = read_data(file, format="tsv", header=False)

    assert X.toarray().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("format", [CSV, TSV, LIBSVM], ids=lambda format: format.name)
def test_blocks_are_bounded(file: Path, format) -> None:
    X = np.ones((200_000, 3), dtype=np.float32)
    write_data(file, X, np.zeros(len(X)), format=format.name, index_base=0)

    options = ReadOptions(index_base=0, target="label", feature_dim=3)
    sizes = [len(block) for block in read_blocks(Source.of_file(file), format, options)]

    assert sum(sizes) == len(X)
    assert file.stat().st_size / len(X) * max(sizes) <= 4 * 2**20


def test_wide_rows_are_no_table(file: Path) -> None:
    with pytest.raises(DataError, match=r"100000 features, too many for a table .* Write recordio, libsvm or npz"):
        write_data(file, np.zeros((1, 100_000)), format="csv")
    assert not file.exists()


def test_libsvm_needs_labels(file: Path) -> None:
    with pytest.raises(DataError, match="libsvm needs a label in every row, and these have none"):
        write_data(file, np.zeros((1, 2)), format="libsvm", index_base=1)


def test_what_cannot_be_begun_is_closed(file: Path) -> None:
    file.write_bytes(b"1\t2\n")
    streams = []

    class Broken:
        closed = False

        def readinto(self, memory: memoryview) -> int:
            raise DataError("it is damaged")

        def close(self) -> None:
            self.closed = True

    def opened(*, offset: int = 0) -> Broken:
        streams.append(Broken())
        return streams[-1]

    with pytest.raises(DataError, match="it is damaged"):
        TextReader(Source("'broken'", file, opened))
    assert [stream.closed for stream in streams] == [True]
