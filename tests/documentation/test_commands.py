"""The commands and the Python of the documents do what the documents say."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest

from support.documents import (
    DOCUMENTS,
    REPOSITORY,
    Block,
    blocks_of,
    copy_repository,
    needs_curl,
    run_bash,
    serving,
)
from support.ports import free_port

RUN_BY_CI = REPOSITORY / ".ci" / "run"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository, and the current folder."""
    copy_repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def port() -> int:
    return free_port()


def rounded(answer: str) -> object:
    """The JSON with its numbers to three digits: the rest may change with the kernels."""
    return json.loads(answer, parse_float=lambda digits: round(float(digits), 3))


def rounded_text(printed: str) -> str:
    """The text with its decimal fractions to three digits."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.3f}", printed)


def run(document: Path, blocks: list[Block], clone: Path, port: int) -> None:
    namespace: dict[str, object] = {}
    printed = ""
    with contextlib.ExitStack() as server:
        for block in blocks:
            if block.has("answer"):
                assert rounded(printed) == rounded(block.code)
            elif block.has("prints"):
                assert rounded_text(printed) == rounded_text(block.code)
            elif block.language == "python":
                # Line numbers of tracebacks are those of the document.
                source = "\n" * (block.line - 1) + block.code
                exec(compile(source, str(document), "exec"), namespace)
            elif block.has("server"):
                server.close()
                server.enter_context(serving(block.code, clone, port))
            elif block.language == "bash":
                printed = run_bash(block.code, clone, port)


@needs_curl
@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_blocks_run(document: Path, clone: Path, port: int) -> None:
    run(document, [block for block in blocks_of(document) if not block.needs], clone, port)


@pytest.mark.docker
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if any(b.needs == "docker" for b in blocks_of(d))], ids=str)
def test_docker_blocks_run(document: Path, clone: Path, port: int) -> None:
    run(document, [b for b in blocks_of(document) if b.needs == "docker"], clone, port)


def test_ci_runs_the_other_commands() -> None:
    run_by_ci = {line.strip() for line in RUN_BY_CI.read_text(encoding="utf-8").splitlines()}
    for document in DOCUMENTS:
        for block in blocks_of(document):
            if block.needs == "ci":
                for line in block.code.splitlines():
                    command = line.partition(" # ")[0].strip()
                    assert any(found == command or found.startswith(f"{command} ") for found in run_by_ci), command
