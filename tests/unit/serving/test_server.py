"""What only a server in this process can show; tests/contract/test_serve.py starts real ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from openfm.errors import PlatformError
from openfm.serving import server
from openfm.serving.settings import ServingSettings


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_bug_is_logged_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail(_: Path) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(server, "find_model", fail)

    assert server.main({"SAGEMAKER_BASE_DIR": str(tmp_path)}) == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("AlgorithmError: ")
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_an_error_gives_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail(_: Path) -> None:
        raise PlatformError("no memory left")

    monkeypatch.setattr(server, "find_model", fail)

    assert server.main({"SAGEMAKER_BASE_DIR": str(tmp_path)}) == 3
    assert [record.getMessage() for record in caplog.records] == ["PlatformError: no memory left"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_loads_ends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    class ProcessEndedError(BaseException):
        """Stands for the end, which would be pytest's here."""

    def end(code: int) -> None:
        raise ProcessEndedError(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(server, "find_model", lambda _: os.kill(os.getpid(), number))

    with pytest.raises(ProcessEndedError) as caught:
        server.main({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert caught.value.args == (0,)


def test_the_memory_of_many_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "memory_limit", lambda: 1000)
    monkeypatch.setattr(server, "resident_memory", lambda: 200)

    assert server.model_memory(ServingSettings()) == 600
    assert server.model_memory(ServingSettings(model_memory_mib=3)) == 3 * 2**20
    monkeypatch.setattr(server, "resident_memory", lambda: 2000)
    assert server.model_memory(ServingSettings()) == 0
