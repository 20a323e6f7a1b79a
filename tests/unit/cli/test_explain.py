from __future__ import annotations

import json

import pytest

import openfm


def test_records(run, regressor, records):
    result = run("explain", regressor, records, "--rows", "0:2")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "record 0: score 11.750000",
        "     +8.000000  feature 1 = 2, feature 2 = 4",
        "     +4.000000  feature 0 = 1, feature 2 = 4",
        "     -2.000000  feature 1 = 2",
        "     +1.000000  feature 2 = 4",
        "     +0.500000  feature 0 = 1",
        "     +0.250000  bias",
        "record 1: score 0.250000",
        "     +0.250000  bias",
    ]


def test_the_largest_contributions(run, classifier, records, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("user\nitem\n")
    result = run("explain", classifier, records, "--rows", "0:1", "--top", 2, "--feature-names", names)
    assert result.stdout.splitlines() == [
        "record 0: score 0.999992, before the sigmoid 11.750000",
        "     +8.000000  item = 2, feature 2 = 4",
        "     +4.000000  user = 1, feature 2 = 4",
        "     -0.250000  all others",
    ]


def test_json(run, classifier, records, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("user\nitem\nprice\n")
    result = run("explain", classifier, records, "--json", "--top", 1, "--feature-names", names)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["record"] for line in lines] == [0, 1, 2, 3]
    assert lines[0]["explanation"] == {
        "raw_score": 11.75,
        "bias": 0.25,
        "linear": {"keys": [0, 1, 2], "values": [0.5, -2.0, 1.0], "names": ["user", "item", "price"]},
        "pairs": {"keys": [[1, 2]], "values": [8.0], "names": [["item", "price"]]},
        "other_pairs": 4.0,
    }
    assert lines[0]["score"] == pytest.approx(0.999992, abs=1e-6)


def test_records_that_are_not_there(run, regressor, records):
    assert run("explain", regressor, records, "--rows", "3:9").stdout.startswith("record 3: score -0.750000\n")
    assert run("explain", regressor, records, "--rows", "7:9").stdout == ""


def test_standard_input(run, regressor, records):
    piped = run("explain", regressor, "-", stdin=records.read_bytes())
    assert piped.stdout == run("explain", regressor, records).stdout


def test_records_of_other_formats(run, regressor, records, tmp_path):
    table = tmp_path / "records.csv"
    openfm.write_data(table, *openfm.read_records(records, feature_dim=4))
    assert run("explain", regressor, table, "--target", "label").stdout == run("explain", regressor, records).stdout
    result = run("explain", regressor, table)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"ClientError: '{table}'")


def test_records_of_several_blocks(run, regressor, records, monkeypatch):
    whole = run("explain", regressor, records, "--rows", "1:3").stdout
    monkeypatch.setattr("openfm.data.formats.recordio.BLOCK_BYTES", 64)
    assert run("explain", regressor, records, "--rows", "1:3").stdout == whole


def test_the_strongest_pairs(run, regressor, tmp_path):
    result = run("explain", regressor)
    assert result.stdout.splitlines() == [
        "     +1.000000  feature 0, feature 2",
        "     +1.000000  feature 1, feature 2",
    ]
    names = tmp_path / "names.txt"
    names.write_text("user\nitem\nprice\n")
    result = run("explain", regressor, "--between", "1:2", "2:4", "--json", "--feature-names", names)
    assert json.loads(result.stdout) == {"keys": [1, 2], "value": 1.0, "names": ["item", "price"]}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--between", "0:3", "2:4"], 2, "ClientError: range(0, 3) and range(2, 4) overlap"),
        (["--rows", "3:2"], 2, "'3:2' is no range of features such as 60:100"),
        (["--top", "0"], 2, "0 is not in the range x>=1"),
    ],
)
def test_arguments_that_are_refused(run, regressor, arguments, code, message):
    result = run("explain", regressor, *arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_files_that_are_refused(run, regressor, records, tmp_path):
    result = run("explain", records, records)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"ClientError: cannot load {records}: it is neither")
    result = run("explain", regressor, regressor)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"ClientError: '{regressor}': Record 0")
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xff\n")
    result = run("explain", regressor, records, "--feature-names", names)
    assert result.stderr == f"ClientError: {names} is not UTF-8 text; feature names are one a line\n"
