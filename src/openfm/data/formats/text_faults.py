"""What can be wrong in a text of numbers, and the sentence that says so."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["TextFault", "sentence"]


@dataclass(frozen=True, slots=True)
class TextFault:
    """Why a row was refused.

    Attributes:
        kind: a key of the tables below.
        line: on which the row starts, from 0.
        column: the field in its row, from 0.
        begin: where the field starts, as an offset into the text.
        end: where it ends.
        found: the offending number: a count of columns, an index.
        expected: what it should have been, or its limit.
    """

    kind: str
    line: int
    column: int
    begin: int
    end: int
    found: int = 0
    expected: int = 0


_OF_FIELDS = {
    "empty": "{place} of {source} is empty, where a number is needed. Fill it in; 0 says that a feature is absent.",
    "nan": "{place} of {source} holds '{value}': a missing value (NaN). Fill it in, or remove the row.",
    "infinite": "{place} of {source} holds '{value}', which is infinite as float32. Correct the value.",
    "not_a_number": "{place} of {source} holds '{value}', which is not a number.{hint}",
    "no_pair": "{place} of {source} holds '{value}', where index:value is needed. Correct the line.",
    "negative_weight": "{place} of {source} holds '{value}', where a weight of at least 0 is needed. Correct it.",
    "bad_quote": "{place} of {source} starts with a quote that is not closed before the next delimiter. Write a quote "
    "inside of quotes twice.",
}

_OF_ROWS = {
    "columns": "Line {line} of {source} has {found} columns, where {expected} are needed. Give every row "
    "the same columns, as many as feature_dim says and the label.",
    "no_label_column": "Line {line} of {source} has {found} columns: there is none to be the target column "
    "{expected}, counted from 1. Name another one.",
    "no_weight_column": "Line {line} of {source} has {found} columns: there is none to be the weight column "
    "{expected}, counted from 1. Name another one.",
    "no_label": "Line {line} of {source} starts with '{value}', where its label is needed. Write the label first.",
    "below_base": "Line {line} of {source} has the index {found}, but the first feature is said to be number "
    "{expected}. State the other index base if it is number {found}.",
    "above_range": "Line {line} of {source} has the index {value}, but there are {expected} features, the feature_dim. "
    "Raise feature_dim, or state the other index base.",
    "too_wide": "Line {line} of {source} has the index {value}, but at most {expected} features can be indexed.",
    "repeated": "Line {line} of {source} has the index {found} more than once. Keep one of them.",
}

_HEADER_HINT = " If this line names the columns, remove it or say that there is a header."
_NO_FEATURE_HINT = " Correct it."
_TEXT_HINT = " Correct it, or turn the column into numbers."
_NAMED_TEXT_HINT = (
    " Correct it, or make features of the column's texts: --categorical {name} of openfm train and openfm convert, "
    "openfm.ColumnEncoder in Python."
)


def sentence(
    fault: TextFault,
    value: str,
    source: str,
    *,
    names: Sequence[str] | None = None,
    header: bool = True,
    no_features: Collection[int] = (),
    unit: str,
) -> str:
    """The sentence with line, column, value and remedy.

    Args:
        fault: what is wrong; ``line`` counts from the source's start.
        value: the offending text.
        source: what the data are called.
        names: of the columns, where they have any.
        header: whether the first line named the columns.
        no_features: the columns, by number from 0, that are something else, such as the label.
        unit: what a field is called: ``column`` or ``field``.
    """
    line = fault.line + 1
    place = f"Line {line}, {unit} {fault.column + 1}"
    hint = _TEXT_HINT
    if names is not None and fault.column < len(names):  # a row may have more columns than names
        place += f" ('{names[fault.column]}')"
        hint = _NAMED_TEXT_HINT.format(name=shlex.quote(names[fault.column]))
    if fault.column in no_features:
        hint = _NO_FEATURE_HINT
    if fault.line == 0 and not header:
        hint = _HEADER_HINT
    shown = value if len(value) <= 40 else f"{value[:40]}..."
    words = _OF_FIELDS.get(fault.kind) or _OF_ROWS[fault.kind]
    return words.format(
        place=place, line=line, source=source, value=shown, hint=hint, found=fault.found, expected=fault.expected
    )
