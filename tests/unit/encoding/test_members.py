"""The encoder in a model file: the same again, and everything that is damaged refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfm import ArtifactError, ColumnEncoder, DataError
from openfm.artifact import Model, load_model
from openfm.encoding.members import MAX_TEXT_COLUMNS
from openfm.fm.model import FactorizationMachine, PredictorType
from support.tables import RATINGS, block_of

Members = dict[str, bytes]
OFFSETS, UTF8, SPEC = "openfm/encoder/0.offsets", "openfm/encoder/0.utf8", "openfm/encoder.json"


def fitted() -> ColumnEncoder:
    block = block_of({**RATINGS, "agent": ["a", "b", "c", "d"], "note": ["\N{SNOWMAN}", "", "x", "y"]})
    return ColumnEncoder.fit([block], target="rating", hashed={"agent": 9}, ignored=["price"])


def test_the_same_again() -> None:
    members = fitted().to_members()
    again = ColumnEncoder.from_members(members | {"openfm/threshold.json": b"{}"})
    assert again.to_members() == members == fitted().to_members()
    assert [again.feature_name(i) for i in range(again.feature_dim)] == [
        *("user=u1", "user=u2", "item=i7", "item=i9", "item=i8"),
        *(f"agent#{i}" for i in range(9)),
        *("note=\N{SNOWMAN}", "note=", "note=x", "note=y"),
    ]
    assert (again.target, again.weight, again.ignored) == ("rating", None, ("price",))
    assert json.loads(members[SPEC])["columns"][:3] == [
        {"name": "user", "kind": "one_hot", "texts": 2},
        {"name": "item", "kind": "one_hot", "texts": 3},
        {"name": "agent", "kind": "hashed", "buckets": 9},
    ]
    assert np.frombuffer(members[OFFSETS], dtype="<u4").tolist() == [0, 2, 4]
    assert members[UTF8] == b"u1u2"


def test_a_column_without_texts() -> None:
    encoder = ColumnEncoder.fit([block_of({"a": ["x", "y"], "b": ["z", None]})])
    spec = json.loads(encoder.to_members()[SPEC])
    spec["columns"][0]["texts"] = 0
    members = encoder.to_members() | {SPEC: json.dumps(spec).encode(), OFFSETS: bytes(4), UTF8: b""}
    again = ColumnEncoder.from_members(members)
    assert (again.features_of("a"), again.feature_name(0)) == (range(0), "b=z")


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], object]:
    def apply(members: Members) -> None:
        spec = json.loads(members[SPEC])
        change(spec)
        members[SPEC] = json.dumps(spec).encode()

    return apply


def column(number: int, **values: object) -> Callable[[Members], object]:
    return changed(lambda spec: spec["columns"][number].update(values))


def offsets(*numbers: int) -> Callable[[Members], object]:
    return lambda members: members.update({OFFSETS: np.array(numbers, dtype="<u4").tobytes()})


DAMAGE: list[tuple[str, Callable[[Members], object], str]] = [
    ("none", lambda members: members.pop(SPEC), "there is no openfm/encoder.json"),
    ("no JSON", lambda members: members.update({SPEC: b"{"}), "is not JSON"),
    ("no UTF-8", lambda members: members.update({SPEC: b'"\xff"'}), "is not JSON"),
    ("deep", lambda members: members.update({SPEC: b"[" * 10**6}), "nested too deeply|is not JSON"),
    ("long", lambda members: members.update({SPEC: b" " * (2**24 + 1)}), "at most 16777216 can be read"),
    ("a list", lambda members: members.update({SPEC: b"[]"}), "it is not an object"),
    ("version", changed(lambda spec: spec.update(version=2)), "version is 2; only 1 is known"),
    ("columns", changed(lambda spec: spec.update(columns={})), "columns and ignored must be lists"),
    ("no columns", changed(lambda spec: spec.update(columns=[])), "no column of openfm/encoder.json has"),
    ("ignored", changed(lambda spec: spec.update(ignored=[1])), "ignored must be text"),
    ("target", changed(lambda spec: spec.update(target=1)), "target must be text"),
    ("target twice", changed(lambda spec: spec.update(target="user")), "a column is named twice"),
    ("surrogate", changed(lambda spec: spec.update(target="\ud800")), "target is not text of Unicode's"),
    ("column", changed(lambda spec: spec["columns"].append(3)), "column 4: it is not an object"),
    ("name", column(0, name=None), "column 0: name must be text"),
    ("kind", column(0, kind="two_hot"), "column 0: kind is 'two_hot'"),
    ("names", column(0, name="item"), "a column is named twice"),
    ("buckets", column(2, buckets=0), "column 2: buckets must be a whole number from 1"),
    ("no buckets", column(2, buckets=True), "column 2: buckets must be a whole number"),
    ("many buckets", column(2, buckets=2**31 - 1), "column 3: its features begin beyond 2147483647"),
    ("too many", column(2, buckets=2**31 - 9), "features, but there must be from 1 to 2147483647"),
    ("scale", column(2, kind="number", shift=0.0, scale=0.0), "column 2: scale must be more than 0"),
    ("shift", column(2, kind="number", shift=float("nan"), scale=1.0), "column 2: shift must be a number"),
    ("texts", column(0, texts=3), "has 12 bytes, but 3 texts take 16"),
    ("many texts", column(0, texts=2**31 - 1), "has 12 bytes, but 2147483647 texts take"),
    ("no texts", column(0, texts=-1), "column 0: texts must be a whole number from 0"),
    ("no offsets", lambda members: members.pop(OFFSETS), f"there is no member {OFFSETS}"),
    ("first offset", offsets(1, 2, 4), f"{OFFSETS} does not divide the 4 bytes of {UTF8}"),
    ("last offset", offsets(0, 2, 5), "does not divide"),
    ("falling offsets", offsets(0, 5, 4), "does not divide"),
    ("twice", lambda members: members.update({UTF8: b"u1u1"}), "holds text 1 twice"),
    ("bad UTF-8", lambda members: members.update({UTF8: b"u\xffu2"}), "holds a text that is not UTF-8"),
    ("cut UTF-8", lambda members: members.update({UTF8: b"u\xc3\xa92"}), "holds a text that is not UTF-8"),
    ("continuing UTF-8", lambda members: members.update({UTF8: b"\x80" * 4}), "holds a text that is not UTF-8"),
    (
        "more",
        lambda members: members.update({"openfm/encoder/9.utf8": b""}),
        "there is a member 'openfm/encoder/9.utf8'",
    ),
]


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
def test_damaged(damage: Callable[[Members], object], message: str) -> None:
    members = fitted().to_members()
    damage(members)
    with pytest.raises(ArtifactError, match=message):
        ColumnEncoder.from_members(members)


def test_what_could_not_be_read_again_is_refused_when_it_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    block = block_of({"user": ["u1", "u2"], "item": ["i" * 50, "j"], "price": [1.0, 2.0]})
    members = ColumnEncoder.fit([block]).to_members()
    size = sum(map(len, members.values()))
    for name, most, message in (
        ("MAX_TEXT_COLUMNS", 2, "2 columns are one-hot, and a model has room for 1 such"),
        ("MAX_SPEC_BYTES", len(members[SPEC]), f"The names of 3 columns, .* take {len(members[SPEC])} bytes"),
        ("MAX_MEMBERS_BYTES", size, f"take {size - len(members[SPEC])} bytes, most of them those of 'item'"),
    ):
        monkeypatch.setattr(f"openfm.encoding.members.{name}", most)
        assert ColumnEncoder.fit([block]).to_members() == members
        monkeypatch.setattr(f"openfm.encoding.members.{name}", most - 1)
        with pytest.raises(DataError, match=message):
            ColumnEncoder.fit([block])
        monkeypatch.undo()


def test_as_many_columns_of_texts_as_there_may_be_are_read_again(tmp_path: Path) -> None:
    encoder = ColumnEncoder.fit([block_of({f"c{number}": ["a"] for number in range(MAX_TEXT_COLUMNS)})])
    machine = FactorizationMachine(0, [0] * MAX_TEXT_COLUMNS, [[0]] * MAX_TEXT_COLUMNS, PredictorType.REGRESSOR)
    path = Model(machine).with_encoder(encoder).save(tmp_path)
    assert load_model(path).feature_dim == MAX_TEXT_COLUMNS
