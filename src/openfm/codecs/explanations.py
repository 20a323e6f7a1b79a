"""Explanations as JSON: the member ``explanation`` of a prediction, and the lines of ``openfm explain --json``.

::

    {"raw_score": 1.25, "bias": 0.25,
     "linear": {"keys": [0, 60], "values": [0.5, 0.25]},
     "pairs": {"keys": [[0, 60]], "values": [0.25]},
     "other_pairs": 0.0}

``bias``, all values of ``linear`` and of ``pairs`` and ``other_pairs`` add up to ``raw_score``, which is the score
before the sigmoid of a binary classifier. Where features have names, ``linear`` and ``pairs`` have lists ``names``
beside ``keys``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openfm.fm.explain import Explanation

__all__ = ["explanation_document"]


def explanation_document(explanation: Explanation, name: Callable[[int], str] | None = None) -> dict[str, Any]:
    """The explanation as an object that any JSON writer takes.

    Args:
        explanation: what is told.
        name: what a feature is called; ``linear`` and ``pairs`` have a list ``names`` then.
    """
    document: dict[str, Any] = {
        "raw_score": explanation.score,
        "bias": explanation.bias,
        "linear": {"keys": explanation.features.tolist(), "values": explanation.linear.tolist()},
        "pairs": {"keys": explanation.pairs.tolist(), "values": explanation.pair_contributions.tolist()},
        "other_pairs": explanation.other_pairs,
    }
    if name is not None:
        document["linear"]["names"] = [name(key) for key in document["linear"]["keys"]]
        document["pairs"]["names"] = [[name(i), name(j)] for i, j in document["pairs"]["keys"]]
    return document
