"""Make ``examples/quickstart``: a small job as the container finds it below ``/opt/ml``, and its ratings as CSV.

60 viewers rated 40 films from 1 to 5, of which the first 20 are science fiction and the last 20
romance. Each viewer likes one kind and dislikes the other, about as many this one as that one, so
that all viewers and all films have much the same mean: a linear model learns next to nothing, and
a Factorization Machine finds the tastes.

    python examples/make_quickstart.py [FOLDER]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import numpy as np
from scipy.sparse import csr_matrix

from openfm import write_records

QUICKSTART = Path(__file__).resolve().parent / "quickstart"
VIEWERS = 60
FILMS = 40
SCIENCE_FICTION_FILMS = 20
FEATURE_DIM = VIEWERS + FILMS
TRAINING_RATINGS = 1920

TABLES = {"train": "ratings.csv", "test": "held-out.csv"}

HYPERPARAMETERS = {
    "feature_dim": str(FEATURE_DIM),
    "predictor_type": "regressor",
    "num_factors": "2",
    "mini_batch_size": "64",
    "epochs": "20",
    "linear_lr": "0.02",
    "factors_lr": "0.02",
    "factors_init_sigma": "0.1",
}
INPUT_DATA_CONFIG = {
    channel: {"ContentType": "application/x-recordio-protobuf", "TrainingInputMode": "File"}
    for channel in ("train", "test")
}


def make_ratings() -> list[tuple[int, int, int]]:
    """All 2400 ratings (viewer, film, stars) in an order that is mixed but always the same."""
    # Only Random.random() is promised to give the same numbers in every version of Python.
    random = Random(2010).random
    love_of_science_fiction = [_away_from_zero(2 * random() - 1) for _ in range(VIEWERS)]
    quality = [random() - 0.5 for _ in range(FILMS)]
    ratings = []
    for viewer in range(VIEWERS):
        for film in range(FILMS):
            kind = 1 if film < SCIENCE_FICTION_FILMS else -1
            noise = random() - 0.5
            stars = 3 + quality[film] + 1.5 * love_of_science_fiction[viewer] * kind + noise
            place = random()
            ratings.append((place, viewer, film, min(5, max(1, round(stars)))))
    return [rating for _, *rating in sorted(ratings)]


def _away_from_zero(value: float) -> float:
    """The numbers from -1 to 1 moved into -1 to -0.5 and 0.5 to 1: nobody is indifferent."""
    return (value + (1 if value > 0 else -1)) / 2


def one_hot(ratings: list[tuple[int, int, int]]) -> tuple[csr_matrix, np.ndarray]:
    """Rows with a 1 at the viewer and a 1 at 60 + film; the stars as float32 labels."""
    viewer, film, stars = np.array(ratings).T
    indices = np.column_stack([viewer, VIEWERS + film]).ravel()
    indptr = np.arange(0, len(indices) + 1, 2)
    values = np.ones(len(indices), np.float32)
    X = csr_matrix((values, indices, indptr), shape=(len(ratings), FEATURE_DIM))
    return X, stars.astype(np.float32)


def make_table(ratings: list[tuple[int, int, int]]) -> str:
    """The ratings as CSV, with names in place of the numbers of viewers and films."""
    lines = [f"{viewer_name(viewer)},{film_name(film)},{stars}\n" for viewer, film, stars in ratings]
    return "viewer,film,stars\n" + "".join(lines)


def viewer_name(viewer: int) -> str:
    """Such as ``u07``."""
    return f"u{viewer:02}"


def film_name(film: int) -> str:
    """Such as ``scifi-07``, or ``romance-07`` for the film 27."""
    if film < SCIENCE_FICTION_FILMS:
        return f"scifi-{film:02}"
    return f"romance-{film - SCIENCE_FICTION_FILMS:02}"


def make_request(viewer: int, films: list[int]) -> str:
    """A request to ``/invocations``: how would this viewer rate these films? One to a line."""
    one_hot_rows = [{"keys": [viewer, VIEWERS + film], "shape": [FEATURE_DIM], "values": [1, 1]} for film in films]
    lines = [json.dumps({"data": {"features": features}}) for features in one_hot_rows]
    return '{"instances": [\n' + ",\n".join(lines) + "\n]}\n"


def main(folder: Path) -> None:
    """Write the job and a request for it below ``folder``."""
    ratings = make_ratings()
    channels = {"train": ratings[:TRAINING_RATINGS], "test": ratings[TRAINING_RATINGS:]}
    for channel, rows in channels.items():
        path = folder / "input" / "data" / channel / "ratings.pbr"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_records(path, *one_hot(rows))
        (folder / TABLES[channel]).write_text(make_table(rows))
    config = folder / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("hyperparameters", HYPERPARAMETERS),
        ("inputdataconfig", INPUT_DATA_CONFIG),
    ):
        (config / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    (folder / "request.json").write_text(make_request(viewer=0, films=[0, 1, 38, 39]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else QUICKSTART)
