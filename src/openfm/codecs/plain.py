"""The plain form of JSON requests, which nearly all are in: read in the native core, straight to rows.

A request is plain if its text is JSON, its instances are in the three forms of :mod:`openfm.codecs.instances` with
numbers that a float32 holds, and, in ``application/json``, it has no member but ``instances``. All else is left to the
decoders in Python: what is wrong, for which they have the sentence, and what goes beyond those forms.
"""

from __future__ import annotations

from openfm.codecs.requests import Body
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["decode_plain"]


def decode_plain(body: Body, feature_dim: int, *, lines: bool = False) -> SparseRows | None:
    """The rows of a plain request, or None if it is not plain. They are those that the decoders in Python make.

    Args:
        body: the request's body.
        feature_dim: the width of the model's input.
        lines: whether each line is an instance; else the body is ``{"instances": [...]}``.
    """
    columns = _core.decode_instances(body, feature_dim, lines)
    return None if columns is None else SparseRows(*columns, feature_dim)
