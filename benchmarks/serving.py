"""Serving: processor time per request, latency and cold start beside Flask applications under the same gunicorn."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.clients import Load, keep_busy, post
from benchmarks.data import mnist
from benchmarks.frame import Check, Options, Report, Spread, Table, paired_ratio
from benchmarks.servers import ServerProcess, free_port, gunicorn, running
from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.serving.options import Capacity
from openfm.serving.settings import ServingSettings

__all__ = ["run"]

OWN, CONSTANT, CONSTANT_GTHREAD = "openfm", "constant answer", "constant answer, gunicorn's own threads"
BYO, BYO_SYNC = "Flask + json", "Flask + json, sync workers"

OWN_WORKER = "openfm.serving.worker.FewThreadsWorker"

ROWS = (1, 10, 100)
CLIENTS = (1, 4, 16, 64)
K = 10

_CPU_SECONDS = 0.8  # of a round, about
_SLICES = 4
_COLD_STARTS = 5

Start = Callable[[], ServerProcess]


def run(options: Options) -> Report:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        starts = _servers(Path(folder))
        cold = _cold_starts(starts, 1 if options.quick else _COLD_STARTS)
        with contextlib.ExitStack() as stack:
            servers = {name: stack.enter_context(running(start())) for name, start in starts.items()}
            cases = _measure_all(servers, options)
            memory = {name: server.memory() for name, server in servers.items()}
    return Report(
        tables=[_request_table(cases), _latency_table(cases), _start_table(cold, memory)],
        checks=[
            *_checks(cases),
            Check("seconds from process start to the first 200 on /ping", cold[OWN].median, at_most=1),
        ],
        versions={name: metadata.version(name) for name in ("flask", "gunicorn", "werkzeug", "numpy")},
        series={
            "CPU per request by rows, 1 client": {
                name: [(rows, cases[rows, 1][name].cpu.median * 1e6) for rows in ROWS] for name in starts
            }
        },
    )


# --- the servers -----------------------------------------------------------------------------------------------------


def _servers(folder: Path) -> dict[str, Start]:
    """What starts each server. All have as many workers, and those with threads as many of them at most."""
    capacity = Capacity.of(ServingSettings())
    rng = np.random.default_rng(0)
    width = mnist().feature_dim
    linear, factors = rng.normal(0, 0.1, width), rng.normal(0, 0.1, (width, K))
    machine = FactorizationMachine(0.1, linear, factors, PredictorType.BINARY_CLASSIFIER)
    (folder / "model").mkdir()
    save_model(Model(machine), folder / "model" / "model_algo-1")
    np.savez(folder / "model.npz", bias=machine.bias, linear=machine.linear, factors=machine.factors)

    def own() -> ServerProcess:
        port = free_port()
        environ = {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port)}
        return ServerProcess([sys.executable, "-m", "openfm", "serve"], environ, port)

    def flask(factory: str, worker_class: str = "gthread") -> Start:
        def start() -> ServerProcess:
            port = free_port()
            threads = 1 if worker_class == "sync" else capacity.threads
            command = gunicorn(
                f"benchmarks.flask_apps:{factory}()",
                port,
                worker_class=worker_class,
                workers=capacity.processes,
                threads=threads,
            )
            return ServerProcess(command, {"MODEL": str(folder / "model.npz")}, port)

        return start

    return {
        OWN: own,
        CONSTANT: flask("constant", OWN_WORKER),
        CONSTANT_GTHREAD: flask("constant"),
        BYO: flask("bring_your_own"),
        BYO_SYNC: flask("bring_your_own", "sync"),
    }


# --- requests --------------------------------------------------------------------------------------------------------


class Case:
    """One server's measurements of one kind of load."""

    def __init__(self) -> None:
        self.per_request: list[float] = []
        self.loads: list[Load] = []

    def add(self, cpu_seconds: float, load: Load) -> None:
        self.per_request.append(cpu_seconds / len(load.seconds))
        self.loads.append(load)

    @property
    def cpu(self) -> Spread:
        """Processor seconds of a request."""
        return Spread.of(self.per_request)

    def percentile(self, percent: float) -> Spread:
        return Spread.of([load.percentile(percent) for load in self.loads])

    @property
    def rate(self) -> Spread:
        return Spread.of([len(load.seconds) / load.wall for load in self.loads])


Cases = dict[tuple[int, int], dict[str, Case]]


def _measure_all(servers: dict[str, ServerProcess], options: Options) -> Cases:
    cases: Cases = {}
    for rows in ROWS:
        request = _request(rows)
        for clients in CLIENTS:
            case = cases[rows, clients] = {name: Case() for name in servers}
            # The first round warms up, and tells how many requests take long enough.
            counts = {name: max(10, clients) for name in servers}
            slices = 1 if options.quick else _SLICES
            for number in range(-1, options.rounds):
                taken = _measure_round(servers, request, clients, counts, slices)
                for name, (cpu, load) in taken.items():
                    if number >= 0:
                        case[name].add(cpu, load)
                    elif not options.quick:
                        counts[name] = max(counts[name], round(_CPU_SECONDS / _SLICES / (cpu / len(load.seconds))))
    return cases


def _measure_round(
    servers: dict[str, ServerProcess], request: bytes, clients: int, counts: dict[str, int], slices: int
) -> dict[str, tuple[float, Load]]:
    """In slices of ``counts`` requests and in turn, so that what else the machine does falls on all alike."""
    cpu = dict.fromkeys(servers, 0.0)
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for _ in range(slices):
        for name, server in servers.items():
            before = server.cpu_seconds()
            loads[name].append(keep_busy(server.port, request, clients=clients, requests=counts[name]))
            cpu[name] += server.cpu_seconds() - before
    return {name: (cpu[name], Load.joined(loads[name])) for name in servers}


def _request(rows: int) -> bytes:
    pixels = mnist().test.X[:rows].toarray()
    return post("/invocations", json.dumps({"instances": [{"features": row} for row in pixels.tolist()]}).encode())


def _cold_starts(starts: dict[str, Start], times: int) -> dict[str, Spread]:
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    for number in range(-1, times):
        for name, start in starts.items():
            with running(start()) as server:
                if number >= 0:
                    seconds[name].append(server.seconds_to_ping)
    return {name: Spread.of(taken) for name, taken in seconds.items()}


# --- what comes of it ------------------------------------------------------------------------------------------------


def _request_table(cases: Cases) -> Table:
    rows = [[rows, clients, *(case[name].cpu.scaled(1e6) for name in case)] for (rows, clients), case in cases.items()]
    names = next(iter(cases.values()))
    return Table("Processor time per request", ["rows", "clients", *(f"{name} [us]" for name in names)], rows)


def _latency_table(cases: Cases) -> Table:
    rows = [
        [rows, clients, name, of.rate, of.percentile(50).scaled(1e3), of.percentile(99).scaled(1e3)]
        for (rows, clients), case in cases.items()
        for name, of in case.items()
    ]
    columns = ["rows", "clients", "server", "requests/s", "p50 [ms]", "p99 [ms]"]
    return Table("Latency", columns, rows, ["The clients run on the same processors as the servers."])


def _start_table(cold: dict[str, Spread], memory: dict[str, int]) -> Table:
    rows = [[name, cold[name].scaled(1e3), memory[name] / 2**20] for name in cold]
    columns = ["server", "first 200 on /ping [ms]", "memory after all requests, PSS [MiB]"]
    return Table("Cold start and memory", columns, rows)


def _checks(cases: Cases) -> Iterator[Check]:
    def ratio(rows: int, clients: int, slow: str, fast: str) -> float:
        case = cases[rows, clients]
        return paired_ratio(case[slow].per_request, case[fast].per_request).median

    for clients in CLIENTS:
        where = f"{clients} clients" if clients > 1 else "1 client"
        yield Check(f"CPU, 1 row, {where}: times a constant answer's", ratio(1, clients, OWN, CONSTANT), at_most=1.25)
        yield Check(f"CPU, 100 rows, {where}: times a constant answer's", ratio(100, clients, OWN, CONSTANT), at_most=2)
        cheapest = min(BYO, BYO_SYNC, key=lambda name: cases[100, clients][name].cpu.median)
        yield Check(f"CPU, 100 rows, {where}: {cheapest}'s times ours", ratio(100, clients, cheapest, OWN), at_least=10)
    for rows in ROWS:
        case = cases[rows, 64]
        best = min(case[name].percentile(99).median for name in (BYO, BYO_SYNC))
        yield Check(
            f"p99, {rows} rows, 64 clients: times the better Flask + json's",
            case[OWN].percentile(99).median / best,
            at_most=1,
        )
