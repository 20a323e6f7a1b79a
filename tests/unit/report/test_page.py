"""The page's content; how it looks is for tests/browser."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pytest

import openfm
from openfm.artifact import Model
from openfm.data.formats.typed import Categories, ColumnBlock
from openfm.encoding import ColumnEncoder
from openfm.errors import DataError
from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.report import TestData, report_page
from openfm.report.history import History
from openfm.report.model_section import model_section

EVENTS = [
    {"event": "start", "hyperparameters": {"epochs": "3", "factors_lr": "0.01"}},
    *(
        {
            "event": "epoch",
            "epoch": n,
            "channel": channel,
            "rows": 10,
            "seconds": 0.5,
            "metrics": {"rmse": 3.0 / (n + 1)},
        }
        for n in range(3)
        for channel in ("train", "validation")
    ),
    {"event": "early_stop", "epoch": 2, "best_epoch": 1},
    {"event": "score", "channel": "test", "rows": 10, "seconds": 1, "metrics": {"rmse": 1.25}},
    {"event": "end", "epochs": 3, "seconds": 4, "stopped": False},
]


def model_of(predictor_type: PredictorType) -> Model:
    rng = np.random.default_rng(3)
    machine = FactorizationMachine(0.1, rng.normal(size=6), rng.normal(size=(6, 2)), predictor_type)
    return Model(machine, {"epochs": "3"})


@pytest.fixture(params=list(PredictorType), ids=str)
def model(request) -> Model:
    return model_of(request.param)


@pytest.fixture
def data(model) -> TestData:
    rng = np.random.default_rng(4)
    rows = as_rows((rng.random((200, 6)) < 0.5).astype(np.float32), 6)
    classifies = model.predictor_type is PredictorType.BINARY_CLASSIFIER
    labels = (rng.random(200) < 0.4) if classifies else rng.normal(size=200)
    return TestData("held-out.rec", rows, labels.astype(np.float32))


def headings(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page)


def test_sections(model, data):
    page = report_page(model, title="Mine", data=data, events=EVENTS)
    if model.predictor_type is PredictorType.BINARY_CLASSIFIER:
        of_kind = ["Confusion", "Curves", "Thresholds"]
    else:
        of_kind = ["Errors"]
    assert headings(page) == ["Quality", *of_kind, "Training", "Model", "Data", "Hyperparameters"]
    assert page.startswith("<!DOCTYPE html>")
    for link in re.findall(r'href="#(\w+)"', page):
        assert f'id="{link}"' in page


def test_a_model_alone(model):
    page = report_page(model, title="Mine")
    assert headings(page) == ["Model", "Hyperparameters"]
    assert "feature 0" in page


def test_it_needs_nothing_else(model, data):
    page = report_page(model, title="Mine", data=data, events=EVENTS)
    assert re.findall(r'(?:src|href)="(?!#|data:,")', page) == []
    assert "http" not in page.replace("http-equiv", "")
    assert "@import" not in page
    assert "url(" not in page
    assert "<script" not in page


def test_the_matrix_counts_the_records_of_each_kind():
    model = model_of(PredictorType.BINARY_CLASSIFIER)
    rows = as_rows(np.eye(6, dtype=np.float32), 6)
    labels = (model.predict(rows) >= 0.5).astype(np.float32)
    labels[0] = 1 - labels[0]
    page = report_page(model.with_threshold(0.25), title="Mine", data=TestData("d", rows, labels))
    assert "At the threshold 0.5" in page
    assert "At 0.25, stored in the model" in page
    counts = [int(count) for count in re.findall(r"<strong>(\d+)</strong>", page)]
    assert sum(counts[:4]) == sum(counts[4:]) == 6
    assert counts[1] + counts[2] == 1


def test_names_and_titles_are_text_not_markup(model, data):
    page = report_page(model, title="<b>Mine</b>", data=data, feature_name=lambda feature: f"<i>{feature}</i>")
    assert "&lt;b&gt;Mine" in page
    assert "&lt;i&gt;" in page
    assert "<i>" not in page


def test_equal_reports_are_equal(model, data):
    made = datetime.datetime(2026, 11, 1, 12)
    assert report_page(model, title="a", data=data, made=made) == report_page(model, title="a", data=data, made=made)


@pytest.mark.parametrize("label", [0, 1])
def test_records_of_one_label_have_no_curves_but_a_report(label):
    model = model_of(PredictorType.BINARY_CLASSIFIER)
    rows = as_rows(np.eye(6, dtype=np.float32), 6)
    page = report_page(model, title="Mine", data=TestData("d", rows, np.full(6, label, np.float32)))
    assert "All records have the same label" in page
    assert "ROC curve</h3>" not in page


@pytest.mark.parametrize("rows", [1, 2])
def test_few_records(model, data, rows):
    few = TestData("d", data.rows.slice(0, rows), data.labels[:rows])
    assert "Quality" in headings(report_page(model, title="Mine", data=few))


def test_what_cannot_be_reported_on(data):
    model = model_of(PredictorType.BINARY_CLASSIFIER)
    with pytest.raises(DataError, match="holds no records"):
        report_page(model, title="", data=TestData("d", data.rows.slice(0, 0), data.labels[:0]))
    with pytest.raises(DataError, match="is 3; those of a binary_classifier are 0 and 1"):
        report_page(model, title="", data=TestData("d", data.rows, np.full(200, 3, np.float32)))
    with pytest.raises(DataError, match="lacks 'channel'"):
        report_page(model, title="", events=[{"event": "epoch"}])


def test_learning_curves():
    (chart,) = History.of(EVENTS).charts()
    assert chart.title == "Root mean squared error"
    assert [name for _, name, _ in chart.legend] == ["train", "held out", "test, the model", "best epoch (2)"]
    assert chart.summary == "Root mean squared error over 3 epochs; at the end: train 1, held out 1."
    in_full = [event for event in EVENTS[:-1] if event["event"] != "early_stop"]
    assert History.of(in_full).best_epoch is None
    assert History.of([*in_full, EVENTS[-1] | {"best_epoch": 2}]).best_epoch == 2
    assert History.of(EVENTS).facts == {
        "rows trained on": "10", "rows a second": "20", "epochs": "3", "seconds in all": "4",
    }  # fmt: skip


def test_pairs_are_of_values_that_can_meet():
    blocks = [ColumnBlock({"user": categories("abc"), "item": categories("xyz"), "age": np.arange(3.0)}, 3)]
    encoder = ColumnEncoder.fit(blocks)
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(7, 2))
    factors[:3] *= 100  # two users: the strongest products, which no record has
    machine = FactorizationMachine(0.0, np.zeros(7), factors, PredictorType.REGRESSOR)
    about = model_section(Model(machine, encoder=encoder), encoder.feature_name)
    assert len(about.pairs) == 3 * 3 + 3 + 3
    assert not [bar.name for bar in about.pairs if bar.name.count("user=") == 2 or bar.name.count("item=") == 2]
    assert about.pairs[0].name.startswith("user=")
    assert abs(about.pairs[0].size) == 1


def categories(texts: str) -> Categories:
    count = len(texts)
    return Categories(
        np.arange(count, dtype=np.int32), np.arange(count + 1), np.frombuffer(texts.encode(), dtype=np.uint8)
    )


def test_the_command(tmp_path, data, model):
    from click.testing import CliRunner

    from openfm.cli import main

    model.save(tmp_path / "model.tar.gz")
    openfm.write_records(tmp_path / "held.rec", data.rows.to_scipy(), data.labels)
    out = tmp_path / "page.html"
    run = CliRunner().invoke(
        main, ["report", f"{tmp_path}/model.tar.gz", f"{tmp_path}/held.rec", "--out", str(out), "--title", "T"]
    )
    assert (run.exit_code, run.stdout) == (0, "")
    assert run.stderr == f"Wrote {out}.\n"
    assert "<title>T</title>" in out.read_text()
    piped = CliRunner().invoke(main, ["report", f"{tmp_path}/model.tar.gz", "--out", "-"])
    assert piped.stdout.startswith("<!DOCTYPE html>")
    wrong = CliRunner().invoke(main, ["report", f"{tmp_path}/model.tar.gz", "--metrics", f"{tmp_path}/held.rec"])
    assert wrong.exit_code == 2
    assert "is no event of a training" in wrong.stderr
