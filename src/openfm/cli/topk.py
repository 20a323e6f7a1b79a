"""``openfm topk``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from openfm.artifact import load_model
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.features import FeatureNames, feature_list, feature_range, feature_value
from openfm.cli.rows import DATA, MODEL, RecordsFile, records_options
from openfm.fm.occurrences import Occurrences
from openfm.fm.topk import Ranking

__all__ = ["topk"]


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--fixed",
    type=feature_value,
    multiple=True,
    metavar="FEATURE[=VALUE]",
    help="What is known; its value is 1 if none is given.",
)
@click.option(
    "--each",
    type=feature_range,
    metavar="FROM:TO",
    help="Rank once for each of these features, with it fixed too; such as all users.",
)
@click.option(
    "--candidates",
    type=feature_list,
    metavar="FEATURES",
    required=True,
    help="What to rank, such as 60:100 or 60:70,75.",
)
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to print.")
@click.option("--exclude", type=feature_list, metavar="FEATURES", help="Candidates to leave out.")
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
    fixed: tuple[tuple[int, float], ...],
    each: range | None,
    candidates: range | npt.NDArray[np.int64],
    k: int,
    exclude: range | npt.NDArray[np.int64] | None,
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
    """
    with failing_in_one_sentence():
        names = FeatureNames.read(feature_names)
        known = dict(fixed)
        loaded = load_model(model)
        occurrences = None if seen is None else Occurrences(seen.rows(loaded.feature_dim))
        left_out = np.array([] if exclude is None else exclude, dtype=np.int64)
        for feature in [None] if each is None else each:
            everything = known if feature is None else known | {feature: 1.0}
            unwanted = left_out
            if occurrences is not None:
                unwanted = np.union1d(left_out, occurrences.together_with(list(everything)))
            ranking = loaded.top_k(k, fixed=everything, candidates=candidates, exclude=unwanted)
            click.echo(_line(everything, ranking, names) if as_json else _table(everything, ranking, names))


def _line(fixed: dict[int, float], ranking: Ranking, names: FeatureNames) -> str:
    ranked = [
        {"key": key, "score": score} | ({"name": names[key]} if names else {})
        for key, score in zip(ranking.candidates.tolist(), ranking.scores.tolist(), strict=True)
    ]
    return json.dumps({"fixed": {"keys": list(fixed), "values": list(fixed.values())}, "top_k": ranked})


def _table(fixed: dict[int, float], ranking: Ranking, names: FeatureNames) -> str:
    described = ", ".join(f"{names[feature]} = {value:g}" for feature, value in fixed.items()) or "nothing fixed"
    lines = [
        f"  {score:12.6f}  {names[key]}"
        for key, score in zip(ranking.candidates.tolist(), ranking.scores.tolist(), strict=True)
    ]
    return "\n".join([described, *lines])
