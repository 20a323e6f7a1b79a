from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from openfm.serving.digest import CHANGED, FileDigest

CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.write_bytes(CONTENT)
    return path


def test_it_is_that_of_the_file_which_was_there(path: Path) -> None:
    digest = FileDigest(path)
    other = path.with_name("other")
    other.write_bytes(b"another model")
    other.replace(path)

    for _ in range(2):
        assert digest() == hashlib.sha256(CONTENT).hexdigest()


def test_a_file_that_was_written_to_has_none(path: Path) -> None:
    digest = FileDigest(path)
    assert digest.is_of(path)
    with path.open("ab") as file:
        file.write(b"more")

    assert not digest.is_of(path)
    assert digest() == CHANGED


def test_whose_it_is(path: Path) -> None:
    digest = FileDigest(path)
    other = path.with_name("other")
    other.write_bytes(CONTENT)

    assert digest.is_of(path)
    assert not digest.is_of(other)


def test_many_threads_ask(path: Path) -> None:
    digest = FileDigest(path)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(digest())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == [hashlib.sha256(CONTENT).hexdigest()] * 8


def test_nothing_is_read_before_it_is_asked_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    pread = os.pread

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        reads.append(offset)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    digest = FileDigest(path)
    assert reads == []
    digest()
    assert reads[0] == 0
