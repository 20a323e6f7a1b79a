"""The native decoder against Google's protobuf parser: the same rows, or refused in the same words.

Every check runs with every instruction set. Records of the usual layout take the decoder's straight way, others the
general one; some checks lead the same rows over both.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openfm.data.record_schema import Record
from openfm.data.recordio import frame
from openfm.data.records import RecordBlock, RecordReader, decode_records
from openfm.data.records_reference import decode_records_reference
from openfm.data.weights import joined_weights
from openfm.errors import DataError
from openfm.native import _core
from support import wire

FEATURE_DIM = 8
MODES = st.sampled_from(["required", "optional", "ignored"])
WIDTHS = st.sampled_from([None, FEATURE_DIM])
LIMITS = settings(max_examples=250, deadline=None)

FLOATS = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e-45, 3.4e38]) | st.floats(width=32)
DOUBLES = st.sampled_from([0.0, 1e-60, 1e300]) | st.floats()
INTEGERS = st.sampled_from([0, 1, -1, 2**24 + 1]) | st.integers(-(2**31), 2**31 - 1)
WEIGHTS = st.sampled_from([0.0, 1.0, 2.5, 1e-45, 3.4e38, -0.0, -1.0, float("nan"), float("inf"), 1e300])
KEYS = st.integers(0, FEATURE_DIM - 1) | st.sampled_from([FEATURE_DIM, 300, 2**31 - 1, 2**32, 2**64 - 1])


@st.composite
def tensors(draw, value: Record, *, sizes: st.SearchStrategy[int]) -> None:
    """Fills a Value with a tensor, or bytes."""
    name, numbers = draw(
        st.sampled_from([("float32_tensor", FLOATS), ("float64_tensor", DOUBLES), ("int32_tensor", INTEGERS)])
    )
    tensor = getattr(value, name)
    size = draw(sizes)
    tensor.values.extend(draw(st.lists(numbers, min_size=size, max_size=size)))
    form = draw(st.sampled_from(["dense", "sorted", "unsorted", "any"]))
    columns = draw(st.permutations(range(FEATURE_DIM)))[:size]
    if form == "sorted":
        tensor.keys.extend(sorted(columns))
    elif form == "unsorted":
        tensor.keys.extend(columns)
    elif form == "any":
        count = max(size + draw(st.sampled_from([0, 0, 0, 1, -1])), 0)
        tensor.keys.extend(draw(st.lists(KEYS, min_size=count, max_size=count)))
    tensor.shape.extend(draw(st.sampled_from([*[[]] * 4, *[[FEATURE_DIM]] * 4, [FEATURE_DIM + 1], [2, 4]])))


@st.composite
def weights(draw) -> bytes:
    """An entry of the label map for a weight, mostly a good one."""
    record = Record()
    value = record.label["weight"]
    kind = draw(st.sampled_from(["float32", "float32", "float64", "int32", "other"]))
    if kind == "int32":
        value.int32_tensor.values.append(draw(st.sampled_from([0, 1, 7, 2**24 + 1, -1])))
    elif kind == "other":
        draw(tensors(value, sizes=st.sampled_from([0, 1, 2])))
    else:
        number = draw(WEIGHTS)
        getattr(value, f"{kind}_tensor").values.append(number if kind == "float64" or number != 1e300 else 3.0)
    return record.SerializeToString()


@st.composite
def records(draw) -> bytes:
    """A record as a writer could make it, good or bad."""
    record = Record()
    if draw(st.integers(0, 19)):
        draw(tensors(record.features["values"], sizes=st.sampled_from([0, 1, 3, FEATURE_DIM, FEATURE_DIM])))
    if draw(st.integers(0, 9)):
        draw(tensors(record.label["values"], sizes=st.sampled_from([*[1] * 8, 0, 2])))
    if draw(st.booleans()):
        record.features["other"].bytes.value.append(b"x")
        record.uid = "id"
    parts = [record.SerializeToString(), *draw(st.lists(weights(), max_size=1))]
    return b"".join(draw(st.permutations(parts)))  # of a message the fields may come in any order


FIELDS = st.deferred(lambda: st.lists(wire_field(), max_size=5).map(b"".join))


@st.composite
def wire_field(draw) -> bytes:
    """A field of any number and wire type, often one that the schema knows, often with a message inside."""
    number = draw(st.sampled_from([1, 2, 3, 4, 7, 9, 11]))
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return wire.tag(number, 0) + wire.varint(draw(KEYS), length=draw(st.integers(1, 10)))
    if kind == 1:
        return wire.tag(number, 1) + draw(st.binary(min_size=8, max_size=8))
    if kind == 2:
        return wire.tag(number, 5) + draw(st.binary(min_size=4, max_size=4))
    if kind == 3:
        return wire.tag(number, 3) + draw(FIELDS) + wire.tag(number, 4)
    if kind == 4:
        return wire.field(number, draw(st.sampled_from([b"", b"values", wire.floats(1, 0), wire.varints(1, 300, 5)])))
    return wire.field(number, draw(FIELDS))


@st.composite
def wire_records(draw) -> bytes:
    """A record out of fields that no writer would write: nested anyhow, split, repeated, of the wrong type."""
    value = st.one_of(FIELDS, FIELDS.map(lambda tensor: wire.field(2, tensor)), st.just(wire.float32_tensor()))
    name = st.sampled_from([b"values", b"values", b"values", b"weight", b"other"])
    parts = draw(st.lists(st.tuples(st.sampled_from([1, 1, 2]), name, value), max_size=3))
    return b"".join(wire.field(number, wire.entry(content, key)) for number, key, content in parts) + draw(FIELDS)


@st.composite
def mutations(draw, data: bytes) -> bytes:
    """The same bytes with a few of them changed, left out or put in."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(changed) - 1, 0)))
        new = draw(st.binary(max_size=3) | st.sampled_from([b"\xff", b"\x00", b"\x80", b"\x0b", b"\x0c", b"\x7f" * 2]))
        changed[at : at + draw(st.integers(0, 2))] = new
    return bytes(changed)


ROW_SIZES = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 40])  # around the vectors' lengths
PLAIN_WEIGHTS = st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e-45, 3.4e38])
PLAIN_FLOATS = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e-45, 3.4e38])


@st.composite
def usual_files(draw) -> tuple[list[bytes], int]:
    """Records without a fault as all writers lay them out, with a label; and their feature_dim."""
    dense = draw(st.booleans())
    feature_dim = draw(ROW_SIZES) if dense else 2**26
    sizes = st.just(feature_dim) if dense else ROW_SIZES
    return [draw(usual_records(feature_dim, sizes, dense=dense)) for _ in range(draw(st.integers(1, 3)))], feature_dim


@st.composite
def usual_records(draw, feature_dim: int, sizes: st.SearchStrategy[int], *, dense: bool) -> bytes:
    size = draw(sizes)
    values = wire.floats(*draw(st.lists(PLAIN_FLOATS, min_size=size, max_size=size)))
    keys = shape = b""
    if not dense:
        steps = draw(st.lists(st.sampled_from([1, 1, 2, 127, 128, 2**14, 2**20]), min_size=size, max_size=size))
        length = draw(st.integers(1, 4))  # writers use as few bytes as do; more are as valid
        keys = b"".join(wire.varint(int(step) - 1, length=length) for step in np.cumsum(steps))
        shape = wire.varint(feature_dim) if draw(st.booleans()) else b""
    label = wire.label(wire.float32_tensor(wire.floats(draw(PLAIN_FLOATS))))
    if draw(st.booleans()):
        label += wire.label(wire.float32_tensor(wire.floats(draw(PLAIN_WEIGHTS))), b"weight")
    return wire.features(wire.float32_tensor(values, keys, shape)) + label


def outcome(decode, data: bytes, feature_dim: int | None, labels: str) -> object:
    try:
        block: RecordBlock = decode(data, feature_dim=feature_dim, labels=labels)
    except DataError as error:
        return error.message
    rows = block.rows
    of_rows = [None if array is None else array.tobytes() for array in (block.labels, block.weights)]
    arrays = rows.indptr.tolist(), rows.indices.tolist(), rows.values.tobytes(), *of_rows
    return arrays, rows.feature_dim, block.dense_records


def check(data: bytes, feature_dim: int | None, labels: str) -> None:
    native = outcome(decode_records, data, feature_dim, labels)
    assert native == outcome(decode_records_reference, data, feature_dim, labels)
    decoded = [decode_with(name, data, feature_dim, labels) for name in _core.instruction_sets()]
    assert decoded.count(decoded[0]) == len(decoded)


def usual_count(data: bytes, feature_dim: int) -> int:
    return _core.decode_records(data, feature_dim, "required", framed=True, final=True).usual_records


def decode_with(instruction_set: str, data: bytes, feature_dim: int | None, labels: str) -> tuple[object, ...]:
    found = _core.decode_records(data, feature_dim, labels, framed=True, final=True, instruction_set=instruction_set)
    arrays = [found.indptr, found.indices, found.values, found.labels, found.weights]
    scalars = found.fault, found.consumed, found.feature_dim, found.dense_records, found.usual_records
    return *scalars, *(None if array is None else array.tobytes() for array in arrays)


@LIMITS
@given(st.lists(records(), max_size=4), WIDTHS, MODES)
def test_records(payloads, feature_dim, labels):
    check(b"".join(map(frame, payloads)), feature_dim, labels)


@LIMITS
@given(usual_files())
def test_the_straight_way_and_the_general_one(file):
    payloads, feature_dim = file
    behind = payloads[:1] * 2  # the straight way reads a little ahead
    straight = b"".join(map(frame, payloads + behind))
    uid = wire.field(3, b"")  # no writer's layout has it; it changes nothing else
    general = b"".join(frame(payload + uid) for payload in payloads + behind)
    check(straight, feature_dim, "required")
    check(general, feature_dim, "required")
    assert outcome(decode_records, straight, feature_dim, "required") == outcome(
        decode_records, general, feature_dim, "required"
    )
    assert usual_count(straight, feature_dim) >= len(payloads)
    assert usual_count(general, feature_dim) == 0


@LIMITS
@given(usual_files(), st.data())
def test_changed_records_of_the_usual_layout(file, data):
    payloads, feature_dim = file
    changed = data.draw(mutations(payloads[0]))
    check(b"".join(map(frame, [payloads[0], changed, *payloads])), feature_dim, "required")


@pytest.mark.parametrize("values_only", [True, False], ids=["dense", "sparse"])
def test_every_byte_changed_and_every_payload_cut(values_only):
    keys, shape = (b"", b"") if values_only else (wire.varints(0, 130, 17000), wire.varint(2**20))
    feature_dim = 3 if values_only else 2**20
    features = wire.features(wire.float32_tensor(wire.floats(1, 0, 2), keys, shape))
    payload = features + wire.label(wire.float32_tensor(wire.floats(1)))
    payload += wire.label(wire.float32_tensor(wire.floats(2)), b"weight")
    behind = frame(payload) * 2
    for at in range(len(payload)):
        check(frame(payload[:at]) + behind, feature_dim, "required")
        for byte in {0, 1, 0x7F, 0x80, 0xFF, payload[at] ^ 1, (payload[at] + 1) % 256, (payload[at] - 1) % 256}:
            changed = payload[:at] + bytes([byte]) + payload[at + 1 :]
            check(frame(changed) + behind, feature_dim, "required")
        for length in (2**14 - 1, 2**21 - 1, 2**28 - 1, 2**31 - 1, 2**32 - 1, 2**64 - 1):  # where a length may stand
            changed = payload[:at] + wire.varint(length) + payload[at + 1 :]
            check(frame(changed) + behind, feature_dim, "required")


@LIMITS
@given(st.lists(wire_records(), min_size=1, max_size=2), WIDTHS, MODES)
def test_records_that_no_writer_would_write(payloads, feature_dim, labels):
    check(b"".join(map(frame, payloads)), feature_dim, labels)


@LIMITS
@given(records().flatmap(mutations), WIDTHS, MODES)
def test_changed_payloads(payload, feature_dim, labels):
    check(frame(payload), feature_dim, labels)


@LIMITS
@given(st.lists(records(), min_size=1, max_size=3).map(lambda parts: b"".join(map(frame, parts))).flatmap(mutations))
def test_changed_frames(data):
    check(data, FEATURE_DIM, "optional")


@LIMITS
@given(st.binary(max_size=60))
def test_any_bytes(payload):
    check(payload, FEATURE_DIM, "optional")
    check(frame(payload), FEATURE_DIM, "optional")


@settings(max_examples=40, deadline=None)
@given(st.lists(records(), min_size=1, max_size=2))
def test_truncated_at_every_byte(payloads):
    data = b"".join(map(frame, payloads))
    for end in range(len(data)):
        check(data[:end], FEATURE_DIM, "optional")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(records(), max_size=6), st.integers(1, 300))
def test_reading_in_blocks_changes_nothing(tmp_path, payloads, block_bytes):
    path = tmp_path / "part-0"
    path.write_bytes(b"".join(map(frame, payloads)))
    reader = RecordReader([path], channel="train", feature_dim=FEATURE_DIM, block_bytes=block_bytes)
    try:
        whole = decode_records(path.read_bytes(), feature_dim=FEATURE_DIM, labels="required")
    except DataError as error:
        where = error.message[: error.message.index(")")]  # such as "Record 2 (byte 80"
        with pytest.raises(DataError, match=re.escape(where)):
            list(reader)
        return
    blocks = list(reader)
    assert [value for block in blocks for value in block.rows.values] == whole.rows.values.tolist()
    assert [index for block in blocks for index in block.rows.indices] == whole.rows.indices.tolist()
    assert [length for block in blocks for length in np.diff(block.rows.indptr)] == np.diff(whole.rows.indptr).tolist()
    assert [label for block in blocks for label in block.labels] == whole.labels.tolist()
    weights = joined_weights([(block.weights, len(block)) for block in blocks])
    assert (weights is None) == (whole.weights is None)
    assert weights is None or weights.tolist() == whole.weights.tolist()
    assert sum(block.dense_records for block in blocks) == whole.dense_records
