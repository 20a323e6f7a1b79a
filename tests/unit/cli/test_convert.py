"""``openfm convert``: files, streams, shards, and how it fails."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from openfm.cli import main
from openfm.data.formats.files import read_data, write_data

CSV = "rating,user,age\n4,1,0.5\n3,0,7\n5,1,0\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ratings.csv").write_text(CSV)
    return tmp_path


def convert(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["convert", *arguments])


def test_csv_to_records_and_back(folder: Path) -> None:
    first = convert("ratings.csv", "train.rec", "--target", "rating")
    second = convert("train.rec", "again.csv")

    assert first.exit_code == second.exit_code == 0
    assert first.output == "3 rows of 2 features, 4 values that are not zero.\n"
    X, y = read_data("train.rec")
    assert X.toarray().tolist() == [[1, 0.5], [0, 7], [1, 0]]
    assert y.tolist() == [4, 3, 5]
    assert Path("again.csv").read_text() == "label,f0,f1\n4,1,0.5\n3,0,7\n5,1,0\n"


def test_names_of_the_target_stay(folder: Path) -> None:
    assert convert("ratings.csv", "ratings.tsv", "--target", "rating").exit_code == 0
    assert Path("ratings.tsv").read_text().splitlines()[0] == "rating\tf0\tf1"


def test_weights_keep_their_column(folder: Path) -> None:
    first = convert("ratings.csv", "train.rec", "--target", "rating", "--weight", "user")
    second = convert("train.rec", "again.csv")
    third = convert("ratings.csv", "ratings.tsv", "--target", "rating", "--weight", "user")

    assert first.exit_code == second.exit_code == third.exit_code == 0
    assert read_data("train.rec", return_weights=True)[2].tolist() == [1, 0, 1]
    assert Path("again.csv").read_text() == "label,weight,f0\n4,1,0.5\n3,0,7\n5,1,0\n"
    assert Path("ratings.tsv").read_text().splitlines()[0] == "rating\tuser\tf0"
    assert convert("train.rec", "part.rec", "--rows-per-file", "2").exit_code == 0
    assert read_data("part-00000.rec", return_weights=True)[2].tolist() == [1, 0]
    assert read_data("part-00001.rec", return_weights=True)[2].tolist() == [1]
    refused = convert("train.rec", "train.libsvm", "--index-base", "1")
    assert refused.exit_code == 2
    assert "libsvm has no place for the records' weights" in refused.output


def test_encoded_tables_keep_their_weights(folder: Path) -> None:
    Path("clicks.csv").write_text("click,user,shown\n1,u1,3\n0,u2,0.5\n1,u1,-0.0\n")
    options = ("--target", "click", "--weight", "shown")

    assert convert("clicks.csv", "a.rec", *options, "--categorical", "user", "--save-encoder", "e.zip").exit_code == 0
    assert convert("clicks.csv", "b.rec", *options, "--encoder", "e.zip").exit_code == 0

    for name in ("a.rec", "b.rec"):
        rows, labels, weights = read_data(name, return_weights=True)
        assert rows.shape == (3, 2) and labels.tolist() == [1, 0, 1] and weights.tolist() == [3, 0.5, 0]
    Path("wrong.csv").write_text("click,user,shown\n1,u1,3\n0,u2,-0.5\n")
    refused = convert("wrong.csv", "c.rec", *options, "--encoder", "e.zip")
    assert refused.exit_code == 2
    assert "Row 1 has -0.5 in column 'shown', where a weight of at least 0 is needed" in refused.output
    refused = convert("clicks.csv", "c.rec", "--target", "click", "--weight", "user", "--encoder", "e.zip")
    assert "'user' is a feature of the encoder e.zip. Name the weights' column." in refused.output


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_may_be_packed(folder: Path, packed: bool) -> None:
    text = gzip.compress(CSV.encode()) if packed else CSV.encode()
    command = [sys.executable, "-m", "openfm", "convert", "-", "out.rec", "--from", "csv", "--target", "rating"]
    subprocess.run(command, input=text, capture_output=True, check=True)

    assert read_data("out.rec")[1].tolist() == [4, 3, 5]
    cut = subprocess.run(command, input=gzip.compress(CSV.encode())[:-3], capture_output=True, text=False)
    assert cut.returncode == 2
    assert b"Standard input is cut off: it ends before its data do" in cut.stderr


def test_streams(folder: Path) -> None:
    command = [sys.executable, "-m", "openfm", "convert", "-", "-", "--from", "csv", "--to", "libsvm"]
    run = subprocess.run(
        [*command, "--target", "rating", "--index-base", "1"], input=CSV, capture_output=True, text=True, check=True
    )

    assert run.stdout == "4 1:1 2:0.5\n3 2:7\n5 1:1\n"


def test_index_bases_of_both_sides(folder: Path) -> None:
    Path("in.libsvm").write_text("1 0:1 3:2\n")

    assert convert("in.libsvm", "out.svm", "--index-base", "0", "--out-index-base", "1").exit_code == 0
    assert Path("out.svm").read_text() == "1 1:1 4:2\n"


def test_a_header_may_be_left_out(folder: Path) -> None:
    assert convert("ratings.csv", "train.csv", "--target", "rating", "--no-out-header").exit_code == 0
    assert Path("train.csv").read_text() == "4,1,0.5\n3,0,7\n5,1,0\n"
    assert convert("train.csv", "train.npz", "--no-header", "--target", "0").exit_code == 0
    assert read_data("train.npz")[1].tolist() == [4, 3, 5]


def test_widths_are_measured_over_the_whole_file(folder: Path) -> None:
    lines = ["1 1:1"] * 600_000  # more than one block
    Path("in.libsvm").write_text("\n".join([*lines, "1 9:1"]))

    run = convert("in.libsvm", "out.rec", "--index-base", "1")

    assert run.output == "600001 rows of 9 features, 600001 values that are not zero.\n"
    assert read_data("out.rec")[0].shape == (600_001, 9)


def test_shards_hold_the_rows_in_order(folder: Path) -> None:
    X, y = np.arange(1, 22, dtype=np.float32).reshape(7, 3), np.arange(7, dtype=np.float32)
    write_data("all.npz", X, y)

    assert convert("all.npz", "part.rec", "--rows-per-file", "3").exit_code == 0

    parts = [read_data(path) for path in sorted(folder.glob("part-*.rec"))]
    assert [len(labels) for _, labels in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.vstack([rows.toarray() for rows, _ in parts]), X)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in parts]), y)
    again = convert("all.npz", "part.rec", "--rows-per-file", "4")  # part-00002.rec would stay
    assert again.exit_code == 2
    assert "'part-00000.rec' is there already" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ratings.csv", "x.libsvm", "--target", "rating"], "state the index base, 0 or 1"),
        (["ratings.csv", "x.unknown"], "The name of 'x.unknown' does not tell its format"),
        (["ratings.csv", "nowhere/x.rec"], "There is no folder 'nowhere'. Make it first."),
        (["ratings.csv", "x.rec", "--target", "stars"], "has no column 'stars' to be the target"),
        (["ratings.csv", "x.rec.gz"], "'x.rec.gz' would not be compressed: leave .gz out"),
        (["ratings.csv", "-", "--to", "npz"], "npz is written to a file only"),
        (["ratings.csv", "-", "--to", "csv", "--rows-per-file", "2"], "--rows-per-file needs a file's name"),
        (["-", "x.rec", "--from", "parquet"], "parquet is read from a file only"),
        (["-", "x.rec"], "Name the format of what is not a file"),
        (["-", "x.rec", "--from", "libsvm", "--index-base", "0"], "not known before its end: state the feature_dim"),
        (["missing.csv", "x.rec"], "File 'missing.csv' does not exist"),
    ],
)
def test_mistakes_are_told_in_a_sentence(folder: Path, arguments: list[str], message: str) -> None:
    run = convert(*arguments)

    assert run.exit_code == 2
    assert message in run.output
    assert [path.name for path in folder.iterdir()] == ["ratings.csv"]
