"""The hyperparameters: a corpus of valid and invalid files, and what becomes of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from openfm.contract.config import read_hyperparameters
from openfm.contract.hyperparameter_kinds import Integer, Range
from openfm.contract.hyperparameter_table import DECLARATIONS
from openfm.contract.hyperparameters import DEFAULT_CONFIGURATION, Hyperparameters
from openfm.errors import HyperparameterError
from openfm.fm.initializers import Initializer
from openfm.fm.model import PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings

GOLDEN = Path(__file__).parents[2] / "golden"
REQUIRED = {"feature_dim": "10", "num_factors": "2", "predictor_type": "regressor"}


def cases(folder: str) -> list[object]:
    files = sorted((GOLDEN / folder / "hyperparameters").glob("*.json"))
    found = [pytest.param(file, id=file.stem) for file in files if ".expected" not in file.name]
    assert found
    return found


def parse_file(path: Path) -> Hyperparameters:
    return Hyperparameters.parse(read_hyperparameters(path), strict=path.name.startswith("strict_"))


def parse(**given: object) -> Hyperparameters:
    return Hyperparameters.parse({**REQUIRED, **given})


@pytest.mark.parametrize("path", cases("valid"))
def test_valid_file(path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    parsed = parse_file(path)
    assert {name: getattr(parsed, name) for name in expected["fields"]} == expected["fields"]
    assert list(parsed.final_configuration().items()) == list(expected["training_parameters"].items())


@pytest.mark.parametrize("path", cases("invalid"))
def test_invalid_file(path: Path) -> None:
    expected = path.with_suffix(".message.txt").read_text().removesuffix("\n")
    with pytest.raises(HyperparameterError) as caught:
        parse_file(path)
    assert caught.value.message == expected


def test_python_and_numpy_values() -> None:
    parsed = parse(
        feature_dim=np.int64(784),
        bias_lr=np.float32(0.5),
        predictor_type=PredictorType.BINARY_CLASSIFIER,
    )
    assert (parsed.feature_dim, parsed.bias_lr) == (784, 0.5)
    assert type(parsed.feature_dim) is int
    assert type(parsed.bias_lr) is float
    assert parsed.given["predictor_type"] == "binary_classifier"
    assert parsed.predictor_type is PredictorType.BINARY_CLASSIFIER


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(HyperparameterError, match="finite in single precision"):
        parse(eps=10**400)


def test_defaults_are_shared_by_no_two_jobs() -> None:
    parse().final_configuration()["epochs"] = "changed"
    assert DEFAULT_CONFIGURATION["epochs"] == 1
    assert parse().final_configuration()["epochs"] == 1


def test_settings_of_the_defaults() -> None:
    assert parse().training_settings() == TrainingSettings(
        predictor_type=PredictorType.REGRESSOR,
        feature_dim=10,
        num_factors=2,
        mini_batch_size=1000,
        epochs=1,
        bias=GroupSettings(learning_rate=0.1, weight_decay=0.01, initializer=Initializer("normal", 0.01)),
        linear=GroupSettings(learning_rate=0.001, weight_decay=0.001, initializer=Initializer("normal", 0.01)),
        factors=GroupSettings(learning_rate=0.0001, weight_decay=0.00001, initializer=Initializer("normal", 0.001)),
    )


def test_settings_of_everything_given() -> None:
    settings = parse(
        predictor_type="binary_classifier",
        mini_batch_size="7",
        epochs="3",
        use_bias="false",
        use_linear="false",
        clip_gradient="2.5",
        rescale_grad="0.5",
        eps="0.001",
        seed="9",
        shuffle="true",
        bias_init_method="constant",
        bias_init_value="-1",
        linear_init_method="uniform",
        linear_init_scale="0.25",
        factors_init_sigma="0.125",
    ).training_settings()
    assert settings.predictor_type is PredictorType.BINARY_CLASSIFIER
    assert (settings.mini_batch_size, settings.epochs) == (7, 3)
    assert not settings.use_bias
    assert not settings.use_linear
    assert (settings.clip_gradient, settings.rescale_grad, settings.epsilon) == (2.5, 0.5, 0.001)
    assert (settings.seed, settings.shuffle) == (9, True)
    assert settings.bias.initializer == Initializer("constant", -1.0)
    assert settings.linear.initializer == Initializer("uniform", 0.25)
    assert settings.factors.initializer == Initializer("normal", 0.125)


def test_learning_rate_and_wd_are_factors() -> None:
    settings = parse(_learning_rate="2", _wd="0.5", bias_lr="3", bias_wd="8").training_settings()
    assert (settings.bias.learning_rate, settings.bias.weight_decay) == (6.0, 4.0)
    assert (settings.linear.learning_rate, settings.linear.weight_decay) == (0.002, 0.0005)
    assert (settings.factors.learning_rate, settings.factors.weight_decay) == (0.0002, 0.000005)


def test_a_negative_clip_gradient_does_not_clip() -> None:
    parsed = parse(clip_gradient="-1")
    assert parsed.training_settings().clip_gradient is None
    assert parsed.remarks() == ["clip_gradient -1.0 is negative: gradients are not clipped."]


@pytest.mark.parametrize(
    ("method", "initializer", "remark"),
    [
        (
            "uniform",
            Initializer("uniform", 0.07),
            "bias_init_scale is not given: 0.07 is used.",
        ),
        (
            "constant",
            Initializer("constant", 0.0),
            "bias_init_value is not given: 0.0 is used.",
        ),
    ],
)
def test_an_init_method_without_its_parameter(method: str, initializer: Initializer, remark: str) -> None:
    parsed = parse(bias_init_method=method)
    assert parsed.training_settings().bias.initializer == initializer
    assert parsed.remarks() == [remark]


def test_remarks_name_what_has_no_effect() -> None:
    assert parse().remarks() == []
    assert parse(_num_gpus="1", _use_full_symbolic="true", linear_init_scale="1", linear_init_value="2").remarks() == [
        "Accepted, but without effect in openfm: _num_gpus, _use_full_symbolic.",
        "linear_init_scale has no effect: linear_init_method is 'normal'.",
        "linear_init_value has no effect: linear_init_method is 'normal'.",
    ]


def test_early_stopping_is_off_by_default() -> None:
    assert parse().early_stopping_patience is None
    assert parse().early_stopping_tolerance == 0.0
    parsed = parse(early_stopping_patience="3", early_stopping_tolerance="0.01")
    assert (parsed.early_stopping_patience, parsed.early_stopping_tolerance) == (3, 0.01)
    assert parsed.remarks() == []


def test_a_tolerance_without_patience_gets_a_remark() -> None:
    assert parse(early_stopping_tolerance="0.01").remarks() == [
        "early_stopping_tolerance has no effect: early_stopping_patience is not given."
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("early_stopping_patience", "0"), ("early_stopping_tolerance", "-0.1")],
)
def test_early_stopping_is_within_its_range(name: str, value: str) -> None:
    with pytest.raises(HyperparameterError, match=f"'{value}' is not valid for the '{name}'"):
        parse(**{name: value})


def test_constant_factors_get_a_remark() -> None:
    (remark,) = parse(factors_init_method="constant", factors_init_value="0.1").remarks()
    assert "learns no more than with one factor" in remark


def test_amazon_dense_settings_ignore_the_documented_rates() -> None:
    parsed = parse(
        dense_network="amazon",
        bias_lr="5",
        linear_wd="5",
        factors_init_sigma="5",
        mini_batch_size="200",
        epochs="2",
        seed="3",
        clip_gradient="1",
        rescale_grad="0.1",
        eps="0.01",
    )
    settings = parsed.amazon_dense_settings()
    assert settings.bias == GroupSettings(learning_rate=1.0, weight_decay=0.0, initializer=Initializer("constant", 0.0))
    assert settings.linear == GroupSettings(
        learning_rate=1.0, weight_decay=1.0, initializer=Initializer("uniform", 0.01)
    )
    assert settings.factors == GroupSettings(
        learning_rate=1.0, weight_decay=0.0, initializer=Initializer("normal", 0.01)
    )
    assert not settings.lazy_update
    assert settings.factors_transposed
    documented = parsed.training_settings()
    for field in dataclasses.fields(TrainingSettings):
        if field.name not in ("bias", "linear", "factors", "lazy_update", "factors_transposed"):
            assert getattr(settings, field.name) == getattr(documented, field.name)


def test_amazon_dense_settings_honour_the_hidden_factors() -> None:
    settings = parse(_learning_rate="0.5", _wd="0.25").amazon_dense_settings()
    assert [settings.bias.learning_rate, settings.factors.learning_rate] == [0.5, 0.5]
    assert [settings.linear.learning_rate, settings.linear.weight_decay] == [0.5, 0.25]
    assert [settings.bias.weight_decay, settings.factors.weight_decay] == [0.0, 0.0]


def test_every_declaration_is_complete() -> None:
    names = [declaration.name for declaration in DECLARATIONS]
    assert len(names) == len(set(names)) == 45
    for declaration in DECLARATIONS:
        assert declaration.description.endswith((".", ")")), declaration.name
        if declaration.default is not None:
            declaration.kind.parse(declaration.default)
        if declaration.traits.tunable:
            assert declaration.traits.recommended is not None


def test_declarations_by_origin() -> None:
    ours = [d.name for d in DECLARATIONS if d.traits.origin == "openfm"]
    assert ours == [
        "seed",
        "shuffle",
        "dense_network",
        "early_stopping_patience",
        "early_stopping_tolerance",
        "positive_weight",
    ]
    required = [d.name for d in DECLARATIONS if d.required]
    assert required == ["feature_dim", "num_factors", "predictor_type"]
    undocumented = {d.name for d in DECLARATIONS if not d.traits.documented}
    assert undocumented == {
        "use_bias",
        "use_linear",
        "batch_metrics_publish_interval",
    } | {d.name for d in DECLARATIONS if d.name.startswith("_")}


def test_tunable_ranges_are_those_of_amazons_documentation() -> None:
    ranges = {d.name: d.traits.recommended for d in DECLARATIONS if d.traits.tunable}
    assert ranges.pop("epochs") == Range(1, 1000)
    assert ranges.pop("mini_batch_size") == Range(100, 10_000)
    assert set(ranges.values()) == {Range(1e-8, 512, "Logarithmic")}
    assert sorted(ranges) == sorted(
        f"{group}_{name}"
        for group in ("bias", "linear", "factors")
        for name in ("lr", "wd", "init_scale", "init_sigma", "init_value")
    )
    feature_dim = next(d for d in DECLARATIONS if d.name == "feature_dim")
    assert feature_dim.kind == Integer(1, 2**31 - 1)


def test_positive_weight() -> None:
    assert parse().training_settings().positive_weight is None
    parsed = parse(positive_weight="2.5", predictor_type="binary_classifier")
    assert parsed.training_settings().positive_weight == 2.5
    assert parsed.final_configuration()["positive_weight"] == "2.5"
    assert not any("positive_weight" in remark for remark in parsed.remarks())
    of_regressor = parse(positive_weight="2.5", predictor_type="regressor")
    assert of_regressor.training_settings().positive_weight is None
    assert of_regressor.remarks() == ["positive_weight has no effect: predictor_type is not 'binary_classifier'."]
