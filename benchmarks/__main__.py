"""Run the benchmarks: ``python -m benchmarks [part ...] [--quick] [--rounds N] [--output FOLDER]``.

Each part writes its results as JSON; those that are kept go into the documents (see ``pages``).
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import time
from pathlib import Path

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENFM_NUM_THREADS")
for variable in ONE_THREAD:  # before NumPy is imported; what measures more threads says so to each
    os.environ[variable] = "1"

from benchmarks import machine, pages, results  # noqa: E402
from benchmarks.frame import Options  # noqa: E402

PARTS = (
    "kernels", "limits", "threads", "scaling", "training", "quality", "decoding", "encoding", "models", "ranking",
    "jobs", "serving", "hosts",
)  # fmt: skip
"""In the order in which they run."""

ROUNDS = 5
QUICK_RESULTS = Path(__file__).parents[1] / ".cache" / "bench" / "quick"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all of them if none is named")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="how often each case is measured (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="small data and 2 rounds: does everything run?")
    parser.add_argument(
        "--output",
        type=Path,
        help="where the results go (default: benchmarks/results, for the documents)",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}. There are {', '.join(PARTS)}")
    options = Options(2 if arguments.quick else arguments.rounds, arguments.quick)
    output = arguments.output or (QUICK_RESULTS if arguments.quick else results.FOLDER)
    for part in arguments.parts or PARTS:
        measure(part, options, output, command_of(arguments))
    if output == results.FOLDER:
        pages.main()


def command_of(arguments: argparse.Namespace) -> str:
    """What was run, for readers on other machines: where the results went is not told."""
    rounds = [] if arguments.rounds == ROUNDS else ["--rounds", str(arguments.rounds)]
    quick = ["--quick"] if arguments.quick else []
    return shlex.join(["python", "-m", "benchmarks", *arguments.parts, *rounds, *quick])


def measure(part: str, options: Options, output: Path, command: str) -> None:
    """Run a part, print its tables, and write them to ``output``; ``command`` is what was run, for the reader."""
    module = importlib.import_module(f"benchmarks.{part}")
    head = {
        "part": part,
        "about": (module.__doc__ or "").splitlines()[0],
        "command": command,
        "rounds": options.rounds,
        "quick": options.quick,
        "machine": machine.describe(),
        "base_versions": machine.versions(),
    }
    print(f"# {part}: {head['about']}\n", flush=True)
    begin = time.monotonic()
    report = module.run(options)
    head["seconds"] = round(time.monotonic() - begin)
    results.save(output / f"{part}.json", report, head)
    print(results.markdown(report))
    print(f"{head['seconds']} seconds; {output / f'{part}.json'}\n", flush=True)


if __name__ == "__main__":
    main()
