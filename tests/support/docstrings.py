"""Docstrings, as this code base writes them, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["markdown"]

_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example|Examples):$")
_ITEM = re.compile(r"^    (?P<names>\*{0,2}\w[\w, *]*): (?P<text>.*)$")
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")


def markdown(docstring: str) -> str:
    """A docstring that :func:`inspect.getdoc` gave: roles and literals in backquotes, sections as lists."""
    return _spans("\n".join(_blocks(docstring.splitlines()))).strip()


def _blocks(lines: list[str]) -> Iterator[str]:
    section, literal = "", False
    for line in lines:
        if literal and line and not line.startswith(" "):
            literal = False
            yield "```\n"
        if heading := _SECTION.match(line):
            section = heading[1]
            yield f"**{'Arguments' if section == 'Args' else section}**\n"
        elif section:
            yield _in_section(section, line)
        elif line.endswith("::"):
            literal = True
            yield f"{line.removesuffix('::').rstrip()}:\n\n```text".removeprefix(":\n\n")
        else:
            yield line.removeprefix("    ") if literal else line
    if literal:
        yield "```"


def _in_section(section: str, line: str) -> str:
    item = _ITEM.match(line)
    if item and section in ("Args", "Attributes", "Raises"):
        names = ", ".join(f"`{name.strip()}`" for name in item["names"].split(","))
        return f"- {names}: {item['text']}"
    return f"  {line.strip()}" if line.startswith("     ") else line.strip()


def _spans(text: str) -> str:
    text = _ROLE.sub(lambda role: f"`{_short(role[1])}`", text)
    text = re.sub(r"(?<!`)``(?!`)", "`", text)
    return re.sub(r"\n+```(?=\n|$)", "\n```", re.sub(r"```text\n+", "```text\n", text))


def _short(path: str) -> str:
    """A dotted name as the page calls it: public ones in full, others by their last part."""
    return path if re.fullmatch(r"openfm\.\w+", path) else path.rpartition(".")[2]
