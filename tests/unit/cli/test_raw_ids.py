"""Tables of raw values on the command line: convert, predict, explain, inspect, topk, thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openfm
from openfm.cli.training.tables import Columns, DataReader
from openfm.data.formats.format import ReadOptions
from openfm.fm.model import PredictorType
from support.tables import RATINGS, block_of, model_of_ratings

CSV = "rating,user,item,price\n4,u1,i7,1\n3,u2,i7,2\n5,u1,i9,\n1,,i8,3\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ratings.csv").write_text(CSV)
    Path("new.csv").write_text("user,item,price\nu9,i7,1\nu1,i9,2\n")
    return tmp_path


@pytest.fixture
def model() -> openfm.Model:
    model = model_of_ratings()
    model.save("model")
    return model


def scores(stdout: str) -> list[float]:
    return [json.loads(line)["score"] for line in stdout.splitlines()]


def test_convert(run: Any) -> None:
    result = run("convert", "ratings.csv", "train.rec", "--target", "rating", "--save-encoder", "enc.zip")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "4 rows of 6 features, 9 values that are not zero.\n"
    X, y = openfm.read_data("train.rec")
    encoder = openfm.ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    np.testing.assert_array_equal(X.toarray(), encoder.encode(block_of(RATINGS)).rows.to_scipy().toarray())
    assert y.tolist() == [4, 3, 5, 1]

    result = run("convert", "new.csv", "new.rec", "--encoder", "enc.zip")
    assert result.stderr.splitlines() == [
        "2 rows of 6 features, 4 values that are not zero.",
        "Values that the encoder does not know, and that contribute nothing: 1 of column 'user'.",
    ]
    X, y = openfm.read_data("new.rec", feature_dim=6)
    assert y is None
    assert (X.toarray()[:, :5] != 0).tolist() == [[False, False, True, False, False], [True, False, False, True, False]]


def test_convert_with_options_on_columns(run: Any) -> None:
    Path("ids.csv").write_text("y,id,agent,note\n1,10,a,x\n0,20,b,y\n1,10,c,z\n")
    options = ["--categorical", "id", "--hashed", "agent=50", "--ignore", "note", "--target", "y"]
    assert run("convert", "ids.csv", "ids.libsvm", "--index-base", "0", *options).exit_code == 0
    X, _ = openfm.read_data("ids.libsvm", index_base=0, feature_dim=52)
    assert X.toarray()[:, :2].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert X.toarray()[:, 2:].sum(axis=1).tolist() == [1, 1, 1]
    text = Path("ids.csv").read_bytes()
    lists = ["--categorical", "id,note", "--hashed", "agent", "--target", "y"]
    assert run("convert", "ids.csv", "many.libsvm", "--index-base", "0", *lists).exit_code == 0
    X, _ = openfm.read_data("many.libsvm", index_base=0, feature_dim=2 + 3 + 65536)
    assert X.sum(axis=1).tolist() == [[3], [3], [3]]
    assert (
        run("convert", "-", "again.libsvm", "--from", "csv", "--index-base", "0", *options, stdin=text).exit_code == 0
    )
    assert Path("again.libsvm").read_bytes() == Path("ids.libsvm").read_bytes()


def test_convert_from_a_stream_by_an_encoder(run: Any, model: openfm.Model) -> None:
    arguments = ["--from", "csv", "--to", "recordio", "--encoder", "model", "--target", "rating"]
    result = run("convert", "-", "-", *arguments, stdin=CSV.encode())
    X, y = openfm.read_records(result.stdout_bytes)
    assert (X.shape, y.tolist()) == ((4, 6), [4, 3, 5, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoder", "model", "--hashed", "user=3"], "--encoder says what becomes of all columns"),
        (["--hashed", "=5"], "'=5' is no column with a number of features such as agent=1000"),
        (["--hashed", "user=" + "9" * 5000], f"'user={'9' * 55}...' is no column with a number of features"),
        (["--categorical", "user,,item"], "there is an empty name"),
        (["--hashed", "user=0"], "'user=0' is no column with a number of features"),
        (["--hashed", "user=2", "--hashed", "user=3"], "column 'user' is named twice"),
        (["--hashed", "u" * 99, "--hashed", "u" * 99], f"column '{'u' * 60}...' is named twice"),
        (["--categorical", "usr"], "ClientError: 'ratings.csv': The table has no column 'usr'"),
        (["--categorical", "user", "--no-header"], "Ids are in columns with names"),
        (["--categorical", "user", "--feature-dim", "3"], "the encoder says how many features they make"),
        (["--encoder", "model", "--target", "price"], "'price' is a feature of the encoder model"),
        (["--encoder", "ratings.csv"], "ClientError: cannot load the encoder ratings.csv"),
    ],
)
def test_convert_refuses(run: Any, model: openfm.Model, arguments: list[str], message: str) -> None:
    result = run("convert", "ratings.csv", "out.rec", *arguments)
    assert (result.exit_code, Path("out.rec").exists()) == (2, False)
    assert message in result.stderr


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_predict(run: Any, model: openfm.Model, suffix: str) -> None:
    from pyarrow import csv, parquet

    parquet.write_table(
        csv.read_csv("ratings.csv", convert_options=csv.ConvertOptions(strings_can_be_null=True)), "ratings.parquet"
    )
    result = run("predict", "model", f"ratings.{suffix}")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert model.encoder is not None
    expected = model.predict(model.encoder.encode(block_of(RATINGS)).rows)
    np.testing.assert_array_equal(np.array(scores(result.stdout), dtype=np.float32), expected)
    document = json.loads(run("predict", "model", f"ratings.{suffix}", "--accept", "application/json").stdout)
    assert [each["score"] for each in document["predictions"]] == scores(result.stdout)


def test_predict_tells_what_it_does_not_know(run: Any, model: openfm.Model) -> None:
    result = run("predict", "model", "new.csv")
    assert len(scores(result.stdout)) == 2
    assert "contribute nothing: 1 of column 'user'" in result.stderr


def test_records_are_scored_as_before(run: Any, model: openfm.Model) -> None:
    openfm.write_records("rows.rec", np.eye(6))
    np.testing.assert_allclose(scores(run("predict", "model", "rows.rec").stdout), model.predict(np.eye(6)), rtol=1e-6)
    Path("rows.csv").write_text("1,0,0,0,0,0\n")
    (score,) = scores(run("predict", "model", "rows.csv", "--no-header").stdout)
    assert score == pytest.approx(model.predict(np.eye(6)[:1])[0])


def test_explain(run: Any, model: openfm.Model) -> None:
    text = run("explain", "model", "ratings.csv", "--rows", "1:2", "--target", "rating").stdout
    assert "  user=u2, item=i7\n" in text
    assert "  item=i7\n" in text
    (line,) = run("explain", "model", "ratings.csv", "--rows", "0:1", "--json").stdout.splitlines()
    explanation = json.loads(line)["explanation"]
    assert explanation["linear"]["names"] == ["user=u1", "item=i7", "price"]
    assert ["user=u1", "item=i7"] in explanation["pairs"]["names"]
    assert "price=1" in run("explain", "model", "ratings.csv", "--rows", "0:1").stdout
    assert "user=u1, " in run("explain", "model", "--top", 15).stdout


def test_inspect(run: Any, model: openfm.Model) -> None:
    summary = json.loads(run("inspect", "model", "--json", "--weights", 6).stdout)
    assert [column["column"] for column in summary["columns"]] == ["user", "item", "price"]
    assert summary["columns"][0] == {"column": "user", "becomes": "one feature for each text", "features": 2}
    assert {weight["name"] for weight in summary["largest_linear_weights"]} >= {"user=u1", "item=i8", "price"}


def test_topk(run: Any, model: openfm.Model) -> None:
    assert model.encoder is not None
    ranking = model.top_k(2, fixed={0: 1.0}, candidates=range(2, 5))
    ids = [model.encoder.value(int(key)) for key in ranking.candidates]
    arguments = ["topk", "model", "--fixed", "user=u1", "--candidates", "item", "-k", 2]
    lines = run(*arguments).stdout.splitlines()
    assert lines[0] == "user=u1"
    assert [line.split()[1] for line in lines[1:]] == [f"item={each}" for each in ids]
    document = json.loads(run(*arguments, "--json").stdout)
    assert [best["id"] for best in document["top_k"]] == ids
    document = json.loads(run(*arguments, "--json", "--exclude", f"{ids[0]},none").stdout)
    assert document["top_k"][0]["id"] == ids[1]


def test_topk_for_each_without_what_was_seen(run: Any, model: openfm.Model) -> None:
    arguments = ["--each", "user", "--candidates", "item", "--seen", "ratings.csv", "--json"]
    first, second = map(json.loads, run("topk", "model", *arguments).stdout.splitlines())
    assert [best["id"] for best in first["top_k"]] == ["i8"]
    assert sorted(best["id"] for best in second["top_k"]) == ["i8", "i9"]


def test_topk_with_numbers_and_the_unseen(run: Any, model: openfm.Model) -> None:
    result = run("topk", "model", "--fixed", "user=u9", "--fixed", "price=3", "--candidates", "item")
    assert result.stderr == "The model does not know user=u9, which contributes nothing.\n"
    assert result.stdout.splitlines()[0] == "price=3"
    for arguments, message in [
        (["--fixed", "price=x"], "'x' is no number, but column 'price' holds numbers"),
        (["--fixed", f"price={'x' * 5000}"], f"'{'x' * 60}...' is no number, but column 'price' holds numbers"),
        (["--candidates", "stars"], "Nor is it a column whose values the model knows; its columns are 'user', 'item'"),
        (["--candidates", "price"], "Nor is it a column whose values the model knows"),
    ]:
        refused = run("topk", "model", "--candidates", "item", *arguments)
        assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr


def test_thresholds(run: Any) -> None:
    model_of_ratings(PredictorType.BINARY_CLASSIFIER).save("classifier")
    Path("clicks.csv").write_text("rating,user,item,price\n1,u1,i7,1\n0,u2,i7,2\n")
    result = run("thresholds", "classifier", "clicks.csv", "--store")
    assert result.exit_code == 0, result.stderr
    again = openfm.load_model("classifier")
    assert again.threshold is not None
    assert again.encoder is not None


def test_weights_are_looked_at_where_columns_are_encoded(run: Any, model: openfm.Model) -> None:
    Path("weighted.csv").write_text("user,item,price,count\nu1,i7,1,2\nu1,i9,2,-3\n")
    assert run("predict", "model", "weighted.csv").exit_code == 0
    result = run("predict", "model", "weighted.csv", "--weight", "count")
    assert result.exit_code == 2
    assert "'weighted.csv': Row 1 has -3 in column 'count', where a weight of at least 0 is needed" in result.stderr


def test_training_names_the_row_of_a_negative_weight(run: Any) -> None:
    Path("weighted.csv").write_text("y,user,count\n1,u1,2\n2,u2,3\n3,u1,-1\n")
    result = run("train", "weighted.csv", "--target", "y", "--weight", "count", "--out", "trained")
    assert (result.exit_code, Path("trained").exists()) == (2, False)
    assert "'weighted.csv': Row 2 has -1 in column 'count', where a weight of at least 0 is needed" in result.stderr


def test_training_takes_a_learning_rate_and_a_batch_size(run: Any) -> None:
    arguments = ["train", "ratings.csv", "--target", "rating", "--quiet", "--epochs", "2", "--out", "trained"]
    assert run(*arguments, "--learning-rate", "0.25", "--batch-size", "2").exit_code == 0
    told = openfm.load_model("trained").training_parameters
    assert {told[name] for name in ("bias_lr", "linear_lr", "factors_lr")} == {"0.25"}
    assert told["mini_batch_size"] == "2"
    assert run(*arguments, "--learning-rate", "nan").exit_code == 2


@pytest.mark.parametrize("again", [False, True])
def test_training_does_not_propose_to_make_features_of_labels(again: bool) -> None:
    columns = "rating,user,item,price\n"
    Path("long.csv").write_text(columns + "4,u1,an item of a long name,1\n" * 200_000 + "good,u1,i7,1\n")
    reader = DataReader(Columns(target="rating"), ReadOptions(), None)
    if again:
        reader.read_training("ratings.csv")
    with pytest.raises(openfm.DataError, match=r"'good', which is not a number\. Correct it\.$"):
        (reader.read_more if again else reader.read_training)("long.csv")


@pytest.fixture
def long() -> Path:
    """A table whose last column is of numbers until long after the first block."""
    path = Path("long.csv")
    path.write_text("rating,user,item,price,note\n" + "4,u1,i7,1,12345678901234567890\n" * 200_000 + "5,u2,i9,2,good\n")
    return path


def test_a_column_that_is_left_out_may_hold_anything(run: Any, long: Path) -> None:
    arguments = ["--target", "rating", "--ignore", "note"]
    result = run("convert", long, "train.rec", *arguments, "--save-encoder", "enc.zip")
    assert result.stderr.startswith("200001 rows of 5 features")
    result = run("convert", long, "train.rec", "--target", "rating", "--encoder", "enc.zip")
    assert result.stderr.startswith("200001 rows of 5 features")
    options = ["--predictor-type", "regressor", "--epochs", "1", "--quiet", "--json", "--out", "trained"]
    for data in (long, "-"):
        stdin = long.read_bytes() if data == "-" else None
        result = run("train", data, "--from", "csv", *arguments, *options, stdin=stdin)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["rows"] == 200_001
    assert openfm.load_model("trained").encoder.ignored == ("note",)


def test_a_column_that_the_model_does_not_know_may_hold_anything(run: Any, long: Path) -> None:
    model_of_ratings().save("model")
    result = run("predict", "model", long)
    assert len(scores(result.stdout)) == 200_001, result.stderr
    reader = DataReader(Columns(target="rating"), ReadOptions(), None)
    reader.read_training("ratings.csv")
    assert len(reader.read_more("long.csv")) == 200_001


def test_a_text_late_in_a_column_of_numbers_is_told_with_the_remedy(run: Any, long: Path) -> None:
    for verb in (["convert", long, "train.rec", "--ignore", "price"], ["train", long, "--out", "trained", "--quiet"]):
        result = run(*verb, "--target", "rating")
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert "Line 200002, column 5 ('note') of 'long.csv' holds 'good', which is not a number" in result.stderr
        assert "--categorical note of openfm train" in result.stderr
