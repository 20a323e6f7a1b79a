from __future__ import annotations

import pytest

from openfm.artifact.names import choose_model, leads_out, listed
from openfm.errors import ArtifactError


def test_choice():
    assert choose_model(["model_b", "model_algo-1", "x"], "it") == "model_algo-1"
    assert choose_model(["x", "model_b"], "it") == "model_b"
    with pytest.raises(ArtifactError, match=r"F holds several models \(model_a, model_b\) and no"):
        choose_model(["model_b", "model_a"], "F")
    assert choose_model(["b", "a"], "F") is None


def test_listing():
    assert listed(["b", "a"]) == "a, b"
    assert listed([]) == "nothing"
    assert listed(map(str, range(11))) == "0, 1, 10, 2, 3, 4, 5, 6, 7, 8, ..."


@pytest.mark.parametrize("name", ["/x", "../x", "x/../../y", "..", "x\\y"])
def test_names_that_lead_out(name):
    assert leads_out(name)


@pytest.mark.parametrize("name", ["x", "x/y", "x..y", "...", "./x"])
def test_names_that_do_not(name):
    assert not leads_out(name)
