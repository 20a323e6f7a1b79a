"""The plain form of JSON requests, which nearly all are in: read in the native core, straight to rows or to an answer.

A request is plain if its text is JSON, its instances are in the three forms of :mod:`openfm.codecs.instances` with
numbers that a float32 holds, and, in ``application/json``, it has no member but ``instances``. All else is left to the
decoders in Python: what is wrong, for which they have the sentence, and what goes beyond those forms.
"""

from __future__ import annotations

from openfm.codecs.requests import Body
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["answer_plain", "decode_plain"]


def decode_plain(body: Body, feature_dim: int, *, lines: bool = False) -> SparseRows | None:
    """The rows of a plain request, or None if it is not plain. They are those that the decoders in Python make.

    Args:
        body: the request's body.
        feature_dim: the width of the model's input.
        lines: whether each line is an instance; else the body is ``{"instances": [...]}``.
    """
    columns = _core.decode_instances(body, feature_dim, lines)
    return None if columns is None else SparseRows(*columns, feature_dim)


def answer_plain(
    body: Body, machine: FactorizationMachine, threshold: float, *, lines: bool, answer_lines: bool
) -> tuple[bytes, int] | None:
    """The answer to a plain request and the number of its rows, or None if it is not plain or a score is not finite.

    The bytes are those that decoding, scoring and encoding give one after the other, without what it takes to hand
    arrays from each to the next: with one row that is more than the work itself.

    Args:
        body: the request's body.
        machine: scores the rows.
        threshold: from which score on a binary classifier predicts label 1.
        lines: as for :func:`decode_plain`.
        answer_lines: whether the answer has a line for each prediction; else it is ``{"predictions": [...]}``.
    """
    classifies = machine.predictor_type is PredictorType.BINARY_CLASSIFIER
    return machine.scorer.answer(body, lines, classifies, threshold if classifies else None, answer_lines)
