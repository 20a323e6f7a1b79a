"""Run the image as its users do: through the ``docker`` client."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "IMAGE",
    "Answer",
    "Container",
    "docker",
    "http_request",
    "mount",
    "run_image",
    "start_image",
]

IMAGE = os.environ.get("OPENFM_TEST_IMAGE", "openfm")
"""The image under test."""

READY_SECONDS = 180

Body = bytes | Iterable[bytes] | None
"""What a request carries; an iterable goes out in chunks, without a Content-Length."""


def docker(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run one ``docker`` command to its end, whatever its exit code."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)


def run_image(*command: str, options: Sequence[str] = (), timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """``docker run --rm OPTIONS IMAGE COMMAND`` to its end."""
    return docker("run", "--rm", *options, IMAGE, *command, timeout=timeout)


@dataclass(frozen=True)
class Answer:
    """What an HTTP server answered."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Container:
    """A container that runs in the background."""

    id: str
    port: int

    def logs(self) -> str:
        """Everything that it has written so far."""
        run = docker("logs", self.id)
        return run.stdout + run.stderr

    def is_running(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.id).stdout.strip() == "true"

    def wait_for_log(self, text: str) -> None:
        """Wait until ``text`` is in the log."""
        self._wait(lambda: text in self.logs(), f"{text!r} in its log")

    def wait_until_ready(self) -> None:
        """Wait until ``GET /ping`` says 200."""
        self._wait(self._answers_ping, "an answer to GET /ping")

    def stop(self, grace: int = 30) -> tuple[float, int]:
        """Send SIGTERM as ``docker stop`` does; return the seconds it took and the exit code."""
        started = time.monotonic()
        docker("stop", "--time", str(grace), self.id)
        seconds = time.monotonic() - started
        return seconds, int(docker("inspect", "--format", "{{.State.ExitCode}}", self.id).stdout)

    def request(self, path: str, body: Body = None, content_type: str = "", accept: str = "") -> Answer:
        """GET ``path``, or POST ``body`` to it."""
        return http_request(f"{self._address()}{path}", body, content_type, accept)

    def _address(self) -> str:
        mapping = docker("port", self.id, str(self.port)).stdout.splitlines()[0]
        return f"http://{mapping}"

    def _answers_ping(self) -> bool:
        try:
            return self.request("/ping").status == 200
        except (OSError, IndexError):
            return False

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not happened():
            if not self.is_running() or time.monotonic() > deadline:
                if happened():
                    return
                raise AssertionError(f"the container never came to {what}; its log:\n{self.logs()}")
            time.sleep(0.1)


def http_request(url: str, body: Body = None, content_type: str = "", accept: str = "") -> Answer:
    """GET ``url``, or POST ``body`` to it; an error status is an answer too."""
    headers = {"Content-Type": content_type, "Accept": accept}
    request = urllib.request.Request(url, data=body, headers={name: value for name, value in headers.items() if value})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(answer.status, answer.headers.get_content_type(), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get_content_type(), error.read())


@contextmanager
def start_image(*command: str, options: Sequence[str] = (), port: int = 8080) -> Iterator[Container]:
    """``docker run --detach`` with ``port`` mapped to a free one; removed at the end."""
    run = docker("run", "--detach", "--publish", f"127.0.0.1::{port}", *options, IMAGE, *command)
    assert run.returncode == 0, run.stderr
    container = Container(run.stdout.strip(), port)
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.id)


def mount(folder: Path, target: str = "/opt/ml", mode: str = "rw") -> str:
    """The option that mounts ``folder``."""
    return f"--volume={folder}:{target}:{mode}"
