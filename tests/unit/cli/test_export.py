from __future__ import annotations

import numpy as np
import pytest

import openfm


@pytest.mark.parametrize(
    ("name", "options"),
    [("m.npz", []), ("m.CSV", []), ("m.libfm", []), ("m.txt", ["--format", "libfm"]), ("m.npz", ["--format", "csv"])],
)
def test_the_format_is_told_by_the_name_or_by_the_option(run, regressor, tmp_path, name, options):
    out = tmp_path / name
    result = run("export", regressor, out, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    start = out.read_bytes()[:15]
    form = options[-1] if options else name.split(".")[1].lower()
    assert start.startswith({"npz": b"PK", "csv": b"feature,linear,", "libfm": b"#global bias W0"}[form])


def test_the_arrays_are_the_models(run, classifier, tmp_path):
    run("export", classifier, tmp_path / "m.npz")
    model = openfm.load_model(classifier)
    with np.load(tmp_path / "m.npz") as arrays:
        assert arrays["bias"] == model.bias
        np.testing.assert_array_equal(arrays["linear"], model.linear)
        np.testing.assert_array_equal(arrays["factors"], model.factors)


def test_what_is_refused(run, regressor, records, tmp_path):
    result = run("export", regressor, tmp_path / "model")
    assert result.exit_code == 2
    assert "does not tell the format: end it in .npz, .csv, .libfm, or give --format" in " ".join(result.stderr.split())
    result = run("export", records, tmp_path / "m.npz")
    assert result.exit_code == 2
    assert "cannot load" in result.stderr
    result = run("export", regressor, tmp_path / "no" / "m.npz")
    assert result.exit_code == 3
    assert "No such file or directory" in result.stderr
    assert not (tmp_path / "m.npz").exists()
