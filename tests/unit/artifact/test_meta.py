from __future__ import annotations

import json
import zlib

import pytest

from openfm.artifact.meta import dimension, meta_json, parse_json, parse_meta
from openfm.errors import ArtifactError
from support.artifacts import ml100k_parameters


def test_meta_of_the_published_artifact_byte_for_byte():
    """Size and CRC-32 are those of meta.json in the artifact of a public run on SageMaker."""
    meta = meta_json(ml100k_parameters())
    assert len(meta) == 840
    assert zlib.crc32(meta) == 0x34BFF785


def test_round_trip_keeps_order_and_types():
    parameters = {"epochs": 1, "mini_batch_size": "1000", "a": "x"}
    parsed = parse_meta(meta_json(parameters))
    assert list(parsed.items()) == list(parameters.items())


def test_numbers_and_booleans_become_text():
    meta = {"training_parameters": {"bias_lr": 0.1, "use_bias": False, "epochs": 3}}
    parsed = parse_meta(json.dumps(meta).encode())
    assert parsed == {"bias_lr": "0.1", "use_bias": "false", "epochs": 3}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\xfe{}", "meta.json is not UTF-8"),
        (b"{", "meta.json is not JSON"),
        (b"[" * 200_000, "meta.json is nested too deeply"),
        (b"[]", "meta.json is not a JSON object"),
        (b'{"version": 2, "training_parameters": {}}', "of version 2; only version 1"),
        (b'{"version": 1}', "no object training_parameters"),
        (b'{"training_parameters": []}', "no object training_parameters"),
        (b'{"training_parameters": {"a": [1]}}', "parameter a is of type list"),
        (b'{"training_parameters": {"a": ' + b"9" * 5000 + b"}}", "meta.json is not JSON"),
    ],
)
def test_refuses_with_a_sentence(data, sentence):
    with pytest.raises(ArtifactError, match=sentence):
        parse_meta(data)


def test_text_in_other_languages_survives():
    assert parse_json('{"a": "ß"}'.encode(), "x") == {"a": "ß"}


@pytest.mark.parametrize("value", ["784", 784])
def test_dimension(value):
    assert dimension({"feature_dim": value}, "feature_dim") == 784


@pytest.mark.parametrize("value", ["0", "-1", "7.5", "x", "", "2147483648", "9" * 50, "７"])
def test_no_dimension(value):
    with pytest.raises(ArtifactError, match="expected a whole number from 1 to 2147483647"):
        dimension({"feature_dim": value}, "feature_dim")


def test_missing_dimension():
    with pytest.raises(ArtifactError, match="no training parameter num_factors"):
        dimension({}, "num_factors")
