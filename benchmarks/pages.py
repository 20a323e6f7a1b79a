"""Put the results into the documents: ``python -m benchmarks.pages``.

Each place is between two comments, ``<!-- results NAME -->`` and ``<!-- end of results -->``; NAME is a part of the
benchmarks (all of its tables), or the README's ``summary`` or ``hosts_summary``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots, results
from benchmarks.frame import Cell, Report, Spread, Table

__all__ = ["fill", "main"]

ROOT = Path(__file__).parents[1]
PLOTS = ROOT / "docs" / "performance"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "estimators.md",
    ROOT / "docs" / "hosts.md",
)

_PLACE = re.compile(r"(<!-- results (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)

Results = Mapping[str, tuple[Report, Mapping[str, Any]]]


def main() -> None:
    found = {path.stem: results.load(path) for path in sorted(results.FOLDER.glob("*.json"))}
    plots.draw({name: report for name, (report, _) in found.items()}, PLOTS)
    for page in PAGES:
        page.write_text(fill(page.read_text(), found))


def fill(text: str, found: Results) -> str:
    """A page with its places filled; those of parts without results stay as they are."""

    def content(place: re.Match[str]) -> str:
        begin, name, end = place.groups()
        if name == "summary":
            return f"{begin}\n{summary(found)}\n{end}"
        if name == "hosts_summary" and "hosts" in found:
            return f"{begin}\n{hosts_summary(found['hosts'][0])}\n{end}"
        if name not in found:
            return place[0]
        report, head = found[name]
        plot = f"![{head['about']}](performance/{name}.svg)\n\n" if name in plots.DRAWN else ""
        return f"{begin}\n{_measured_how(report, head)}\n\n{plot}{results.markdown(report).strip()}\n\n{end}"

    return _PLACE.sub(content, text)


def summary(found: Results) -> str:
    """The README's tables: the medians of what matters most."""
    parts = []
    if "training" in found:
        report, head = found["training"]
        parts.append(results.table_markdown(_training_summary(report)).partition("\n\n")[2])
        machine = head["machine"]
        parts.append(
            f"Thousand rows of training a second of CPU time, on one thread of an {machine['processor']} with "
            f"{machine['processors']} processors; medians of {head['rounds']} epochs of each in turn, "
            f"{machine['date'][:10]}, `{head['command']}`.\n"
        )
    if "serving" in found:
        report, _ = found["serving"]
        parts.append(results.table_markdown(_serving_summary(report)).partition("\n\n")[2])
        parts.append(
            "Microseconds of CPU time of a request in JSON, for one client, beside Flask applications of the usual "
            "kind under the same gunicorn.\n"
        )
    rows = list(_summary_rows(found))
    if rows:
        parts.append(results.table_markdown(Table("", ("", "openfm"), rows)).partition("\n\n")[2])
    return "\n".join(parts)


def hosts_summary(report: Report) -> str:
    """Up to how many hosts each doubling is worth it: a line for each problem and batch, a column for each network."""
    worth: dict[tuple[Cell, Cell], list[Cell]] = {}
    rates: list[Cell] = []
    for problem, batch, rate, *_, hosts in report.tables[0].rows:
        worth.setdefault((problem, batch), []).append(hosts)
        rates += [rate] if rate not in rates else []
    columns = ("", "records of each host in a step", *(f"{rate} Gbit/s" for rate in rates))
    table = Table("", columns, [[problem, batch, *hosts] for (problem, batch), hosts in worth.items()])
    return results.table_markdown(table).partition("\n\n")[2]


def _training_summary(report: Report) -> Table:
    """Rows a second of each tool (of its ways the fastest), a line for each problem."""
    groups = ("openfm", "MXNet's example", "modern-fm", "myFM", "PyTorch", "NumPy and SciPy")
    rows: list[list[Cell]] = []
    for table in report.tables:
        if table.title.startswith("An epoch of "):
            medians = {str(row[0]): row[1].median for row in table.rows if isinstance(row[1], Spread)}
            of_groups = [[speed for name, speed in medians.items() if name.startswith(group)] for group in groups]
            problem = table.title.removeprefix("An epoch of ").removesuffix(", one thread")
            rows.append([problem, *(max(speeds, default=None) for speeds in of_groups)])
    return Table("", ("", *groups), rows)


def _serving_summary(report: Report) -> Table:
    """CPU time of a request of one client at each server, a line for each number of rows."""
    requests, *_ = report.tables
    rows: list[list[Cell]] = [
        [f"{row[0]} row{'' if row[0] == 1 else 's'}", *map(_median, row[2:])] for row in requests.rows if row[1] == 1
    ]
    return Table("", ("", *(name.removesuffix(" [us]") for name in requests.columns[2:])), rows)


def _summary_rows(found: Results) -> Iterator[list[Cell]]:
    """What is measured in one figure, from the other parts."""
    if "jobs" in found:
        job = next(row for row in found["jobs"][0].tables[0].rows if row[0] == "MNIST")
        yield ["a job of 5 epochs on MNIST, records to model: CPU s", _median(job[3])]
        yield ["its peak memory, MiB", _median(job[5])]
    if "decoding" in found:
        for check in found["decoding"][0].checks:
            yield [check.what, check.value]
    if "serving" in found:
        *_, starts = found["serving"][0].tables
        yield ["`openfm serve`: ms from its start to the first answer", _median(starts.rows[0][1])]


def _median(cell: Cell) -> Cell:
    return cell.median if isinstance(cell, Spread) else cell


def _measured_how(report: Report, head: Mapping[str, Any]) -> str:
    machine = head["machine"]
    of_all = head["base_versions"] | dict(report.versions)
    versions = ", ".join(f"{name} {version}" for name, version in of_all.items())
    return (
        f"`{head['command']}`, {machine['date']}, {head['seconds']} seconds: medians of {head['rounds']} (least to "
        f"greatest). {machine['processor']}, {machine['processors']} processors, {machine['memory GiB']} GiB, "
        f"{machine['system']}, load average {machine['load average before']} before. openfm at {machine['commit']}; "
        f"{versions}."
    )


if __name__ == "__main__":
    main()
