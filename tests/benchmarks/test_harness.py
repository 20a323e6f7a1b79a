"""The benchmarks run, on data so small that their figures mean nothing."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.data import Labelled, Problem
from benchmarks.frame import Check, Options, Report, Spread, Table, interleaved, paired_ratio
from benchmarks.peers import environments, process
from scipy.sparse import random_array

from benchmarks import __main__ as program
from benchmarks import (
    clicks,
    hosts,
    machine,
    pages,
    plots,
    prediction,
    processes,
    quality,
    replicas,
    results,
    scaling,
    threads,
    training,
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    rng = np.random.default_rng(0)
    X = random_array((3000, 30), density=0.2, format="csr", dtype=np.float32, rng=rng)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    y = (np.asarray(X[:, :15].sum(axis=1)).ravel() > 1.5).astype(np.float32)
    rows = Labelled(X, y)
    return Problem("tiny", "tiny, k = 3", 3, rows.part(0, 2000), rows.part(2000, 3000))


REPORT = Report(
    [Table("Speeds", ("tool", "ms"), [["openfm", Spread(1.25, 1.0, 2000.0)], ["other", None]], ["A note."])],
    [Check("ratio", 50.0, at_least=45), Check("memory", 200.0, at_most=160)],
    ["such: it is not installed"],
    {"such": "1.2"},
    {"threads": {"MNIST": [(1, 1.0), (2, 1.9)]}},
)
HEAD = {
    "about": "Something measured.",
    "command": "python -m benchmarks",
    "rounds": 5,
    "seconds": 3,
    "machine": machine.describe(),
    "base_versions": machine.versions(),
}


def test_cases_take_turns() -> None:
    order = []
    timings = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(timing.cpu) for name, timing in timings.items()} == {"a": 2, "b": 2}


def test_a_case_may_be_measured_elsewhere() -> None:
    timings = interleaved({"slow": lambda: (4.0, 5.0), "fast": lambda: (2.0, 5.0)}, 3)
    assert timings["slow"].cpu == (4.0, 4.0, 4.0)
    assert paired_ratio(timings["slow"].cpu, timings["fast"].cpu) == Spread(2.0, 2.0, 2.0)


def test_rates_turn_the_spread_around() -> None:
    assert Spread.of([1.0, 2.0, 4.0]).rate(8) == Spread(4.0, 2.0, 8.0)


def test_results_survive_their_file(tmp_path: Path) -> None:
    results.save(tmp_path / "part.json", REPORT, HEAD)
    report, head = results.load(tmp_path / "part.json")
    assert results.markdown(report) == results.markdown(REPORT)
    assert head == HEAD


def test_markdown_names_what_is_left_out_and_what_does_not_hold() -> None:
    text = results.markdown(REPORT)
    assert "| openfm | 1.25 (1.00 to 2 000) |" in text
    assert "* Left out: such: it is not installed" in text
    assert "| ratio | 50.0 | at least 45 | yes |" in text
    assert "| memory | 200 | at most 160 | **no** |" in text


def test_pages_are_filled_again_and_again() -> None:
    page = "before\n<!-- results some -->\n<!-- end of results -->\nafter\n"
    filled = pages.fill(page, {"some": (REPORT, HEAD)})
    assert "A note." in filled
    assert "load average" in filled
    assert pages.fill(filled, {"some": (REPORT, HEAD)}) == filled
    assert pages.fill(page, {}) == page


@pytest.mark.parametrize("part", program.PARTS)
def test_parts_say_what_they_are_and_run(part: str) -> None:
    module = importlib.import_module(f"benchmarks.{part}")
    assert module.__doc__
    assert callable(module.run)


def test_documents_have_a_place_for_every_part() -> None:
    page = "".join(page.read_text() for page in pages.PAGES)
    assert [part for part in program.PARTS if f"<!-- results {part} -->" not in page] == []


def test_clicks_are_drawn_by_their_machine() -> None:
    drawn = clicks.make(2000)
    assert np.array_equal(drawn.indices, clicks.make(2000).indices)
    assert (np.diff(drawn.indices.astype(np.int64), axis=1) > 0).all()
    assert drawn.indices.max() < clicks.FEATURES
    assert 0.25 < drawn.labels.mean() < 0.4
    share = drawn.labels.mean(dtype=np.float64)
    assert drawn.least_log_loss < -(share * math.log(share) + (1 - share) * math.log(1 - share))


@pytest.mark.parametrize("tool", [training.OPENFM, training.TOOLS[-1]], ids=["openfm", "numpy-scipy"])
def test_peers_train_and_score(tool: training.Tool, problem: Problem, tmp_path: Path) -> None:
    folder = process.write_data(tmp_path / "tiny", problem.train, problem.test)
    with process.running(tool.peer) as peer:
        peer.load(folder, training.settings_of(tool, problem.k, 0.03))
        losses = []
        for epochs in (1, 30):
            peer.load(folder, training.settings_of(tool, problem.k, 0.03))
            for _ in range(epochs):
                cpu, wall = peer.epoch()
            losses.append(peer.test())
    assert min(cpu, wall) > 0
    assert losses[1] < losses[0] < 0.75
    assert peer.peak > 2**20
    assert peer.versions


def test_a_peer_that_fails_says_where(tmp_path: Path) -> None:
    with process.running("numpy-scipy") as peer, pytest.raises(process.PeerError, match=r"numpy-scipy.*log"):
        peer.load(tmp_path / "missing", {})


def test_a_peer_that_is_not_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    with pytest.raises(process.PeerError, match="has not been made"), process.running("myfm"):
        pass
    (tmp_path / "myfm").mkdir()
    (tmp_path / "myfm" / "left-out").write_text("pip could not install it: no wheel")
    assert environments.python_of("myfm") == (None, "pip could not install it: no wheel")


def test_every_tool_has_its_driver() -> None:
    folder = Path(environments.__file__).parent
    missing = [
        tool.peer for tool in training.TOOLS if not (folder / f"{tool.peer.replace('-', '_')}_driver.py").exists()
    ]
    assert missing == []


def test_libsvm_lines_are_the_rows(problem: Problem, tmp_path: Path) -> None:
    folder = process.write_data(tmp_path / "tiny", problem.train, problem.test)
    lines = (folder / "train.libsvm").read_text().splitlines()
    assert len(lines) == problem.train.rows
    label, *pairs = lines[7].split()
    row = problem.train.X[[7]]
    assert float(label) == problem.train.y[7]
    assert [(int(i), np.float32(v)) for i, v in (pair.split(":") for pair in pairs)] == list(
        zip(row.indices, row.data, strict=True)
    )


def test_programs_are_measured_from_start_to_exit() -> None:
    usage = processes.measured([sys.executable, "-c", "x = bytearray(40 << 20)"])
    assert 40 << 20 < usage.peak < 80 << 20
    assert usage.cpu > 0
    with pytest.raises(RuntimeError, match="ended with 3"):
        processes.measured([sys.executable, "-c", "raise SystemExit(3)"])


def test_scaling_runs() -> None:
    report = scaling.run(Options(rounds=1, quick=True))
    assert len(report.tables[0].rows) == len(scaling.AXES) * scaling.QUICK_VALUES


def test_thread_counts_double() -> None:
    assert list(threads.thread_counts(1)) == [1]
    assert list(threads.thread_counts(6)) == [1, 2, 4, 6]


def test_plots_are_drawn(tmp_path: Path) -> None:
    (plot,) = plots.draw({"threads": REPORT}, tmp_path)
    assert plot.read_text().startswith("<?xml")


def test_the_command_that_is_told_is_any_machines() -> None:
    given = Namespace(parts=["hosts"], rounds=5, quick=False, output=Path("/some/where"))
    assert program.command_of(given) == "python -m benchmarks hosts"
    given = Namespace(parts=[], rounds=2, quick=True, output=None)
    assert program.command_of(given) == "python -m benchmarks --rounds 2 --quick"


def test_summary_names_the_fastest_way_of_each_tool() -> None:
    rows = [
        ["openfm", Spread(900.0, 1, 2)],
        ["modern-fm, Adam", Spread(20.0, 1, 2)],
        ["modern-fm, AdaGrad", Spread(30.0, 1, 2)],
    ]
    speeds = Report([Table("An epoch of MNIST, one thread", ("tool", "k rows/s of CPU"), rows)])
    job = ["MNIST", 159.0, 5, Spread(0.4, 0.3, 0.5), Spread(0.5, 0.4, 0.6), Spread(90.0, 89.0, 91.0)]
    jobs = Report([Table("A training job", ("job", "MB", "epochs", "CPU s", "wall s", "peak MiB"), [job])])
    columns = ("rows", "clients", "openfm [us]", "Flask + json [us]")
    cost = Table(
        "Processor time", columns, [[1, 1, Spread(430.0, 1, 2), 560.0], [1, 4, 410.0, 630.0], [100, 1, 820.0, 7380.0]]
    )
    starts = Table("Cold start", ("server", "ms"), [["openfm", 300.0]])
    serving = Report([cost, Table("Latency", (), []), starts])
    text = pages.summary({"training": (speeds, HEAD), "jobs": (jobs, HEAD), "serving": (serving, HEAD)})
    assert "| MNIST | 900 | - | 30.0 | - | - | - |" in text
    assert (
        "|  | openfm | Flask + json |\n| --- | --- | --- |\n| 1 row | 430 | 560 |\n| 100 rows | 820 | 7 380 |\n\n"
        in text
    )
    assert "| `openfm serve`: ms from its start to the first answer | 300 |" in text
    assert "| its peak memory, MiB | 90.0 |" in text


def test_hosts_are_predicted_by_what_they_compute_and_send() -> None:
    step = prediction.Step(seconds=0.01, gradients=1_000_000, features=0)
    network = prediction.Network(rate=1, latency=1e-3)
    assert prediction.predicted_seconds(step, 1, network) == 0.01
    sent = 1.5e6 * 8 / 1e9 / prediction.PAYLOAD  # the engine's ring: three messages of half of it each
    assert prediction.predicted_seconds(step, 2, network) == pytest.approx(0.01 + 1.25e-3 + sent)
    of_ten_steps = prediction.predicted_seconds(step, 2, network, steps=10)  # two groups, and the end of the epoch
    assert of_ten_steps == pytest.approx(0.01 + 1.5e-3 + sent)
    faster = prediction.predicted_seconds(step, 2, prediction.Network(100, 1e-3))
    assert 0.01 < faster < prediction.predicted_seconds(step, 2, prediction.Network(10, 1e-3))
    slow_processor = prediction.predicted_seconds(step, 2, prediction.Network(100, 1e-3, byte_seconds=1e-9))
    assert slow_processor == pytest.approx(0.01 + 1.25e-3 + 1.5e-3)


def test_the_readme_says_how_many_hosts_are_worth_it() -> None:
    columns = ("problem", "records of each host", "Gbit/s", "1", "2", "worth it up to")
    rows = [["MNIST", 1000, 1, 9.0, 8.0, 1], ["MNIST", 1000, 10, 9.0, 18.0, 2], ["clicks", 1000, 1, 5.0, 4.0, 1]]
    report = Report([Table("Speeds", columns, rows)])
    text = pages.fill("<!-- results hosts_summary -->\n<!-- end of results -->", {"hosts": (report, HEAD)})
    assert "|  | records of each host in a step | 1 Gbit/s | 10 Gbit/s |" in text
    assert "| MNIST | 1 000 | 1 | 2 |" in text


def test_hosts_compute_without_waiting_for_each_other(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.jobs.FOLDER", tmp_path)
    assert replicas.computing_seconds(problem, 2, 100, epochs=2, rounds=1) > 0


def test_hosts_that_do_not_end_are_ended(problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.jobs.FOLDER", tmp_path)
    monkeypatch.setattr(replicas, "_LONGEST_SECONDS", 0.0)
    with pytest.raises(RuntimeError, match="hosts that trained for themselves took more than 0 seconds"):
        replicas.computing_seconds(problem, 2, 100, epochs=2, rounds=1)
    assert not multiprocessing.active_children()


def test_hosts_that_fail_say_why(problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.jobs.FOLDER", tmp_path)
    monkeypatch.setattr(replicas, "_Recorder", _Forgetful)
    with pytest.raises(RuntimeError, match=r"(?s)themselves failed: .*--- algo-2.*has other hyperparameters"):
        replicas.computing_seconds(problem, 2, 100, epochs=2, rounds=1)


class _Forgetful(replicas._Recorder):
    """Writes down less than there was."""

    def _keep(self, array: np.ndarray) -> None:
        super()._keep(array[:1])


def test_tables_of_quality_say_whose_processor_time_is_not_of_this_run(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = quality.Fit(np.full(problem.test.rows, 0.5), 1.5, {"such": "1.2"})
    monkeypatch.setattr(quality, "tasks", lambda *, quick: iter([quality.Task(problem, False)]))
    monkeypatch.setattr(quality, "_written", lambda _: Path())
    monkeypatch.setattr(quality, "python_of", lambda _: (Path(sys.executable), ""))
    monkeypatch.setattr(quality, "fitted", lambda tool, folder, seed, python: kept)
    (table,) = quality.run(Options(quick=True, rounds=1)).tables
    assert len(table.rows) == len(quality.TOOLS)
    assert any("of the other programs in the run that first fitted them" in note for note in table.notes)


def test_hosts_are_worth_it_while_each_doubling_helps() -> None:
    assert hosts._worth({1: 10.0, 2: 19.0, 4: 30.0, 8: 40.0, 16: 80.0}) == 4
    assert hosts._worth({1: 10.0, 2: 9.0}) == 1
