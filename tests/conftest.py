"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import hypothesis
import pytest

from datasets import Split, load_mnist, load_movielens

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("openfm", deadline=None)
hypothesis.settings.load_profile("openfm")


@pytest.fixture(scope="session")
def mnist() -> Split:
    """MNIST, "is this digit a zero?": 50000 dense rows to train on, 10000 to test on."""
    return load_mnist()


@pytest.fixture(scope="session")
def movielens() -> Split:
    """MovieLens 100k, split u1: 80000 sparse rows to train on, 20000 to test on."""
    return load_movielens()
