"""``openfm topk``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from openfm.artifact import load_model
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.features import FeatureNames, RawFeatures
from openfm.cli.rows import DATA, MODEL, RecordsFile, records_options
from openfm.encoding import OneHotColumn
from openfm.fm.occurrences import Occurrences
from openfm.fm.topk import Ranking

__all__ = ["topk"]


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--fixed",
    multiple=True,
    metavar="FEATURE[=VALUE]",
    help="What is known; its value is 1 if none is given. Of a model that knows raw values, COLUMN=VALUE.",
)
@click.option(
    "--each",
    metavar="FROM:TO",
    help="Rank once for each of these features, with it fixed too; such as all users. Or a column: for each value.",
)
@click.option(
    "--candidates",
    metavar="FEATURES",
    required=True,
    help="What to rank, such as 60:100 or 60:70,75. Or a column: all of its values.",
)
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to print.")
@click.option(
    "--exclude",
    metavar="FEATURES",
    help="Candidates to leave out; values, with commas between them, where the candidates are those of a column.",
)
@click.option(
    "--seen", type=DATA, help="A file of records: leave out what occurs in one together with all that is fixed."
)
@records_options("seen")
@click.option(
    "--feature-names",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text file with the name of feature 0 on its first line, and so on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each ranking.")
def topk(
    model: Path,
    fixed: tuple[str, ...],
    each: str | None,
    candidates: str,
    k: int,
    exclude: str | None,
    seen: RecordsFile | None,
    feature_names: Path | None,
    as_json: bool,
) -> None:
    """Rank candidates by their score together with fixed features: items for a user.

    MODEL is a model.tar.gz, a model file or a folder with one of them. A range such as 60:100 is the features 60 to 99.
    The ranking is exact; of equal candidates the one with the lowest number comes first.

    \b
    Examples:
      openfm topk model/ --fixed 0 --candidates 60:100 -k 3
      openfm topk model/ --each 0:60 --candidates 60:100 --seen train.pbr --json > recommendations.jsonl
      openfm topk raw-ids.tar.gz --fixed user=u42 --candidates item --exclude i7,i9
    """
    with failing_in_one_sentence():
        loaded = load_model(model)
        names = FeatureNames.read(feature_names, loaded.encoder)
        reader = RawFeatures(loaded.encoder, loaded.feature_dim)
        known = _known(fixed, reader)
        ranked, column = reader.candidates(candidates)
        left_out = np.empty(0, dtype=np.int64) if exclude is None else reader.values(exclude, column)
        occurrences = None if seen is None else Occurrences(seen.rows(loaded.feature_dim, loaded.encoder))
        for feature in [None] if each is None else reader.candidates(each)[0]:
            everything = known if feature is None else known | {int(feature): 1.0}
            unwanted = left_out
            if occurrences is not None:
                unwanted = np.union1d(left_out, occurrences.together_with(list(everything)))
            ranking = loaded.top_k(k, fixed=everything, candidates=ranked, exclude=unwanted)
            click.echo(_line(everything, ranking, names, column) if as_json else _table(everything, ranking, names))


def _known(fixed: tuple[str, ...], reader: RawFeatures) -> dict[int, float]:
    """The fixed features and their values, without those that are unseen, which are told on standard error."""
    known: dict[int, float] = {}
    for text in fixed:
        found = reader.value(text)
        if found is None:
            click.echo(f"The model does not know {text}, which contributes nothing.", err=True)
        else:
            known[found[0]] = found[1]
    return known


def _line(fixed: dict[int, float], ranking: Ranking, names: FeatureNames, column: OneHotColumn | None) -> str:
    ranked = [
        {"key": key}
        | ({} if column is None else {"id": column.value(key)})
        | {"score": score}
        | ({"name": names[key]} if names else {})
        for key, score in zip(ranking.candidates.tolist(), ranking.scores.tolist(), strict=True)
    ]
    return json.dumps({"fixed": {"keys": list(fixed), "values": list(fixed.values())}, "top_k": ranked})


def _table(fixed: dict[int, float], ranking: Ranking, names: FeatureNames) -> str:
    described = ", ".join(names.describe(feature, value) for feature, value in fixed.items()) or "nothing fixed"
    lines = [
        f"  {score:12.6f}  {names[key]}"
        for key, score in zip(ranking.candidates.tolist(), ranking.scores.tolist(), strict=True)
    ]
    return "\n".join([described, *lines])
