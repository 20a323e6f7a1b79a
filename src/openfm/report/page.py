"""The page: what is known of a model, its training and its scores, as HTML."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from openfm.artifact import Model
from openfm.errors import DataError
from openfm.fm.model import PredictorType
from openfm.fm.rows import SparseRows
from openfm.report.chart import shown
from openfm.report.classifier import ClassifierSection, classifier_section
from openfm.report.data_section import data_section
from openfm.report.history import History
from openfm.report.model_section import model_section
from openfm.report.regressor import RegressorSection, regressor_section

__all__ = ["TestData", "report_page"]


@dataclass(frozen=True, slots=True, eq=False)
class TestData:
    """Labelled records that the model did not learn from.

    Attributes:
        name: of the file.
        rows: their features.
        labels: float32, shape (rows,).
    """

    __test__ = False  # to pytest this is no test

    name: str
    rows: SparseRows
    labels: npt.NDArray[np.float32]


def report_page(
    model: Model,
    *,
    title: str,
    data: TestData | None = None,
    events: Iterable[Mapping[str, Any]] | None = None,
    feature_name: Callable[[int], str] | None = None,
    made: datetime.datetime | None = None,
) -> str:
    """The report on a model: one HTML page that needs nothing else.

    Args:
        model: the model.
        title: of the page.
        data: to score it on; without, there is nothing on its quality.
        events: of its training (:func:`openfm.contract.metrics_file.read_metrics`); without, there are no learning
            curves.
        feature_name: what a feature is called; by default ``feature 17``.
        made: when; None: now.

    Raises:
        DataError: the data hold no records, a score overflows float32, a binary classifier's labels are others than 0
            and 1, or the events are not those of a training.
    """
    history = None if events is None else History.of(events)
    quality, records = None, None
    if data is not None:
        _check(data, model)
        quality, records = _quality(data, model), data_section(data.rows, data.labels, model.machine)
    about = model_section(model, feature_name or (lambda feature: f"feature {feature}"))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment.get_template("report.html.j2").render(
        title=title,
        made=(made or datetime.datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M"),
        model=about,
        history=history,
        curves=[] if history is None else history.charts(),
        hyperparameters=about.hyperparameters | ({} if history is None else history.hyperparameters),
        data=records,
        data_name="" if data is None else data.name,
        quality=quality,
        classifies=isinstance(quality, ClassifierSection),
    )


def _check(data: TestData, model: Model) -> None:
    if not len(data.rows):
        raise DataError(f"{data.name} holds no records to score. Give some.")
    classifies = model.predictor_type is PredictorType.BINARY_CLASSIFIER
    if classifies and not np.isin(data.labels, (0, 1)).all():
        wrong = data.labels[~np.isin(data.labels, (0, 1))][0]
        raise DataError(f"A label of {data.name} is {wrong:g}; those of a binary_classifier are 0 and 1.")


def _quality(data: TestData, model: Model) -> ClassifierSection | RegressorSection:
    scores = model.predict(data.rows)
    if not np.isfinite(scores).all():
        number = int(np.argmin(np.isfinite(scores)))
        raise DataError(f"The score of record {number} of {data.name} overflows float32; scale its values down.")
    if model.predictor_type is PredictorType.BINARY_CLASSIFIER:
        return classifier_section(scores, data.labels, model.threshold)
    return regressor_section(scores, data.labels)
