"""The real server as a process of its own."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.ports import free_port

COMMAND = [
    sys.executable,
    "-c",
    "import os, sys; from openfm.serving.server import main; sys.exit(main(os.environ))",
]


class Server:
    """A server process and what it wrote to stderr."""

    def __init__(self, base: Path, log: Path, **environ: str) -> None:
        self.port = free_port()
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                COMMAND,
                env=environment(base, SAGEMAKER_BIND_TO_PORT=str(self.port), **environ),
                stdout=stderr,
                stderr=stderr,
            )

    @classmethod
    @contextmanager
    def running(cls, base: Path, **environ: str) -> Iterator[Server]:
        """A healthy server, which is killed at the end."""
        server = cls(base, base / "log", **environ)
        try:
            server.wait_until_healthy()
            yield server
        finally:
            server.process.kill()
            server.process.wait()

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.request("GET", "/ping")[0] == 200:
                    return
            except ConnectionError:
                time.sleep(0.05)
        raise AssertionError(f"no /ping within 120 s: {self.log.read_text()}")

    def request(
        self, method: str, path: str, body: Any = None, timeout: float = 120, **headers: str
    ) -> tuple[int, str, bytes]:
        """Status, content type and body; header names with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(
                method,
                path,
                body=body,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )
            response = connection.getresponse()
            return response.status, response.headers.get("Content-Type", ""), response.read()
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """The exit code, and the seconds that it took."""
        start = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=60), time.monotonic() - start


def environment(base: Path, **environ: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SAGEMAKER", "OPENFM", "MODEL_SERVER"))
    }
    return {**inherited, "SAGEMAKER_BASE_DIR": str(base), **environ}
