"""What needs no other host: the engine's absence, its reports, and names that come late."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from openfm.errors import CustomerError
from openfm.training.hosts import discovery
from openfm.training.hosts.discovery import address_towards, resolve
from openfm.training.hosts.engine import require_engine, root_cause


def test_without_the_engine_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(CustomerError, match=r"The job has 3 hosts.*'xgboost'.*pip install 'openfm\[hosts\]'"):
        require_engine(3)


def test_a_job_of_one_host_is_ready_without_what_several_take() -> None:
    code = "import openfm.training.job, sys; print(*(m for m in sys.modules if m.startswith('openfm.training.hosts.')))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) == {"openfm.training.hosts.leaving", "openfm.training.hosts.lookahead"}


def test_importing_all_of_training_does_not_import_the_engine() -> None:
    code = (
        "import openfm.training.job, openfm.training.hosts.rendezvous, openfm.training.hosts.group, sys; "
        "print('xgboost' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize(
    ("report", "cause"),
    [
        (
            "[19:55:02] /src/result.cc:78: \n- [allreduce.cc:98|19:55:02]: Ring scatter reduce failed.\n"
            "- [socket.h:89|19:55:02]: Socket error. Connection reset by peer\n"
            "Stack trace:\n  [bt] (0) /lib/x.so [0x7f]\n\n",
            "Connection reset by peer",
        ),
        (
            "[19:55:02] /src/result.cc:83: [tracker.cc:132|19:55:02]:\n\n"
            "- [socket.h:79|19:55:02]: Failed to bind socket. system error:Address already in use\nStack trace:\n",
            "Address already in use",
        ),
        (
            "- [loop.cc:123|19:55:02]: Encountered EOF. The other end is likely closed.\n",
            "Encountered EOF. The other end is likely closed",
        ),
        ("", "RuntimeError"),
    ],
)
def test_root_cause(report: str, cause: str) -> None:
    assert root_cause(RuntimeError(report)) == cause


def test_a_name_is_asked_for_until_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        calls.append(host)
        if len(calls) < 3:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00::2", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.2", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(discovery, "_PAUSE_SECONDS", 0.0)
    reasons: list[str] = []
    assert resolve(["algo-1"], reasons.append) == ["10.0.0.2"]
    assert reasons == ["the name 'algo-1' cannot be resolved (Name or service not known)"] * 2


def test_own_address() -> None:
    assert address_towards("127.0.0.1") == "127.0.0.1"
