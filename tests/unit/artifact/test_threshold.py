from __future__ import annotations

import zipfile

import pytest

from openfm.artifact import Model, load_model
from openfm.errors import ArtifactError


def test_it_is_saved_with_the_model(small, tmp_path):
    model = small.model("binary_classifier")
    assert model.threshold is None
    path = model.with_threshold(0.37).save(tmp_path)
    with zipfile.ZipFile(path) as members:
        assert members.namelist() == ["meta.json", "symbol.json", "params", "openfm/threshold.json"]
        assert members.read("openfm/threshold.json") == b'{"threshold": 0.37}'
    loaded = load_model(path)
    assert loaded.threshold == 0.37
    small.assert_same(loaded)


def test_a_model_is_not_changed(small):
    model = Model(small.model("binary_classifier").machine, extras={"openfm/other": b"kept"})
    changed = model.with_threshold(0.25)
    assert (model.threshold, changed.threshold) == (None, 0.25)
    assert changed.extras["openfm/other"] == b"kept"
    assert changed.machine is model.machine
    assert changed.with_threshold(None).extras == {"openfm/other": b"kept"}
    assert changed.with_threshold(None).threshold is None


def test_thresholds_that_are_refused(small):
    with pytest.raises(ValueError, match=r"the threshold is 1.5; it must be from 0 to 1"):
        small.model("binary_classifier").with_threshold(1.5)
    with pytest.raises(ValueError, match="it must be from 0 to 1"):
        small.model("binary_classifier").with_threshold(float("nan"))
    with pytest.raises(ValueError, match="a regressor predicts no labels"):
        small.model().with_threshold(0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", r"openfm/threshold.json is not an object such as"),
        (b'{"threshold": "0.5"}', "is not an object such as"),
        (b'{"threshold": true}', "is not an object such as"),
        (b'{"threshold": 2}', "openfm/threshold.json: the threshold is 2"),
        (b'{"threshold": NaN}', "openfm/threshold.json: the threshold is nan"),
        (b"{", "openfm/threshold.json is not JSON"),
    ],
)
def test_a_member_that_is_not_one(small, content, message):
    with pytest.raises(ArtifactError, match=message):
        Model(small.model("binary_classifier").machine, extras={"openfm/threshold.json": content})
