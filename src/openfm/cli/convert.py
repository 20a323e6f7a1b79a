"""``openfm convert``."""

from __future__ import annotations

import glob
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import click

from openfm.cli.data_options import (
    FORMAT,
    INPUT,
    index_base_option,
    no_header_option,
    source_of,
    target_option,
    weight_option,
)
from openfm.cli.encoding_options import EncodingOptions, encoding_options
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.rows import tell_unseen
from openfm.data.formats.files import measure, read_blocks, write_blocks, write_stream
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.registry import find_format
from openfm.data.records import RecordBlock

__all__ = ["convert"]


@click.command()
@click.argument("source", metavar="IN", type=INPUT)
@click.argument("destination", metavar="OUT")
@click.option("--from", "from_format", type=FORMAT, help="The format of IN; by default its name tells.")
@click.option("--to", "to_format", type=FORMAT, help="The format of OUT; by default its name tells.")
@target_option
@weight_option
@index_base_option
@click.option("--out-index-base", type=click.IntRange(0, 1), help="libsvm: the same of OUT, where IN is libsvm too.")
@click.option("--feature-dim", type=click.IntRange(min=1), help="The number of features; by default the data tell.")
@no_header_option
@click.option(
    "--no-out-header", is_flag=True, help="CSV, TSV: write no line of names, as SageMaker's text/csv wants it."
)
@encoding_options
@click.option(
    "--rows-per-file", type=click.IntRange(min=1), help="Write OUT-00000, OUT-00001 ... with so many rows each."
)
def convert(
    source: str,
    destination: str,
    from_format: str | None,
    to_format: str | None,
    target: str | None,
    weight: str | None,
    index_base: int | None,
    out_index_base: int | None,
    feature_dim: int | None,
    no_header: bool,
    no_out_header: bool,
    encoding: EncodingOptions,
    rows_per_file: int | None,
) -> None:
    """Turn a data file into another format, in memory that does not grow with the file.

    IN and OUT are files, or - for standard input and output. The formats are recordio (.rec, .pbr), libsvm (.libsvm,
    .svm), csv, tsv, parquet, npz and npy; what gzip compressed is read too. Where libsvm or recordio do not tell how
    many features there are and --feature-dim does not either, IN is read twice.

    Every column of csv, tsv and parquet must hold numbers, unless one of the options on columns of ids is given: then
    texts become one feature each, numbers are scaled, and an encoder keeps what became of each, so that other files and
    requests are encoded equally. Ids that look like numbers are taken for numbers unless --categorical names their
    column. IN is read once, and what its rows are made of is kept in a temporary file until the encoder is fitted.

    \b
    Examples:
      openfm convert numbers.csv train.rec --target rating
      openfm convert clicks.libsvm train.rec --index-base 1
      zcat clicks.libsvm.gz | openfm convert - train.rec --from libsvm --index-base 1 --feature-dim 1000000
      openfm convert train.rec train.csv --no-out-header
      openfm convert train.csv train.rec --target click --categorical id --hashed agent=10000 --save-encoder enc.zip
      openfm convert test.csv test.rec --target click --encoder enc.zip
      openfm convert clicks.csv train.rec --target click --weight impressions
    """
    with failing_in_one_sentence():
        read_from = source_of(source)
        reading = find_format(from_format, read_from.path)
        out = None if destination == "-" else Path(destination)
        writing = find_format(to_format, out)
        options = ReadOptions(
            feature_dim=feature_dim, index_base=index_base, target=target, weight=weight, header=not no_header
        )
        has_names = not no_header and reading.read_columns is not None
        written = WriteOptions(
            index_base=index_base if out_index_base is None else out_index_base,
            target=target if target is not None and has_names else "label",
            weight=weight if weight is not None and has_names else "weight",
            header=not no_out_header,
        )
        unseen: Counter[str] = Counter()
        if encoding.wanted:
            if no_header or feature_dim is not None:
                raise click.UsageError(
                    "Ids are in columns with names, and the encoder says how many features they make."
                )
            blocks = encoding.records(read_from, reading, target, unseen, weight=weight)
        else:
            blocks = read_blocks(read_from, reading, measure(read_from, reading, options))
        rows = _Count(blocks)
        _write(out, writing, rows, written, rows_per_file)
    click.echo(f"{rows.rows} rows of {rows.feature_dim} features, {rows.nonzeros} values that are not zero.", err=True)
    tell_unseen(unseen)


def _write(
    out: Path | None, format: Format, blocks: Iterable[RecordBlock], options: WriteOptions, rows_per_file: int | None
) -> None:
    if out is None:
        if not format.streams:
            raise click.UsageError(f"{format.name} is written to a file only, not to a stream: name one.")
        if rows_per_file is not None:
            raise click.UsageError("--rows-per-file needs a file's name.")
        write_stream(sys.stdout.buffer, format, blocks, options)
        sys.stdout.buffer.flush()
        return
    if not out.parent.is_dir():
        raise click.UsageError(f"There is no folder '{out.parent}'. Make it first.")
    if out.suffix == ".gz":
        raise click.UsageError(f"'{out}' would not be compressed: leave .gz out, and compress the file with gzip.")
    if rows_per_file is None:
        write_blocks(out, format, blocks, options)
        return
    earlier = sorted(out.parent.glob(f"{glob.escape(out.stem)}-[0-9][0-9][0-9][0-9][0-9]{glob.escape(out.suffix)}"))
    if earlier:  # of these some could stay, and be taken for parts of this data
        raise click.UsageError(f"'{earlier[0]}' is there already. Remove it and its like first, or take another name.")
    parts = _Parts(iter(blocks), rows_per_file)
    for number in count():
        if not parts.left and number:
            return
        write_blocks(out.with_name(f"{out.stem}-{number:05}{out.suffix}"), format, parts.next(), options)


def _slice(block: RecordBlock, begin: int, end: int) -> RecordBlock:
    dense = block.dense_records == len(block)  # of a mixed block, sparse records are written
    labels = None if block.labels is None else block.labels[begin:end]
    weights = None if block.weights is None else block.weights[begin:end]
    return RecordBlock(block.rows.slice(begin, end), labels, dense_records=end - begin if dense else 0, weights=weights)


class _Count:
    """Counts what passes."""

    def __init__(self, blocks: Iterator[RecordBlock]) -> None:
        self._blocks = blocks
        self.rows = self.feature_dim = self.nonzeros = 0

    def __iter__(self) -> Iterator[RecordBlock]:
        for block in self._blocks:
            self.rows += len(block)
            self.nonzeros += block.rows.nnz
            self.feature_dim = block.rows.feature_dim
            yield block


class _Parts:
    """Cuts a stream of blocks into parts of so many rows."""

    def __init__(self, blocks: Iterator[RecordBlock], rows: int) -> None:
        self._blocks = blocks
        self._rows = rows
        self._held = next(blocks, None)

    @property
    def left(self) -> bool:
        """Whether there is another part."""
        return self._held is not None

    def next(self) -> Iterator[RecordBlock]:
        """The blocks of the next part."""
        wanted = self._rows
        while wanted and self._held is not None:
            block = self._held
            taken = min(wanted, len(block))
            yield _slice(block, 0, taken)
            wanted -= taken
            self._held = _slice(block, taken, len(block)) if taken < len(block) else next(self._blocks, None)
