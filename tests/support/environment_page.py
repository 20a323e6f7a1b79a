"""The tables of docs/environment.md, out of the declarations that the variables are read by.

``make reference`` writes them into the page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from openfm.contract import environment
from openfm.contract.variables import BASE_DIR, Variable
from openfm.serving import settings

__all__ = ["BEGIN", "PAGE", "tables"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "environment.md"
BEGIN = "<!-- From here on written by tests/support/environment_page.py. -->\n"


def tables() -> str:
    """Markdown: a heading and a table for each section."""
    sections = [
        ("Both", (BASE_DIR,)),
        ("Training", environment.VARIABLES),
        ("Serving", settings.VARIABLES),
    ]
    return "\n".join(_section(title, variables) for title, variables in sections)


def _section(title: str, variables: Sequence[Variable]) -> str:
    rows = [f"| {_names(v)} | {_words(v.meaning)} | {_words(v.default)} |" for v in variables]
    head = ["| variable | meaning | default |", "| --- | --- | --- |"]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _names(variable: Variable) -> str:
    return ", else ".join(f"`{name}`" for name in variable.names)


def _words(text: str) -> str:
    """What stands between single quotes (an apostrophe is none) between backquotes."""
    return re.sub(r"(?<!\w)'([^']+)'(?!\w)", r"`\1`", text)


def main() -> None:
    """Write the tables into the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(f"{text}{BEGIN}\n{tables()}", encoding="utf-8")


if __name__ == "__main__":
    main()
