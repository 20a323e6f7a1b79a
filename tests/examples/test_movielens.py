"""examples/movielens.py: from ratings to recommendations."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import movielens
from console import ConsoleError


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the example prints; its files are in the folder that the first line names."""
    folder = tmp_path_factory.mktemp("movielens")
    printed = io.StringIO()
    with redirect_stdout(printed):
        movielens.run(folder)
    return f"{folder}\n{printed.getvalue()}"


def answers(printed: str) -> list[list[dict[str, object]]]:
    return [json.loads(text)["predictions"] for text in re.findall(r"^200 (\{.*\})$", printed, re.M)]


def test_the_tables_hold_the_ratings_with_titles(printed: str) -> None:
    folder = Path(printed.splitlines()[0])
    with (folder / "ratings.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80_000
    assert rows[0] == {"user": "1", "film": "Toy Story (1995)", "stars": "5"}
    assert len({row["film"] for row in rows}) > 1600


def test_the_model_is_worth_something_on_held_out_ratings(printed: str) -> None:
    found = re.findall(r"^test +rmse (\d\.\d+)", printed, re.M)
    assert found, printed
    assert float(found[-1]) < 0.95  # the mean of all ratings has 1.15, that of each film 1.03


def test_the_command_and_the_server_recommend_the_same_unseen_films(printed: str) -> None:
    folder = Path(printed.splitlines()[0])
    seen = set(movielens.films_of(movielens.USER, folder / "ratings.csv"))
    listed = re.findall(r"^ +(\d\.\d{6})  film=(.*)$", printed, re.M)
    score, ranking, newcomers = answers(printed)
    served = ranking[0]["top_k"]
    assert [f"{item['score']:.6f}" for item in served] == [score for score, _ in listed[-10:]]
    assert len(served) == 10
    assert not seen & {title for _, title in listed[-10:]}
    assert 1 < score[0]["score"] < 5.5
    assert len(newcomers[0]["top_k"]) == 3


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match=r"(?s)openfm inspect exited with \d: .*missing\.csv"):
        movielens.openfm("inspect", "missing.csv", folder=tmp_path)
