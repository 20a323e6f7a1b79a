"""Columns on the command line: lists of names such as ``user,item``, and numbers of buckets."""

from __future__ import annotations

import csv
from collections.abc import Iterable

import click

from openfm.cli.failing import shortened

__all__ = ["DEFAULT_BUCKETS", "buckets_of_columns", "names_of_columns"]

DEFAULT_BUCKETS = 2**16
"""Features that a hashed column gets where their number is not given."""

_MOST_DIGITS = 10  # more features than any model has; int() refuses thousands of digits


def names_of_columns(_context: click.Context, _parameter: click.Parameter, texts: Iterable[str]) -> tuple[str, ...]:
    """``user,item`` as two names; a name that holds a comma stands in quotes: ``"a, b",c``.

    Raises:
        click.BadParameter: a name is empty.
    """
    names = [name for row in csv.reader(texts, skipinitialspace=True) for name in row]
    if not all(names):
        raise click.BadParameter("there is an empty name; write names with commas between them, such as user,item.")
    return tuple(names)


def buckets_of_columns(_context: click.Context, _parameter: click.Parameter, texts: Iterable[str]) -> dict[str, int]:
    """``agent=1000`` as the name of a column and a number of buckets; ``agent`` has the default number.

    Raises:
        click.BadParameter: there is no name, the number is none, or a column is named twice.
    """
    buckets: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=") if "=" in text else (text, "", "")
        if not name or (equals and not _is_count(number)):
            raise click.BadParameter(f"'{shortened(text)}' is no column with a number of features such as agent=1000.")
        if name in buckets:
            raise click.BadParameter(f"the column '{shortened(name)}' is named twice.")
        buckets[name] = int(number) if equals else DEFAULT_BUCKETS
    return buckets


def _is_count(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS and int(number) >= 1
