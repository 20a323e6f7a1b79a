"""docs/command-line.md, out of the declarations of the command line.

Run as a program it writes the page (``make reference``).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from openfm import cli

__all__ = ["BEGIN", "PAGE", "reference"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
BEGIN = "<!-- From here on written by tests/support/command_line_page.py. -->\n"

_NAMES_IN_TEXT = re.compile(
    r"(?<![\w`/])(--[a-z][a-z-]*(?: 0\.0\.0\.0)?|[A-Z]+(?:_[A-Z]+)+|DATA|MODEL|FILE|LOG)(?![\w`])"
)


def reference() -> str:
    """Markdown: a heading for each section and each verb."""
    context = click.Context(cli.main, info_name="openfm")
    parts = []
    for title, verbs in cli.SECTIONS.items():
        parts.append(f"## {title}\n")
        for verb in verbs:
            command = cli.main.get_command(context, verb)
            assert command is not None
            parts.append("\n".join(_verb(verb, command)))
    return "\n".join(parts)


def _verb(name: str, command: click.Command) -> Iterator[str]:
    text, _, examples = (command.help or "").partition("\b")
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    usage = " ".join([f"openfm {name}", *map(_argument, arguments), "[OPTIONS]"])
    yield f"### openfm {name}\n"
    yield f"```text\n{usage}\n```\n"
    for paragraph in filter(None, map(str.strip, text.split("\n\n"))):
        yield textwrap.fill(_marked(" ".join(paragraph.split())), 120, break_on_hyphens=False) + "\n"
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        yield "| option | meaning |"
        yield "| --- | --- |"
        yield from (f"| {_spelling(option)} | {_meaning(option)} |" for option in options)
        yield ""
    lines = [line.strip() for line in examples.strip().splitlines()[1:]]
    yield "```text\n" + "\n".join(lines) + "\n```\n"


def _marked(text: str) -> str:
    """The text with names of options, variables and arguments in backquotes."""
    return _NAMES_IN_TEXT.sub(r"`\1`", text)


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _spelling(option: click.Option) -> str:
    name = ", ".join(f"`{each}`" for each in option.opts)
    return name if option.is_flag else f"{name} {_value(option)}"


def _value(option: click.Option) -> str:
    if option.metavar:
        return f"`{option.metavar}`"
    if isinstance(option.type, click.Choice):
        return " or ".join(f"`{choice}`" for choice in option.type.choices)
    if isinstance(option.type, click.IntRange) and (option.type.min, option.type.max) == (0, 1):
        return "`0` or `1`"
    if isinstance(option.type, click.IntRange):
        return "`NUMBER`"
    if isinstance(option.type, click.FloatRange):
        return "`NUMBER`"
    if isinstance(option.type, click.Path):
        return "`FILE`"
    return "`TEXT`"


def _meaning(option: click.Option) -> str:
    text = option.help or ""
    if option.show_default and option.default not in (None, False, ()):
        text += f" By default {option.default}."
    return _marked(text).replace("  [default:", " [default:").replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write the reference into the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(f"{text}{BEGIN}\n{reference()}", encoding="utf-8")


if __name__ == "__main__":
    main()
