"""Several containers train one model; one is killed, paused or cut off from the network at a random moment.

    python -m soak.hosts [--rounds 30] [--seed 0]

The others must end within a minute, with exit code 3 and a sentence, and leave no torn model. Then all are started
again, and must end with the undisturbed job's bytes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from support.docker_hosts import Hosts, empty_outputs, host_names, start_hosts
from support.jobs import make_job

FAULTS = ("kill", "pause", "cut off")
LIMIT_SECONDS = 60.0
HYPERPARAMETERS: dict[str, Any] = {
    "feature_dim": 300,
    "num_factors": 8,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 50,
    "epochs": 25,
    "batch_metrics_publish_interval": 100,
}
ENVIRONMENT = {"OPENFM_CHECKPOINT_SECONDS": "0.5", "OPENFM_NUM_THREADS": "1"}
MODEL = Path("model") / "model_algo-1"


class Campaign:
    """A job of several hosts, and the model that it gives when it is left alone.

    Args:
        folder: for its files.
        sizes: the numbers of hosts to try.
        records: of the training data.
    """

    def __init__(self, folder: Path, sizes: Sequence[int] = (2, 3), records: int = 40_000) -> None:
        rng = np.random.default_rng(0)
        X = (rng.random((records, 300)) < 0.05).astype(np.float32)
        self._data = X, (X[:, :5].sum(axis=1) > 0).astype(np.float32)
        self._folder = folder
        self._rounds = 0
        self._undisturbed: dict[int, bytes] = {}
        for size in sizes:
            jobs = self._make_jobs(size)
            with start_hosts(jobs, ENVIRONMENT) as hosts:
                assert hosts.wait() == [0] * size, hosts.logs()
                self._undisturbed[size] = (jobs[0] / MODEL).read_bytes()
            self._remove(jobs)

    def round(self, size: int, fault: str, moments: random.Random) -> float:
        """Disturb a job and start it again; the seconds that the others took to end.

        Raises:
            AssertionError: they took too long, or something else is not as it should be.
        """
        jobs = self._make_jobs(size)
        model = self._undisturbed[size]
        with start_hosts(jobs, ENVIRONMENT) as hosts:
            # Not by the clock: how fast it is depends on what else the machine does.
            hosts.wait_for_log(0, f"epoch={moments.randrange(HYPERPARAMETERS['epochs'])}, ")
            time.sleep(moments.uniform(0.0, 0.5))
            taken = self._disturb(hosts, moments.randrange(size), fault, jobs)
        if (jobs[0] / MODEL).exists():
            assert (jobs[0] / MODEL).read_bytes() == model, "there is a model, but not the undisturbed job's"
        assert all(path.name == "model_algo-1" for path in (jobs[0] / "model").glob("[!.]*"))
        empty_outputs(jobs)
        with start_hosts(jobs, ENVIRONMENT) as hosts:
            assert hosts.wait() == [0] * size, hosts.logs()
        assert (jobs[0] / MODEL).read_bytes() == model, "the model differs from the undisturbed job's"
        self._remove(jobs)
        return taken

    def _disturb(self, hosts: Hosts, victim: int, fault: str, jobs: Sequence[Path]) -> float:
        """Do it to the victim, and wait for the end of those that must end."""
        others = [rank for rank in range(len(jobs)) if rank != victim]
        ending = [*others, victim] if fault == "cut off" else others
        begin = time.monotonic()
        {"kill": hosts.kill, "pause": hosts.pause, "cut off": hosts.cut_off}[fault](victim)
        codes = hosts.wait(ending, seconds=LIMIT_SECONDS)
        taken = time.monotonic() - begin
        if fault == "pause":
            hosts.unpause(victim)
            codes += hosts.wait([victim], seconds=LIMIT_SECONDS)
            ending = [*ending, victim]
        assert set(codes) <= {0, 3}, f"{codes}\n{hosts.logs()}"
        assert (jobs[0] / MODEL).exists() or 0 not in codes  # which ends so when the job is done
        for rank, code in zip(ending, codes, strict=True):
            if code == 3:
                failure = (jobs[rank] / "output" / "failure").read_text()
                assert failure.startswith("PlatformError: The connection to the other hosts was lost at step "), failure
        return taken

    def _make_jobs(self, size: int) -> list[Path]:
        self._rounds += 1
        folder = self._folder / f"round-{self._rounds}"
        jobs = [make_job(folder / name, HYPERPARAMETERS, self._data, dense=False) for name in host_names(size)]
        for job in jobs:
            (job / "checkpoints").mkdir()
        return jobs

    @staticmethod
    def _remove(jobs: Sequence[Path]) -> None:
        shutil.rmtree(jobs[0].parent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    taken: dict[str, list[float]] = {fault: [] for fault in FAULTS}
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder))
        for number in range(arguments.rounds):
            fault, size = FAULTS[number % len(FAULTS)], moments.choice((2, 3))
            taken[fault].append(campaign.round(size, fault, moments))
            print(f"{number + 1}: {fault}, {size} hosts; the others ended in {taken[fault][-1]:.1f} s", flush=True)
    longest = ", ".join(f"{fault} {max(seconds):.1f} s" for fault, seconds in taken.items() if seconds)
    print(f"{arguments.rounds} jobs ended with the undisturbed job's bytes; the longest end: {longest}")


if __name__ == "__main__":
    main()
