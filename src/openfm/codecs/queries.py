"""Top-k queries of JSON requests: an instance that asks for the best of many candidates.

::

    {"top_k": {"k": 10,
               "fixed": {"keys": [17], "values": [1]},
               "candidates": {"range": [1000, 4000]},
               "exclude": [1003, 1250]}}

``fixed`` is what all candidates are joined with: keys and values, or an instance in any of the other forms. Candidates
are features of value 1, as a half-open ``range`` or as ``keys``, or rows of their own, as ``instances``. ``exclude``,
which may be left out, lists keys, or numbers of instances, that are not wanted. The form is openfm's own.

Of a model with an encoder, raw values may be asked for::

    {"top_k": {"k": 10,
               "fixed": {"columns": {"user": "u42"}},
               "candidates": {"column": "item"},
               "exclude": ["i7", "i9"]}}

Candidates are then all values of the column, or those that ``values`` lists, and ``exclude`` lists values too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from openfm.codecs.columns import MEMBER as COLUMNS
from openfm.codecs.columns import ColumnInstances, category, decode_columns, has_columns
from openfm.codecs.instances import decode_instances
from openfm.codecs.requests import RankingQuery, RankingRequest, Request
from openfm.encoding import ColumnEncoder, OneHotColumn
from openfm.encoding.columns import ColumnValueError
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
_FORMS = ("range", "keys", "instances", "column")


def is_query(instance: object) -> bool:
    """Whether a parsed instance is a query."""
    return isinstance(instance, dict) and MEMBER in instance and not instance.keys() & {"features", "data", COLUMNS}


def decode_any(
    instances: Iterable[object], feature_dim: int, encoder: ColumnEncoder | None = None
) -> Request | RankingRequest:
    """Turn parsed JSON instances into rows, from features or from raw values, or into queries: as the first one is.

    Raises:
        RequestError: as :func:`openfm.codecs.instances.decode_instances`,
            :func:`openfm.codecs.columns.decode_columns` and :func:`decode_queries`.
    """
    rest = iter(instances)
    first = list(islice(rest, 1))
    every = chain(first, rest)
    if first and is_query(first[0]):
        return decode_queries(every, feature_dim, encoder)
    if first and has_columns(first[0]):
        return decode_columns(every, encoder)
    return Request(decode_instances(every, feature_dim))


def decode_queries(
    instances: Iterable[object], feature_dim: int, encoder: ColumnEncoder | None = None
) -> RankingRequest:
    """Turn parsed JSON instances, all of them queries, into a request.

    Args:
        instances: what :func:`openfm.codecs.parsing.parse_json` made of each instance.
        feature_dim: the width of the model's input.
        encoder: the model's; None if it has none.

    Raises:
        RequestError: an instance is no query or not such as above, all ask back more than 100000 candidates, or have
            more than 100 million scored. The sentence names the instance, counted from 0, and the field.
    """
    reader = _QueryReader(feature_dim, encoder)
    drafts: list[_Draft] = []
    ranked = scored = 0
    try:
        for number, instance in enumerate(instances):
            try:
                if not isinstance(instance, dict) or not is_query(instance):
                    raise RequestError(f"has no {MEMBER}, but instance 0 has: send them in different requests")
                drafts.append(reader.query(instance[MEMBER]))
            except RequestError as error:
                raise RequestError(f"instance {number}: {error.message}") from error
            ranked += drafts[-1].k
            if ranked > MOST_RANKED:
                raise RequestError(
                    f"instance {number}: with it the request asks for more than {MOST_RANKED} candidates; ask for "
                    "smaller k, or in several requests"
                )
            scored += drafts[-1].scored
            if scored > max(MOST_CANDIDATES, feature_dim):  # one query may rank every feature of any model
                raise RequestError(
                    f"instance {number}: with it the request has more than {MOST_CANDIDATES} candidates; send its "
                    "queries in several requests"
                )
        return reader.finished(drafts)
    except ColumnValueError as error:
        raise reader.error(error) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A query as :class:`RankingQuery`, but that rows of raw values are not encoded yet: a slice tells which of them.

    Each encoding costs some time for each column, however few the rows, so that all of a request are encoded at once.
    """

    k: int
    fixed: SparseRows | slice
    candidates: range | npt.NDArray[np.int64] | SparseRows | slice
    exclude: npt.NDArray[np.int64] | None
    column: str | None

    @property
    def scored(self) -> int:
        """How many candidates there are."""
        if isinstance(self.candidates, slice):
            return int(self.candidates.stop - self.candidates.start)
        return len(self.candidates)


class _QueryReader:
    """Reads queries, and counts the raw values in them that the encoder does not know."""

    def __init__(self, feature_dim: int, encoder: ColumnEncoder | None) -> None:
        self._feature_dim = feature_dim
        self._encoder = encoder
        self._unseen: Counter[str] = Counter()
        self._collected: ColumnInstances | None = None
        self._places: list[tuple[int, int, str]] = []  # first row, query and field of each part of what is collected
        self._queries = 0

    def finished(self, drafts: Iterable[_Draft]) -> RankingRequest:
        """The queries with all rows.

        Raises:
            ColumnValueError: a number cannot be encoded.
        """
        rows = None
        if self._collected is not None:
            rows, unseen = self._collected.encoded()
            self._unseen.update(unseen)

        def encoded(part: SparseRows | slice) -> SparseRows:
            if isinstance(part, SparseRows):
                return part
            assert rows is not None  # or there were no slice
            return rows.slice(part.start, part.stop)

        return RankingRequest(
            tuple(
                RankingQuery(
                    draft.k,
                    encoded(draft.fixed),
                    encoded(draft.candidates) if isinstance(draft.candidates, SparseRows | slice) else draft.candidates,
                    draft.exclude,
                    draft.column,
                )
                for draft in drafts
            ),
            self._unseen,
        )

    def error(self, error: ColumnValueError) -> RequestError:
        """Says where the row is that could not be encoded."""
        first, query, name = self._places[bisect_right(self._places, error.row, key=lambda place: place[0]) - 1]
        return RequestError(f"instance {query}: {name}: instance {error.row - first}: {error.complaint}")

    def query(self, query: object) -> _Draft:
        """Read the next query.

        Raises:
            RequestError: it is not such as the module's text says.
            ColumnValueError: a number of it, or of one before, cannot be encoded.
        """
        if not isinstance(query, dict):
            raise RequestError(f"{MEMBER} must be an object with k, fixed and candidates")
        if unknown := sorted(query.keys() - _KNOWN):
            raise RequestError(f"{MEMBER} has the member {unknown[0][:40]!r}; it may have {', '.join(sorted(_KNOWN))}")
        k = query.get("k")
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise RequestError(f"{MEMBER}.k must be a whole number of at least 1")
        fixed = self._fixed(query.get("fixed"))
        candidates, column = self._candidates(query.get("candidates"))
        self._queries += 1
        return _Draft(k, fixed, candidates, self._exclude(query.get("exclude"), column), column)

    def _fixed(self, fixed: object) -> SparseRows | slice:
        name = f"{MEMBER}.fixed"
        if not isinstance(fixed, dict):
            raise RequestError(f'{name} must be an object such as {{"keys": [17], "values": [1]}}')
        instance = {"data": {"features": fixed}} if "keys" in fixed or "values" in fixed else fixed
        return self._rows([instance], name)

    def _candidates(self, candidates: object) -> tuple[range | npt.NDArray[np.int64] | SparseRows | slice, str | None]:
        """The candidates, and the column whose values they are."""
        name = f"{MEMBER}.candidates"
        form = [form for form in _FORMS if isinstance(candidates, dict) and form in candidates]
        if not isinstance(candidates, dict) or len(form) != 1:
            raise RequestError(
                f'{name} must be an object with one of {", ".join(_FORMS)}, such as {{"range": [100, 200]}}'
            )
        value = candidates[form[0]]
        if form[0] == "column":
            column = self._column(value)
            if "values" not in candidates:
                return range(column.first, column.first + column.features), column.name
            return self._features(column, candidates["values"], f"{name}.values", count=True), column.name
        if form[0] == "instances":
            if not isinstance(value, list):
                raise RequestError(f"{name}.instances must be a list of instances")
            return self._rows(value, f"{name}.instances"), None
        numbers = _whole_numbers(value, f"{name}.{form[0]}")
        if form[0] == "keys":
            return numbers, None
        if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] <= self._feature_dim:
            raise RequestError(
                f"{name}.range must be the first key and the one after the last, from 0 to the model's feature_dim "
                f"{self._feature_dim}"
            )
        return range(int(numbers[0]), int(numbers[1])), None

    def _exclude(self, exclude: object, column: str | None) -> npt.NDArray[np.int64] | None:
        name = f"{MEMBER}.exclude"
        if exclude is None:
            return None
        if column is None:
            return _whole_numbers(exclude, name)
        return self._features(self._column(column), exclude, name, count=False)

    def _column(self, name: object) -> OneHotColumn:
        """The column of this name, whose values can be candidates."""
        if self._encoder is None:
            raise RequestError(f"{MEMBER}.candidates has a column, but the model has no encoder; send a range, or keys")
        if not isinstance(name, str):
            raise RequestError(f"{MEMBER}.candidates.column must be the name of a column")
        try:
            column = self._encoder.column(name)
        except ValueError as error:
            raise RequestError(f"{MEMBER}.candidates.column: {error}") from error
        if not isinstance(column, OneHotColumn):
            raise RequestError(f"{MEMBER}.candidates.column: '{name[:40]}' has no values to rank, as it is not one-hot")
        return column

    def _features(self, column: OneHotColumn, values: object, name: str, *, count: bool) -> npt.NDArray[np.int64]:
        """The features of values; those that are unseen have none, and nothing to be ranked by."""
        if not isinstance(values, list):
            raise RequestError(f"{name} must be a list of values of the column '{column.name}'")
        found = [column.feature(category(value, f"{name}[{position}]")) for position, value in enumerate(values)]
        features = [feature for feature in found if feature is not None]
        if count and len(features) < len(found):
            self._unseen[column.name] += len(found) - len(features)
        return np.array(features, dtype=np.int64)

    def _rows(self, instances: list[object], name: str) -> SparseRows | slice:
        try:
            if not (instances and has_columns(instances[0])):
                return decode_instances(instances, self._feature_dim)
            return self._collect(instances, name)
        except RequestError as error:
            raise RequestError(f"{name}: {error.message}") from error

    def _collect(self, instances: list[object], name: str) -> slice:
        """Which of the rows that are encoded in the end are those of these instances."""
        if self._collected is None:
            self._collected = ColumnInstances(self._encoder)
        begin = len(self._collected)
        self._places.append((begin, self._queries, name))
        for number, instance in enumerate(instances):
            try:
                self._collected.add(instance)
            except RequestError as error:
                raise RequestError(f"instance {number}: {error.message}") from error
        return slice(begin, len(self._collected))


def _whole_numbers(value: object, name: str) -> npt.NDArray[np.int64]:
    if not isinstance(value, list):
        raise RequestError(f"{name} must be a list of whole numbers")
    for position, number in enumerate(value):
        if isinstance(number, bool) or not isinstance(number, int) or not -(2**63) <= number < 2**63:
            raise RequestError(f"{name}[{position}] must be a whole number")
    return np.array(value, dtype=np.int64)
