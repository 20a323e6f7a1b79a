"""AWS on this machine, and a place to run the SDK's programs in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datasets import Split
from support.docker import IMAGE, docker
from support.sdk import AWS_IMAGE, Workplace, simulated_aws


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """Fail at once where there is no image."""
    assert docker("image", "inspect", IMAGE).returncode == 0, f"there is no image {IMAGE!r}: make image"


@pytest.fixture(scope="session")
def aws_image() -> Iterator[str]:
    """The image under Amazon's own name."""
    assert docker("tag", IMAGE, AWS_IMAGE).returncode == 0
    yield AWS_IMAGE
    docker("rmi", AWS_IMAGE)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment variables of a program in a simulated AWS."""
    with simulated_aws(tmp_path_factory.mktemp("aws")) as variables:
        yield variables


@pytest.fixture
def workplace(tmp_path: Path, aws: dict[str, str]) -> Workplace:
    """A home and a folder in the simulated AWS."""
    return Workplace.make(tmp_path, aws)


@pytest.fixture
def mnist_workplace(workplace: Workplace, mnist: Split) -> Workplace:
    """The same with MNIST in it, as ``mnist.npz``. The labels are Amazon's: 0 for a zero, else another digit."""
    arrays = {"train_images": mnist.X_train, "test_images": mnist.X_test}
    labels = {"train_labels": 1 - mnist.y_train, "test_labels": 1 - mnist.y_test}
    np.savez(workplace.folder / "mnist.npz", **arrays, **labels)
    return workplace
