"""Version 1 of the SageMaker Python SDK in Local Mode."""

from __future__ import annotations

import pytest

from support.sdk import Workplace

pytestmark = pytest.mark.sdk


def test_notebook(mnist_workplace: Workplace, aws_image: str) -> None:
    mnist_workplace.run("v1", "scripts/v1_notebook.py")
    confusion = [[8989, 31], [114, 866]]
    assert mnist_workplace.result() == {"image": aws_image, "confusion": confusion, "same in records": True}
