"""What the examples share: they run the command ``openfm``, show what they run, and ask a server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["ConsoleError", "Server", "free_port", "openfm", "say", "serving"]

OPENFM = Path(sys.executable).parent / "openfm"
SECONDS_TO_START = 60
LONGEST_SHOWN = 300


class ConsoleError(RuntimeError):
    """A command failed, or a server did not start or answer."""


def say(text: str) -> None:
    """Print a paragraph at once."""
    print(f"\n{text}", flush=True)


def openfm(*arguments: str, folder: Path, lines: int | None = None) -> str:
    """Run ``openfm`` in a folder; show the command and what it prints.

    Args:
        arguments: of the command.
        folder: where it runs.
        lines: show only so many lines of what it prints.

    Returns:
        all of what it printed.

    Raises:
        ConsoleError: it failed.
    """
    print(f"\n$ openfm {shlex.join(arguments)}", flush=True)
    done = subprocess.run([OPENFM, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConsoleError(f"openfm {arguments[0]} exited with {done.returncode}: {done.stderr}")
    shown = (done.stdout or done.stderr).splitlines()
    print("\n".join(shown[:lines]), flush=True)
    return done.stdout


class Server:
    """A server on this machine that answers.

    Args:
        port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, *instances: dict[str, Any]) -> list[dict[str, Any]]:
        """The predictions for instances, which are shown with them.

        Raises:
            ConsoleError: the server refuses them.
        """
        body = json.dumps({"instances": instances})
        status, text = self.request("POST", "/invocations", body)
        shown = body if len(body) <= LONGEST_SHOWN else f"{body[:LONGEST_SHOWN]}..."
        print(f"\nPOST /invocations {shown}\n{status} {text}", flush=True)
        if status != 200:
            raise ConsoleError(f"the server answered {status}: {text}")
        predictions: list[dict[str, Any]] = json.loads(text)["predictions"]
        return predictions

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Status and text of any answer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


def free_port() -> int:
    """A port that nobody listens on, of those that no system gives to the near end of a connection."""
    for port in random.sample(range(10_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise ConsoleError("no port was found free")


@contextlib.contextmanager
def serving(model: Path, **variables: str) -> Iterator[Server]:
    """Serve a model on a port of this machine, until the end of the ``with`` block.

    Args:
        model: the file.
        variables: of the server's environment, besides those of this one.

    Raises:
        ConsoleError: the server does not start; with the end of its log.
    """
    port = free_port()
    settings = "".join(f"{name}={value} " for name, value in variables.items())
    print(f"\n$ {settings}openfm serve {model.name} --port {port} &", flush=True)
    log = model.with_name("serve.log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [OPENFM, "serve", model.name, "--port", str(port)],
            cwd=model.parent,
            env=os.environ | variables,
            stdout=file,
            stderr=file,
        )
    try:
        server = Server(port)
        deadline = time.monotonic() + SECONDS_TO_START
        while not _is_up(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ConsoleError(f"openfm serve did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=60)


def _is_up(server: Server) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.request("GET", "/ping")[0] == 200
    return False
