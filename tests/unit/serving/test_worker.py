"""The threads of a worker: few, and others in the place of those that are stuck."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from openfm.serving.worker import FewThreadsWorker, RequestThreads


@pytest.fixture(autouse=True)
def no_threads_of_others() -> Iterator[None]:
    """A thread that a pool does not want any more may take a while to end."""
    yield
    wait_until(lambda: not names())


@pytest.fixture
def threads() -> Iterator[RequestThreads]:
    pool = RequestThreads(usual=2, most=5)
    yield pool
    pool.shutdown()


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("openfm-")]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited 60 s")


def test_results_and_errors_come_back(threads: RequestThreads) -> None:
    assert threads.submit(divmod, 7, 2).result(60) == (3, 1)
    assert threads.submit(int, "11", base=2).result(60) == 3
    failing = threads.submit(divmod, 1, 0)
    assert isinstance(failing.exception(60), ZeroDivisionError)


def test_quick_jobs_take_turns_on_few_threads(threads: RequestThreads) -> None:
    order: list[int] = []
    threads._replace_stuck = lambda: None  # type: ignore[method-assign] # this machine may stop a thread for long
    futures = [threads.submit(order.append, number) for number in range(100)]
    for future in futures:
        future.result(60)
    assert sorted(order) == list(range(100))
    assert names().count("openfm-request") == 2


def test_what_is_stuck_does_not_hold_up_the_others(threads: RequestThreads) -> None:
    go_on = threading.Event()
    stuck = [threads.submit(go_on.wait, 120) for _ in range(4)]
    assert threads.submit(lambda: "quick").result(60) == "quick"
    assert not any(future.done() for future in stuck)

    stuck.append(threads.submit(go_on.wait, 120))
    late = threads.submit(lambda: "late")  # there are five threads at most
    wait_until(lambda: all(future.running() for future in stuck))
    assert not late.done()
    go_on.set()
    assert late.result(60) == "late"
    assert [future.result(60) for future in stuck] == [True] * 5


def test_threads_that_are_not_needed_any_more_end(threads: RequestThreads) -> None:
    go_on = threading.Event()
    stuck = [threads.submit(go_on.wait, 120) for _ in range(4)]
    wait_until(lambda: all(future.running() for future in stuck))
    go_on.set()

    def few() -> bool:
        threads.submit(int).result(60)
        return names().count("openfm-request") == 2

    wait_until(few)


def test_after_a_rest_somebody_looks_after_them_again(threads: RequestThreads) -> None:
    threads.submit(int).result(60)
    wait_until(lambda: threads._at_rest)
    go_on = threading.Event()
    stuck = [threads.submit(go_on.wait, 120) for _ in range(2)]
    assert threads.submit(lambda: "quick").result(60) == "quick"
    go_on.set()
    assert all(future.result(60) for future in stuck)


def test_shutdown_finishes_what_was_given_and_ends_the_threads() -> None:
    pool = RequestThreads(usual=2, most=5)
    futures = [pool.submit(time.sleep, 0.01) for _ in range(10)]
    pool.shutdown()
    assert all(future.done() for future in futures)
    wait_until(lambda: not names())


def test_shutdown_may_cancel_what_waits() -> None:
    pool = RequestThreads(usual=1, most=1)
    go_on = threading.Event()
    running, waiting = pool.submit(go_on.wait, 120), pool.submit(int)
    wait_until(running.running)
    pool.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    assert running.result(60)
    assert waiting.cancelled()


def test_workers_of_other_numbers() -> None:
    worker = FewThreadsWorker.of(7)
    assert issubclass(worker, FewThreadsWorker)
    assert worker.usual_threads == 7
    assert FewThreadsWorker.usual_threads == 2


def test_many_that_are_stuck_at_once_do_not_hold_up_the_last() -> None:
    """Nothing comes after it that would have somebody look after the threads again."""
    pool, go_on = RequestThreads(usual=2, most=120), threading.Event()
    stuck = [pool.submit(go_on.wait, 120) for _ in range(100)]
    assert pool.submit(lambda: "last").result(60) == "last"
    go_on.set()
    assert all(future.result(60) for future in stuck)
    pool.shutdown()


@pytest.fixture
def worker() -> Iterator[FewThreadsWorker]:
    """A worker that only takes connections: what it would hand to a thread is in ``handed``."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    worker = FewThreadsWorker(1, 1, [listener], None, 30, Config(), None)
    worker.poller = selectors.DefaultSelector()
    worker.handed = []
    worker.enqueue_req = worker.handed.append
    yield worker
    for conn in (*worker.pending_conns, *worker.keepalived_conns, *worker.handed):
        conn.close()
    worker.poller.close()
    worker.tmp.close()
    listener.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time ``now``, by which connections are closed."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    for module in ("gunicorn.workers.gthread", "openfm.serving.worker"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


@pytest.fixture
def connect(worker: FewThreadsWorker) -> Iterator[Callable[[], socket.socket]]:
    """Makes clients whose connections wait to be taken."""
    with contextlib.ExitStack() as clients:
        address = worker.sockets[0].getsockname()
        yield lambda: clients.enter_context(socket.create_connection(address, timeout=60))


def take(worker: FewThreadsWorker, connections: int) -> None:
    """Accept until there are so many: the system may offer a connection a while after its client has it."""

    def taken() -> bool:
        worker.accept(worker.sockets[0])
        return worker.nr_conns >= connections

    wait_until(taken)
    assert worker.nr_conns == connections


def test_connections_that_come_at_once_get_a_thread_when_they_ask(
    worker: FewThreadsWorker, connect: Callable[[], socket.socket]
) -> None:
    worker.cfg.set("keepalive", 600)
    clients = [connect() for _ in range(3)]
    take(worker, 3)
    worker.murder_pending()
    worker.murder_keepalived()
    assert len(worker.pending_conns) == 3

    clients[1].sendall(b"GET")
    worker.wait_for_and_dispatch_events(60)
    assert [conn.client for conn in worker.handed] == [clients[1].getsockname()]
    assert worker.handed[0].data_ready
    assert len(worker.pending_conns) == 2


@pytest.mark.parametrize(("workers", "at_once"), [(1, 8), (2, 1)])
def test_of_several_workers_none_takes_all_connections(worker: FewThreadsWorker, workers: int, at_once: int) -> None:
    worker.cfg.set("workers", workers)
    pairs = [socket.socketpair() for _ in range(20)]
    waiting = iter(pairs)

    class Listener:
        def accept(self) -> tuple[socket.socket, str]:
            return next(waiting)[0], "client"

        def getsockname(self) -> str:
            return "server"

    worker.accept(Listener())
    assert worker.nr_conns == at_once
    worker.worker_connections = at_once + 3
    for _ in range(5):
        worker.accept(Listener())
    assert worker.nr_conns == at_once + 3  # and no more
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_worker_whose_connections_are_kept_for_a_second(
    worker: FewThreadsWorker, connect: Callable[[], socket.socket], clock: SimpleNamespace
) -> None:
    """One that has had its answer ends after that second, though one that has asked nothing yet may stay for longer."""
    worker.cfg.set("keepalive", 1)
    clients = [connect() for _ in range(2)]
    take(worker, 2)
    clients[0].sendall(b"GET")
    worker.wait_for_and_dispatch_events(60)
    conn, kept = worker.handed[0], Future[bool]()
    conn.init()
    conn.sock.recv(3)
    kept.set_result(True)  # as after an answer
    worker.finish_request(conn, kept)
    assert len(worker.pending_conns) == len(worker.keepalived_conns) == 1

    for now, left in [(0.9, 2), (1.1, 1), (4.9, 1), (5.1, 0)]:
        clock.now = now
        worker.murder_keepalived()
        worker.murder_pending()
        assert worker.nr_conns == left
    assert [client.recv(1) for client in clients] == [b"", b""]


def test_without_keep_alive_a_connection_still_has_time_for_its_request(
    worker: FewThreadsWorker, connect: Callable[[], socket.socket], clock: SimpleNamespace
) -> None:
    worker.cfg.set("keepalive", 0)
    connect()
    take(worker, 1)
    for now, left in [(4.9, 1), (5.1, 0)]:
        clock.now = now
        worker.murder_pending()
        assert worker.nr_conns == left


def test_a_worker_that_stops_does_not_wait_for_those_that_ask_nothing(
    worker: FewThreadsWorker, connect: Callable[[], socket.socket], clock: SimpleNamespace
) -> None:
    worker.cfg.set("keepalive", 600)
    connect()
    worker.set_accept_enabled(True)
    take(worker, 1)
    worker.set_accept_enabled(False)  # for it has all the connections that it may have
    assert worker.pending_conns[0].timeout == 600
    worker.alive = False
    worker.set_accept_enabled(False)
    for now, left in [(1.9, 1), (2.1, 0)]:
        clock.now = now
        worker.murder_pending()
        assert worker.nr_conns == left


def test_taking_a_connection_that_another_worker_has_taken_is_no_error(worker: FewThreadsWorker) -> None:
    worker.accept(worker.sockets[0])
    assert worker.nr_conns == 0
