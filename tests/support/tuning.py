"""A tuning job as SageMaker runs one: random search over what ``openfm metadata`` says may be searched."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Trial", "best_trial", "run_tuning_job"]

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job.

    Attributes:
        base: its contract tree.
        hyperparameters: what the tuning job chose.
        objective: the last value of the objective in its log; None if it failed.
    """

    base: Path
    hyperparameters: Mapping[str, str]
    objective: float | None


def run_tuning_job(
    folder: Path,
    train: Callable[[Path], subprocess.CompletedProcess[str]],
    algorithm: Mapping[str, Any],
    ranges: Mapping[str, Sequence[Mapping[str, str]]],
    *,
    objective: str,
    searched: Sequence[str],
    fixed: Mapping[str, str],
    trials: int,
    seed: int = 0,
) -> list[Trial]:
    """Train the quickstart with hyperparameters drawn at random.

    Args:
        folder: where the jobs' trees are made.
        train: runs the job of a tree.
        algorithm: the request of ``CreateAlgorithm``.
        ranges: the ``ParameterRanges`` to search.
        objective: name of the metric, which the algorithm must allow as an objective.
        searched: names of the hyperparameters to search.
        fixed: others that all jobs get.
        trials: number of jobs.
        seed: of the search.
    """
    training = algorithm["TrainingSpecification"]
    assert objective in {metric["MetricName"] for metric in training["SupportedTuningJobObjectiveMetrics"]}
    (regex,) = [metric["Regex"] for metric in training["MetricDefinitions"] if metric["Name"] == objective]
    drawn_from = {given["Name"]: (kind, given) for kind, listed in ranges.items() for given in listed}
    choice = random.Random(seed)
    done = []
    for number in range(trials):
        chosen = {name: _draw(choice, *drawn_from[name]) for name in searched}
        base = folder / f"trial-{number}"
        shutil.copytree(QUICKSTART / "input", base / "input")
        path = base / "input" / "config" / "hyperparameters.json"
        given = json.loads(path.read_text()) | fixed | chosen | {"_tuning_objective_metric": objective}
        path.write_text(json.dumps(given))
        run = train(base)
        values = [float(match[1]) for line in run.stdout.splitlines() if (match := re.search(regex, line))]
        assert bool(values) == (run.returncode == 0), run.stderr
        done.append(Trial(base, chosen, values[-1] if values else None))
    return done


def best_trial(trials: Sequence[Trial], algorithm: Mapping[str, Any], objective: str) -> Trial:
    """The trial that came out best, failed ones left out."""
    metrics = algorithm["TrainingSpecification"]["SupportedTuningJobObjectiveMetrics"]
    (direction,) = [metric["Type"] for metric in metrics if metric["MetricName"] == objective]
    finished = [trial for trial in trials if trial.objective is not None]
    return {"Minimize": min, "Maximize": max}[direction](finished, key=lambda trial: trial.objective)


def _draw(choice: random.Random, kind: str, given: Mapping[str, str]) -> str:
    if kind == "IntegerParameterRanges":
        return str(choice.randint(int(given["MinValue"]), int(given["MaxValue"])))
    low, high = float(given["MinValue"]), float(given["MaxValue"])
    if given["ScalingType"] == "Logarithmic":
        return repr(math.exp(choice.uniform(math.log(low), math.log(high))))
    return repr(choice.uniform(low, high))
