"""Making things on a thread of its own while others are used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["Abandoned", "run_ahead"]

T = TypeVar("T")

Abandoned = Callable[[], bool]
"""Tells whether nobody wants more."""


def run_ahead(produce: Callable[[Abandoned], Generator[T, None, None]], *, threads: int) -> Generator[T, None, None]:
    """Iterates on a thread of its own, one item ahead of whoever takes them.

    Never more than two items are there at a time: the one in use, and the one that is being made or waits. Closing the
    iterator ends the thread and closes what it iterates over.

    Args:
        produce: makes what is iterated over. It is given a function to ask now and then, also while it waits for
            something: once that tells True nobody wants more, and the iteration may end in any way.
        threads: how many threads may work; with one, no other is started.

    Yields:
        What the iterator gives, in its order.

    Raises:
        BaseException: whatever the iterator raises, after the items before it.
    """
    if threads == 1:
        yield from produce(lambda: False)
        return
    abandoned = threading.Event()
    wanted = threading.Semaphore(1)
    made: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()  # None: there are no more

    def work() -> None:
        try:
            with closing(produce(abandoned.is_set)) as items:
                wanted.acquire()
                for item in items:
                    made.put((item,))
                    del item  # whoever takes it says how long it lives
                    wanted.acquire()
                    if abandoned.is_set():
                        break
            made.put(None)
        except BaseException as error:  # raised again where it is seen
            made.put(error)

    worker = threading.Thread(target=work, name="openfm-ahead", daemon=True)
    worker.start()
    try:
        while (found := made.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            wanted.release()
            yield found[0]
    finally:
        abandoned.set()
        wanted.release()
        worker.join()
