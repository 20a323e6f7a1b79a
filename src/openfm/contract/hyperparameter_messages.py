"""What is wrong with the given hyperparameters, in the words of Amazon's containers."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["describe_mistakes"]

_SHOWN = 100
"""A longer value is shortened in a message."""


def describe_mistakes(error: ValidationError | None, unknown: Sequence[str], known: Collection[str]) -> str:
    """All mistakes of a job in one message: what is missing, what is unknown, what has a wrong
    value.

    Args:
        error: what validation of the known names found, if anything.
        unknown: given names that are no hyperparameters.
        known: all names, among which near ones are looked for.
    """
    details = error.errors(include_url=False) if error is not None else []
    missing = [str(detail["loc"][0]) for detail in details if detail["type"] == "missing"]
    sentences = []
    if missing:
        sentences.append(f"No value(s) were specified for {_quoted(missing)} which are required hyperparameter(s)")
    if unknown:
        sentences.append(_unknown(unknown, known))
    sentences.extend(
        f"The value '{_shown(detail['input'])}' is not valid for the '{detail['loc'][0]}' "
        f"hyperparameter which {detail['ctx']['error']}"
        for detail in details
        if detail["type"] == "value_error"
    )
    return _joined(sentences)


def _unknown(unknown: Sequence[str], known: Collection[str]) -> str:
    verb = "was" if len(unknown) == 1 else "were"
    sentence = f"Additional hyperparameters are not allowed ({_quoted(unknown)} {verb} unexpected)"
    near = {name: _nearest(name, known) for name in unknown}
    if len(unknown) == 1 and near[unknown[0]]:
        return f"{sentence}. Did you mean '{near[unknown[0]]}'?"
    hints = [f"'{guess}' for '{_shown(name)}'" for name, guess in near.items() if guess]
    return f"{sentence}. Did you mean {', '.join(hints)}?" if hints else sentence


def _nearest(name: str, known: Collection[str]) -> str | None:
    matches = difflib.get_close_matches(name[:_SHOWN].lower(), known, n=1)
    return matches[0] if matches else None


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{_shown(name)}'" for name in names)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _joined(sentences: Sequence[str]) -> str:
    message = sentences[0]
    for sentence in sentences[1:]:
        message += f" {sentence}" if message.endswith("?") else f". {sentence}"
    return message
