"""The scikit-learn estimators, as scikit-learn's users use them."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix, csc_array, csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import openfm
from openfm import FactorizationMachineClassifier, FactorizationMachineRegressor
from openfm.artifact import Model
from openfm.errors import ArtifactError, HyperparameterError
from openfm.fm.model import FactorizationMachine, PredictorType

Classifier, Regressor = FactorizationMachineClassifier, FactorizationMachineRegressor


def interaction(rows: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The label is 1 where two of three signs agree: no linear model tells that."""
    X = np.random.default_rng(seed).choice([-1.0, 1.0], size=(rows, 3))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def test_interactions_are_learned() -> None:
    (X, y), (X_test, y_test) = interaction(), interaction(seed=1)
    assert Classifier().fit(X, y).score(X_test, y_test) == 1.0
    assert Regressor().fit(X, 10.0 * y).score(X_test, 10.0 * y_test) > 0.95


@pytest.mark.parametrize(
    "make", [csr_matrix, csc_array, coo_matrix, pd.DataFrame, np.asfortranarray, np.ndarray.tolist]
)
def test_matrices_of_any_kind_give_the_same(make: object) -> None:
    X, y = interaction(100)
    found = Classifier(epochs=3).fit(make(X), y)  # type: ignore[operator]
    assert np.array_equal(found.predict_proba(X), Classifier(epochs=3).fit(X, y).predict_proba(X))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_classes_may_be_text() -> None:
    X, y = interaction()
    words = np.array(["no", "yes"])[y]
    model = Classifier(epochs=30).fit(X, words)
    assert model.classes_.tolist() == ["no", "yes"]
    assert set(model.predict(X)) == {"no", "yes"}
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (len(X), 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.allclose(np.log(probabilities), model.predict_log_proba(X))
    assert np.array_equal(model.decision_function(X) > 0, model.predict(X) == "yes")


def test_only_two_classes_are_learned_and_more_by_wrapping() -> None:
    X, y = interaction()
    three = y + 2 * (X[:, 2] > 0) * y
    with pytest.raises(ValueError, match=r"Only binary classification is supported.*OneVsRestClassifier"):
        Classifier().fit(X, three)
    assert OneVsRestClassifier(Classifier(epochs=40)).fit(X, three).score(X, three) > 0.95
    with pytest.raises(ValueError, match="one class only"):
        Classifier().fit(X, np.ones(len(X)))


def test_feature_names_are_checked() -> None:
    X, y = interaction(100)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model = Classifier(epochs=1).fit(table, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table[["b", "a", "c"]])


def test_class_weights_are_sample_weights() -> None:
    X, y = interaction(300)
    y = (y & (np.random.default_rng(0).random(300) < 0.4)).astype(int)
    plain = Classifier(epochs=5)
    by_dict = clone(plain).set_params(class_weight={0: 1, 1: 4}).fit(X, y)
    by_rows = clone(plain).fit(X, y, sample_weight=np.where(y == 1, 4, 1))
    assert np.array_equal(by_dict.decision_function(X), by_rows.decision_function(X))
    balanced = clone(plain).set_params(class_weight="balanced").fit(X, y)
    shares = len(y) / (2 * np.bincount(y))
    assert np.allclose(
        balanced.decision_function(X), clone(plain).fit(X, y, sample_weight=shares[y]).decision_function(X), atol=1e-5
    )
    assert balanced.predict(X).mean() > clone(plain).fit(X, y).predict(X).mean()


def test_weights_of_one_size_are_none() -> None:
    X, y = interaction(100)
    a, b = Regressor(epochs=3).fit(X, y), Regressor(epochs=3).fit(X, y, sample_weight=np.full(100, 0.5))
    assert np.allclose(a.predict(X), b.predict(X), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"), [(np.ones(3), r"shape \(3,\)"), (-np.ones(100), "at least 0"), (np.zeros(100), "zero")]
)
def test_wrong_weights_are_refused(weights: np.ndarray, message: str) -> None:
    X, y = interaction(100)
    for estimator in (Classifier(), Regressor()):
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, y, sample_weight=weights)


def test_warm_start_goes_on() -> None:
    X, y = interaction()
    model = Classifier(epochs=2, warm_start=True, early_stopping=False).fit(X, y)
    first = model.history_[-1].train[1].value
    assert model.fit(X, y).history_[0].train[1].value < first
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X, y + 1)
    with pytest.raises(ValueError, match="num_factors"):
        model.set_params(num_factors=3).fit(X, y)


def test_partial_fit_learns_piece_by_piece() -> None:
    X, y = interaction(4000)
    model = Classifier(mini_batch_size=20)
    for begin in range(0, 4000, 100):
        model.partial_fit(X[begin : begin + 100], y[begin : begin + 100], classes=[0, 1])
    assert model.n_iter_ == 40
    assert model.score(X, y) > 0.95
    regressor = Regressor(mini_batch_size=20)
    for _ in range(15):
        regressor.partial_fit(csr_matrix(X), y)
    assert regressor.score(X, y) > 0.8


def test_partial_fit_learns_how_features_interact_that_come_later() -> None:
    """Pairs of one-hot features, none of which the first call has; the label is no sum of what each says."""
    users, items = np.divmod(np.arange(16), 4)
    X = np.zeros((16, 16), np.float32)
    X[np.arange(16), 8 + users] = 1
    X[np.arange(16), 12 + items] = 1
    y = (users + items) % 2
    assert Classifier(epochs=100, early_stopping=False).fit(X[:, 8:], y).score(X[:, 8:], y) == 1  # it can be learned
    model = Classifier(mini_batch_size=4, factors_lr=0.03).partial_fit(np.roll(X, 8, axis=1), y)
    for _ in range(100):
        model.partial_fit(X, y)
    assert model.score(X, y) == 1


def test_partial_fit_checks_what_comes_later() -> None:
    X, y = interaction(50)
    with pytest.raises(ValueError, match="one class only"):
        Classifier().partial_fit(X, np.zeros(50))
    with pytest.raises(ValueError, match="balanced"):
        Classifier(class_weight="balanced").partial_fit(X, y)
    model = Classifier().partial_fit(X, np.zeros(50), classes=[0, 1]).partial_fit(X, np.ones(50))
    with pytest.raises(ValueError, match="not of the classes"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="in the first call"):
        model.partial_fit(X, y, classes=[0, 2])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :2], y)


def test_partial_fit_goes_by_parameters_that_were_changed() -> None:
    X, y = interaction()
    model = Classifier(random_state=1).partial_fit(X, y)
    learner = model._learner
    assert model.partial_fit(X, y)._learner is learner
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"num_factors 32 .*; the training asks for 3, 4 and"):
        model.set_params(num_factors=4).partial_fit(X, y)
    assert (model.n_iter_, model._learner) == (2, learner)
    assert np.array_equal(model.predict_proba(X), before)
    still = {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0}
    model.set_params(num_factors=None, **still).partial_fit(X, y)
    assert model.n_iter_ == 3
    assert np.allclose(model.predict_proba(X), before, atol=1e-5)  # with those rates nothing is learned
    assert model.model_.training_parameters["factors_lr"] == "0"


@pytest.mark.parametrize("random_state", [3, None, np.random.RandomState(5)])
def test_partial_fit_keeps_the_optimisers_state_on_other_threads(random_state: Any) -> None:
    X, y = interaction()
    model = Regressor(random_state=random_state).partial_fit(X, y)
    learner = model._learner
    as_before = learner.scaled_machine().linear
    steps = learner._trainers[0].step
    model.set_params(n_jobs=2).partial_fit(X, y)
    assert model._learner is learner
    assert learner._trainers[0].step == 2 * steps
    assert not np.array_equal(learner.scaled_machine().linear, as_before)
    if random_state == 3:
        alone = Regressor(random_state=3).partial_fit(X, y).partial_fit(X, y)
        assert np.array_equal(alone.predict(X), model.predict(X))


def test_partial_fit_keeps_its_optimiser_whatever_the_length_of_rows() -> None:
    rng = np.random.default_rng(0)
    estimator = Regressor().partial_fit(rng.normal(size=(200, 30)), rng.normal(size=200))
    learner = estimator._learner
    sparse = rng.normal(size=(50, 30)) * (rng.random((50, 30)) < 0.1)
    estimator.partial_fit(sparse, rng.normal(size=50))
    assert estimator._learner is learner
    rate = learner.settings.linear_lr
    estimator.set_params(shuffle=False).partial_fit(sparse, rng.normal(size=50))
    assert estimator._learner is not learner
    assert estimator._learner.settings.linear_lr == rate  # by the first rows still


def test_numbers_of_numpy_as_parameters_can_be_pickled_and_saved(tmp_path: Path) -> None:
    X, y = interaction(200)
    given = {
        "epochs": np.int64(3),
        "linear_lr": np.float64(0.01),
        "num_factors": np.int32(8),
        "shuffle": np.bool_(True),
    }
    estimator = Classifier(**given).fit(X, y)
    again = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(again.predict_proba(X), estimator.predict_proba(X))
    loaded = Classifier.load_model(estimator.save(tmp_path / "model.tar.gz"))
    assert np.array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


def test_partial_fit_goes_on_from_fit_and_from_a_pickle() -> None:
    X, y = interaction()
    model = pickle.loads(pickle.dumps(Classifier(epochs=40).fit(X, y)))
    assert model.partial_fit(X, y).score(X, y) > 0.95


@pytest.mark.parametrize("estimator", [Classifier(epochs=3), Regressor(epochs=3)])
def test_a_pickle_holds_the_model_file_and_its_parameters_once(estimator: Classifier | Regressor) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 500))
    estimator = clone(estimator).partial_fit(X, rng.integers(0, 2, 100))
    state = estimator.__getstate__()
    assert {"meta.json", "symbol.json", "params"} <= set(zipfile.ZipFile(io.BytesIO(state["model_"])).namelist())
    pickled = pickle.dumps(estimator)
    assert len(pickled) < 1.5 * 4 * (500 * (1 + estimator.factors_.shape[1]) + 1) + 20_000
    again = pickle.loads(pickled)
    assert np.array_equal(again.predict(X), estimator.predict(X))
    assert pickle.dumps(clone(estimator))


def test_saved_models_are_those_of_the_container(tmp_path: Path) -> None:
    X, y = interaction()
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model = Classifier(epochs=10).fit(table, np.array(["no", "yes"])[y])
    assert model.save(tmp_path) == tmp_path / "model_algo-1"
    served = openfm.load_model(tmp_path)
    assert np.allclose(served.predict(X), model.predict_proba(table)[:, 1], atol=1e-6)
    assert served.training_parameters["epochs"] == 10
    loaded = Classifier.load_model(model.save(tmp_path / "model.tar.gz"))
    assert loaded.classes_.tolist() == ["no", "yes"]
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
    assert np.array_equal(loaded.predict(table), model.predict(table))
    assert loaded.warm_start is False
    loaded.set_params(warm_start=True, epochs=2).fit(table, model.predict(table))


def test_models_of_other_programs_become_estimators(tmp_path: Path) -> None:
    machine = FactorizationMachine(0.5, [1.0, 2.0], [[1.0], [2.0]], PredictorType.BINARY_CLASSIFIER)
    Model(machine).save(tmp_path)
    loaded = Classifier.load_model(tmp_path, n_jobs=2)
    assert loaded.classes_.tolist() == [0, 1]
    assert loaded.n_jobs == 2
    assert loaded.decision_function([[1, 1]]).tolist() == [5.5]
    assert loaded.num_factors == 1
    with pytest.raises(ArtifactError, match="binary_classifier"):
        Regressor.load_model(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"classes": ["a", "a"]}', "classes"),
        (b'{"classes": [1]}', "classes"),
        (b'{"feature_names": ["a"]}', "2 features"),
    ],
)
def test_damaged_facts_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    machine = FactorizationMachine(0.5, [1.0, 2.0], [[1.0], [2.0]], PredictorType.BINARY_CLASSIFIER)
    Model(machine, extras={"openfm/estimator.json": content}).save(tmp_path)
    with pytest.raises(ArtifactError, match=message):
        Classifier.load_model(tmp_path)


def test_parts_of_scikit_learn_take_them() -> None:
    X, y = interaction(300)
    search = GridSearchCV(Classifier(epochs=20), {"num_factors": [1, 4], "preset": ["openfm", "sagemaker"]}, cv=2)
    search.fit(X, y)
    assert search.best_params_["preset"] == "openfm"
    calibrated = CalibratedClassifierCV(Classifier(epochs=20), cv=2).fit(X, y)
    assert calibrated.score(X, y) > 0.9
    assert cross_val_score(make_pipeline(StandardScaler(), Regressor()), X, y).mean() > 0.5
    table = pd.DataFrame({"left": X[:, 0].astype(str), "right": X[:, 1].astype(str)})
    encoded = make_pipeline(make_column_transformer((OneHotEncoder(), ["left", "right"])), Classifier())
    assert encoded.fit(table, y).score(table, y) == 1.0


def test_the_number_of_jobs_changes_nothing() -> None:
    X, y = interaction(2000)
    one = Classifier(epochs=2).fit(X, y).decision_function(X)
    for jobs in (2, -1):
        assert np.array_equal(one, Classifier(epochs=2, n_jobs=jobs).fit(X, y).decision_function(X))
    with pytest.raises(HyperparameterError, match="n_jobs"):
        Classifier(n_jobs=0).fit(X, y)


def test_early_stopping_is_a_word_or_a_truth() -> None:
    X, y = interaction(200)
    few_X, few_y = X[:99], y[:99]
    assert Classifier(epochs=2).fit(X, y).history_[0].validation is not None
    assert Classifier(epochs=2, early_stopping=False).fit(X, y).history_[0].validation is None
    assert Classifier(epochs=2).fit(few_X, few_y).history_[0].validation is None
    assert Classifier(epochs=2, early_stopping=True).fit(few_X, few_y).history_[0].validation is not None
    with pytest.raises(HyperparameterError, match="early_stopping is 'maybe'"):
        Classifier(early_stopping="maybe").fit(X, y)
    with pytest.raises(HyperparameterError, match="no preset 'amazon'"):
        Classifier(preset="amazon").fit(X, y)


def test_random_states_of_all_kinds() -> None:
    X, y = interaction(200)
    given = [np.random.RandomState(3), np.random.RandomState(3), None, 5]
    scores = [Classifier(epochs=2, random_state=state).fit(X, y).decision_function(X) for state in given]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[3])


def test_verbose_prints_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = interaction(200)
    Regressor(epochs=2, early_stopping=False, verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 0: rmse=")


def test_numbers_beyond_float32_are_refused() -> None:
    X, y = interaction(20)
    with pytest.raises(ValueError, match="float32"):
        Regressor().fit(X * 1e60, y)
    with pytest.raises(ValueError, match="float32"):
        Regressor().fit(X, y * 1e60)


def test_openfm_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, openfm\n"
        "assert 'sklearn' not in sys.modules\n"
        "assert 'FactorizationMachineRegressor' in dir(openfm)\n"
        "openfm.FactorizationMachineRegressor\n"
        "assert 'sklearn' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn_the_extra_is_named() -> None:
    code = "import sys; sys.modules['sklearn'] = None\nimport openfm\nopenfm.FactorizationMachineClassifier"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'openfm[sklearn]'" in run.stderr
