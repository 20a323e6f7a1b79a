"""What can be wrong with a record, and the sentence that says so."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from openfm.errors import DataError

__all__ = ["Fault", "FaultError", "channel_error", "data_error"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record was refused. The native and the reference decoder give equal faults for equal bytes.

    Attributes:
        kind: a key of the tables below.
        record: the record's number in the data, from 0.
        offset: the byte at which the record's frame starts.
        found: the offending number: a width, a key, a count; of a weight the bits of the float32.
        expected: what it should have been, or its limit.
    """

    kind: str
    record: int
    offset: int
    found: int = 0
    expected: int = 0


class FaultError(Exception):
    """Carries a fault up to where the data's name is known; never leaves :mod:`openfm.data`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


_DETAILS = {
    "bad_magic": "does not start with the recordIO magic number 0xCED7230A",
    "bad_continuation": "has a recordIO continuation flag that does not fit the frame before it",
    "truncated": "is cut off: the data end before the record does",
    "malformed": "is not a valid aialgs.data.Record protobuf message",
    "features_missing": "has no feature tensor named 'values'",
    "features_bytes": "holds bytes in feature 'values', where a Float32, Float64 or Int32 tensor is needed",
    "keys_values": "has {found} keys but {expected} values in feature 'values'",
    "shape": "has {found} numbers in the shape of feature 'values', where one, the feature_dim, is needed",
    "width": "has {found} features, where feature_dim is {expected}",
    "widths_differ": "has {found} features, where the records before it have {expected}",
    "too_wide": "has {found} features, which is more than the {expected} that can be indexed",
    "key_range": "has the key {found} in feature 'values', where keys must be below {expected}",
    "key_repeated": "has the key {found} more than once in feature 'values'",
    "features_nan": "has a NaN in feature 'values'",
    "features_infinite": "has a value in feature 'values' that is infinite as float32",
    "label_bytes": "holds bytes in label 'values', where a Float32, Float64 or Int32 tensor is needed",
    "label_size": "has {found} values in label 'values', where one is needed",
    "label_mixed": "has {found} labels, unlike the records before it: all records must have a label, or none",
    "label_nan": "has a NaN as its label",
    "label_infinite": "has a label that is infinite as float32",
    "weight_bytes": "holds bytes in label 'weight', where a Float32, Float64 or Int32 tensor is needed",
    "weight_size": "has {found} values in label 'weight', where one is needed",
    "weight_value": "has the weight {number} in label 'weight', where a finite float32 of at least 0 is needed",
}

_WRONG_TYPE = (
    "Unable to read data channel '{channel}'. Requested content-type is 'application/x-recordio-protobuf'. "
    "Please verify the data matches the requested content-type."
)
_WRONG_WIDTH = (
    "Incorrect configuration or {channel} dataset provided. The value of feature_dim hyperparameter '{expected}' "
    "doesn't match {channel} data dimensionality '{found}'. Please set feature_dim to the number of features in "
    "{channel} dataset."
)
_WRONG_LABEL = (
    "Labeled {channel} data required with label size equal 1. Label size on {channel} dataset found to be {found}. "
    "Please provide a properly labeled labeled {channel} dataset."
)
_NAN = (
    "Unable to read data channel '{channel}'. Found missing (NaN) values. "
    "Please remove any missing (NaN) values in the input data."
)
_INFINITE = (
    "Unable to read data channel '{channel}'. Found infinite floating point values. "
    "Please remove any infinite floating point values in the input data."
)
_UNREADABLE = "Unable to read data channel '{channel}'."

# Amazon's own sentences, word for word ("labeled labeled" included), for those who search for them.
_AMAZON = {
    "bad_magic": _WRONG_TYPE,
    "bad_continuation": _WRONG_TYPE,
    "malformed": _WRONG_TYPE,
    "width": _WRONG_WIDTH,
    "key_range": _WRONG_WIDTH,
    "label_size": _WRONG_LABEL,
    "features_nan": _NAN,
    "label_nan": _NAN,
    "features_infinite": _INFINITE,
    "label_infinite": _INFINITE,
}

_REMEDIES = {"truncated": "Upload the file again."}


def data_error(fault: Fault) -> DataError:
    """The error for records that came as one piece: a file of the Python API, a request."""
    return DataError(f"Record {fault.record} (byte {fault.offset}) {_detail(fault)}.")


def channel_error(fault: Fault, channel: str, path: Path, hint: str = "") -> DataError:
    """The error for a training channel's file, in Amazon's words where Amazon has words for it.

    Args:
        fault: what is wrong; ``record`` and ``offset`` count from the file's start.
        channel: the channel's name.
        path: the file.
        hint: one more sentence, such as what the file really is; by default a remedy, unless Amazon's words have one.
    """
    # A key says only that there are more features than it: the dimensionality is at least one more.
    found = fault.found + 1 if fault.kind == "key_range" else fault.found
    sentence = _AMAZON.get(fault.kind, _UNREADABLE)
    sentence = sentence.format(channel=channel, found=found, expected=fault.expected)
    where = f"Record {fault.record} (byte {fault.offset}) of '{path}' {_detail(fault)}."
    remedy = "" if fault.kind in _AMAZON else _REMEDIES.get(fault.kind, "Correct the record.")
    return DataError(" ".join(filter(None, (sentence, where, hint or remedy))))


def _detail(fault: Fault) -> str:
    (number,) = struct.unpack("<f", struct.pack("<I", fault.found & 0xFFFFFFFF))
    return _DETAILS[fault.kind].format(found=fault.found, expected=fault.expected, number=f"{number:.9g}")
