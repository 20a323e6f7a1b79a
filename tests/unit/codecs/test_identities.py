"""A recordIO answer repeats uid and metadata of the request's records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfm.codecs import recordio_protobuf as codec
from openfm.codecs.predictions import Predictions
from openfm.data.record_schema import Record
from openfm.data.recordio import frame, iter_frames
from openfm.data.records import decode_records, encode_scores

texts = st.one_of(st.none(), st.just(""), st.text(max_size=200), st.just("u" * 20_000))
identities = st.lists(st.tuples(texts, texts), min_size=1, max_size=8)


def request_record(uid: str | None, metadata: str | None) -> bytes:
    record = Record()
    record.features["values"].float32_tensor.values.extend([1.0, 2.0])
    if uid is not None:
        record.uid = uid
    if metadata is not None:
        record.metadata = metadata
    payload: bytes = record.SerializeToString()
    return payload


def answer_of(body: bytes, *, classifier: bool = False) -> list[Any]:
    request = codec.decode(body, 2)
    scores = np.arange(len(request), dtype=np.float32)
    predictions = Predictions(scores, scores if classifier else None).identified(request.identities)
    records = [Record.FromString(found.payload) for found in iter_frames(codec.encode(predictions))]
    assert [record.label["score"].float32_tensor.values[0] for record in records] == scores.tolist()
    assert all(("predicted_label" in record.label) == classifier for record in records)
    return records


def identity(record: Any) -> tuple[str | None, str | None]:
    return tuple(getattr(record, name) if record.HasField(name) else None for name in ("uid", "metadata"))


@given(identities=identities, classifier=st.booleans())
def test_framed_records(identities: list[tuple[str | None, str | None]], classifier: bool) -> None:
    body = b"".join(frame(request_record(*one)) for one in identities)

    assert [identity(record) for record in answer_of(body, classifier=classifier)] == identities


def test_a_bare_record() -> None:
    (record,) = answer_of(request_record("user-7", '{"day": 3}'))

    assert identity(record) == ("user-7", '{"day": 3}')


def test_a_record_split_into_frames() -> None:
    magic = b"\x0a\x23\xd7\xce"
    payload = request_record(None, None) + b"\x1a\x06" + magic + b"ab"
    head, tail = payload.split(magic)
    parts = [(1, head), (3, tail)]
    body = b"".join(
        magic + (flag << 29 | len(part)).to_bytes(4, "little") + part + bytes(-len(part) % 4) for flag, part in parts
    )

    request = codec.decode(body, 2)

    assert request.identities is not None
    assert request.identities.fields.tobytes() == b"\x1a\x06" + magic + b"ab"


def test_the_last_of_several_wins_and_other_wire_types_are_none() -> None:
    base = request_record("first", None)
    (record,) = answer_of(base + b"\x1a\x04last")
    assert identity(record) == ("last", None)
    (record,) = answer_of(base + b"\x18\x01")
    assert identity(record) == ("first", None)


def test_no_identities_cost_nothing() -> None:
    plain = frame(request_record(None, None))

    assert codec.decode(plain, 2).identities is None
    assert decode_records(frame(request_record("a", "b")), feature_dim=2).identities is None
    assert identity(answer_of(plain)[0]) == (None, None)


def test_as_many_identities_as_scores() -> None:
    found = codec.decode(frame(request_record("a", None)), 2).identities

    with pytest.raises(ValueError, match="as many identities as scores"):
        encode_scores(np.zeros(2, dtype=np.float32), None, found)
