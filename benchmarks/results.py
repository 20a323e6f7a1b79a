"""The results of a part as JSON, and their tables as Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.frame import Cell, Check, Report, Spread, Table

__all__ = ["FOLDER", "cell_text", "load", "markdown", "save", "table_markdown"]

FOLDER = Path(__file__).with_name("results")
"""Where the committed results are."""


def save(path: Path, report: Report, head: Mapping[str, Any]) -> None:
    """Write ``head`` and a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(head) | dataclasses.asdict(report)
    path.write_text(json.dumps(content, indent=1) + "\n")


def load(path: Path) -> tuple[Report, dict[str, Any]]:
    """A report and its head."""
    content = json.loads(path.read_text())
    report = Report(
        tables=[
            Table(**table | {"rows": [[_cell(cell) for cell in row] for row in table["rows"]]})
            for table in content.pop("tables")
        ],
        checks=[Check(**check) for check in content.pop("checks")],
        left_out=content.pop("left_out"),
        versions=content.pop("versions"),
        series=content.pop("series"),
    )
    return report, content


def markdown(report: Report) -> str:
    """All tables of a report, what was left out, and how the checks stand."""
    return "\n".join(_markdown(report))


def _markdown(report: Report) -> Iterator[str]:
    for table in filter(lambda table: table.rows, report.tables):
        yield table_markdown(table)
    for sentence in report.left_out:
        yield f"* Left out: {sentence}"
    if report.left_out:
        yield ""
    if report.checks:
        rows = [[check.what, check.value, _limit(check), "yes" if check.holds else "**no**"] for check in report.checks]
        yield table_markdown(Table("What it is held to", ("figure", "measured", "limit", "held"), rows))


def table_markdown(table: Table) -> str:
    """A table with its title in bold above and its notes below."""
    lines = [f"**{table.title}**", ""]
    lines.append(f"| {' | '.join(table.columns)} |")
    lines.append(f"| {' | '.join('---' for _ in table.columns)} |")
    lines.extend(f"| {' | '.join(map(cell_text, row))} |" for row in table.rows)
    lines.append("")
    for note in table.notes:
        lines.extend((note, ""))
    return "\n".join(lines)


def cell_text(cell: Cell) -> str:
    """A cell for the reader: three significant digits; a spread as ``median (least to greatest)``."""
    match cell:
        case None:
            return "-"
        case Spread(median, low, high):
            return f"{_number(median)} ({_number(low)} to {_number(high)})"
        case int() | float():
            return _number(cell)
        case _:
            return cell


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}".replace(",", " ")


def _limit(check: Check) -> str:
    if check.at_least is not None:
        return f"at least {cell_text(check.at_least)}"
    return f"at most {cell_text(check.at_most)}"


def _cell(value: Any) -> Cell:
    return Spread(**value) if isinstance(value, dict) else value
