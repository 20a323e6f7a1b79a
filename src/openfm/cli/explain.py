"""``openfm explain``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from openfm.artifact import Model, load_model
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.features import FeatureNames, feature_range
from openfm.cli.rows import DATA, MODEL, RecordsFile, records_options
from openfm.codecs.explanations import explanation_document
from openfm.data.records import RecordBlock
from openfm.fm.explain import Explanation
from openfm.fm.model import PredictorType
from openfm.fm.pairs import RankedPairs
from openfm.fm.rows import SparseRows

__all__ = ["explain"]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA, required=False)
@records_options("data")
@click.option(
    "--rows",
    type=feature_range,
    metavar="FROM:TO",
    default="0:10",
    show_default=True,
    help="Which records of DATA, from 0.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many contributions, or pairs, to list.",
)
@click.option(
    "--between",
    type=(feature_range, feature_range),
    metavar="FROM:TO FROM:TO",
    help="Without DATA: two ranges of features; one of a pair is in each of them.",
)
@click.option(
    "--feature-names",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text file with the name of feature 0 on its first line, and so on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def explain(
    model: Path,
    data: RecordsFile | None,
    rows: range,
    top: int,
    between: tuple[range, range] | None,
    feature_names: Path | None,
    as_json: bool,
) -> None:
    """Tell where scores come from: the exact contributions of the bias, of each feature and of each pair.

    MODEL is a model.tar.gz, a model file or a folder with one of them, DATA a file of records in any format
    (see openfm convert); - is standard input. A model that was trained on raw values takes csv, tsv and parquet with
    its columns, and tells features by their columns' names and values.
    Contributions add up to the score, of a binary classifier to the score before the sigmoid. Without DATA, the pairs
    of features with the strongest interaction are printed.

    \b
    Examples:
      openfm explain model/ test.pbr --rows 0:3
      openfm explain model/ --top 20 --between 0:60 60:100
    """
    with failing_in_one_sentence():
        loaded = load_model(model)
        names = FeatureNames.read(feature_names, loaded.encoder)
        if data is None:
            lines = _pairs(loaded.strongest_pairs(top, between=between), names, as_json=as_json)
        else:
            lines = _explanations(loaded, data, rows, top, names, as_json=as_json)
        for line in lines:
            click.echo(line)


def _explanations(
    model: Model, data: RecordsFile, numbers: range, top: int, names: FeatureNames, *, as_json: bool
) -> Iterator[str]:
    for number, row in _numbered(data.blocks(model.feature_dim, model.encoder), numbers):
        score = float(model.predict(row)[0])
        (explanation,) = model.explain(row, pairs=top)
        if as_json:
            explained = explanation_document(explanation, names.__getitem__ if names else None)
            yield json.dumps({"record": number, "score": score, "explanation": explained})
        else:
            classifies = model.predictor_type is PredictorType.BINARY_CLASSIFIER
            yield from _table(number, score, explanation, top, names, classifies=classifies)


def _numbered(blocks: Iterator[RecordBlock], numbers: range) -> Iterator[tuple[int, SparseRows]]:
    """The records of these numbers, one by one; what follows them is not read."""
    first = 0
    for block in blocks:
        for number in range(max(first, numbers.start), min(first + len(block), numbers.stop)):
            yield number, block.rows.slice(number - first, number - first + 1)
        first += len(block)
        if first >= numbers.stop:
            return


def _table(
    number: int, score: float, explanation: Explanation, top: int, names: FeatureNames, *, classifies: bool
) -> Iterator[str]:
    before = f", before the sigmoid {explanation.score:.6f}" if classifies else ""
    yield f"record {number}: score {score:.6f}{before}"
    listed = [(explanation.bias, "bias")]
    values = {}
    for feature, value, linear in zip(
        explanation.features.tolist(), explanation.values.tolist(), explanation.linear.tolist(), strict=True
    ):
        values[feature] = names.describe(feature, value)
        listed.append((linear, values[feature]))
    for (i, j), product in zip(explanation.pairs.tolist(), explanation.pair_contributions.tolist(), strict=True):
        listed.append((product, f"{values[i]}, {values[j]}"))
    listed.sort(key=lambda contribution: -abs(contribution[0]))
    rest = sum(contribution for contribution, _ in listed[top:]) + explanation.other_pairs
    yield from (f"  {contribution:+12.6f}  {what}" for contribution, what in listed[:top])
    if len(listed) > top or explanation.other_pairs:
        yield f"  {rest:+12.6f}  all others"


def _pairs(ranked: RankedPairs, names: FeatureNames, *, as_json: bool) -> Iterator[str]:
    for (i, j), product in zip(ranked.pairs.tolist(), ranked.products.tolist(), strict=True):
        if as_json:
            document = {"keys": [i, j], "value": product}
            yield json.dumps(document | ({"names": [names[i], names[j]]} if names else {}))
        else:
            yield f"  {product:+12.6f}  {names[i]}, {names[j]}"
