"""What a report shows of the records that were scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.model import FactorizationMachine
from openfm.fm.rows import SparseRows
from openfm.report.chart import Axis, Chart, shown
from openfm.report.curves import bins_of

__all__ = ["DataSection", "data_section"]


@dataclass(frozen=True, slots=True)
class DataSection:
    """All that is shown: facts in words, and the labels' distribution."""

    facts: dict[str, str]
    labels: Chart


def data_section(rows: SparseRows, labels: npt.NDArray[np.float32], machine: FactorizationMachine) -> DataSection:
    """Look at records: n of them, at least 1, with labels, float32 of shape (n,), as a machine sees them."""
    n, cells = len(rows), len(rows) * rows.feature_dim
    widths = np.diff(rows.indptr)
    facts = {
        "records": f"{n:,}",
        "features": f"{rows.feature_dim:,}",
        "features that occur": f"{len(np.unique(rows.indices)):,}",
        "values that are not zero": f"{rows.nnz:,} ({rows.nnz / cells:.3%} of all)",
        "of them in a record": f"{shown(float(widths.mean()))} on average, {widths.min():,} to {widths.max():,}",
        "mean label": shown(float(labels.mean(dtype=np.float64))),
    }
    if rows.nnz:
        has_weights = np.logical_or(machine.linear != 0, machine.factors.any(axis=1))
        known = has_weights[rows.indices]
        facts["of them, of features without any weight"] = f"{1 - float(known.mean()):.2%}"
    return DataSection(facts, _labels(labels))


def _labels(labels: npt.NDArray[np.float32]) -> Chart:
    edges = bins_of(labels)
    counts = np.histogram(labels, edges)[0]
    different = np.unique(labels)
    few = len(different) == len(counts)
    chart = Chart(
        "Labels",
        f"How often each label occurs: from {shown(float(different[0]))} to {shown(float(different[-1]))}.",
        Axis.at("label", different.tolist(), edges) if few else Axis.over("label", edges),
        Axis.over("records", [0, int(counts.max())]),
    )
    for i, count in enumerate(counts.tolist()):
        what = shown(float(different[i])) if few else f"{shown(edges[i])} to {shown(edges[i + 1])}"
        margin = (edges[i + 1] - edges[i]) * (0.1 if few else 0.0)
        text = f"label {what}: {count:,} records, {count / len(labels):.1%}"
        chart.box(float(edges[i] + margin), float(edges[i + 1] - margin), 0, count, "s1", text)
    return chart
