"""``openfm train`` on files: the command as people run it, from a table to a model that serves its columns."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openfm
from openfm.contract.metrics_file import read_metrics


def openfm_command(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SAGEMAKER", "OPENFM"))}
    return subprocess.run(
        [sys.executable, "-m", "openfm", *arguments],
        cwd=folder,
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
    )


def write_ratings(path: Path, rows: int, seed: int, *, classes: bool = False) -> None:
    """Users who like one of two kinds of items: what only the pair tells."""
    rng = np.random.default_rng(seed)
    lines = ["user,item,age,rating"]
    for _ in range(rows):
        user, item = int(rng.integers(30)), int(rng.integers(20))
        likes = user % 2 == item % 2
        rating = (5 if likes else 2) - (user % 3 == 0)
        lines.append(f"u{user},i{item},{20 + user},{int(likes) if classes else rating}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_ratings(folder / "ratings.csv", 3000, 1)
    write_ratings(folder / "held.csv", 500, 2)
    write_ratings(folder / "likes.csv", 3000, 3, classes=True)
    return folder


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_table_becomes_a_model_that_predicts(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.tar.gz"
    arguments = ["--target", "rating", "--test", "held.csv", "--out", str(out), "--num-factors", "4"]
    done = openfm_command(folder, "train", "ratings.csv", *arguments)
    assert done.returncode == 0
    assert "The labels are 4 different numbers from 1 to 5: training a regressor." in done.stderr
    assert re.search(r"^test +rmse 0\.\d+ ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^epoch   1  train rmse \S+  held out rmse \S+  [\d,]+ rows/s$", done.stderr, re.MULTILINE)
    assert "Categories, each value a feature: user (30), item (20)." in done.stderr
    assert "Numbers: age." in done.stderr
    assert "\x1b" not in done.stderr

    scores = openfm_command(folder, "predict", str(out), "held.csv", "--target", "rating")
    assert scores.returncode == 0, scores.stderr
    predicted = [json.loads(line)["score"] for line in scores.stdout.splitlines()]
    true = [float(line.rpartition(",")[2]) for line in (folder / "held.csv").read_text().splitlines()[1:]]
    rmse = float(np.sqrt(np.mean((np.array(predicted) - true) ** 2)))
    assert rmse < 0.5
    assert float(re.search(r"^test +rmse (\S+)", done.stdout, re.MULTILINE)[1]) == pytest.approx(rmse, abs=1e-4)


def test_json_for_programs_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    arguments = ["--target", "rating", "--out", str(tmp_path / "m"), "--seed", "3", "--epochs", "4"]
    done = openfm_command(folder, "train", "likes.csv", *arguments, "--json", "--quiet")
    assert done.stderr == ""
    found = summary_of(done)
    assert found["model"] == str(tmp_path / "m")
    assert found["predictor_type"] == "binary_classifier"
    assert found["rows"] == 3000
    assert found["features"] == 51
    assert found["interrupted"] is False
    assert set(found["validation"]) == {
        "binary_classification_accuracy", "binary_classification_cross_entropy", "binary_f_1.000",
    }  # fmt: skip


def test_a_test_file_of_a_classifier_has_an_auc(folder: Path, tmp_path: Path) -> None:
    write_ratings(tmp_path / "held.csv", 300, 9, classes=True)
    arguments = ["--target", "rating", "--test", str(tmp_path / "held.csv"), "--out", str(tmp_path / "m")]
    found = summary_of(openfm_command(folder, "train", "likes.csv", *arguments, "--json", "--quiet"))
    assert found["test"]["auc"] > 0.95


@pytest.mark.parametrize(("out", "file"), [("made/", "made/model_algo-1"), (".", "model_algo-1"), ("m", "m")])
def test_where_the_model_goes(folder: Path, tmp_path: Path, out: str, file: str) -> None:
    arguments = ["--target", "rating", "--epochs", "1", "--out", f"{tmp_path}/{out}"]
    assert openfm_command(folder, "train", "ratings.csv", *arguments).returncode == 0
    assert openfm.load_model(tmp_path / file).num_factors == 64


def test_equal_commands_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        arguments = ["--target", "rating", "--epochs", "3", "--out", str(tmp_path / name), "--quiet"]
        assert openfm_command(folder, "train", "ratings.csv", *arguments).returncode == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_standard_input_is_trained_on(folder: Path, tmp_path: Path) -> None:
    arguments = ["--from", "csv", "--target", "rating", "--epochs", "3", "--quiet"]
    text = (folder / "ratings.csv").read_text()
    assert openfm_command(folder, "train", "-", *arguments, "--out", str(tmp_path / "a"), stdin=text).returncode == 0
    assert openfm_command(folder, "train", "ratings.csv", *arguments, "--out", str(tmp_path / "b")).returncode == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_columns_may_be_named_for_what_they_are(folder: Path, tmp_path: Path) -> None:
    arguments = [
        "--target",
        "rating",
        "--categorical",
        "age",
        "--hashed",
        "user=64",
        "--ignore",
        "item",
        "--epochs",
        "1",
    ]
    done = openfm_command(folder, "train", "ratings.csv", *arguments, "--out", str(tmp_path / "m"), "--json")
    assert summary_of(done)["features"] == 64 + 30


def test_a_column_says_how_much_a_row_counts(folder: Path, tmp_path: Path) -> None:
    head, *lines = (folder / "likes.csv").read_text().splitlines()
    true = [f"{line},2" for line in lines]
    false = [f"{line[:-1]}{1 - int(line[-1])},0" for line in lines]  # the opposite, which counts nothing
    (tmp_path / "weighted.csv").write_text("\n".join([f"{head},counts", *true, *false]) + "\n")
    arguments = ["--target", "rating", "--weight", "counts", "--test", str(tmp_path / "weighted.csv"), "--json"]
    out = ["--out", str(tmp_path / "m")]
    found = summary_of(openfm_command(tmp_path, "train", "weighted.csv", *arguments, *out))
    assert found["features"] == 51
    assert found["test"]["auc"] > 0.95


def test_weights_of_records_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((1500, 30)) < 0.2).astype(np.float32)
    y, counts = np.concatenate([X[:, 0], 1 - X[:, 0]]), np.repeat([1.0, 0.0], 1500)  # the opposite counts nothing
    openfm.write_records(tmp_path / "a.rec", np.concatenate([X, X]), y, weights=counts)
    found = summary_of(openfm_command(tmp_path, "train", "a.rec", "--test", "a.rec", "--out", "m", "--json"))
    assert found["test"]["auc"] == 1.0


def test_values_that_training_did_not_see_are_counted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("user,item,age,rating\nnobody,i1,30,5\nu1,nothing,30,1\n")
    arguments = [
        "--target",
        "rating",
        "--epochs",
        "1",
        "--out",
        str(tmp_path / "m"),
        "--test",
        str(tmp_path / "new.csv"),
    ]
    found = summary_of(openfm_command(folder, "train", "ratings.csv", *arguments, "--json"))
    assert found["unseen_in_test"] == {"user": 1, "item": 1}


def test_formats_without_columns(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((1500, 30)) < 0.2).astype(np.float32)
    openfm.write_data(tmp_path / "train.libsvm", X, X[:, 0], index_base=1)
    openfm.write_data(tmp_path / "test.libsvm", X[:50], X[:50, 0], index_base=1)
    arguments = ["--index-base", "1", "--test", "test.libsvm", "--out", "m", "--json", "--epochs", "5"]
    found = summary_of(openfm_command(tmp_path, "train", "train.libsvm", *arguments))
    assert found["test"]["auc"] == 1.0
    refused = openfm_command(tmp_path, "train", "train.libsvm", *arguments, "--categorical", "user")
    assert refused.returncode == 2
    assert "--categorical is for tables whose columns have names" in refused.stderr


def test_the_preset_of_sagemaker_trains_what_the_container_trains(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((2500, 12)) < 0.4).astype(np.float32)
    base = tmp_path / "input"
    (base / "config").mkdir(parents=True)
    (base / "data" / "train").mkdir(parents=True)
    openfm.write_records(base / "data" / "train" / "a.rec", X, X[:, 0], dense=False)
    hyperparameters = {"feature_dim": 12, "num_factors": 64, "predictor_type": "binary_classifier"}
    (base / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    environ = os.environ | {"SAGEMAKER_BASE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "openfm", "train"], env=environ, check=True, capture_output=True, timeout=300)
    done = openfm_command(tmp_path, "train", "input/data/train/a.rec", "--preset", "sagemaker", "--out", "mine")
    assert done.returncode == 0, done.stderr
    ours, theirs = openfm.load_model(tmp_path / "mine"), openfm.load_model(tmp_path / "model")
    assert ours.bias == theirs.bias
    assert np.array_equal(ours.linear, theirs.linear)
    assert np.array_equal(ours.factors, theirs.factors)


def test_metrics_for_a_report(folder: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    arguments = ["--target", "rating", "--epochs", "6", "--test", "held.csv", "--metrics", str(metrics)]
    found = summary_of(
        openfm_command(folder, "train", "ratings.csv", *arguments, "--out", str(tmp_path / "m"), "--json")
    )
    events = read_metrics(metrics)
    channels = [event["channel"] for event in events if event["event"] == "epoch"]
    assert channels[:4] == ["train", "validation", "train", "validation"]
    assert [event["metrics"] for event in events if event["event"] == "score"] == [found["test"]]
    assert not [event for event in events if event["event"] == "early_stop"]  # the epochs ran out
    assert (events[-1]["event"], events[-1]["best_epoch"]) == ("end", found["best_epoch"])
    report = openfm_command(
        folder, "report", str(tmp_path / "m"), "held.csv", "--target", "rating", "--metrics", str(metrics),
        "--out", str(tmp_path / "report.html"),
    )  # fmt: skip
    assert report.returncode == 0, report.stderr
    assert "user=u" in (tmp_path / "report.html").read_text()


def test_a_training_that_stops_early_says_so(folder: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    held = tmp_path / "held.csv"
    lines = (folder / "held.csv").read_text().splitlines()
    turned = [",".join([*line.split(",")[:3], str(5 - float(line.split(",")[3]))]) for line in lines[1:]]
    held.write_text("\n".join([lines[0], *turned]))  # what training learns makes it worse on these
    arguments = ["--target", "rating", "--validation", str(held), "--metrics", str(metrics), "--json"]
    found = summary_of(openfm_command(folder, "train", "ratings.csv", *arguments, "--out", str(tmp_path / "m")))
    events = read_metrics(metrics)
    (stop,) = (event for event in events if event["event"] == "early_stop")
    assert stop["best_epoch"] == found["best_epoch"] < stop["epoch"] == found["epochs"] - 1 < 99
    assert "best_epoch" not in events[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ratings.csv", "--out", "m"], "has the labels. The columns are user, item, age, rating."),
        (["ratings.csv", "--target", "rating"], "Say with --out where the model is to be written"),
        (["ratings.csv", "--target", "stars", "--out", "m"], "no column 'stars'"),
        (["ratings.csv", "--target", "user", "--out", "m"], "'user' holds texts"),
        (["ratings.csv", "--target", "rating", "--out", "nowhere/m"], "There is no folder 'nowhere'. Make it first."),
        (["ratings.csv", "--target", "rating", "--out", "m", "--hashed", "user=many"], "'user=many' is no column with"),
        (
            ["-", "--target", "rating", "--out", "m", "--test", "-"],
            "DATA and --test are -, but standard input can be read only once.",
        ),
        (
            ["ratings.csv", "--target", "rating", "--out", "m", "--test", "-", "--validation", "-"],
            "--validation and --test are -, but",
        ),
        (["--target", "rating"], "--target is for training on a file: name it, as in openfm train ratings.csv"),
        (["alike.csv", "--target", "rating", "--out", "m"], "All labels are 4, which may be classes or numbers"),
        (["signs.csv", "--target", "rating", "--out", "m"], "All labels are -1 and 1, which may be classes or numbers"),
        (
            ["ratings.csv", "--target", "rating", "--out", "m", "--predictor-type", "binary_classifier"],
            "those of a binary_classifier are 0 and 1",
        ),
        (["likes.csv", "--target", "rating", "--out", "m", "--test", "ratings.csv"], "examples of ratings.csv is"),
        (["empty.csv", "--target", "rating", "--out", "m"], "no rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(folder: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    for name, text in {
        "ratings.csv": (folder / "ratings.csv").read_text(),
        "likes.csv": (folder / "likes.csv").read_text(),
        "alike.csv": "user,rating\na,4\nb,4\n",
        "signs.csv": "user,rating\na,-1\nb,1\n",
        "empty.csv": "user,rating\n",
    }.items():
        (tmp_path / name).write_text(text)
    done = openfm_command(tmp_path, "train", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()


def test_without_a_file_and_without_a_tree_both_forms_are_shown(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-m", "openfm", "train"], env=environ, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "openfm train ratings.csv --target rating --out model.tar.gz" in done.stderr
    assert "SAGEMAKER_BASE_DIR" in done.stderr


class Terminal:
    """A command on a terminal of its own, which Ctrl-C reaches."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.chdir(folder)
            # Not the environment of the process itself: readline, which pytest loads, puts COLUMNS=80 there.
            environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            os.execve(sys.executable, [sys.executable, "-m", "openfm", *arguments], environ)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.written = ""

    def read_until(self, pattern: str) -> None:
        """Read until the pattern is there, for a minute at most: what goes on for ever must not wait for ever."""
        over = time.monotonic() + 60
        while not re.search(pattern, self.written):
            assert time.monotonic() < over, self.written[:1000]
            assert select.select([self.terminal], [], [], 60)[0], self.written[:1000]
            piece = os.read(self.terminal, 4096)
            assert piece, self.written
            self.written += piece.decode()

    def end(self) -> int:
        with contextlib.suppress(OSError):  # the terminal is gone
            while piece := os.read(self.terminal, 4096):
                self.written += piece.decode()
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_bar_on_a_terminal_and_ctrl_c_saves_the_best_so_far(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.tar.gz"
    arguments = ["--target", "rating", "--epochs", "1000000", "--preset", "sagemaker", "--out", str(out)]
    terminal = Terminal(folder, "train", "ratings.csv", *arguments)
    terminal.read_until(r"epoch 1/1000000  \[#*\.*\] +\d+%  loss [\d.e+-]+  [\d,]+ rows/s")
    terminal.read_until(r"epoch   3  train rmse [\d.]+")
    os.write(terminal.terminal, b"\x03")
    assert terminal.end() == 0
    assert f"Interrupted: {out} has the best model so far." in terminal.written
    assert openfm.load_model(out).num_factors == 64
