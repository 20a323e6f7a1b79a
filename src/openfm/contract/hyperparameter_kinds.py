"""What a hyperparameter may be: kinds of values, how each is read, and in which words it is
refused.

A kind stands in the ``Annotated`` type of a field of
:class:`openfm.contract.hyperparameters.Hyperparameters` and does two things: it is the field's
pydantic validator, and it holds range and choices for whoever prints metadata or documentation. The
words are those of the JSON-schema messages of Amazon's containers.
"""

from __future__ import annotations

import math
import numbers
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic_core import CoreSchema, core_schema

__all__ = ["Choice", "Flag", "Integer", "Kind", "Number", "Range", "Text", "Traits"]

_MAX_INT32 = 2**31 - 1
_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


class Kind(ABC):
    """A kind of value. ``parse`` is its pydantic validator."""

    @abstractmethod
    def parse(self, value: object) -> Any:
        """Read a value: text as it stands in ``hyperparameters.json``, or what JSON or Python made
        of it.

        Raises:
            ValueError: the value is refused; the message says what is taken instead, in words that
                continue "The value 'x' is not valid for the 'y' hyperparameter which".
        """

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Make :meth:`parse` the whole validation of a field that is annotated with this kind."""
        return core_schema.no_info_plain_validator_function(self.parse)


@dataclass(frozen=True, slots=True)
class Integer(Kind):
    """A whole number from ``minimum`` (0 or 1) to ``maximum``: ``"10"``, ``10`` or ``10.0``."""

    minimum: int = 1
    maximum: int = _MAX_INT32

    def parse(self, value: object) -> int:
        """Return an int; see :meth:`Kind.parse`."""
        number = self._read(value)
        if number is None or number < self.minimum:
            # "greater than 1" for "at least 1" is Amazon's wording.
            bound = f"greater than {self.minimum}" if self.minimum else "greater than or equal to 0"
            raise ValueError(
                f"expects one of the following: a string which matches the pattern "
                f"'^({self._pattern})$'; or an integer {bound}"
            )
        if number > self.maximum:
            raise ValueError(f"expects an integer between {self.minimum} and {self.maximum}")
        return int(number)

    @property
    def _pattern(self) -> str:
        return "[1-9][0-9]*" if self.minimum else "0|[1-9][0-9]*"

    def _read(self, value: object) -> float | None:
        """The number, math.inf if it has far too many digits, None if it is no whole number."""
        if isinstance(value, str):
            if not re.fullmatch(self._pattern, value):
                return None
            return int(value) if len(value) < 20 else math.inf
        if isinstance(value, bool):
            return None
        if isinstance(value, numbers.Integral):
            return int(value)  # NumPy's integers too
        if isinstance(value, numbers.Real) and (number := float(value)).is_integer():
            return number
        return None


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number that is finite as a float32: ``"1e-3"``, ``0.001`` or ``1``."""

    minimum: float | None = None

    def parse(self, value: object) -> float:
        """Return a float; see :meth:`Kind.parse`."""
        expected = "a number"
        if self.minimum is not None:
            expected += f" greater than or equal to {self.minimum:g}"
        number = self._read(value)
        if number is None:
            raise ValueError(f"expects {expected}")
        if not abs(number) <= _MAX_FLOAT32:
            raise ValueError(f"expects {expected} which is finite in single precision")
        if self.minimum is not None and number < self.minimum:
            raise ValueError(f"expects {expected}")
        return number

    @staticmethod
    def _read(value: object) -> float | None:
        if isinstance(value, str):
            return float(value) if _DECIMAL.fullmatch(value) else None
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        try:
            return float(value)
        except OverflowError:
            return math.inf


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words. ``any_case``: capitals do not matter."""

    options: tuple[str, ...]
    any_case: bool = False

    def parse(self, value: object) -> str:
        """Return the option itself, which may be an enum's member; see :meth:`Kind.parse`."""
        word = value.lower() if self.any_case and isinstance(value, str) else value
        for option in self.options:
            if word == option:
                return option
        listed = ", ".join(f"'{option}'" for option in self.options)
        raise ValueError(f"accepts one of the following: {listed}")


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """True or false, in any case: ``"true"``, ``"True"`` or ``true``."""

    def parse(self, value: object) -> bool:
        """Return a bool; see :meth:`Kind.parse`."""
        word = str(value).lower() if isinstance(value, str | bool) else None
        if word not in ("true", "false"):
            raise ValueError("accepts one of the following: 'true', 'false'")
        return word == "true"


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Any text; a number or a truth value is taken as its text."""

    def parse(self, value: object) -> str:
        """Return a str; see :meth:`Kind.parse`."""
        if not isinstance(value, str | bool | int | float):
            raise ValueError("expects a string")
        return str(value)


@dataclass(frozen=True, slots=True)
class Range:
    """A recommended range, both ends included, and the scale on which to search it."""

    minimum: float
    maximum: float
    scale: Literal["Linear", "Logarithmic"] = "Linear"


@dataclass(frozen=True, slots=True)
class Traits:
    """What else is known of a hyperparameter.

    Attributes:
        origin: ``amazon``: the built-in algorithm has it too; ``openfm``: only openfm has it.
        documented: whether its origin's documentation names it. Amazon's others stand in the
            default configuration that its container logs.
        tunable: whether a tuning job may search it.
        recommended: the range that Amazon's documentation recommends.
    """

    origin: Literal["amazon", "openfm"] = "amazon"
    documented: bool = True
    tunable: bool = False
    recommended: Range | None = None
