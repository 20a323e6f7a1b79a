"""``openfm predict``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openfm.artifact import load_model
from openfm.cli.extras import packages_of
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.output import open_output
from openfm.cli.rows import DATA, MODEL, RecordsFile, records_options
from openfm.errors import DataError, RequestError

if TYPE_CHECKING:
    from openfm.serving.negotiation import AnswerForm
    from openfm.serving.predictor import Predictor

__all__ = ["predict"]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@records_options("data")
@click.option("--out", type=click.Path(dir_okay=False), default="-", help="Where to write instead of standard output.")
@click.option(
    "--accept",
    default="application/jsonlines",
    show_default=True,
    help="Of what type: what the header Accept says to a server, with the same parameters.",
)
def predict(model: Path, data: RecordsFile, out: str, accept: str) -> None:
    """Score the records of a file, as a server would.

    MODEL is a model.tar.gz, a model file or a folder with one of them, DATA a file of records in any format (see openfm
    convert); - is standard input. What is written is what openfm serve answers when it is sent the records. JSON Lines
    and recordIO are written as DATA is read, in memory that does not grow with it; records in recordIO repeat the uid
    and the metadata of those in DATA. A model that was trained on raw values takes csv, tsv and parquet with its
    columns; values that it does not know are counted on standard error.

    \b
    Examples:
      openfm predict model/ test.pbr > scores.jsonl
      openfm predict model.tar.gz ratings.csv --target rating --out scores.jsonl
      openfm predict raw-ids.tar.gz users-and-items.csv > scores.jsonl
      openfm predict model/ test.pbr --accept "application/jsonlines; verbose=true; threshold=stored"
    """
    with failing_in_one_sentence(), packages_of("serve"):
        from openfm.serving.negotiation import choose_answer_form
        from openfm.serving.predictor import Predictor

        form = choose_answer_form(accept, "application/jsonlines")
        loaded = load_model(model)
        answers = _answers(data, Predictor(loaded.machine, loaded.threshold, loaded.encoder), form)
        with open_output(out) as file:
            file.writelines(answers)


def _answers(data: RecordsFile, predictor: Predictor, form: AnswerForm) -> Iterator[bytes]:
    from openfm.codecs.requests import Request
    from openfm.serving.bodies import answer_body

    if form.content_type == "application/json":  # one object
        yield answer_body(Request(data.rows(predictor.feature_dim, predictor.encoder)), predictor, form)
        return
    first = 0
    for block in data.blocks(predictor.feature_dim, predictor.encoder, identities=True):
        try:
            yield answer_body(Request(block.rows, block.identities), predictor, form)
        except RequestError as error:
            raise DataError(_renumbered(error.message, first)) from error
        first += len(block)


def _renumbered(sentence: str, first: int) -> str:
    """What is wrong with an instance, by its number in the file instead of in its block."""
    return re.sub(r"^instance (\d+)", lambda found: f"record {first + int(found[1])}", sentence)
