"""Recommendations from real ratings, end to end: MovieLens 100k.

Trains on 80000 ratings that 943 people gave 1682 films, says what the model is worth on 20000 others (split u1),
explains a rating, recommends films to somebody who has not seen them, and has a server recommend the same. The ratings
are a CSV file with the users' numbers and the films' titles as they are.

    python examples/movielens.py            # writes to the folder demo/movielens
    python examples/movielens.py FOLDER     # writes to another
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from scipy.sparse import csr_matrix

from console import ConsoleError, openfm, say, serving
from datasets import MOVIELENS_USERS, DatasetError, load_movielens, load_movielens_titles

FOLDER = Path(__file__).resolve().parents[1] / "demo" / "movielens"
USER = "308"


def write_ratings(path: Path, X: csr_matrix, stars: list[float], titles: list[str]) -> None:
    """Write ratings as CSV: user, film, stars. In each row of X the user's feature comes first, then the film's."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "film", "stars"])
        for (user, film), given in zip(X.indices.reshape(-1, 2).tolist(), stars, strict=True):
            writer.writerow([user + 1, titles[film - MOVIELENS_USERS], int(given)])


def run(folder: Path) -> None:
    """Train, explain, recommend, serve, ask."""
    folder.mkdir(parents=True, exist_ok=True)
    ratings, titles = load_movielens(), load_movielens_titles()
    write_ratings(folder / "ratings.csv", ratings.X_train, ratings.y_train.tolist(), titles)
    write_ratings(folder / "held-out.csv", ratings.X_test, ratings.y_test.tolist(), titles)
    openfm("inspect", "ratings.csv", folder=folder)

    say("Train. The users' numbers are names, not quantities, which --categorical says; titles are text anyway.")
    files = ["ratings.csv", "--test", "held-out.csv", "--out", "model.tar.gz"]
    openfm("train", *files, "--target", "stars", "--categorical", "user", folder=folder)

    say("Why does it expect what it expects? The first held-out rating:")
    openfm("explain", "model.tar.gz", "held-out.csv", "--rows", "0:1", folder=folder)

    say(f"What should user {USER} see, of all films that they have not rated?")
    query = ["--fixed", f"user={USER}", "--candidates", "film", "-k", "10", "--seen", "ratings.csv"]
    openfm("topk", "model.tar.gz", *query, folder=folder)

    say("The same from a server, which is told what was seen already:")
    with serving(folder / "model.tar.gz") as server:
        seen = films_of(USER, folder / "ratings.csv")
        server.ask({"columns": {"user": USER, "film": seen[0]}})
        server.ask(
            {
                "top_k": {
                    "k": 10,
                    "fixed": {"columns": {"user": USER}},
                    "candidates": {"column": "film"},
                    "exclude": seen,
                }
            }
        )
        say("Somebody who is new gets what is liked by all:")
        server.ask(
            {"top_k": {"k": 3, "fixed": {"columns": {"user": "nobody"}}, "candidates": {"column": "film"}}},
        )


def films_of(user: str, path: Path) -> list[str]:
    """The films that a user has rated."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row["film"] for row in csv.DictReader(file) if row["user"] == user]


def main() -> None:
    """Run the example."""
    try:
        run(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    except (ConsoleError, DatasetError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
