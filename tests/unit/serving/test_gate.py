from __future__ import annotations

import threading

import pytest

from openfm.errors import ServerBusyError
from openfm.serving.gate import WorkGate


def test_what_is_too_much_is_turned_away_at_once() -> None:
    gate = WorkGate(running=1, admitted=2)

    with gate.admit():
        with gate.admit(), pytest.raises(ServerBusyError, match="the server has 2 requests in hand"), gate.admit():
            pass
        with gate.admit():
            pass


def test_a_failure_gives_its_place_back() -> None:
    gate = WorkGate(running=1, admitted=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.admit(), gate.run():
            raise ZeroDivisionError


def test_only_so_many_run_at_once() -> None:
    gate = WorkGate(running=2, admitted=8)
    most = running = 0
    lock = threading.Lock()
    two = threading.Barrier(2, timeout=60)

    def work() -> None:
        nonlocal most, running
        with gate.admit(), gate.run():
            with lock:
                running += 1
                most = max(most, running)
            two.wait()
            with lock:
                running -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert most == 2
