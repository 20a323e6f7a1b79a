"""The notebooks of examples/ run, and show what is committed."""

from __future__ import annotations

import io
import re
from pathlib import Path

import matplotlib.image
import nbformat
import numpy as np
import pytest

from datasets import Split
from support.documents import REPOSITORY, copy_repository
from support.links import links_of
from support.notebooks import EXAMPLES, NOTEBOOKS, execute, images_of, printed_by

ids = [path.stem for path in NOTEBOOKS]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory, mnist: Split) -> nbformat.NotebookNode:
    """The MNIST notebook, run in a copy of the repository, with the data that are there already."""
    clone = tmp_path_factory.mktemp("clone")
    copy_repository(clone)
    (clone / ".cache").symlink_to(REPOSITORY / ".cache")
    return execute(clone / "examples/mnist.ipynb", clone / "examples")


def rounded(printed: str) -> str:
    """Numbers to three digits after the point: the rest may change with the kernels."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.3f}", printed)


def test_mnist_prints_what_is_committed(executed: nbformat.NotebookNode) -> None:
    committed = nbformat.read(EXAMPLES / "mnist.ipynb", as_version=4)
    assert [rounded(text) for text in printed_by(executed)] == [rounded(text) for text in printed_by(committed)], (
        "run make notebooks"
    )


def test_mnist_has_the_counts_of_the_readme(executed: nbformat.NotebookNode) -> None:
    printed = "".join(printed_by(executed))
    table = {name: counts.split()[:3] for name, counts in re.findall(r"^(\w[^\n]*?) {2,}(\d[\d. ]+)$", printed, re.M)}
    assert table == {
        "Amazon's notebook": ["951", "29", "165"],
        "openfm": ["866", "114", "31"],
        "openfm, 10 epochs": ["934", "46", "40"],
        "openfm, dense_network=amazon": ["890", "90", "56"],
    }


def test_mnist_shows_digits_contributions_and_confusion_matrices(executed: nbformat.NotebookNode) -> None:
    for notebook in (executed, nbformat.read(EXAMPLES / "mnist.ipynb", as_version=4)):
        images = [matplotlib.image.imread(io.BytesIO(image)) for image in images_of(notebook)]
        assert len(images) == 4
        for image in images:
            assert min(image.shape[:2]) > 100
            assert np.std(image[..., :3]) > 0.1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_notebooks_are_valid_and_small(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    assert path.stat().st_size < 150_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_notebooks_link_to_what_is_there(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for target, anchor in links_of(text):
        if target:
            assert (path.parent / target).exists(), target
        else:
            assert f"# {anchor.replace('-', ' ')}" in text, anchor
