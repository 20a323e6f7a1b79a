"""``openfm train FILE --start MODEL``: training that goes on from a model."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openfm
from openfm.cli.training.start import Start
from openfm.cli.training.tables import Columns, DataReader
from openfm.data.formats.format import ReadOptions
from openfm.fm.model import PredictorType

OPTIONS = ["--json", "--quiet", "--out", "newer"]


def table(rows: int, seed: int) -> str:
    """Users who like one of two kinds of items: what only the pair tells."""
    rng = np.random.default_rng(seed)
    lines = ["user,item,age,rating"]
    for _ in range(rows):
        user, item = int(rng.integers(30)), int(rng.integers(20))
        rating = (5 if user % 2 == item % 2 else 2) - (user % 3 == 0)
        lines.append(f"{user},i{item},{20 + user},{rating}")
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ratings.csv").write_text(table(2000, 1))
    Path("new.csv").write_text(table(500, 2))
    return tmp_path


@pytest.fixture
def model(run: Any) -> openfm.Model:
    """Trained on the table, user ids that look like numbers among its columns; it is the file ``model``."""
    arguments = ["--target", "rating", "--categorical", "user", "--num-factors", "8", "--epochs", "40", "--quiet"]
    result = run("train", "ratings.csv", *arguments, "--out", "model")
    assert result.exit_code == 0, result.stderr
    return openfm.load_model("model")


@pytest.fixture
def records(model: openfm.Model) -> None:
    """A model without an encoder, ``plain``, and records of its features, ``new.rec``."""
    openfm.Model(model.machine).save("plain")
    X = np.eye(model.feature_dim, dtype=np.float32)
    openfm.write_records("new.rec", X, np.arange(model.feature_dim) % 3)


def summary(result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_goes_on_from_where_the_model_is(run: Any, model: openfm.Model) -> None:
    """An epoch of a rate of 0 changes nothing, and one of a small rate little."""
    arguments = ["train", "new.csv", "--start", "model", "--test", "new.csv", "--epochs", "1", *OPTIONS]
    kept = summary(run(*arguments, "--learning-rate", "0"))
    assert (kept["predictor_type"], kept["features"], kept["factors"]) == ("regressor", model.feature_dim, 8)
    same = openfm.load_model("newer")
    np.testing.assert_allclose(same.linear, model.linear, atol=1e-5)
    np.testing.assert_allclose(same.factors, model.factors, atol=1e-5)
    assert same.encoder.to_members() == model.encoder.to_members()

    again = summary(run(*arguments))
    anew = summary(run("train", "new.csv", "--target", "rating", "--categorical", "user", *arguments[4:]))
    assert again["test"]["rmse"] < 0.5 < anew["test"]["rmse"]


def test_features_are_those_of_the_model_and_the_unseen_are_counted(run: Any, model: openfm.Model) -> None:
    rows = Path("new.csv").read_text().splitlines()
    new = [line.replace(",i", ",new-i") for line in rows[1:6]] + [f"9{line}" for line in rows[6:9]]
    Path("new.csv").write_text("\n".join([rows[0], *reversed(rows[1:]), *new]))
    arguments = ["train", "new.csv", "--start", "model", "--epochs", "1"]
    found = summary(run(*arguments, *OPTIONS))
    assert (found["unseen_in_train"], found["unseen_in_test"]) == ({"item": 5, "user": 3}, {})
    newer = openfm.load_model("newer")
    assert [newer.encoder.feature_name(i) for i in range(50)] == [model.encoder.feature_name(i) for i in range(50)]
    told = run(*arguments, "--out", "newer")
    assert "3 rows have a value in column 'user' that the model did not know" in told.stdout
    Path("one.csv").write_text(f"{rows[0]}\n{rows[1]}\n{new[-1]}\n")
    told = run("train", "one.csv", *arguments[2:], "--test", "one.csv", "--out", "newer")
    assert "1 row has a value in column 'user' that the model did not know" in told.stdout
    assert "1 row of the test file has a value in column 'user' that is new" in told.stdout
    assert "Starting from the parameters of model: a regressor." in told.stderr


def test_equal_commands_give_equal_bytes_and_the_model_may_be_replaced(run: Any, model: openfm.Model) -> None:
    verb = ("train", "new.csv", "--start", "model", "--epochs", "2", "--preset", "sagemaker")
    summary(run(*verb, *OPTIONS))
    summary(run(*verb, "--json", "--quiet", "--out", "model"))
    assert Path("model").read_bytes() == Path("newer").read_bytes()
    assert openfm.load_model("model").linear.tobytes() != model.linear.tobytes()


def test_labels_and_weights_may_be_in_other_columns(run: Any, model: openfm.Model) -> None:
    lines = Path("new.csv").read_text().replace("rating", "stars").splitlines()
    Path("new.csv").write_text("\n".join([f"{lines[0]},count", *(f"{line},1" for line in lines[1:])]))
    result = run("train", "new.csv", "--start", "model", *OPTIONS)
    assert (result.exit_code, "no column 'rating'" in result.stderr) == (2, True)
    summary(run("train", "new.csv", "--start", "model", "--target", "stars", "--weight", "count", *OPTIONS))
    newer = openfm.load_model("newer").encoder
    assert (newer.target, newer.weight, newer.text_columns) == ("stars", "count", ("user", "item"))
    assert run("train", "new.csv", "--start", "newer", *OPTIONS).exit_code == 0


def test_records(run: Any, records: None) -> None:
    found = summary(run("train", "new.rec", "--start", "plain", "--learning-rate", "0", "--epochs", "1", *OPTIONS))
    assert (found["features"], found["factors"]) == (51, 8)
    newer = openfm.load_model("newer")
    np.testing.assert_allclose(newer.linear, openfm.load_model("plain").linear, atol=1e-5)
    assert newer.encoder is None


@pytest.mark.parametrize(
    ("data", "start", "arguments", "sentence"),
    [
        ("new.csv", "model", ["--num-factors", "4"], "--num-factors is 4, but the model to start from (model) has 8."),
        (
            "new.csv",
            "model",
            ["--predictor-type", "binary_classifier"],
            "--predictor-type is binary_classifier, but the model to start from (model) has regressor.",
        ),
        (
            "new.rec",
            "plain",
            ["--feature-dim", "60"],
            "--feature-dim is 60, but the model to start from (plain) has 51.",
        ),
        ("wide.rec", "plain", [], "feature_dim"),
        ("new.csv", "model", ["--categorical", "user"], "says what becomes of all columns: leave --categorical out."),
        ("new.csv", "model", ["--hashed", "user"], "says what becomes of all columns: leave --hashed out."),
        ("new.csv", "model", ["--ignore", "age"], "says what becomes of all columns: leave --ignore out."),
        ("new.csv", "model", ["--target", "age"], "Column 'age' is a feature of the model to start from (model)."),
        ("new.csv", "model", ["--weight", "age"], "Name another one for the weights."),
        ("few.csv", "model", [], "The table has no column 'item', which the encoder was fitted with."),
        ("new.csv", "plain", ["--target", "rating"], "the model to start from (plain) has no encoder"),
        ("new.rec", "model", [], "'new.rec' is no table of columns such as the model to start from (model)"),
        ("new.csv", "new.csv", [], "new.csv"),
        ("grades.csv", "classifier", [], "those of a binary_classifier are 0 and 1"),
    ],
)
def test_what_does_not_fit_is_said_before_the_training(
    run: Any, model: openfm.Model, records: None, data: str, start: str, arguments: list[str], sentence: str
) -> None:
    Path("few.csv").write_text("user,rating,age\n1,5,20\n")
    openfm.write_records("wide.rec", np.eye(60, dtype=np.float32), np.arange(60) % 3)
    Path("grades.csv").write_text("user,rating\na,3\nb,4\n")
    encoder = openfm.ColumnEncoder.fit(openfm.iter_columns("grades.csv"), target="rating")
    machine = type(model.machine)(0.0, np.zeros(2), np.zeros((2, 3)), PredictorType.BINARY_CLASSIFIER)
    openfm.Model(machine, encoder=encoder).save("classifier")
    result = run("train", data, "--start", start, *arguments, "--quiet", "--out", "newer")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")
    assert not Path("newer").exists()


def test_what_an_estimator_keeps_and_the_threshold_go_on(run: Any, model: openfm.Model, records: None) -> None:
    facts = {"openfm/estimator.json": b'{"classes": ["no", "yes"]}', "openfm/other": b"kept as it is"}
    machine = type(model.machine)(0.0, model.linear, model.factors, PredictorType.BINARY_CLASSIFIER)
    plain = openfm.Model(machine, extras=facts).with_threshold(0.3)
    plain.save("plain")
    plain.with_encoder(model.encoder).save("with-encoder")
    openfm.write_records("new.rec", np.eye(51, dtype=np.float32), np.arange(51) % 2)
    Path("new.csv").write_text("user,item,age,rating\n1,i1,20,1\n2,i2,21,0\n")
    for start, data in (("plain", "new.rec"), ("with-encoder", "new.csv")):
        found = summary(run("train", data, "--start", start, "--epochs", "1", *OPTIONS))
        newer, before = openfm.load_model("newer"), openfm.load_model(start)
        assert (newer.extras, newer.threshold, found["threshold"]) == (before.extras, 0.3, 0.3)
        assert newer.linear.tobytes() != before.linear.tobytes()
        told = run("train", data, "--start", start, "--epochs", "1", "--quiet", "--out", "newer").stdout
        assert "the threshold 0.3 of the model to start from was kept: see whether it still fits" in told
    assert newer.encoder.to_members() == model.encoder.to_members()
    openfm.Model(machine).save("plain")
    assert summary(run("train", "new.rec", "--start", "plain", "--epochs", "1", *OPTIONS))["threshold"] is None
    assert "threshold" not in run("train", "new.rec", "--start", "plain", "--epochs", "1", "--out", "newer").stdout


def test_weights_are_taken_where_the_table_has_them(run: Any, model: openfm.Model) -> None:
    """Standard input, which comes once only, is no exception."""
    plain = Path("new.csv").read_text()
    lines = plain.splitlines()
    weighted = "\n".join([f"{lines[0]},w", *(f"{line},{number % 2}" for number, line in enumerate(lines[1:]))])
    Path("weighted.csv").write_text(weighted)
    arguments = ["--start", "with-w", "--validation", "new.csv", "--epochs", "1", "--out", "newer"]
    summary(run("train", "weighted.csv", "--start", "model", "--weight", "w", *OPTIONS[:-1], "with-w"))
    sentence = "The table has no column 'w' for weights, as the model to start from (with-w) has: all rows count alike."

    results = [
        run("train", "new.csv", *arguments),
        run("train", "-", "--from", "csv", *arguments, stdin=plain.encode()),
    ]
    for result in results:
        assert result.exit_code == 0, result.stderr
        assert sentence in result.stderr.splitlines()
        newer = openfm.load_model("newer")
        assert (newer.encoder.weight, newer.encoder.feature_dim) == (
            "w",
            51,
        )  # it is no feature of the next table either
    without = run("train", "new.csv", *arguments, "--weight", "w")
    assert (without.exit_code, "The table has no column 'w' for the weights" in without.stderr) == (2, True)

    arguments[3] = "weighted.csv"
    result = run("train", "weighted.csv", *arguments)
    assert (result.exit_code, "count alike" in result.stderr) == (0, False)
    Path("weighted.csv").write_text(weighted.replace(",1\n", ",-1\n"))
    result = run("train", "weighted.csv", *arguments)
    assert (result.exit_code, "has -1 in column 'w', where a weight of at least 0 is needed" in result.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    "arguments", [["--start", "model", "--weight", "rating"], ["--start", "with-w", "--target", "w"]]
)
def test_labels_and_weights_are_not_the_same_column(run: Any, model: openfm.Model, arguments: list[str]) -> None:
    lines = Path("new.csv").read_text().splitlines()
    Path("new.csv").write_text("\n".join([f"{lines[0]},w", *(f"{line},1" for line in lines[1:])]))
    summary(run("train", "new.csv", "--start", "model", "--weight", "w", *OPTIONS[:-1], "with-w"))
    result = run("train", "new.csv", *arguments, *OPTIONS)
    assert result.exit_code == 2
    assert result.stderr.endswith(
        f"Target and weight of 'new.csv' are the same column, '{arguments[-1]}'. Name another one.\n"
    )


def test_no_error_proposes_to_make_features_otherwise(run: Any, model: openfm.Model) -> None:
    rows = "1,i1,20.123456,4\n" * 300_000  # more than a block
    Path("late.csv").write_text(f"user,item,age,rating\n{rows}1,i1,old,4\n")
    for arguments in (["late.csv"], ["new.csv", "--validation", "late.csv"], ["new.csv", "--test", "late.csv"]):
        result = run("train", *arguments, "--start", "model", *OPTIONS)
        assert result.exit_code == 2
        assert result.stderr.endswith("'old', which is not a number. Correct it.\n"), result.stderr


def test_an_error_ends_the_reading(model: openfm.Model) -> None:
    """A thread that waited in a traceback for somebody to want more would meet the interpreter's end."""
    Path("long.csv").write_text("user,item,age,rating\n1,i1,20,\n" + "1,i1,20.123456,4\n" * 900_000)  # several blocks
    going_on = DataReader(Columns(), ReadOptions(), None, Start(Path("model"), model))
    anew = DataReader(Columns(target="rating"), ReadOptions(), None)
    unknown = DataReader(Columns(target="stars"), ReadOptions(), None)
    before = set(threading.enumerate())
    for read in (going_on.read_training, going_on.read_more, anew.read_training, unknown.read_training):
        with pytest.raises(openfm.DataError, match=r"no value in column 'rating'|no column 'stars'") as caught:
            read("long.csv")
        assert set(threading.enumerate()) <= before
        assert caught.tb is not None


def test_a_column_that_was_left_out_may_have_the_labels(run: Any) -> None:
    Path("two.csv").write_text("user,w,rating\n" + "a,1,2\nb,2,3\nc,3,4\n" * 9)
    arguments = ["--ignore", "w", "--target", "rating", "--epochs", "1"]
    summary(run("train", "two.csv", *arguments, *OPTIONS[:-1], "two"))
    for arguments, roles in ((["--target", "w"], ("w", None)), (["--weight", "w"], ("rating", "w"))):
        summary(run("train", "two.csv", "--start", "two", *arguments, *OPTIONS))
        newer = openfm.load_model("newer").encoder
        assert ((newer.target, newer.weight), newer.ignored) == (roles, ())


def test_metrics_begin_with_what_the_model_says_it_was_trained_with(run: Any) -> None:
    rng = np.random.default_rng(3)
    X = (rng.random((300, 40)) < np.linspace(0.01, 0.5, 40)).astype(np.float32)
    openfm.write_records("plain.rec", X, rng.integers(0, 5, 300))
    summary(run("train", "plain.rec", "--epochs", "2", "--metrics", "metrics.jsonl", *OPTIONS))
    begin = json.loads(Path("metrics.jsonl").read_text().splitlines()[0])
    assert begin["event"] == "start"
    stored = openfm.load_model("newer").training_parameters
    assert {name: str(value) for name, value in begin["hyperparameters"].items()} == {
        name: str(value) for name, value in stored.items()
    }


def test_a_job_of_folders_has_the_channel_model_instead(run: Any, model: openfm.Model) -> None:
    result = run("train", "--start", "model")
    assert result.exit_code == 2
    assert "--start is for training on a file" in result.stderr
