"""The predictor: rows in, predictions out. It knows no HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from openfm.codecs.plain import answer_plain
from openfm.codecs.predictions import Predictions
from openfm.codecs.requests import Body, RankingQuery
from openfm.encoding import ColumnEncoder
from openfm.errors import RequestError
from openfm.fm.explain import Explanation, explain_rows
from openfm.fm.model import FactorizationMachine, PredictorType, predicted_labels
from openfm.fm.rows import SparseRows
from openfm.fm.topk import Ranking, joined_rows, rank

__all__ = ["AMAZONS_THRESHOLD", "MOST_EXPLAINED_FEATURES", "Predictor", "Threshold"]

Threshold = float | Literal["stored"]
"""From which score on label 1 is predicted; ``stored``: the model's own, and 0.5 where it has none."""

AMAZONS_THRESHOLD = 0.5

MOST_EXPLAINED_FEATURES = 2048
"""The non-zero features that a row may have if it is to be explained: all of their pairs are looked at."""

_READING = 16  # products that reading a byte takes as long as, at most
_QUICK = 2**22  # products

_MOST_PAIRS_LOOKED_AT = 64 * MOST_EXPLAINED_FEATURES**2  # for the explanations of one ranking: some seconds
_MOST_PAIRS_LISTED = 10**6  # in them: some 50 MB


class Predictor:
    """Scores the rows of a request with one model.

    Safe to call from several threads at once: the model never changes, and each call scores on its
    own thread, since a server's workers and their threads already keep the processors busy.

    Args:
        machine: the trained model.
        stored_threshold: the model's own threshold, if it has one.
        encoder: what makes features of raw values, if the model has such a thing.
    """

    def __init__(
        self,
        machine: FactorizationMachine,
        stored_threshold: float | None = None,
        encoder: ColumnEncoder | None = None,
    ) -> None:
        machine.prepare()
        self._machine = machine
        self.encoder = encoder
        self._stored_threshold = AMAZONS_THRESHOLD if stored_threshold is None else stored_threshold

    @property
    def feature_dim(self) -> int:
        """The width of the rows that it takes."""
        return self._machine.feature_dim

    def is_quick(self, body: Body) -> bool:
        """Whether to answer a plain request of this length takes a fraction of a millisecond, whatever is in it."""
        return len(body) * (_READING + self._machine.num_factors) <= _QUICK

    def predict(self, rows: SparseRows, threshold: Threshold = AMAZONS_THRESHOLD) -> Predictions:
        """Score rows; a binary classifier labels them too.

        Raises:
            RequestError: A score is not finite, because finite values of the row overflow float32
                in the model.
        """
        scores = self._machine.score(rows, threads=1)
        finite = np.isfinite(scores)
        if not finite.all():
            raise RequestError(f"instance {int(np.argmin(finite))}: its score overflows float32; scale its values down")
        return Predictions(scores, self._labels(scores, threshold))

    def answer_plain(
        self, body: Body, threshold: Threshold = AMAZONS_THRESHOLD, *, lines: bool, answer_lines: bool
    ) -> tuple[bytes, int] | None:
        """The answer to a plain request, and the number of its rows: see :func:`openfm.codecs.plain.answer_plain`."""
        return answer_plain(body, self._machine, self._resolved(threshold), lines=lines, answer_lines=answer_lines)

    def explain(self, rows: SparseRows, pairs: int) -> Iterator[Explanation]:
        """Where each row's score comes from, with at most so many of its pairs.

        Raises:
            RequestError: a row has more than 2048 non-zero features.
        """
        widths = np.diff(rows.indptr)
        if (widths > MOST_EXPLAINED_FEATURES).any():
            row = int(np.argmax(widths > MOST_EXPLAINED_FEATURES))
            raise RequestError(f"instance {row}: {_too_wide(int(widths[row]))}")
        return self._explanations(rows, pairs)

    def rank(self, query: RankingQuery, threshold: Threshold = AMAZONS_THRESHOLD) -> tuple[Ranking, Predictions]:
        """The best candidates of a query, and what is predicted for each of them, in the same order.

        Raises:
            RequestError: a candidate is out of range or one of the fixed features, or a score overflows float32.
        """
        try:
            ranking = rank(
                self._machine, query.k, fixed=query.fixed, candidates=query.candidates, exclude=query.exclude
            )
        except ValueError as error:
            raise RequestError(str(error)) from error
        return ranking, Predictions(ranking.scores, self._labels(ranking.scores, threshold))

    def explain_ranking(self, query: RankingQuery, ranking: Ranking, pairs: int) -> Iterator[Explanation]:
        """Where the scores of a query's best candidates come from: as :meth:`explain`, of the joined rows.

        Raises:
            RequestError: the fixed features and a candidate are together more than 2048 non-zero features.
        """
        count, widest = len(ranking.candidates), query.fixed.nnz + _widest(query, ranking)
        if widest > MOST_EXPLAINED_FEATURES:
            raise RequestError(f"with a candidate {_too_wide(widest)}")
        if count * widest**2 > _MOST_PAIRS_LOOKED_AT or count * min(pairs, widest**2) > _MOST_PAIRS_LISTED:
            raise RequestError(
                f"explanations of {count} candidates with up to {widest} features each are too much for one answer; "
                "ask for a smaller k or fewer pairs, or leave verbose=true out"
            )
        return self._ranking_explanations(query, ranking, pairs)

    def _ranking_explanations(self, query: RankingQuery, ranking: Ranking, pairs: int) -> Iterator[Explanation]:
        for place in range(len(ranking.candidates)):
            row = joined_rows(query.fixed, query.candidates, ranking.candidates[place : place + 1])
            yield explain_rows(self._machine, row, pairs=pairs)[0]

    def _explanations(self, rows: SparseRows, pairs: int) -> Iterator[Explanation]:
        for row in range(len(rows)):
            yield from explain_rows(self._machine, rows.slice(row, row + 1), pairs=pairs)

    def _labels(self, scores: npt.NDArray[np.float32], threshold: Threshold) -> npt.NDArray[np.float32] | None:
        if self._machine.predictor_type is PredictorType.REGRESSOR:
            return None
        return predicted_labels(scores, self._resolved(threshold))

    def _resolved(self, threshold: Threshold) -> float:
        return self._stored_threshold if threshold == "stored" else threshold


def _widest(query: RankingQuery, ranking: Ranking) -> int:
    """The most features that one of the best candidates has."""
    if not isinstance(query.candidates, SparseRows):
        return 1
    return int(np.diff(query.candidates.indptr)[ranking.candidates].max(initial=0))


def _too_wide(features: int) -> str:
    return (
        f"it has {features} non-zero features, and at most {MOST_EXPLAINED_FEATURES} can be explained; leave "
        "verbose=true out"
    )
