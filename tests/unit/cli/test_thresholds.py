from __future__ import annotations

import json

import openfm


def test_a_table(run, classifier, records):
    lines = run("thresholds", classifier, records).stdout.splitlines()
    assert len(lines) == 21
    assert lines[0].split() == ["threshold", "precision", "recall", "f1", "accuracy"]
    # The scores are 0.999992, 0.56, 0.68 and 0.32, and the labels 1, 0, 1 and 0.
    assert lines[10].split() == ["0.5000", "0.6667", "1.0000", "0.8000", "0.7500"]
    assert lines[12].split() == ["0.6000", "1.0000", "1.0000", "1.0000", "1.0000"]
    assert lines[20].startswith("best f1: 1.0000 at 0.679178")
    assert openfm.load_model(classifier).threshold is None


def test_json(run, classifier, records):
    documents = [json.loads(line) for line in run("thresholds", classifier, records, "--json").stdout.splitlines()]
    assert len(documents) == 20
    assert documents[9] == {
        "threshold": 0.5,
        "precision": 2 / 3,
        "recall": 1.0,
        "f1": 0.8,
        "accuracy": 0.75,
        "true_positives": 2,
        "false_positives": 1,
        "true_negatives": 1,
        "false_negatives": 0,
    }


def test_the_best_is_stored(run, classifier, records):
    done = run("thresholds", classifier, records, "--store", "--best", "accuracy")
    assert done.exit_code == 0
    assert "has this threshold now" in done.stderr
    model = openfm.load_model(classifier)
    assert model.threshold == float(model.predict([[1, 0, 0, 1]])[0])


def test_what_is_refused(run, classifier, regressor, records, tmp_path):
    result = run("thresholds", regressor, records)
    assert result.exit_code == 2
    assert result.stderr.endswith("is a regressor, and only a binary_classifier has a threshold.\n")
    empty = tmp_path / "empty"
    empty.touch()
    result = run("thresholds", classifier, empty)
    assert (result.exit_code, result.stdout) == (2, "")
    other = tmp_path / "other"
    openfm.write_records(other, [[1, 0, 0, 0]], [3])
    result = run("thresholds", classifier, other)
    assert result.stderr == "ClientError: a label is neither 0 nor 1\n"


def test_records_without_labels(run, classifier, tmp_path):
    path = tmp_path / "table.csv"
    openfm.write_data(path, [[1, 2, 4, 0]])
    result = run("thresholds", classifier, path)
    assert result.stderr == (
        f"ClientError: The records of {path} have no labels. Say with --target which column has them.\n"
    )
