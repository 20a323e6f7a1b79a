from __future__ import annotations

import pytest

from openfm.data import recordio
from openfm.data.faults import FaultError
from support import wire


def payloads(data: bytes) -> list[bytes]:
    return [frame.payload for frame in recordio.iter_frames(data)]


@pytest.mark.parametrize("length", range(9))
def test_round_trip_at_every_padding(length):
    payload = bytes(range(1, length + 1))
    data = recordio.frame(payload)
    assert len(data) % 4 == 0
    assert data == wire.frame(payload)
    assert payloads(data + data) == [payload, payload]


def test_frames_know_where_they_start():
    data = recordio.frame(b"abc") + recordio.frame(b"defgh") + recordio.frame(b"")
    assert [frame.offset for frame in recordio.iter_frames(data)] == [0, 12, 28]


def test_split_records_are_joined_with_the_magic():
    data = wire.frame(b"abcd", flag=1) + wire.frame(b"", flag=2) + wire.frame(b"ef", flag=3) + wire.frame(b"next")
    assert payloads(data) == [b"abcd" + wire.MAGIC + wire.MAGIC + b"ef", b"next"]


def test_a_payload_too_long_for_a_frame(monkeypatch):
    monkeypatch.setattr(recordio, "MAX_LENGTH", 10)
    with pytest.raises(ValueError, match="a record of 11 bytes is longer than recordIO can frame"):
        recordio.frame(bytes(11))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (wire.frame(b"abcd")[:-1], "truncated"),
        (wire.MAGIC[:3], "truncated"),
        (b"nope", "bad_magic"),
        (wire.MAGIC[:2] + b"x", "bad_magic"),
        (wire.frame(b"ab", flag=3), "bad_continuation"),
        (wire.frame(b"ab", flag=1) + wire.frame(b"ab", flag=1), "bad_continuation"),
        (wire.frame(b"ab", flag=7), "bad_continuation"),
    ],
)
def test_broken_framing(data, kind):
    with pytest.raises(FaultError) as error:
        payloads(wire.frame(b"good") + data)
    assert (error.value.fault.kind, error.value.fault.record, error.value.fault.offset) == (kind, 1, 12)


def test_is_recordio():
    assert recordio.is_recordio(wire.frame(b""))
    assert recordio.is_recordio(memoryview(wire.MAGIC))
    assert not recordio.is_recordio(b"")
    assert not recordio.is_recordio(wire.MAGIC[:3])
    assert not recordio.is_recordio(b'{"instances": []}')
