"""Clicks from a table with ids as they are logged: who clicks on which ad?

Makes a log of ads that were shown, such as an ad server writes it, trains on it, chooses a threshold, serves the model
and asks it by columns: also for a user that it has never seen. What the log is made of is known, so that one can see
how much of it the model has found.

    python examples/clicks.py            # writes to the folder demo/clicks
    python examples/clicks.py FOLDER     # writes to another
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from console import ConsoleError, openfm, say, serving

FOLDER = Path(__file__).resolve().parents[1] / "demo" / "clicks"
ROWS, HELD_OUT = 80_000, 20_000
USERS, ADS, SITES = 400, 80, 25
INTERESTS = 3
DEVICES = ("phone", "desktop", "tablet")

Rows = list[list[Any]]


def make_log(rows: int, seed: int) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Shown ads, the latest last, and how probable each click was.

    Users and ads have interests in common or not; a site shows some kinds of ads to better effect than others; few
    users and few ads make up most of the log. None of it is in the columns: who clicks on what must be learned from the
    ids.

    Returns:
        rows of click, user, ad, site, device, hour and price; and the probabilities, shape (rows,).
    """
    # The streams of RandomState never change.
    world, random = np.random.RandomState(2010), np.random.RandomState(seed)
    user_likes, ad_is, site_suits = (world.normal(size=(n, INTERESTS)) for n in (USERS, ADS, SITES))
    ad_appeal, user_habit = world.normal(0, 0.4, ADS), world.normal(0, 0.5, USERS)
    user = (USERS * random.random_sample(rows) ** 2).astype(int)
    ad = (ADS * random.random_sample(rows) ** 2).astype(int)
    site = (SITES * random.random_sample(rows) ** 1.5).astype(int)
    device = random.choice(len(DEVICES), size=rows, p=[0.6, 0.3, 0.1])
    hour = random.randint(0, 24, rows)
    price = np.round(random.lognormal(0, 0.5, rows), 2)
    matches = np.sum((user_likes[user] + site_suits[site]) * ad_is[ad], axis=1)
    evening = 0.3 * np.cos((hour - 20) / 24 * 2 * np.pi)
    logit = -3.2 + 0.7 * matches + ad_appeal[ad] + user_habit[user] + evening - 0.2 * (device == 1)
    probability = 1 / (1 + np.exp(-logit))
    clicks = random.random_sample(rows) < probability
    columns = (clicks, user, ad, site, device, hour, price)
    log = [
        [int(click), f"u{u:03}", f"ad-{a:02}", f"site-{s:02}.example", DEVICES[d], f"{h:02}h", f"{p:.2f}"]
        for click, u, a, s, d, h, p in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return log, probability


def write_log(path: Path, log: Rows) -> None:
    """Write it as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["click", "user", "ad", "site", "device", "hour", "price"])
        writer.writerows(log)


def area_under_curve(scores: npt.NDArray[np.float64], clicks: npt.NDArray[np.int64]) -> float:
    """How often a click has a higher score than a row without; scores hardly ever tie here."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores)] = np.arange(1, len(scores) + 1)
    positives = int(clicks.sum())
    above = ranks[clicks == 1].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(clicks) - positives)))


def run(folder: Path) -> None:
    """Make the log, train, choose a threshold, serve, ask."""
    folder.mkdir(parents=True, exist_ok=True)
    log, _ = make_log(ROWS, seed=1)
    held_out, probability = make_log(HELD_OUT, seed=2)
    write_log(folder / "clicks.csv", log)
    write_log(folder / "held-out.csv", held_out)
    clicks = np.array([row[0] for row in held_out])
    openfm("inspect", "clicks.csv", folder=folder)
    best = area_under_curve(probability, clicks)
    say(f"Who knows all that the held-out clicks were made of reaches an AUC of {best:.3f}.")

    say("Train. Texts are ids, numbers are numbers.")
    openfm("train", "clicks.csv", "--target", "click", "--test", "held-out.csv", "--out", "model.tar.gz", folder=folder)

    say("Clicks are rare: at 0.5 few are found. A better threshold, kept in the model:")
    openfm("thresholds", "model.tar.gz", "held-out.csv", "--store", folder=folder)

    say("A server goes by it when it is told to. Of two users the second is new: what is known of the rest counts.")
    shown = dict(zip(["user", "ad", "site", "device", "hour", "price"], held_out[0][1:], strict=True))
    shown["price"] = float(shown["price"])
    with serving(folder / "model.tar.gz", OPENFM_THRESHOLD="stored") as server:
        server.ask({"columns": shown}, {"columns": shown | {"user": "u-new"}})
        say("Which ad should be shown there?")
        context = {column: value for column, value in shown.items() if column != "ad"}
        server.ask({"top_k": {"k": 3, "fixed": {"columns": context}, "candidates": {"column": "ad"}}})
        say("The server has counted values that it had never seen:")
        _, metrics = server.request("GET", "/metrics")
        print("\n".join(line for line in metrics.splitlines() if line.startswith("openfm_unseen")))


def main() -> None:
    """Run the example."""
    try:
        run(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    except ConsoleError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
