"""``openfm inspect``: of data and of models, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet
from scipy.sparse import csr_matrix

from openfm.artifact import Model
from openfm.artifact.saving import save_model
from openfm.cli import main
from openfm.data.formats.files import write_data
from openfm.fm.model import FactorizationMachine, PredictorType


def inspect(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["inspect", *arguments])


def test_a_table_with_a_column_of_lists(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": [2**53 + 1, 2], "e": [[1], [2]]}), tmp_path / "data.parquet")
    result = inspect(str(tmp_path / "data.parquet"), "--json")
    assert result.exit_code == 0, result.stderr
    number, other = json.loads(result.stdout)["columns"]
    assert (number["column"], number["smallest"], number["largest"]) == ("id", 2, 2**53)
    assert other["column"] == "e"
    assert other["holds"].endswith("int64>, which is neither numbers nor texts")
    assert inspect(str(tmp_path / "data.parquet")).exit_code == 0


def test_data_as_json(tmp_path: Path) -> None:
    X = csr_matrix(np.array([[0, 1, -2], [0, 0, 0], [0, 0, 4]], dtype=np.float32))
    write_data(tmp_path / "train.rec", X, np.array([1, 0, 1]))

    summary = json.loads(inspect(str(tmp_path / "train.rec"), "--json", "--records", "2").stdout)

    assert summary == {
        "format": "recordio",
        "rows": 3,
        "dense_rows": 0,
        "features": 3,
        "nonzeros": 3,
        "density": pytest.approx(1 / 3),
        "smallest_feature": 1,
        "largest_feature": 2,
        "smallest_value": -2.0,
        "largest_value": 4.0,
        "smallest_label": 0.0,
        "largest_label": 1.0,
        "mean_label": pytest.approx(2 / 3),
        "labels": {"0": 1, "1": 2},
        "first_records": ["label 1  1:1  2:-2", "label 0"],
    }


def test_weights_are_told(tmp_path: Path) -> None:
    X = csr_matrix(np.array([[0, 1], [0, 0], [0, 4]], dtype=np.float32))
    write_data(tmp_path / "train.rec", X, np.array([1, 0, 1]), weights=[0.5, 1, 6])
    write_data(tmp_path / "train.csv", X, np.array([1, 0, 1]), weights=[0.5, 1, 6])

    of_records = json.loads(inspect(str(tmp_path / "train.rec"), "--json", "--records", "1").stdout)
    of_text = inspect(str(tmp_path / "train.csv"), "--target", "label", "--weight", "weight", "--json").stdout

    for summary in (of_records, json.loads(of_text)):
        assert [summary[f"{name}_weight"] for name in ("smallest", "largest", "mean")] == [0.5, 6, 2.5]
        assert summary["first_records"][0] == "label 1  weight 0.5  1:1"


def test_data_as_text(tmp_path: Path) -> None:
    write_data(tmp_path / "wide.npz", np.ones((1500, 10)))

    lines = inspect(str(tmp_path / "wide.npz"), "--records", "1").stdout.splitlines()

    assert [line.split() for line in lines[:4]] == [
        ["format", "npz"],
        ["rows", "1,500"],
        ["dense", "rows", "0"],
        ["features", "10"],
    ]
    assert lines[-3].split() == ["labels", "none"]
    assert lines[-2:] == ["first records:", "  0:1  1:1  2:1  3:1  4:1  5:1  6:1  7:1  ... (10 values)"]


def test_many_labels_are_not_listed(tmp_path: Path) -> None:
    write_data(tmp_path / "x.csv", np.ones((21, 1)), np.arange(21))

    summary = json.loads(inspect(str(tmp_path / "x.csv"), "--target", "label", "--json").stdout)

    assert "labels" not in summary
    assert summary["mean_label"] == 10


def test_libsvm_wants_its_index_base(tmp_path: Path) -> None:
    (tmp_path / "x.libsvm").write_text("1 1:2\n")

    assert inspect(str(tmp_path / "x.libsvm"), "--index-base", "1").exit_code == 0
    refused = inspect(str(tmp_path / "x.libsvm"))
    assert refused.exit_code == 2
    assert "state the index base, 0 or 1" in refused.output


def test_a_model(tmp_path: Path) -> None:
    linear = np.array([0.5, -3, 0], dtype=np.float32)
    factors = np.array([[3, 4], [0, 1], [0, 0]], dtype=np.float32)
    machine = FactorizationMachine(0.25, linear, factors, PredictorType.REGRESSOR)
    save_model(Model(machine, {"epochs": "7"}), tmp_path / "model_algo-1")

    summary = json.loads(inspect(str(tmp_path / "model_algo-1"), "--weights", "2", "--json").stdout)
    text = inspect(str(tmp_path)).stdout

    assert summary["predictor_type"] == "regressor"
    assert (summary["features"], summary["factors"], summary["bias"]) == (3, 2, 0.25)
    assert summary["norm_of_linear"] == pytest.approx(np.sqrt(9.25))
    assert summary["norm_of_factors"] == pytest.approx(np.sqrt(26))
    assert summary["features_without_weight"] == 1
    assert summary["hyperparameters"]["epochs"] == "7"
    assert summary["largest_linear_weights"] == [{"feature": 1, "weight": -3.0}, {"feature": 0, "weight": 0.5}]
    assert summary["longest_factors"] == [{"feature": 0, "length": 5.0}, {"feature": 1, "length": 1.0}]
    assert "  epochs: 7\n" in text
    assert "  feature 1  weight -3\n" in text


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")

    run = inspect(str(tmp_path / "notes.txt"))

    assert run.exit_code == 2
    assert "notes.txt" in run.output


def test_a_table_of_numbers_and_texts(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("user,price,click\nu1,2.5,1\nu2,,0\nu1,0.5,0\n,3,1\n")

    summary = json.loads(inspect(str(tmp_path / "clicks.csv"), "--json").stdout)
    text = inspect(str(tmp_path / "clicks.csv")).stdout

    assert summary == {
        "format": "csv",
        "rows": 4,
        "columns": [
            {"column": "user", "holds": "texts", "missing": 1, "different": 2, "most_frequent": "u1 (2), u2 (1)"},
            {"column": "price", "holds": "numbers", "missing": 1, "smallest": 0.5, "largest": 3.0, "mean": 2.0},
            {"column": "click", "holds": "numbers", "missing": 0, "smallest": 0.0, "largest": 1.0, "mean": 0.5},
        ],
    }
    assert "  column user  holds texts  missing 1  different 2  most_frequent u1 (2), u2 (1)\n" in text
