"""How an environment variable is declared: for the code that reads it, and for the page that lists it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BASE_DIR", "Variable"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    Attributes:
        names: what it is called; of several, the first that is set and not empty counts.
        meaning: what it does, in a phrase.
        default: what holds where none of them is set, as the documents say it; empty where that goes without saying.
    """

    names: tuple[str, ...]
    meaning: str
    default: str = ""

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]


BASE_DIR = Variable(("SAGEMAKER_BASE_DIR",), "the folder that stands for '/opt/ml'", "'/opt/ml'")
"""Where a job or a model lies; training and serving read it."""
