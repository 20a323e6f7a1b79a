"""Top-k queries of JSON requests: an instance that asks for the best of many candidates.

::

    {"top_k": {"k": 10,
               "fixed": {"keys": [17], "values": [1]},
               "candidates": {"range": [1000, 4000]},
               "exclude": [1003, 1250]}}

``fixed`` is what all candidates are joined with: keys and values, or an instance in any of the other forms. Candidates
are features of value 1, as a half-open ``range`` or as ``keys``, or rows of their own, as ``instances``. ``exclude``,
which may be left out, lists keys, or numbers of instances, that are not wanted. The form is openfm's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from openfm.codecs.instances import decode_instances
from openfm.codecs.requests import RankingQuery, RankingRequest, Request
from openfm.errors import RequestError
from openfm.fm.rows import SparseRows

__all__ = ["MEMBER", "MOST_CANDIDATES", "MOST_RANKED", "decode_any", "decode_queries", "is_query"]

MEMBER = "top_k"
"""The member by which an instance is known to be a query."""

MOST_RANKED = 100_000
"""Candidates that one request may ask back, over all its queries: an answer of about 5 MB."""

MOST_CANDIDATES = 10**8
"""Candidates that one request may have scored, over all its queries: some seconds of work."""

_KNOWN = {"k", "fixed", "candidates", "exclude"}
_FORMS = ("range", "keys", "instances")


def is_query(instance: object) -> bool:
    """Whether a parsed instance is a query."""
    return isinstance(instance, dict) and MEMBER in instance and not instance.keys() & {"features", "data"}


def decode_any(instances: Iterable[object], feature_dim: int) -> Request | RankingRequest:
    """Turn parsed JSON instances into rows or into queries, whichever the first one is.

    Raises:
        RequestError: as :func:`openfm.codecs.instances.decode_instances` and :func:`decode_queries`.
    """
    rest = iter(instances)
    first = list(islice(rest, 1))
    every = chain(first, rest)
    if first and is_query(first[0]):
        return decode_queries(every, feature_dim)
    return Request(decode_instances(every, feature_dim))


def decode_queries(instances: Iterable[object], feature_dim: int) -> RankingRequest:
    """Turn parsed JSON instances, all of them queries, into a request.

    Args:
        instances: what :func:`openfm.codecs.parsing.parse_json` made of each instance.
        feature_dim: the width of the model's input.

    Raises:
        RequestError: an instance is no query or not such as above, all ask back more than 100000 candidates, or have
            more than 100 million scored. The sentence names the instance, counted from 0, and the field.
    """
    queries: list[RankingQuery] = []
    ranked = scored = 0
    for number, instance in enumerate(instances):
        try:
            if not isinstance(instance, dict) or not is_query(instance):
                raise RequestError(f"has no {MEMBER}, but instance 0 has: send them in different requests")
            queries.append(_query(instance[MEMBER], feature_dim))
        except RequestError as error:
            raise RequestError(f"instance {number}: {error.message}") from error
        ranked += queries[-1].k
        if ranked > MOST_RANKED:
            raise RequestError(
                f"instance {number}: with it the request asks for more than {MOST_RANKED} candidates; ask for smaller "
                "k, or in several requests"
            )
        scored += len(queries[-1].candidates)
        if scored > max(MOST_CANDIDATES, feature_dim):  # one query may rank every feature of any model
            raise RequestError(
                f"instance {number}: with it the request has more than {MOST_CANDIDATES} candidates; send its "
                "queries in several requests"
            )
    return RankingRequest(tuple(queries))


def _query(query: object, feature_dim: int) -> RankingQuery:
    if not isinstance(query, dict):
        raise RequestError(f"{MEMBER} must be an object with k, fixed and candidates")
    if unknown := sorted(query.keys() - _KNOWN):
        raise RequestError(f"{MEMBER} has the member {unknown[0][:40]!r}; it may have {', '.join(sorted(_KNOWN))}")
    k = query.get("k")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise RequestError(f"{MEMBER}.k must be a whole number of at least 1")
    exclude = query.get("exclude")
    return RankingQuery(
        k=k,
        fixed=_fixed(query.get("fixed"), feature_dim),
        candidates=_candidates(query.get("candidates"), feature_dim),
        exclude=None if exclude is None else _whole_numbers(exclude, f"{MEMBER}.exclude"),
    )


def _fixed(fixed: object, feature_dim: int) -> SparseRows:
    name = f"{MEMBER}.fixed"
    if not isinstance(fixed, dict):
        raise RequestError(f'{name} must be an object such as {{"keys": [17], "values": [1]}}')
    instance = {"data": {"features": fixed}} if "keys" in fixed or "values" in fixed else fixed
    return _rows([instance], feature_dim, name)


def _candidates(candidates: object, feature_dim: int) -> range | npt.NDArray[np.int64] | SparseRows:
    name = f"{MEMBER}.candidates"
    form = [form for form in _FORMS if isinstance(candidates, dict) and form in candidates]
    if not isinstance(candidates, dict) or len(form) != 1:
        raise RequestError(f'{name} must be an object with one of {", ".join(_FORMS)}, such as {{"range": [100, 200]}}')
    value = candidates[form[0]]
    if form[0] == "instances":
        if not isinstance(value, list):
            raise RequestError(f"{name}.instances must be a list of instances")
        return _rows(value, feature_dim, f"{name}.instances")
    numbers = _whole_numbers(value, f"{name}.{form[0]}")
    if form[0] == "keys":
        return numbers
    if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] <= feature_dim:
        raise RequestError(
            f"{name}.range must be the first key and the one after the last, from 0 to the model's feature_dim "
            f"{feature_dim}"
        )
    return range(int(numbers[0]), int(numbers[1]))


def _rows(instances: list[object], feature_dim: int, name: str) -> SparseRows:
    try:
        return decode_instances(instances, feature_dim)
    except RequestError as error:
        raise RequestError(f"{name}: {error.message}") from error


def _whole_numbers(value: object, name: str) -> npt.NDArray[np.int64]:
    if not isinstance(value, list):
        raise RequestError(f"{name} must be a list of whole numbers")
    for position, number in enumerate(value):
        if isinstance(number, bool) or not isinstance(number, int) or not -(2**63) <= number < 2**63:
            raise RequestError(f"{name}[{position}] must be a whole number")
    return np.array(value, dtype=np.int64)
