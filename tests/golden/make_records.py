"""Writes the record files in valid/records and invalid/records; run it again after adding a case here.

    PYTHONPATH=tests python tests/golden/make_records.py

What a file must decode to, or the error it must give, is written beside it by hand: nothing here decodes.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

from support.wire import (
    MAGIC,
    entry,
    features,
    field,
    float32_tensor,
    floats,
    frame,
    label,
    tag,
    varint,
    varints,
)

ONE = label(float32_tensor(floats(1)))
SHAPE = varints(5)
DENSE = features(float32_tensor(floats(1, 0, -0.0, 2.5, 0)))
SPARSE = features(float32_tensor(floats(1, 2), varints(0, 4), SHAPE))
HOLDS_MAGIC = features(float32_tensor(floats(0, 0, 0, 0) + MAGIC)) + ONE


def weight(value: bytes) -> bytes:
    return label(value, b"weight")


def split_at_magic(payload: bytes) -> bytes:
    parts = payload.split(MAGIC)
    flags = [1, *[2] * (len(parts) - 2), 3]
    return b"".join(frame(part, flag=flag) for part, flag in zip(parts, flags, strict=True))


VALID = {
    "dense": frame(DENSE + ONE) + frame(features(float32_tensor(floats(0, 0, 0, 0, 9))) + ONE),
    "sparse": frame(SPARSE + ONE),
    "sparse_explicit_zeros": frame(features(float32_tensor(floats(0, -0.0, 3), varints(0, 2, 3), SHAPE)) + ONE),
    "sparse_unsorted_keys": frame(features(float32_tensor(floats(1, 2, 3), varints(4, 0, 2), SHAPE)) + ONE),
    "sparse_without_shape": frame(features(float32_tensor(floats(7), varints(3))) + ONE),
    "all_zero_row": frame(features(float32_tensor(shape=SHAPE)) + ONE),
    "all_zero_row_without_tensor": frame(features(b"") + ONE),
    "dense_and_sparse_mixed": frame(DENSE + ONE) + frame(SPARSE + ONE),
    "float64_tensor": frame(features(field(3, field(1, struct.pack("<5d", 0.1, 0, 1e-60, 1e10, 5)))) + ONE),
    "int32_tensor": frame(features(field(7, field(1, varints(1, 0, -7, 16777217, 0)))) + ONE),
    "int32_label": frame(DENSE + label(field(7, field(1, varints(3))))),
    "weights": frame(DENSE + ONE)
    + frame(SPARSE + ONE + weight(float32_tensor(floats(2.5))))
    + frame(weight(field(3, field(1, struct.pack("<d", 0.1)))) + DENSE + ONE)
    + frame(DENSE + ONE + weight(field(7, field(1, varints(0)))))
    + frame(SPARSE + ONE + weight(float32_tensor(floats(-0.0))))
    + frame(SPARSE + ONE),
    "without_labels": frame(DENSE) + frame(SPARSE),
    "unknown_names": frame(
        features(float32_tensor(floats(9)), b"other") + SPARSE + label(float32_tensor(floats(4)), b"other") + ONE
    ),
    "unknown_fields": frame(
        tag(9, 0) + varint(5) + tag(10, 3) + tag(1, 0) + varint(1) + tag(10, 4) + SPARSE + ONE + field(3, b"uid")
    ),
    "unpacked_values": frame(
        features(field(2, tag(1, 5) + floats(1) + field(1, floats(2)) + field(2, varints(0)) + tag(2, 0) + varints(4)))
        + ONE
    ),
    "last_map_entry_wins": frame(DENSE + SPARSE + ONE),
    "last_of_oneof_wins": frame(features(field(7, field(1, varints(1))) + float32_tensor(floats(1, 2, 3, 4, 5))) + ONE),
    "value_before_name": frame(field(1, field(2, float32_tensor(floats(7), varints(3))) + field(1, b"values")) + ONE),
    "overlong_varints": frame(features(float32_tensor(floats(7), varint(3, length=10))) + ONE),
    "split_at_magic": split_at_magic(HOLDS_MAGIC),
    "magic_unsplit": frame(HOLDS_MAGIC),
    "no_records": b"",
}

INVALID = {
    "csv": b"1,0.5,0.25\n0,0.125,1\n",
    "gzip": bytes.fromhex("1f8b0800000000000003") + bytes(30),
    "unframed": DENSE + ONE,
    "truncated_header": frame(SPARSE + ONE) + MAGIC + b"\x01",
    "truncated_payload": frame(SPARSE + ONE)[:-9],
    "truncated_padding": frame(features(float32_tensor(floats(7), varints(3))) + ONE)[:-1],
    "hostile_length": MAGIC + struct.pack("<I", 2**29 - 1) + SPARSE,
    "hostile_inner_length": frame(tag(1, 2) + varint(2**31 - 1) + b"ab"),
    "middle_without_first": frame(SPARSE, flag=2),
    "last_part_missing": frame(SPARSE, flag=1),
    "whole_inside_split": frame(SPARSE, flag=1) + frame(SPARSE),
    "flag_out_of_range": frame(SPARSE, flag=5),
    "not_protobuf": frame(b"\xff" * 20),
    "empty_record": frame(b""),
    "features_under_another_name": frame(features(float32_tensor(floats(1)), b"data") + ONE),
    "features_bytes": frame(features(field(9, field(1, b"jpeg"))) + ONE),
    "floats_cut": frame(features(float32_tensor(b"\x00\x00\x80")) + ONE),
    "key_cut": frame(features(float32_tensor(floats(1), b"\x80")) + ONE),
    "key_of_eleven_bytes": frame(features(float32_tensor(floats(1), varint(1, length=11))) + ONE),
    "more_keys_than_values": frame(features(float32_tensor(floats(1), varints(1, 2))) + ONE),
    "keys_without_values": frame(features(float32_tensor(b"", varints(1, 2))) + ONE),
    "dense_too_narrow": frame(DENSE + ONE) + frame(features(float32_tensor(floats(1, 2))) + ONE),
    "shape_too_wide": frame(features(float32_tensor(floats(1), varints(1), varints(6))) + ONE),
    "shape_of_a_matrix": frame(features(float32_tensor(floats(1), varints(1), varints(1, 5))) + ONE),
    "key_at_feature_dim": frame(features(float32_tensor(floats(1), varints(5))) + ONE),
    "key_of_64_bits": frame(features(float32_tensor(floats(1), varints(2**64 - 1))) + ONE),
    "key_repeated": frame(features(float32_tensor(floats(1, 2, 3), varints(3, 1, 3))) + ONE),
    "key_repeated_for_a_zero": frame(features(float32_tensor(floats(1, 0), varints(3, 3))) + ONE),
    "nan": frame(features(float32_tensor(floats(math.nan), varints(3))) + ONE),
    "infinity": frame(features(float32_tensor(floats(0, 0, 0, 0, -math.inf))) + ONE),
    "infinite_as_float32": frame(features(field(3, field(1, struct.pack("<5d", 1e300, 0, 0, 0, 0)))) + ONE),
    "label_missing": frame(DENSE + ONE) + frame(DENSE),
    "label_of_two": frame(DENSE + label(float32_tensor(floats(0, 1)))),
    "label_bytes": frame(DENSE + label(field(9, field(1, b"yes")))),
    "label_nan": frame(DENSE + label(float32_tensor(floats(math.nan)))),
    "label_infinite": frame(DENSE + label(float32_tensor(floats(math.inf)))),
    "weight_negative": frame(DENSE + ONE) + frame(DENSE + ONE + weight(float32_tensor(floats(-0.5)))),
    "weight_nan": frame(SPARSE + ONE + weight(float32_tensor(floats(math.nan)))),
    "weight_infinite": frame(DENSE + ONE + weight(field(3, field(1, struct.pack("<d", 1e300))))),
    "weight_of_two": frame(DENSE + ONE + weight(float32_tensor(floats(1, 2)))),
    "weight_empty": frame(DENSE + ONE + weight(b"")),
    "weight_bytes": frame(DENSE + ONE + weight(field(9, field(1, b"much")))),
    "entry_with_unknown_field": frame(field(1, entry(float32_tensor(floats(1))) + tag(3, 0) + varint(1)) + ONE),
}


def main() -> None:
    for folder, cases in (("valid", VALID), ("invalid", INVALID)):
        for name, data in cases.items():
            (Path(__file__).parent / folder / "records" / f"{name}.pbr").write_bytes(data)


if __name__ == "__main__":
    main()
