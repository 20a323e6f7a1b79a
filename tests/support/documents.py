"""The documents and their blocks of code, and how to run them as a reader would.

A fenced block is run if its language is ``python`` or ``bash``. A comment in the line before says
more about it, and does not show on the page:

``<!-- server -->``  a command that serves until the next such block, or the document's end
``<!-- answer -->``  no command, but what the block before prints: JSON
``<!-- prints -->``  the same as any text
``<!-- docker -->``  needs Docker and the image
``<!-- ci -->``      commands that .ci/run itself runs, line by line
``<!-- sdk -->``     needs the SageMaker SDK too; tests/sdk runs it, with version 2 if it says ``sdk v2``
``<!-- aws -->``     needs an account of AWS; run against moto, by tests/sdk if it says ``aws v2`` or ``aws v3``

Two words may stand in one comment, such as ``docker server``.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = [
    "DOCUMENTS",
    "REPOSITORY",
    "Block",
    "blocks_of",
    "copy_repository",
    "needs_curl",
    "run_bash",
    "serving",
]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the commands need curl")

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [Path("README.md"), *(path.relative_to(REPOSITORY) for path in sorted((REPOSITORY / "docs").glob("*.md")))]
_BLOCK = re.compile(
    r"^(?:<!-- (?P<hint>[a-z0-9 ]+) -->\n)?```(?P<language>[a-z]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ADDRESS = "127.0.0.1:8080"


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    hint: str
    language: str
    code: str
    line: int

    @property
    def needs(self) -> str:
        """What must be there to run it: ``docker``, ``ci``, ``sdk``, ``aws`` or nothing."""
        return next((word for word in ("docker", "ci", "sdk", "aws") if self.has(word)), "")

    def has(self, word: str) -> bool:
        """Whether the hint says this."""
        return word in self.hint.split()


def blocks_of(document: Path) -> list[Block]:
    """All fenced blocks of a document, in order."""
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    return [
        Block(
            match["hint"] or "",
            match["language"],
            match["code"],
            text.count("\n", 0, match.start("code")) + 1,
        )
        for match in _BLOCK.finditer(text)
    ]


def copy_repository(destination: Path) -> None:
    """Copy what a clone would hold: the files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, destination / name)


def run_bash(code: str, folder: Path, port: int) -> str:
    """Run commands in ``folder``, all of which must succeed; what they print."""
    process = subprocess.run(
        _command(code, port),
        cwd=folder,
        env=_environment(port),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, f"{code}{process.stdout}{process.stderr}"
    return process.stdout


@contextlib.contextmanager
def serving(code: str, folder: Path, port: int) -> Iterator[None]:
    """Run a command that serves on ``port``; go on when it answers, and end it at the end."""
    log = folder / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            _command(code, port),
            cwd=folder,
            env=_environment(port),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while not _answers(port):
            assert server.poll() is None, f"{code}{log.read_text()}"
            assert time.monotonic() < deadline, f"{code}{log.read_text()}"
            time.sleep(0.1)
        yield
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def _command(code: str, port: int) -> list[str]:
    """The commands for bash, which stops at the first that fails, even inside a pipe."""
    return ["bash", "-euo", "pipefail", "-c", code.replace(_ADDRESS, f"127.0.0.1:{port}")]


def _environment(port: int) -> dict[str, str]:
    """This Python's commands first on PATH, and another port than 8080, which may be taken."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "OPENFM_PORT": str(port),
    }


def _answers(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
