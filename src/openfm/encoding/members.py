"""The encoder as members of a model file, which may come from anyone.

::

    openfm/encoder.json          what becomes of each column
    openfm/encoder/0.offsets     of column 0, if it is one-hot: where each text begins, and the end; uint32
    openfm/encoder/0.utf8        the texts, one after the other

Numbers are little-endian. In JSON::

    {"version": 1, "target": "rating", "weight": null, "ignored": ["comment"],
     "columns": [{"name": "user", "kind": "one_hot", "texts": 943},
                 {"name": "price", "kind": "number", "shift": 2.5, "scale": 1.25},
                 {"name": "agent", "kind": "hashed", "buckets": 1000}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from openfm.encoding.columns import ColumnSpec, HashedColumn, NumberColumn, OneHotColumn
from openfm.encoding.fitting import check_utf8
from openfm.errors import ArtifactError, DataError
from openfm.fm.rows import MAX_FEATURE_DIM
from openfm.native import _core

if TYPE_CHECKING:
    from openfm.encoding.encoder import ColumnEncoder

__all__ = [
    "MAX_MEMBERS_BYTES",
    "MAX_SPEC_BYTES",
    "MAX_TEXT_COLUMNS",
    "SPEC_MEMBER",
    "TEXTS_PREFIX",
    "check_storable",
    "is_encoder_member",
    "read_members",
    "write_members",
]

SPEC_MEMBER = "openfm/encoder.json"
"""The member that says what becomes of each column."""

TEXTS_PREFIX = "openfm/encoder/"
"""Where the members with texts are."""

MAX_SPEC_BYTES = 16 * 2**20
"""``openfm/encoder.json`` has about a hundred bytes for each column; no more than this is read."""

MAX_MEMBERS_BYTES = 2**31
"""What all members may take together: those of a hundred million ids do not."""

MAX_TEXT_COLUMNS = 5000
"""Each one-hot column has two members, and of a zip file's directory no more than 1 MiB is read."""

_VERSION = 1
_OFFSETS = np.dtype("<u4")


def is_encoder_member(name: str) -> bool:
    """Whether a member of a model file is the encoder's."""
    return name == SPEC_MEMBER or name.startswith(TEXTS_PREFIX)


def check_storable(
    columns: Sequence[ColumnSpec], target: str | None, weight: str | None, ignored: Iterable[str]
) -> None:
    """Check that the members of an encoder can be read again.

    Raises:
        DataError: there are too many columns or texts for that; says what to do.
    """
    with_texts = [column for column in columns if isinstance(column, OneHotColumn)]
    if len(with_texts) > MAX_TEXT_COLUMNS:
        raise DataError(
            f"{len(with_texts)} columns are one-hot, and a model has room for {MAX_TEXT_COLUMNS} such. Leave columns "
            "out, or hash them."
        )
    spec = len(_spec(columns, target, weight, ignored))
    if spec > MAX_SPEC_BYTES:
        raise DataError(
            f"The names of {len(columns)} columns, and what becomes of each, take {spec} bytes, and a model has room "
            f"for {MAX_SPEC_BYTES}. Leave columns out, or give the table as records of features, which have no names."
        )
    sizes = [_text_bytes(column) for column in with_texts]
    if spec + sum(sizes) > MAX_MEMBERS_BYTES:
        largest = with_texts[sizes.index(max(sizes))]
        raise DataError(
            f"The texts of the columns take {sum(sizes)} bytes, most of them those of '{largest.name}', and a model "
            f"has room for {MAX_MEMBERS_BYTES}. Hash columns with many different texts."
        )


def write_members(
    columns: Sequence[ColumnSpec], target: str | None, weight: str | None, ignored: Sequence[str]
) -> dict[str, bytes]:
    """The members of an encoder: see :meth:`openfm.encoding.ColumnEncoder.to_members`."""
    check_storable(columns, target, weight, ignored)
    members = {SPEC_MEMBER: _spec(columns, target, weight, ignored)}
    for number, column in enumerate(columns):
        if isinstance(column, OneHotColumn):
            members[f"{TEXTS_PREFIX}{number}.offsets"] = column.vocabulary.offsets.astype(_OFFSETS).tobytes()
            members[f"{TEXTS_PREFIX}{number}.utf8"] = column.vocabulary.utf8.tobytes()
    return members


def _spec(columns: Iterable[ColumnSpec], target: str | None, weight: str | None, ignored: Iterable[str]) -> bytes:
    documents: list[dict[str, Any]] = []
    for column in columns:
        if isinstance(column, NumberColumn):
            document = {"kind": "number", "shift": column.shift, "scale": column.scale}
        elif isinstance(column, HashedColumn):
            document = {"kind": "hashed", "buckets": column.buckets}
        else:
            document = {"kind": "one_hot", "texts": column.features}
        documents.append({"name": column.name, **document})
    spec = {"version": _VERSION, "target": target, "weight": weight, "ignored": list(ignored), "columns": documents}
    return json.dumps(spec).encode()


def _text_bytes(column: OneHotColumn) -> int:
    return _OFFSETS.itemsize * (column.features + 1) + len(column.vocabulary.utf8)


def read_members(make: Callable[..., ColumnEncoder], extras: Mapping[str, bytes]) -> ColumnEncoder:
    """The encoder that members of a model file hold: see :meth:`openfm.encoding.ColumnEncoder.from_members`."""
    spec = _Object(SPEC_MEMBER, _parse(extras))
    if spec.get("version") != _VERSION:
        raise spec.error(f"version is {spec.get('version')!r:.40}; only {_VERSION} is known")
    documents = spec.get("columns")
    ignored = spec.get("ignored")
    if not isinstance(documents, list) or not isinstance(ignored, list):
        raise spec.error("columns and ignored must be lists")
    columns: list[ColumnSpec] = []
    end = 0
    for number, document in enumerate(documents):
        columns.append(_column(_Object(f"{SPEC_MEMBER}: column {number}", document), number, end, extras))
        end += columns[-1].features
    expected = {
        f"{TEXTS_PREFIX}{n}.{kind}"
        for n, c in enumerate(columns)
        if isinstance(c, OneHotColumn)
        for kind in ("offsets", "utf8")
    }
    if unknown := sorted(name for name in extras if name.startswith(TEXTS_PREFIX) and name not in expected):
        raise ArtifactError(f"there is a member {unknown[0]!r:.80}, which no column of {SPEC_MEMBER} has")
    try:
        return make(
            columns,
            target=spec.text("target", optional=True),
            weight=spec.text("weight", optional=True),
            ignored=[_Object(SPEC_MEMBER, {"ignored": name}).text("ignored") for name in ignored],
        )
    except ValueError as error:
        if isinstance(error, ArtifactError):
            raise
        raise spec.error(str(error)) from error


class _Object:
    """An object of the JSON, with checks on its members."""

    def __init__(self, place: str, document: object) -> None:
        self._place = place
        if not isinstance(document, dict):
            raise self.error("it is not an object")
        self._document = document

    def error(self, complaint: str) -> ArtifactError:
        return ArtifactError(f"{self._place}: {complaint}")

    def get(self, name: str) -> Any:
        return self._document.get(name)

    def text(self, name: str, *, optional: bool = False) -> str | None:
        value = self._document.get(name)
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise self.error(f"{name} is not text of Unicode's characters") from error
        elif value is not None or not optional:
            raise self.error(f"{name} must be text")
        return value

    def whole(self, name: str, smallest: int) -> int:
        value = self._document.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= MAX_FEATURE_DIM:
            raise self.error(f"{name} must be a whole number from {smallest} to {MAX_FEATURE_DIM}")
        return value

    def number(self, name: str) -> float:
        value = self._document.get(name)
        if isinstance(value, bool) or not isinstance(value, float) or not math.isfinite(value):
            raise self.error(f"{name} must be a number such as 1.0")
        return value


def _parse(extras: Mapping[str, bytes]) -> object:
    if SPEC_MEMBER not in extras:
        raise ArtifactError(f"there is no {SPEC_MEMBER}, and so no encoder")
    data = extras[SPEC_MEMBER]
    if len(data) > MAX_SPEC_BYTES:
        raise ArtifactError(f"{SPEC_MEMBER} is {len(data)} bytes long; at most {MAX_SPEC_BYTES} can be read")
    try:
        parsed: object = json.loads(data)
    except RecursionError as error:
        raise ArtifactError(f"{SPEC_MEMBER} is nested too deeply") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are such
        raise ArtifactError(f"{SPEC_MEMBER} is not JSON: {error}") from error
    return parsed


def _column(document: _Object, number: int, first: int, extras: Mapping[str, bytes]) -> ColumnSpec:
    name = document.text("name")
    assert name is not None
    kind = document.get("kind")
    if first > MAX_FEATURE_DIM:
        raise document.error(f"its features begin beyond {MAX_FEATURE_DIM}")
    if kind == "hashed":
        return HashedColumn(name, first, document.whole("buckets", 1))
    if kind == "number":
        shift, scale = document.number("shift"), document.number("scale")
        if scale <= 0:
            raise document.error("scale must be more than 0")
        return NumberColumn(name, first, shift, scale)
    if kind == "one_hot":
        return OneHotColumn(name, first, _vocabulary(document, document.whole("texts", 0), number, extras))
    raise document.error(f"kind is {kind!r:.40}; the kinds are one_hot, number and hashed")


def _vocabulary(document: _Object, texts: int, number: int, extras: Mapping[str, bytes]) -> _core.Vocabulary:
    members = [f"{TEXTS_PREFIX}{number}.{part}" for part in ("offsets", "utf8")]
    if missing := [name for name in members if name not in extras]:
        raise document.error(f"there is no member {missing[0]}")
    packed, data = (extras[name] for name in members)
    if len(packed) != _OFFSETS.itemsize * (texts + 1):
        raise document.error(f"{members[0]} has {len(packed)} bytes, but {texts} texts take {4 * (texts + 1)}")
    offsets = np.frombuffer(packed, dtype=_OFFSETS).astype(np.int64)
    utf8 = np.frombuffer(data, dtype=np.uint8)
    vocabulary = _core.Vocabulary()
    if offsets[0] != 0 or offsets[-1] != len(utf8) or (np.diff(offsets) < 0).any():
        raise document.error(f"{members[0]} does not divide the {len(utf8)} bytes of {members[1]}")
    try:
        check_utf8(offsets, utf8)
    except UnicodeError as error:
        raise document.error(f"{members[1]} holds a text that is not UTF-8") from error
    codes = vocabulary.add(offsets, utf8)
    if len(vocabulary) != texts:
        twice = int(np.argmax(codes != np.arange(texts)))
        raise document.error(f"{members[1]} holds text {twice} twice")
    return vocabulary
