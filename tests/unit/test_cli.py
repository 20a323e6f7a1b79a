"""The command's verbs, one module each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import openfm.cli
from openfm.cli import SECTIONS, VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    run = CliRunner().invoke(main, [verb, "--help"])

    assert run.exit_code == 0
    assert f"openfm {verb}" in run.output.partition("Example")[2]


def test_help_lists_every_verb_in_its_section() -> None:
    printed = CliRunner().invoke(main, ["--help"]).output

    listed = printed.partition("Options:")[2].split("\n\n")[1:]
    assert {section.partition(":")[0]: verbs_of(section) for section in listed} == {
        title: tuple(verbs) for title, verbs in SECTIONS.items()
    }


def verbs_of(section: str) -> tuple[str, ...]:
    return tuple(line.split()[0] for line in section.splitlines()[1:] if line[:3].strip())


def test_every_verb_is_a_module() -> None:
    modules = {path.stem for path in Path(openfm.cli.__file__).parent.glob("*.py")}

    assert modules >= set(VERBS)


def test_an_unknown_verb_is_refused() -> None:
    run = CliRunner().invoke(main, ["fly"])

    assert run.exit_code == 2
    assert "No such command 'fly'" in run.output


def test_the_command_imports_nothing_heavy() -> None:
    code = "import sys, openfm.cli, openfm.cli.train, openfm.cli.serve; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set(run.stdout.split()).isdisjoint({"scipy", "google.protobuf", "pydantic", "flask", "pandas", "pyarrow"})
