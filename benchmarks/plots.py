"""The results of all parts as plots (SVG) for the documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame import Report, Spread

__all__ = ["DRAWN", "draw"]

DRAWN = ("training", "serving", "scaling", "threads", "hosts")
"""The parts that have a plot, a file of their name."""

Lines = Mapping[str, Sequence[tuple[float, float]]]

_AXES = {
    "CPU per request by rows, 1 client": ("rows of a request", "CPU us of a request", True),
    "hosts-MNIST": ("hosts, MNIST", "thousand records a second", True),
    "hosts-clicks": ("hosts, clicks", "thousand records a second", True),
    "threads": ("threads", "times as fast as one", False),
    "scaling-rows": ("rows", "ns a row", True),
    "scaling-k": ("factors k", "ns a row", True),
    "scaling-non_zeros": ("non-zeros of a row", "ns a row", True),
    "scaling-feature_dim": ("feature_dim", "ns a row", True),
}
_OWN, _OTHER = "#c2410c", "#64748b"


def draw(reports: Mapping[str, Report], folder: Path) -> list[Path]:
    """Write what can be drawn of the reports, by name of their parts, into ``folder``; returns the files."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "openfm"  # the same results give the same file
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in DRAWN:
        if name in reports:
            drawn = _speeds(pyplot, reports[name]) if name == "training" else _curves(pyplot, reports[name].series)
            written.append(_saved(pyplot, drawn, folder / f"{name}.svg"))
    return written


def _speeds(pyplot: Any, report: Report) -> Any:
    """Rows per second of each tool, a panel for each problem."""
    tables = [table for table in report.tables if table.title.startswith("An epoch of ")]
    figure, panels = pyplot.subplots(len(tables), 1, figsize=(8, 2.6 * len(tables)), squeeze=False)
    for panel, table in zip(panels[:, 0], tables, strict=True):
        speeds = [(str(row[0]), row[1]) for row in reversed(table.rows)]
        names = [name for name, _ in speeds]
        spreads = [speed for _, speed in speeds if isinstance(speed, Spread)]
        errors = [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]]
        colours = [_OWN if name == "openfm" else _OTHER for name in names]
        panel.barh(names, [spread.median for spread in spreads], xerr=errors, color=colours, ecolor="#94a3b8")
        panel.set_xscale("log")
        panel.set_title(table.title.removeprefix("An epoch of "), fontsize=10)
        panel.tick_params(labelsize=8)
    panels[-1, 0].set_xlabel("thousand rows per second of CPU time (logarithmic)")
    return figure


def _curves(pyplot: Any, series: Mapping[str, Lines]) -> Any:
    figure, panels = pyplot.subplots(1, len(series), figsize=(max(4.5, 3.2 * len(series)), 3.2), squeeze=False)
    for panel, (name, lines) in zip(panels[0], series.items(), strict=True):
        x_label, y_label, logarithmic = _AXES[name]
        for label, points in lines.items():
            panel.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=4, label=label)
        if logarithmic:
            panel.set_xscale("log")
            panel.set_yscale("log")
        if len(lines) > 1:
            panel.legend(fontsize=8)
        panel.set_xlabel(x_label)
        panel.set_ylabel(y_label)
        panel.grid(alpha=0.3)
    return figure


def _saved(pyplot: Any, figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
