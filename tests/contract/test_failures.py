"""Every row of docs/failures.md happens, for real, through ``openfm train``."""

from __future__ import annotations

import contextlib
import re
import subprocess

import pytest

from openfm.data import faults
from support.breakable_jobs import BreakableJob, environ_of, make_sound_job
from support.documents import REPOSITORY
from support.failing_jobs import FAILING_JOBS

PAGE = (REPOSITORY / "docs" / "failures.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<what>.+?)(?: \\\*)? \| `(?P<sentence>\w+Error: .+)` \| (?P<code>\d) \|$", re.MULTILINE)
DOCUMENTED = {row["what"]: (row["sentence"], int(row["code"])) for row in ROW.finditer(PAGE)}


def run(job: BreakableJob) -> subprocess.CompletedProcess[str]:
    with job.stdout.open("w") if job.stdout else contextlib.nullcontext(subprocess.PIPE) as stdout:
        return subprocess.run(
            job.command, env=environ_of(job), stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=300
        )


@pytest.fixture
def job(tmp_path):
    return make_sound_job(tmp_path / "job")


@pytest.fixture(scope="module")
def can_mount():
    tried = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True)
    return tried.returncode == 0


def test_the_page_lists_the_jobs_that_fail():
    assert list(DOCUMENTED) == list(FAILING_JOBS)


def test_every_fault_of_a_record_is_listed():
    without_feature_dim = {"widths_differ", "too_wide", "label_mixed"}  # a job has a feature_dim, and needs labels
    for kind, detail in faults._DETAILS.items():
        if kind not in without_feature_dim:
            fixed = max(re.split(r"\{\w+\}", detail), key=len)
            assert any(fixed in sentence for sentence, _ in DOCUMENTED.values()), kind


def test_the_sound_job_does_not_fail(job):
    assert run(job).returncode == 0


@pytest.mark.parametrize("what", FAILING_JOBS)
def test_it_fails_as_documented(job, what, can_mount):
    FAILING_JOBS[what](job)
    if "unshare" in job.command and not can_mount:
        pytest.skip("this system lets nobody but root mount anything, or not even root")
    existed = job.base.exists()
    done = run(job)
    sentence, exit_code = DOCUMENTED[what]
    assert done.returncode == exit_code
    assert done.stderr.replace(str(job.base), "/opt/ml").splitlines()[0] == sentence
    assert not done.stdout or " ERROR " not in done.stdout  # standard error is in the same log stream
    assert job.base.exists() == existed
    if existed:
        failure = job.base / "output" / "failure"
        assert failure.stat().st_size < 1024
        assert failure.read_text().replace(str(job.base), "/opt/ml").splitlines()[0] == sentence
        begun = failure.parent / "data" / "metrics.jsonl"  # where the job failed when training had begun
        files = [path for path in failure.parent.rglob("*") if path.is_file()]
        assert sorted(files) == ([begun] if begun.exists() else []) + [failure]
    left = [path.name for path in (job.base / "model").rglob("*")]
    assert left == (["model_algo-1"] if job.trained else [])


def test_a_bug_shows_where_it_happened(job):
    FAILING_JOBS["a bug"](job)
    done = run(job)
    assert "Traceback" in done.stderr
    assert "in <lambda>" in (job.base / "output" / "failure").read_text()


def test_a_failure_file_that_cannot_be_written(job):
    FAILING_JOBS["an unknown name"](job)
    (job.base / "output").write_text("in the way")
    done = run(job)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first == DOCUMENTED["an unknown name"][0]
    assert second.startswith(f"openfm: cannot write {job.base}/output/failure: ")


def test_a_failure_of_an_earlier_run_goes_away(job):
    FAILING_JOBS["an unknown name"](job)
    assert run(job).returncode == 2
    job.give()
    assert run(job).returncode == 0
    assert not (job.base / "output" / "failure").exists()
