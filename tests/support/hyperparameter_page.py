"""The tables of docs/hyperparameters.md, out of the declarations that jobs are checked with.

``make reference`` writes them into the page.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfm.contract.hyperparameter_kinds import Choice, Flag, Integer, Kind, Number
from openfm.contract.hyperparameter_table import DECLARATIONS, Declaration

__all__ = ["BEGIN", "PAGE", "tables"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hyperparameters.md"
BEGIN = "<!-- From here on written by tests/support/hyperparameter_page.py. -->\n"


def tables() -> str:
    """Markdown: a heading and a table for each section."""
    amazon = [d for d in DECLARATIONS if d.traits.origin == "amazon"]
    sections = [
        ("Required", [d for d in amazon if d.required]),
        ("Documented by Amazon", [d for d in amazon if d.traits.documented and not d.required]),
        (
            "In the default configuration that Amazon's container logs, but not documented",
            [d for d in amazon if not d.traits.documented],
        ),
        ("openfm's own", [d for d in DECLARATIONS if d.traits.origin == "openfm"]),
    ]
    return "\n".join(_section(title, declarations) for title, declarations in sections)


def _section(title: str, declarations: list[Declaration]) -> str:
    rows = [f"| `{d.name}` | {_values(d.kind)} | {_default(d)} | {_meaning(d)} |" for d in declarations]
    head = ["| name | values | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _values(kind: Kind) -> str:
    match kind:
        case Integer():
            return f"integer, at least {kind.minimum}"
        case Number(minimum=None):
            return "number"
        case Number():
            return f"number, at least {kind.minimum:g}"
        case Choice():
            return ", ".join(f"`{option}`" for option in kind.options)
        case Flag():
            return "`true`, `false`"
        case _:
            return "text"


def _default(declaration: Declaration) -> str:
    return "" if declaration.default in (None, "") else f"`{declaration.default}`"


def _meaning(declaration: Declaration) -> str:
    return re.sub(r"'(\w+)'", r"`\1`", declaration.description)


def main() -> None:
    """Write the tables into the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(f"{text}{BEGIN}\n{tables()}", encoding="utf-8")


if __name__ == "__main__":
    main()
