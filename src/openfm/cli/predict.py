"""``openfm predict``."""

from __future__ import annotations

from pathlib import Path

import click

from openfm.artifact import load_model
from openfm.cli.extras import packages_of
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.rows import DATA, MODEL, read_rows

__all__ = ["predict"]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option("--out", type=click.Path(dir_okay=False), default="-", help="Where to write instead of standard output.")
@click.option(
    "--accept",
    default="application/jsonlines",
    show_default=True,
    help="Of what type: what the header Accept says to a server, with the same parameters.",
)
def predict(model: Path, data: str, out: str, accept: str) -> None:
    """Score the records of a file, as a server would.

    MODEL is a model.tar.gz, a model file or a folder with one of them, DATA a file of records; - is standard input.
    What is written is what openfm serve answers when it is sent the records.

    \b
    Examples:
      openfm predict model/ test.pbr > scores.jsonl
      openfm predict model/ test.pbr --accept "application/jsonlines; verbose=true; threshold=stored"
    """
    with failing_in_one_sentence(), packages_of("serve"):
        from openfm.codecs.requests import Request
        from openfm.serving.bodies import answer_body
        from openfm.serving.negotiation import choose_answer_form
        from openfm.serving.predictor import Predictor

        form = choose_answer_form(accept, "application/jsonlines")
        loaded = load_model(model)
        predictor = Predictor(loaded.machine, loaded.threshold)
        answer = answer_body(Request(read_rows(data, loaded.feature_dim)), predictor, form)
        with click.open_file(out, "wb", atomic=True) as file:
            file.write(answer)
