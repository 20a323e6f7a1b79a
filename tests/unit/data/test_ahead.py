"""Iterating on another thread: the same items, the same errors, and no thread left behind."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from openfm.data.ahead import run_ahead

THREADS = pytest.mark.parametrize("threads", [1, 2])


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@THREADS
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_all_items_in_order(threads, count):
    assert list(run_ahead(lambda abandoned: (i for i in range(count)), threads=threads)) == list(range(count))


@THREADS
def test_nothing_begins_before_the_first_item_is_asked_for(threads):
    begun = []

    def produce(abandoned):
        begun.append(True)
        yield 1

    items = run_ahead(produce, threads=threads)
    assert not begun
    assert list(items) == [1]


@THREADS
def test_an_error_comes_after_the_items_before_it(threads):
    def produce(abandoned):
        yield 1
        yield 2
        raise LookupError("gone")

    items = run_ahead(produce, threads=threads)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="gone"):
        next(items)


def test_one_item_ahead_and_no_more():
    asked_for = 0
    too_early = []
    made = [threading.Event() for _ in range(200)]

    def produce(abandoned):
        for i, event in enumerate(made):
            if asked_for < i:  # while the one before it waits
                too_early.append(i)
            event.set()
            yield i

    with closing(run_ahead(produce, threads=2)) as items:
        for i in range(len(made)):
            asked_for += 1
            assert next(items) == i
            assert made[min(i + 1, len(made) - 1)].wait(60)  # the next one is made while this one is in use
            time.sleep(0.001)  # in which a third one could be made
    assert too_early == []


@THREADS
def test_closing_closes_what_is_iterated_over(threads):
    closed = []

    def produce(abandoned):
        try:
            yield 1
            yield 2
            yield 3
        finally:
            closed.append(threading.current_thread())

    with closing(run_ahead(produce, threads=threads)) as items:
        assert next(items) == 1
    assert len(closed) == 1
    assert (closed[0] is threading.current_thread()) == (threads == 1)


def test_who_waits_is_told_that_nobody_wants_more():
    def produce(abandoned):
        yield 1
        while not abandoned():
            threading.Event().wait(0.001)

    with closing(run_ahead(produce, threads=2)) as items:
        assert next(items) == 1


def test_an_error_that_nobody_waits_for_is_let_go():
    raised = threading.Event()

    def produce(abandoned):
        yield 1
        raised.set()
        raise LookupError

    with closing(run_ahead(produce, threads=2)) as items:
        assert next(items) == 1
        assert raised.wait(60)
