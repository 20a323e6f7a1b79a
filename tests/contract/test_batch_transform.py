"""Batch transform as SageMaker's platform runs it: an object is split, sent in pieces, and the answers are joined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfm.artifact import Model, save_model
from openfm.data.record_schema import Record
from openfm.data.recordio import frame, iter_frames
from openfm.fm.model import FactorizationMachine, PredictorType
from support.servers import Server

MIB = 2**20
JSON = "application/json"
LINES = "application/jsonlines"
RECORDS = "application/x-recordio-protobuf"

FEATURES = 50
COUNT = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("opt-ml")
    (base / "model").mkdir()
    linear = np.arange(FEATURES)  # record i has a one in column i: its score is i
    machine = FactorizationMachine(0, linear, np.zeros((FEATURES, 2)), PredictorType.REGRESSOR)
    save_model(Model(machine), base / "model" / "model_algo-1")
    with Server.running(base, SAGEMAKER_BATCH="true", NUM_WORKERS="1") as running:
        yield running


def record(number: int) -> bytes:
    message = Record()
    tensor = message.features["values"].float32_tensor
    tensor.keys.append(number % FEATURES)
    tensor.values.append(1.0)
    tensor.shape.append(FEATURES)
    message.uid = f"user-{number}"
    message.metadata = json.dumps({"row": number})
    payload: bytes = message.SerializeToString()
    return payload


def line(number: int) -> bytes:
    features = {"keys": [number % FEATURES], "shape": [FEATURES], "values": [1.0]}
    return json.dumps({"data": {"features": features}}).encode()


def payloads(split_type: str, strategy: str) -> tuple[str, list[bytes]]:
    """An object's content type, and its pieces as the platform posts them."""
    numbers = range(COUNT)
    if split_type == "Line":
        lines = [line(number) + b"\n" for number in numbers]
        return LINES, lines if strategy == "SingleRecord" else [b"".join(lines[:7]), b"".join(lines[7:])]
    if strategy == "SingleRecord":  # the frames are taken off
        return RECORDS, [record(number) for number in numbers]
    frames = [frame(record(number)) for number in numbers]
    return RECORDS, [b"".join(frames)] if split_type == "None" else [b"".join(frames[:7]), b"".join(frames[7:])]


def transform(server: Server, content_type: str, pieces: list[bytes], accept: str | None, assemble_with: str) -> bytes:
    headers = {"Content_Type": content_type} if accept is None else {"Content_Type": content_type, "Accept": accept}
    out = bytearray()
    for piece in pieces:
        status, _, answer = server.request("POST", "/invocations", piece, **headers)
        assert status == 200, answer
        out += answer + (b"\n" if assemble_with == "Line" else b"")
    return bytes(out)


def documents(text: str) -> Iterator[Any]:
    """JSON documents one after another, with any white space between them."""
    decoder = json.JSONDecoder()
    position = 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        document, position = decoder.raw_decode(text, position)
        yield document


SPLITS = [
    ("None", "MultiRecord"),
    ("RecordIO", "MultiRecord"),
    ("RecordIO", "SingleRecord"),
    ("Line", "MultiRecord"),
    ("Line", "SingleRecord"),
]

# No line feeds between binary records: they break the frames, whoever wrote them.
ASSEMBLIES = [(accept, joined) for accept in (None, LINES, JSON) for joined in ("None", "Line")] + [(RECORDS, "None")]


@pytest.mark.parametrize(("accept", "assemble_with"), ASSEMBLIES)
@pytest.mark.parametrize(("split_type", "strategy"), SPLITS)
def test_split_and_joined(
    server: Server, split_type: str, strategy: str, accept: str | None, assemble_with: str
) -> None:
    content_type, pieces = payloads(split_type, strategy)
    out = transform(server, content_type, pieces, accept, assemble_with)

    if accept == RECORDS:
        records = [Record.FromString(found.payload) for found in iter_frames(out)]
        scores = [found.label["score"].float32_tensor.values[0] for found in records]
        if content_type == RECORDS:
            assert [found.uid for found in records] == [f"user-{number}" for number in range(COUNT)]
            assert [json.loads(found.metadata)["row"] for found in records] == list(range(COUNT))
    elif accept == JSON:
        scores = [found["score"] for answer in documents(out.decode()) for found in answer["predictions"]]
    else:
        lines = out.decode().split("\n")
        assert lines.pop() == ""
        # Joined by line feeds, there is a blank line after each answer, which ends in one itself.
        blank = [number for number, text in enumerate(lines) if not text]
        assert len(blank) == (len(pieces) if assemble_with == "Line" else 0)
        scores = [json.loads(text)["score"] for text in lines if text]
    assert scores == [float(number) for number in range(COUNT)]


def test_a_last_line_without_an_end(server: Server) -> None:
    out = transform(server, LINES, [line(3) + b"\n\n" + line(4)], None, "None")

    assert out == b'{"score":3.0}\n{"score":4.0}\n'


def test_execution_parameters(server: Server) -> None:
    status, content_type, body = server.request("GET", "/execution-parameters")

    assert (status, content_type) == (200, JSON)
    assert json.loads(body) == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


@pytest.mark.parametrize("content_type", [RECORDS, LINES])
def test_payloads_of_100_mb(server: Server, content_type: str) -> None:
    if content_type == RECORDS:
        cycle = b"".join(frame(record(number)) for number in range(FEATURES))
    else:
        cycle = b"".join(line(number) + b"\n" for number in range(FEATURES))
    cycles = 100 * MIB // len(cycle)

    status, answer_type, answer = server.request("POST", "/invocations", cycle * cycles, 300, Content_Type=content_type)

    assert (status, answer_type) == (200, LINES)
    expected = b"".join(b'{"score":%d.0}\n' % number for number in range(FEATURES))
    assert answer == expected * cycles
    assert server.request("GET", "/ping")[0] == 200
    assert peak_memory(server) < 1000 * MIB


def test_more_than_100_mb_is_refused(server: Server) -> None:
    status, _, sentence = server.request("POST", "/invocations", bytes(100 * MIB + 1), 300, Content_Type=LINES)

    assert status == 413
    assert b"larger than 104857600 bytes" in sentence


def peak_memory(server: Server) -> int:
    """The most bytes that the worker ever had."""
    (worker,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    return 1024 * next(int(text.split()[1]) for text in lines if text.startswith("VmHWM:"))
