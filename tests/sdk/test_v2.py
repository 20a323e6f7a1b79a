"""Version 2 of the SageMaker Python SDK in Local Mode."""

from __future__ import annotations

import numpy as np
import pytest

import openfm
from datasets import Split
from support.docker import IMAGE
from support.sdk import Workplace

pytestmark = pytest.mark.sdk

CONFUSION = [[8989, 31], [114, 866]]
"""Actual zeros below, predicted zeros to the right: what the README says of one epoch."""


def test_estimator_endpoint_and_batch_transform(workplace: Workplace) -> None:
    workplace.run("v2", "scripts/v2_estimator.py")
    answers = workplace.result()
    model = openfm.load_model(workplace.folder / "model.tar.gz")
    scores = model.predict(np.load(workplace.folder / "rows.npy"))
    expected = [{"score": float(s), "predicted_label": float(s >= 0.5)} for s in scores]
    assert {label["predicted_label"] for label in expected} == {0.0, 1.0}
    for way in ("json", "records", "whole", "split", "by line"):
        assert answers[way] == expected, way
    assert "40" in answers["refusal"]


@pytest.mark.usefixtures("aws_image")
def test_factorization_machines_class(mnist_workplace: Workplace, mnist: Split) -> None:
    mnist_workplace.run("v2", "scripts/v2_factorization_machines.py")
    model = openfm.load_model(mnist_workplace.folder / "model.tar.gz")
    assert model.training_parameters["rescale_grad"] == "0.01"
    assert mnist_workplace.result() == model.predict(mnist.X_train[:10]).tolist()


@pytest.mark.parametrize("image", [IMAGE, "amazon"])
def test_notebook(image: str, mnist_workplace: Workplace, aws_image: str) -> None:
    mnist_workplace.run("v2", "scripts/v2_notebook.py", image)
    used = aws_image if image == "amazon" else image
    assert mnist_workplace.result() == {"image": used, "confusion": CONFUSION}
