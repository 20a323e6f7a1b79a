"""Answers: plain predictions, and those with more than a score and a label for each instance.

::

    {"score": 0.78, "predicted_label": 1.0, "explanation": {...}}
    {"top_k": [{"key": 99, "score": 0.78, "predicted_label": 1.0}, ...]}
    {"top_k": [{"key": 99, "id": "i7", "score": 0.78, "predicted_label": 1.0}, ...]}   candidates of a column
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openfm.codecs.documents import DOCUMENT_ENCODERS
from openfm.codecs.explanations import explanation_document
from openfm.codecs.predictions import Predictions
from openfm.codecs.queries import MEMBER
from openfm.codecs.registry import ENCODERS
from openfm.codecs.requests import RankingRequest, Request
from openfm.encoding import ColumnEncoder
from openfm.errors import NotAcceptableError, RequestError
from openfm.fm.explain import Explanation
from openfm.fm.rows import SparseRows
from openfm.serving.negotiation import AnswerForm
from openfm.serving.predictor import Predictor

__all__ = ["answer_body"]


def answer_body(instances: Request | RankingRequest, predictor: Predictor, form: AnswerForm) -> bytes:
    """The answer to a request.

    Raises:
        RequestError: an instance cannot be scored or explained, or a query's candidates do not fit.
        NotAcceptableError: rankings are asked for in a type that has no room for them.
    """
    if isinstance(instances, RankingRequest):
        if form.content_type not in DOCUMENT_ENCODERS:
            raise NotAcceptableError(
                f"{form.content_type} has no room for rankings: ask for one of {', '.join(DOCUMENT_ENCODERS)}"
            )
        return DOCUMENT_ENCODERS[form.content_type](_ranked(predictor, instances, form))
    if form.verbose:
        return DOCUMENT_ENCODERS[form.content_type](_explained(predictor, instances.rows, form))
    predictions = predictor.predict(instances.rows, form.threshold)
    if instances.identities is not None:
        predictions = predictions.identified(instances.identities)
    return ENCODERS[form.content_type](predictions)


def _explained(predictor: Predictor, rows: SparseRows, form: AnswerForm) -> Iterator[dict[str, Any]]:
    """The prediction of each row, with its explanation.

    Raises:
        RequestError: a row cannot be scored, or has too many features to be explained.
    """
    predictions = predictor.predict(rows, form.threshold)
    return _documents(predictions, predictor.explain(rows, form.pairs), predictor.encoder)


def _ranked(predictor: Predictor, request: RankingRequest, form: AnswerForm) -> Iterator[dict[str, Any]]:
    """The best candidates of each query, with their predictions, and with explanations if they are asked for.

    Raises:
        RequestError: a query's candidates do not fit the model or the fixed features; names the instance.
    """
    for number, query in enumerate(request.queries):
        try:
            ranking, predictions = predictor.rank(query, form.threshold)
            explanations = predictor.explain_ranking(query, ranking, form.pairs) if form.verbose else None
        except RequestError as error:
            raise RequestError(f"instance {number}: {error.message}") from error
        answers = _documents(predictions, explanations, predictor.encoder)
        keys = ranking.candidates.tolist()
        named: list[dict[str, Any]] = [{"key": key} for key in keys]
        if query.column is not None and predictor.encoder is not None:
            named = [{"key": key, "id": predictor.encoder.value(key)} for key in keys]
        yield {MEMBER: [{**name, **answer} for name, answer in zip(named, answers, strict=True)]}


def _documents(
    predictions: Predictions, explanations: Iterator[Explanation] | None, encoder: ColumnEncoder | None
) -> Iterator[dict[str, Any]]:
    labels = predictions.predicted_labels
    name = None if encoder is None else encoder.feature_name
    for row in range(len(predictions)):
        document: dict[str, Any] = {"score": float(predictions.scores[row])}
        if labels is not None:
            document["predicted_label"] = float(labels[row])
        if explanations is not None:
            document["explanation"] = explanation_document(next(explanations), name)
        yield document
