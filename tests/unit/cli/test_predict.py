from __future__ import annotations

import json

import pytest

import openfm
from openfm.data.record_schema import Record
from openfm.data.recordio import frame
from openfm.serving.app import create_app
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings


@pytest.mark.parametrize(
    "accept",
    [
        "application/jsonlines",
        "application/json",
        "application/x-recordio-protobuf",
        "application/json; verbose=true; pairs=1",
        "application/jsonlines; threshold=stored",
    ],
)
def test_it_is_what_a_server_answers(run, classifier, records, tmp_path, accept):
    openfm.load_model(classifier).with_threshold(0.6).save(classifier)
    model = openfm.load_model(classifier)
    client = create_app(Predictor(model.machine, model.threshold), ServingSettings()).test_client()
    headers = {"Accept": accept, "Content-Type": "application/x-recordio-protobuf"}
    answer = client.post("/invocations", data=records.read_bytes(), headers=headers).data
    assert answer

    assert run("predict", classifier, records, "--accept", accept).stdout_bytes == answer
    assert run("predict", classifier, "-", "--accept", accept, stdin=records.read_bytes()).stdout_bytes == answer
    out = tmp_path / "out"
    assert run("predict", classifier, records, "--accept", accept, "--out", out).stdout_bytes == b""
    assert out.read_bytes() == answer


def test_scores_are_lines_of_json_by_default(run, regressor, records):
    lines = run("predict", regressor, records).stdout.splitlines()
    assert list(map(json.loads, lines)) == [{"score": score} for score in (11.75, 0.25, 0.75, -0.75)]


def test_a_failure_leaves_the_old_file(run, regressor, tmp_path):
    out = tmp_path / "out"
    out.write_text("old")
    result = run("predict", regressor, regressor, "--out", out)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"ClientError: '{regressor}': Record 0")
    assert out.read_text() == "old"


def test_types_that_are_not_written(run, regressor, records):
    result = run("predict", regressor, records, "--accept", "text/html")
    assert result.exit_code == 2
    assert result.stderr.startswith("ClientError: accept text/html not supported; ask for application/json")


@pytest.mark.parametrize("accept", ["application/jsonlines", "application/json", "application/x-recordio-protobuf"])
def test_records_of_several_blocks(run, classifier, records, monkeypatch, accept):
    whole = run("predict", classifier, records, "--accept", accept).stdout_bytes
    monkeypatch.setattr("openfm.data.formats.recordio.BLOCK_BYTES", 64)
    assert run("predict", classifier, records, "--accept", accept).stdout_bytes == whole


def test_a_record_that_cannot_be_scored_is_named_by_its_number(run, regressor, tmp_path, monkeypatch):
    path = tmp_path / "large.rec"
    openfm.write_records(path, [[0, 0, 0, 0]] * 5 + [[3e38, 0, 3e38, 0]])
    monkeypatch.setattr("openfm.data.formats.recordio.BLOCK_BYTES", 64)
    result = run("predict", regressor, path)
    assert result.exit_code == 2
    assert result.stderr == "ClientError: record 5: its score overflows float32; scale its values down\n"


def test_records_of_other_formats(run, regressor, records, tmp_path):
    scores = run("predict", regressor, records).stdout
    matrix, labels = openfm.read_records(records, feature_dim=4)
    for name, options in (("a.csv", ["--target", "label"]), ("a.libsvm", ["--index-base", "1"]), ("a.npz", [])):
        base = {"index_base": 1} if "libsvm" in name else {}
        openfm.write_data(tmp_path / name, matrix, labels, **base)
        assert run("predict", regressor, tmp_path / name, *options).stdout == scores


def test_a_folder_that_is_not_there(run, regressor, records, tmp_path):
    result = run("predict", regressor, records, "--out", tmp_path / "nowhere" / "out")
    assert result.exit_code == 2
    assert result.stderr == f"ClientError: There is no folder '{tmp_path}/nowhere'. Make it first.\n"


def test_answers_repeat_what_identifies_a_record(run, regressor, tmp_path, monkeypatch):
    client = create_app(Predictor(openfm.load_model(regressor).machine), ServingSettings()).test_client()
    recordio = "application/x-recordio-protobuf"
    records = b""
    for number in range(20):
        record = Record(uid=f"record {number}", metadata=f"at {number}")
        record.features["values"].float32_tensor.values.extend([number, 0, 0, 1])
        records += frame(record.SerializeToString())
    (tmp_path / "named.rec").write_bytes(records)
    answer = client.post("/invocations", data=records, headers={"Content-Type": recordio, "Accept": recordio}).data
    assert b"record 19" in answer
    monkeypatch.setattr("openfm.data.formats.recordio.BLOCK_BYTES", 64)
    assert run("predict", regressor, tmp_path / "named.rec", "--accept", recordio).stdout_bytes == answer
