"""What the API's own model, which botocore carries, says of a request: more than botocore itself checks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from botocore.model import ListShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

__all__ = ["assert_valid", "faults"]


def faults(value: object, shape: Shape, place: str = "") -> list[str]:
    """What the service model forbids and botocore lets through: words that no enum has, too much, wrong patterns."""
    return list(_faults(value, shape, place))


def _faults(value: object, shape: Shape, place: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        assert isinstance(value, dict)
        for name, member in value.items():
            yield from _faults(member, shape.members[name], f"{place}.{name}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list | tuple)
        for number, item in enumerate(value):
            yield from _faults(item, shape.member, f"{place}[{number}]")
    elif isinstance(shape, StringShape) and isinstance(value, str):
        pattern = shape.metadata.get("pattern")
        if shape.enum and value not in shape.enum:
            yield f"{place}: {value!r} is none of {shape.enum}"
        if pattern and r"\p" not in pattern and not re.fullmatch(pattern, value):
            yield f"{place}: {value!r} does not match {pattern}"
    if isinstance(value, str | list) and len(value) > shape.metadata.get("max", len(value)):
        yield f"{place}: longer than {shape.metadata['max']}"


def assert_valid(value: object, shape: Shape) -> None:
    """Fail unless a value is one that the service model allows."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    assert faults(value, shape) == []
