"""The native reader of JSON requests against the decoders in Python: the same rows, or it declines.

What it declines the decoders in Python answer or refuse, so that a request has one answer whoever reads it.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from openfm.codecs import json as json_codec
from openfm.codecs import jsonlines
from openfm.codecs.instances import decode_instances
from openfm.codecs.json import CONTENT_TYPE, decode
from openfm.codecs.parsing import parse_json
from openfm.codecs.plain import decode_plain
from openfm.errors import RequestError
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.serving.predictor import Predictor

FEATURE_DIM = 4
LIMITS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Draw = Callable[[st.SearchStrategy[Any]], Any]


def in_python(body: bytes, lines: bool, feature_dim: int = FEATURE_DIM) -> SparseRows | None:
    """What a decoder without the native core makes of the body; None where it refuses it."""
    try:
        if lines:
            return decode_instances(jsonlines.iter_instances(body), feature_dim)
        document = parse_json(body, "the body")
        instances = document.get("instances") if isinstance(document, dict) else None
        return decode_instances(instances, feature_dim) if isinstance(instances, list) else None
    except RequestError:
        return None


def check(body: bytes, lines: bool, feature_dim: int = FEATURE_DIM) -> SparseRows | None:
    """What the native core makes of the body, which must be what Python makes of it."""
    rows = decode_plain(body, feature_dim, lines=lines)
    if rows is not None:
        wanted = in_python(body, lines, feature_dim)
        assert wanted is not None, body
        for name in ("indptr", "indices", "values"):
            found, expected = getattr(rows, name), getattr(wanted, name)
            assert found.dtype == expected.dtype, name
            assert found.tobytes() == expected.tobytes(), (name, body)
    return rows


# --- text ------------------------------------------------------------------------------------------------------------

SPACES = st.sampled_from(["", "", "", " ", "\t", "\r", "  "])
LINE_BREAKS = st.sampled_from(["", " ", "\n", "\r\n\t"])

DIGITS = st.text("0123456789", min_size=1, max_size=24)
WHOLE = st.just("0") | st.integers(1, 10**22).map(str) | DIGITS.map(lambda digits: "1" + digits)
NUMBERS = (
    st.sampled_from(["0", "-0", "0.0", "1", "0.5", "1e3", "-2E-2", "5e+1", "16777217", "9007199254740993", "1e-46"])
    | st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-3e38, max_value=3e38).map(repr)
    | st.builds(
        lambda sign, whole, fraction, exponent: f"{sign}{whole}{fraction}{exponent}",
        st.sampled_from(["", "-"]),
        WHOLE,
        st.just("") | DIGITS.map(lambda digits: "." + digits),
        st.just("")
        | st.builds(
            "{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), DIGITS.map(lambda d: d[:2])
        ),
    )
)
NOT_NUMBERS = ["01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x1", "1_0", "true", "null", '"1"', "[]", "{}", ""]
BEYOND = ["NaN", "Infinity", "-Infinity", "1e39", "1e400", "-1e400", "1e-400", "1e99999999999", "3.4028235677973366e38"]
ODD_NUMBERS = st.sampled_from([*NOT_NUMBERS, *BEYOND, "0e999", "18446744073709551616"])
STRINGS = st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)) | st.text(max_size=6).map(
    json.dumps
)
EXTRAS = st.recursive(
    STRINGS | NUMBERS | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.lists(st.tuples(STRINGS, inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f"{k}:{v}" for k, v in pairs) + "}"
        )
    ),
    max_leaves=6,
)


def escaped(draw: Draw, name: str) -> str:
    """A name as some writers spell it."""
    spelled = [f"\\u{ord(c):04x}" if draw(st.integers(0, 9)) == 0 else c for c in name]
    return '"' + "".join(spelled) + '"'


def array(draw: Draw, items: list[str]) -> str:
    return draw(SPACES).join(["[", (draw(SPACES) + "," + draw(SPACES)).join(items), "]"])


def members(draw: Draw, pairs: list[tuple[str, str]]) -> str:
    """An object of these members in any order, with others between them."""
    if draw(st.integers(0, 3)) == 0:
        pairs = [*pairs, (draw(st.sampled_from(["configuration", "other", "keyss", "Features"])), draw(EXTRAS))]
    texts = [
        escaped(draw, name) + draw(SPACES) + ":" + draw(SPACES) + value for name, value in draw(st.permutations(pairs))
    ]
    return draw(SPACES).join(["{", ("," + draw(SPACES)).join(texts), "}"])


@st.composite
def instances(draw: Draw) -> str:
    """An instance in one of the three forms, now and then a wrong one."""
    odd = draw(st.integers(0, 14)) == 0
    numbers = NUMBERS | ODD_NUMBERS if odd else NUMBERS
    size = draw(st.integers(0, FEATURE_DIM + 1)) if odd else FEATURE_DIM
    form = draw(st.sampled_from(["features", "dense", "sparse"]))
    if form == "sparse":
        keys = draw(st.permutations(range(FEATURE_DIM)))[: draw(st.integers(0, FEATURE_DIM))]
        size = len(keys)
        texts = [str(key) for key in keys]
        if odd and draw(st.booleans()):
            texts = draw(
                st.lists(st.sampled_from(["0", "1", "3", "4", "-1", "-0", "1.0", "01", "true", "1e0"]), max_size=3)
            )
    values = array(draw, draw(st.lists(numbers, min_size=size, max_size=size)))
    if form == "features":
        return members(draw, [("features", values)])
    features = [("values", values)]
    if form == "sparse":
        features.append(("keys", array(draw, texts)))
    elif draw(st.integers(0, 5)) == 0:
        features.append(("keys", "null"))
    if draw(st.booleans()):
        features.append(
            ("shape", draw(st.sampled_from([f"[{FEATURE_DIM}]", "[]", "null", "[4.0]", "[5]", "[4,1]", "4"])))
        )
    if odd and draw(st.booleans()):
        features.append(draw(st.sampled_from(features)))
    return members(draw, [("data", members(draw, [("features", members(draw, features))]))])


@st.composite
def documents(draw: Draw) -> str:
    parts = draw(st.lists(instances(), max_size=4))
    return draw(LINE_BREAKS).join(["", members(draw, [("instances", array(draw, parts))]), ""])


@st.composite
def line_texts(draw: Draw) -> str:
    parts = draw(st.lists(instances() | st.sampled_from(["", " ", "\t\r"]), max_size=5))
    return draw(st.sampled_from(["\n", "\r\n", " \n\n"])).join(parts) + draw(LINE_BREAKS)


def bodies(lines: bool) -> st.SearchStrategy[bytes]:
    return (line_texts() if lines else documents()).map(str.encode)


@st.composite
def damaged(draw: Draw, whole: st.SearchStrategy[bytes]) -> bytes:
    """A body with a few bytes changed, taken out or put in."""
    body = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        width = draw(st.integers(0, 2))
        body[at : at + width] = draw(
            st.binary(max_size=2)
            | st.sampled_from(
                [b",", b"]", b"}", b'"', b"\\", b"\\ud800", b"\\udc00", b"\n", b"\x0b", b"\x00", b"\xef\xbb\xbf"]
            )
            | st.sampled_from(
                [b"0", b"-", b".", b"e", b"9" * 20, b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff"]
            )
        )
    return bytes(body)


AMONG_ZEROS = ["1.5", "0", "0.0", "-0.0", "0.00", "0.01", "0.1234567", "9.12345678", "0.123456789", "10", "0.5e1"]


# --- properties ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [False, True])
@given(data=st.data())
@LIMITS
def test_any_request_has_one_answer(lines: bool, data: st.DataObject) -> None:
    check(data.draw(bodies(lines)), lines)


@pytest.mark.parametrize("lines", [False, True])
@given(data=st.data())
@LIMITS
def test_a_damaged_request_has_one_answer(lines: bool, data: st.DataObject) -> None:
    check(data.draw(damaged(bodies(lines))), lines)


@pytest.mark.parametrize("predictor_type", list(PredictorType))
@pytest.mark.parametrize("lines", [False, True])
@given(data=st.data(), threshold=st.floats(0, 1), answer_lines=st.booleans())
@LIMITS
def test_an_answer_in_one_go_is_that_of_the_steps(
    predictor_type: PredictorType, lines: bool, data: st.DataObject, threshold: float, answer_lines: bool
) -> None:
    body = data.draw(bodies(lines) | damaged(bodies(lines)))
    predictor = Predictor(FactorizationMachine(0.1, [1, -2, 3, 0.5], [[1, 0], [2, 1], [-1, 1], [0, 3]], predictor_type))
    rows = decode_plain(body, FEATURE_DIM, lines=lines)
    wanted = None
    with contextlib.suppress(RequestError):
        if rows is not None:
            encode = jsonlines.encode if answer_lines else json_codec.encode
            wanted = encode(predictor.predict(rows, threshold)), len(rows)

    for kind in (bytes, bytearray):
        assert predictor.answer_plain(kind(body), threshold, lines=lines, answer_lines=answer_lines) == wanted


@given(text=STRINGS, rest=st.binary(max_size=12))
@example(text='""', rest=b"\\ud83d\\ude00")
@example(text='""', rest=b"\\ud83d\\u0041")
@LIMITS
def test_strings_are_read_as_strictly(text: str, rest: bytes) -> None:
    body = b'{"features": [1], "a": [' + text.encode() + b', "' + rest + b'"]}'

    if check(body, True, 1) is None:
        assert in_python(body, True, 1) is None


@given(numbers=st.lists(NUMBERS, min_size=1, max_size=8))
@LIMITS
def test_every_number_of_a_float32_is_read(numbers: list[str]) -> None:
    body = f'{{"instances": [{{"features": [{",".join(numbers)}]}}]}}'.encode()
    rows = check(body, False, len(numbers))

    doubles = [float(number) for number in numbers]
    smallest = min((abs(double) for double in doubles if double), default=1)
    with np.errstate(over="ignore"):
        readable = np.isfinite(np.float32(doubles)).all() and smallest > 1e-300
    # Doubles that are zero, or nearly, though their digits are not, may be left to Python.
    if readable and not any(
        double == 0 and number.strip("-0.e+") for double, number in zip(doubles, numbers, strict=True)
    ):
        assert rows is not None


@given(
    runs=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(AMONG_ZEROS)), max_size=6),
    zero=st.sampled_from(["0.0", "0"]),
    comma=st.sampled_from([", ", ",", " ,  "]),
    off=st.sampled_from([0, 0, -1, 1, 8]),
)
@LIMITS
def test_long_runs_of_zeros_are_read(runs: list[tuple[int, str]], zero: str, comma: str, off: int) -> None:
    numbers = [number for zeros, last in runs for number in (*[zero] * zeros, last)]
    width = max(1, len(numbers) + off)
    for instance in (f'{{"features": [{comma.join(numbers)}]}}', f'{{"features": [{comma.join(numbers)}'):
        rows = check(b"\n" + instance.encode() + b"\n" + instance.encode(), True, width)
        assert (rows is not None) == (width == len(numbers) and instance.endswith("}"))


@given(patterns=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
@LIMITS
def test_seventeen_digits_give_the_nearest_double(patterns: list[int]) -> None:
    doubles = [struct.unpack("<d", struct.pack("<Q", pattern))[0] for pattern in patterns]
    kept = [double for double in doubles if 1e-30 < abs(double) < 1e30]
    if not kept:
        return
    for form in ("{:.16e}", "{!r}", "{:.40f}"):
        body = ('{"features": [' + ",".join(form.format(double) for double in kept) + "]}").encode()
        rows = check(body, True, len(kept))
        assert rows is not None
        assert rows.values.tolist() == np.float32(kept).tolist()


def test_halfway_cases_are_rounded_twice_as_before() -> None:
    """Number to double, double to float32: 1 + 2**-24 + 2**-60 is a tie after the first step."""
    text = "1.000000059604644775390625867361737988403547205962240695953369140625"
    body = f'{{"features": [{text}]}}'.encode()
    rows = check(body, True, 1)

    assert rows is not None
    assert rows.values.tolist() == [1.0]


@pytest.mark.parametrize(
    "instance",
    [
        '{"features": [0.5, 0, 1.5, -2]}',
        ' { "features" : [ 0.5 , 0 , 1.5 , -2 ] } ',
        '{"configuration": {"a": [1, {"b": "\\u00e9\\ud83d\\ude00"}]}, "features": [0.5, 0e5, 15e-1, -2.0]}',
        '{"\\u0066eatures": [0.5, -0.0, 1.5, -2]}',
        '{"data": {"features": {"values": [0.5, 0, 1.5, -2]}}}',
        '{"data": {"features": {"values": [0.5, 0, 1.5, -2], "keys": null, "shape": [4]}}}',
        '{"data": {"features": {"keys": [3, 0, 2, 1], "shape": [4], "values": [-2, 0.5, 1.5, 0]}}}',
        '{"data": {"x": null, "features": {"shape": null, "values": [0.5, 1.5, -2], "keys": [0, 2, 3]}}, "é": "ü"}',
    ],
)
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_plain_requests_are_taken(instance: str, kind: type) -> None:
    for body, lines in ((f'{{"instances": [{instance}]}}', False), (instance, True)):
        rows = decode_plain(kind(body.encode()), 4, lines=lines)

        assert rows is not None
        assert rows.indptr.tolist() == [0, 3]
        assert rows.indices.tolist() == [0, 2, 3]
        assert rows.values.tolist() == [0.5, 1.5, -2.0]


@pytest.mark.parametrize("body", [b'{"instances": []}', b'\n{ "instances" : [ ] }\r\n'])
def test_no_instances_are_plain_too(body: bytes) -> None:
    rows = decode_plain(body, 4)

    assert rows is not None
    assert rows.indptr.tolist() == [0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [{"features": [1]}], "top": 3}',
        b'{"instances": [{"columns": {"a": 1}}]}',
        b'{"instances": [{"features": [true]}]}',
        b'{"instances": [{"features": [1], "features": [2]}]}',
        b'{"instances": [], "instances": [{"features": [1]}]}',
    ],
)
def test_what_is_not_plain_is_left_to_python(body: bytes) -> None:
    assert decode_plain(body, 1) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [{"features": [1]}], "top": 3}',
        b'{"instances": [{"features": [true]}]}',
        b'{"instances": [{"features": [1.0], "a": 1e999}]}',
        b'{"instances": [{"features": [1], "a": ' + b"[" * 500 + b"]" * 500 + b"}]}",
        b'{"instances": [{"features": [2]}], "instances": [{"features": [1]}]}',
    ],
)
def test_what_is_left_to_python_is_answered(body: bytes) -> None:
    assert CONTENT_TYPE == "application/json"
    assert decode(body, 1).rows.values.tolist() == [1.0]


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b'"', b'{"instances": [{"features": [1]}]', b'{"instances": [{"features": [1']
)
def test_text_that_ends_early_is_not_plain(body: bytes) -> None:
    assert decode_plain(body, 1) is None


def test_a_memoryview_is_no_body() -> None:
    with pytest.raises(TypeError, match="bytes or bytearray"):
        decode_plain(memoryview(b"{}"), 1)  # type: ignore[arg-type]
