from __future__ import annotations

import json

import pytest


def test_a_ranking(run, regressor):
    result = run("topk", regressor, "--fixed", "2=2", "--candidates", "0:2")
    assert result.exit_code == 0
    # 1/4 + 1/2 + 1/2 + 2 and 1/4 + 1/2 - 1 + 2
    assert result.stdout.splitlines() == ["feature 2 = 2", "      3.250000  feature 0", "      1.750000  feature 1"]


def test_nothing_fixed(run, regressor):
    result = run("topk", regressor, "--candidates", "0,2:4", "-k", 1)
    assert result.stdout.splitlines() == ["nothing fixed", "      0.750000  feature 0"]


def test_each_without_what_was_seen(run, classifier, records, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\n")
    arguments = ["--each", "0:2", "--candidates", "2:4", "--seen", records, "--json", "--feature-names", names]
    first, second = map(json.loads, run("topk", classifier, *arguments).stdout.splitlines())
    # Feature 0 occurs with 2 and with 3, feature 1 with 2 only.
    assert first == {"fixed": {"keys": [0], "values": [1.0]}, "top_k": []}
    assert second["fixed"] == {"keys": [1], "values": [1.0]}
    assert [(best["key"], best["name"]) for best in second["top_k"]] == [(3, "d")]
    assert second["top_k"][0]["score"] == pytest.approx(0.3208213, rel=1e-6)


def test_leading_zeros_do_not_make_a_number_large(run, regressor):
    result = run("topk", regressor, "--fixed", "00000000001", "--candidates", f"{'0' * 5000}:00000000001", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["fixed"]["keys"] == [1]
    assert [best["key"] for best in json.loads(result.stdout)["top_k"]] == [0]


def test_excluded_and_seen(run, regressor, records):
    arguments = ["--fixed", 1, "--candidates", "0:1,2:4", "--exclude", "0", "--json"]
    assert [best["key"] for best in json.loads(run("topk", regressor, *arguments).stdout)["top_k"]] == [2, 3]
    arguments += ["--seen", records]
    assert [best["key"] for best in json.loads(run("topk", regressor, *arguments).stdout)["top_k"]] == [3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fixed", "a"], "'a' is no feature such as 17, nor one with a value such as 17=0.5"),
        (["--fixed", "1=b"], "'1=b' is no feature such as 17"),
        (["--fixed", "9"], "ClientError: the fixed feature 9 is none: the model has feature_dim 4"),
        (["--fixed", "1"], "ClientError: the candidates have the feature 1, which is a fixed one"),
        (["--exclude", "0,x"], "'x' is no range of features such as 60:100, which is 60 to 99."),
        (["--exclude", "1:x"], "'1:x' is no range of features"),
        (["--exclude", "2:1"], "'2:1' is no range of features"),
        (["--exclude", f"1,{'7' * 5000}"], f"'{'7' * 60}...' is more than the 2147483647 features that a model can"),
        (
            ["--candidates", f"0:{'7' * 11}"],
            f"'{'7' * 11}' is more than the 2147483647 features that",
        ),
        (["--candidates", "2147483648"], "'2147483648' is more than the 2147483647 features that"),
        (["--each", f"{'x' * 5000}:"], f"'{'x' * 60}...' is no range of features"),
        (
            ["--fixed", f"{'7' * 5000}=1"],
            f"'{'7' * 60}...' is more than the 2147483647 features that",
        ),
        (["--exclude", "0:2147483647,5"], "'0:2147483647,5' lists the feature 4, but the model has feature_dim 4."),
        (["--exclude", "0,6:2147483647"], "'0,6:2147483647' lists the feature 6, but the model has feature_dim 4."),
        (["--candidates", "0:1,3:6"], "'0:1,3:6' lists the feature 4, but the model has feature_dim 4."),
        (["--candidates", "0:2147483647"], "'0:2147483647' lists the feature 4, but the model has feature_dim 4."),
        (["--each", "3:2147483647"], "'3:2147483647' lists the feature 4, but the model has feature_dim 4."),
        (["--fixed", "-1=1"], "'-1=1' is no feature such as 17"),
        (["-k", "0"], "0 is not in the range x>=1"),
    ],
)
def test_arguments_that_are_refused(run, regressor, arguments, message):
    result = run("topk", regressor, "--candidates", "0:2", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
