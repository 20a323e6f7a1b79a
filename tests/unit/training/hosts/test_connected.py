"""Hosts that are connected by the real engine, each a process of its own, on loopback."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MEMBER = Path(__file__).resolve().parents[3] / "support" / "host_member.py"
PATIENCE = 120
"""Seconds, for machines that are busy."""


@dataclass
class Member:
    """One of the hosts."""

    process: subprocess.Popen[str]
    base: Path

    def wait_for(self, text: str) -> str:
        """Wait until it has printed a line with ``text``."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {''.join(lines)}{self.process.stderr.read()}")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; its exit code and what it has printed since, and on standard error."""
        printed, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, printed, errors

    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()


@dataclass
class Fleet:
    """Hosts that meet at a port of their own."""

    folder: Path
    port: int
    size: int
    wait: float = PATIENCE

    def start(self, rank: int, scenario: str, *names: str) -> Member:
        base = self.folder / f"host-{rank}"
        base.mkdir(exist_ok=True)
        hosts = ",".join(names or [f"127.0.0.{number + 1}" for number in range(self.size)])
        process = subprocess.Popen(
            [sys.executable, MEMBER, str(rank), scenario, str(self.port), hosts, str(self.wait)],
            env=os.environ | {"SAGEMAKER_BASE_DIR": str(base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.members.append(process)
        return Member(process, base)

    def start_all(self, scenario: str) -> list[Member]:
        return [self.start(rank, scenario) for rank in range(self.size)]

    def __post_init__(self) -> None:
        self.members: list[subprocess.Popen[str]] = []


def two_free_ports() -> int:
    """The first of two ports that follow each other.

    None that the kernel takes for the near end of connections: whoever connects to such a port of its own machine,
    where nobody listens yet, may be connected with itself.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
            first.bind(("", port))
            second.bind(("", port + 1))
            return port


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """As many hosts as the parameter says, or two."""
    found = Fleet(tmp_path, two_free_ports(), getattr(request, "param", 2))
    yield found
    for process in found.members:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


three = pytest.mark.parametrize("fleet", [3], indirect=True)


@pytest.mark.parametrize("fleet", [2, 3], indirect=True)
def test_all_hosts_get_the_same_bits(fleet: Fleet) -> None:
    ends = [member.end() for member in fleet.start_all("reduce")]
    assert [code for code, _, _ in ends] == [0] * fleet.size, ends
    sums = {re.search(r"checksum (\d+)", printed)[1] for _, printed, _ in ends}
    assert len(sums) == 1
    assert f"All {fleet.size} hosts are connected." in ends[0][1]


@three
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_host_that_is_lost_ends_the_others(fleet: Fleet, how: signal.Signals) -> None:
    members = fleet.start_all("ever")
    for member in members:
        member.wait_for("20 steps")
    members[1].process.send_signal(how)
    for rank in (0, 2):
        code, _, errors = members[rank].end()
        assert code == 3, errors
        sentence = members[rank].failure()
        assert re.match(
            rf"PlatformError: The connection to the other hosts was lost at step \d+: .+\. "
            rf"This is '127.0.0.{rank + 1}', of rank {rank} among 3 hosts; its neighbours in the ring are ",
            sentence,
        ), sentence
        assert sentence in errors
    assert "its neighbours in the ring are '127.0.0.3' and '127.0.0.2'" in members[0].failure()


def test_a_host_that_goes_on_after_it_hung_ends_too(fleet: Fleet) -> None:
    first, second = fleet.start_all("ever")
    first.wait_for("20 steps")
    second.wait_for("20 steps")
    second.process.send_signal(signal.SIGSTOP)
    assert first.end()[0] == 3
    second.process.send_signal(signal.SIGCONT)
    assert second.end()[0] == 3


def test_a_host_that_computes_is_ended_too(fleet: Fleet) -> None:
    first, second = fleet.start_all("busy")
    first.wait_for("20 steps")
    second.wait_for("20 steps")
    second.process.kill()
    code, _, errors = first.end()
    assert code == 3, errors
    assert "lost at step 0: " in first.failure()


def test_a_host_that_fails_ends_the_others(fleet: Fleet) -> None:
    first, second = fleet.start_all("fail")
    assert second.end()[0] == 2
    assert first.end()[0] == 3
    assert not (second.base / "output").exists()


def test_a_slow_host_is_waited_for(fleet: Fleet) -> None:
    ends = [member.end() for member in fleet.start_all("slow")]
    assert [code for code, _, _ in ends] == [0, 0], ends


def test_what_strangers_send_to_the_ports_does_no_harm(fleet: Fleet) -> None:
    first = fleet.start(0, "reduce")
    first.wait_for("They meet at")
    with contextlib.ExitStack() as open_sockets:
        for port in (fleet.port, fleet.port + 1):
            for garbage in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x99", os.urandom(4096), b"\x99\xff\x00\x00\xff\xff\xff"):
                connection = open_sockets.enter_context(connect(port))
                connection.sendall(garbage)
        second = fleet.start(1, "reduce")
        assert [member.end()[0] for member in (first, second)] == [0, 0]


def connect(port: int) -> socket.socket:
    """To a port that will be open soon."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_ports_are_closed_when_all_are_connected(fleet: Fleet) -> None:
    first, second = fleet.start_all("ever")
    first.wait_for("20 steps")
    second.wait_for("20 steps")
    for port in (fleet.port, fleet.port + 1):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_host_that_nobody_joins(fleet: Fleet, rank: int) -> None:
    fleet.wait = 3
    code, _, errors = fleet.start(rank, "reduce").end()
    assert code == 3
    assert "PlatformError: The 2 hosts of the job have not come together within 3 seconds: " in errors
    assert f"This is '127.0.0.{rank + 1}', of rank {rank}. See that all of 127.0.0.1, 127.0.0.2 run the job" in errors


@pytest.mark.parametrize("rank", [0, 1])
def test_stopped_while_it_waits(fleet: Fleet, rank: int) -> None:
    member = fleet.start(rank, "reduce")
    member.wait_for("They meet at")
    (member.base / "stop").touch()
    code, printed, errors = member.end()
    assert (code, printed) == (0, "stopped\n"), errors


def test_a_name_that_cannot_be_resolved(fleet: Fleet) -> None:
    fleet.wait = 2
    code, printed, errors = fleet.start(0, "reduce", "127.0.0.1", "no-such-host.invalid").end()
    assert code == 3
    assert "Waiting for the other hosts: the name 'no-such-host.invalid' cannot be resolved (" in printed
    assert "within 2 seconds: the name 'no-such-host.invalid' cannot be resolved (" in errors


def test_a_port_that_is_in_use(fleet: Fleet) -> None:
    with socket.create_server(("0.0.0.0", fleet.port + 1)):
        code, _, errors = fleet.start(0, "no port").end()
    assert code == 3
    assert f"PlatformError: The hosts cannot meet at the ports {fleet.port} and {fleet.port + 1} of this host" in errors
    assert "Address already in use" in errors
    assert "OPENFM_HOSTS_PORT" in errors
