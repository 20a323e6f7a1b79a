"""The lines of metrics.jsonl: written whole, gone on with, read back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from openfm.contract.metrics_file import MetricsFile, read_metrics
from openfm.errors import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output" / "data" / "metrics.jsonl"


def fails(sentence: str) -> None:
    raise AssertionError(sentence)


def test_each_event_is_a_line_at_once(path: Path) -> None:
    file = MetricsFile(path, fails, clock=lambda: 12.3456)
    file.start({"epochs": "2"})
    assert read_metrics(path) == [{"event": "start", "hyperparameters": {"epochs": "2"}, "time": 12.346}]
    file.epoch(0, "train", {"rmse": 0.5}, rows=10, seconds=0.25)
    file.early_stop(4, 2)
    file.score("test", {"rmse": 0.75}, rows=3, seconds=1)
    file.end(epochs=5, seconds=2.5, stopped=False)
    file.end(epochs=5, seconds=2.5, stopped=True, best_epoch=1)
    assert [json.loads(line) for line in file.lines] == read_metrics(path)
    assert [{name: value for name, value in event.items() if name != "time"} for event in read_metrics(path)[1:]] == [
        {"event": "epoch", "epoch": 0, "channel": "train", "rows": 10, "seconds": 0.25, "metrics": {"rmse": 0.5}},
        {"event": "early_stop", "epoch": 4, "best_epoch": 2},
        {"event": "score", "channel": "test", "rows": 3, "seconds": 1, "metrics": {"rmse": 0.75}},
        {"event": "end", "epochs": 5, "seconds": 2.5, "stopped": False},
        {"event": "end", "epochs": 5, "seconds": 2.5, "stopped": True, "best_epoch": 1},
    ]


def test_a_new_training_replaces_the_file_and_a_resumed_one_goes_on(path: Path) -> None:
    first = MetricsFile(path, fails)
    first.start({})
    first.epoch(0, "train", {}, rows=1, seconds=1)
    saved = first.lines
    first.epoch(1, "train", {}, rows=1, seconds=1)  # not in the checkpoint: trained again

    second = MetricsFile(path, fails)
    second.resume(saved, epoch=1, batch=3)
    second.epoch(1, "train", {}, rows=1, seconds=1)
    events = [(event["event"], event.get("epoch")) for event in read_metrics(path)]
    assert events == [("start", None), ("epoch", 0), ("resume", 1), ("epoch", 1)]

    MetricsFile(path, fails).start({})
    assert [event["event"] for event in read_metrics(path)] == ["start"]
    assert [each.name for each in path.parent.iterdir()] == ["metrics.jsonl"]


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    there, nowhere, pipe = tmp_path / "there", tmp_path / "nowhere", tmp_path / "pipe"
    (tmp_path / "file").write_text("older\n" * 99)
    there.symlink_to("file")
    nowhere.symlink_to(tmp_path / "new" / "file")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (there, nowhere, pipe):
            file = MetricsFile(path, fails)
            file.start({})
            file.end(epochs=1, seconds=1, stopped=False)
        received = os.read(reader, 10_000)
    finally:
        os.close(reader)
    assert there.is_symlink()
    assert nowhere.is_symlink()
    for text in ((tmp_path / "file").read_bytes(), (tmp_path / "new" / "file").read_bytes(), received):
        assert [json.loads(line)["event"] for line in text.splitlines()] == ["start", "end"]
    assert pipe.is_fifo()
    assert not list(tmp_path.glob(".*"))


def test_only_so_many_lines_are_remembered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openfm.contract.metrics_file._MOST_REMEMBERED", 3)
    file = MetricsFile(path, fails)
    file.start({})
    for epoch in range(4):
        file.epoch(epoch, "train", {}, rows=1, seconds=1)
    assert [json.loads(line)["epoch"] for line in file.lines] == [1, 2, 3]
    assert len(read_metrics(path)) == 5


def test_what_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sentences: list[str] = []
    file = MetricsFile(tmp_path / "file" / "metrics.jsonl", sentences.append)
    file.start({})
    file.epoch(0, "train", {}, rows=1, seconds=1)
    (sentence,) = sentences
    assert sentence.startswith(f"The metrics cannot be written to {tmp_path / 'file' / 'metrics.jsonl'}: ")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    sentences: list[str] = []
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path, sentences.append)
    file.start({})
    path.unlink()
    path.symlink_to("/dev/full")
    file.end(epochs=1, seconds=1, stopped=False)
    assert len(sentences) == 1
    assert "No space left" in sentences[0]


def test_without_a_path_nothing_is_written() -> None:
    file = MetricsFile(None, fails)
    file.start({})
    file.end(epochs=1, seconds=1, stopped=True)
    assert file.lines == []


def test_a_line_that_is_still_being_written_is_left_out(path: Path) -> None:
    file = MetricsFile(path, fails)
    file.start({})
    with path.open("a") as end:
        end.write('{"event": "epo')
    assert len(read_metrics(path)) == 1


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"epoch": 0}', '{"event": 3}', ""])
def test_other_files_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(f'{{"event": "start"}}\n{line}\n')
    with pytest.raises(DataError, match="line 2 is no event of a training"):
        read_metrics(path)
