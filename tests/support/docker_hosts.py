"""Several containers that train one job, on a Docker network of their own."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.docker import IMAGE, docker, mount

__all__ = ["Hosts", "empty_outputs", "host_names", "start_hosts", "write_resource_config"]


def host_names(count: int) -> list[str]:
    """Names of hosts as SageMaker gives them."""
    return [f"algo-{number + 1}" for number in range(count)]


def write_resource_config(job: Path, current: str, hosts: Sequence[str]) -> None:
    """Say which host a contract tree is for."""
    content = {"current_host": current, "hosts": list(hosts), "network_interface_name": "ethwe"}
    (job / "input" / "config" / "resourceconfig.json").write_text(json.dumps(content))


@dataclass(frozen=True)
class Hosts:
    """Containers, one for each host, in the order of their ranks."""

    network: str
    containers: tuple[str, ...]

    def log(self, rank: int) -> str:
        """Everything that a host has written so far."""
        run = docker("logs", self.containers[rank])
        return run.stdout + run.stderr

    def logs(self) -> str:
        """Everything that all have written, for messages."""
        return "\n".join(f"--- host {rank}\n{self.log(rank)[-3000:]}" for rank in range(len(self.containers)))

    def exit_code(self, rank: int) -> int | None:
        """None while it runs."""
        form = "{{.State.Running}} {{.State.ExitCode}}"
        running, code = docker("inspect", "--format", form, self.containers[rank]).stdout.split()
        return None if running == "true" else int(code)

    def wait_for_log(self, rank: int, text: str, seconds: float = 120) -> None:
        """Wait until a host has written ``text``."""
        deadline = time.monotonic() + seconds
        while text not in self.log(rank):
            if self.exit_code(rank) is not None and text in self.log(rank):
                return
            assert self.exit_code(rank) is None and time.monotonic() < deadline, f"no {text!r}\n{self.logs()}"
            time.sleep(0.1)

    def wait(self, ranks: Sequence[int] | None = None, seconds: float = 300) -> list[int]:
        """Wait for the end of these hosts, or of all; their exit codes.

        Raises:
            AssertionError: it takes longer.
        """
        waited = range(len(self.containers)) if ranks is None else ranks
        deadline = time.monotonic() + seconds
        while None in (codes := [self.exit_code(rank) for rank in waited]):
            assert time.monotonic() < deadline, f"hosts {list(waited)} have not ended in {seconds} s\n{self.logs()}"
            time.sleep(0.1)
        return [code for code in codes if code is not None]

    def kill(self, rank: int) -> None:
        docker("kill", self.containers[rank])

    def terminate(self, rank: int) -> None:
        """Send SIGTERM."""
        docker("kill", "--signal=TERM", self.containers[rank])

    def pause(self, rank: int) -> None:
        docker("pause", self.containers[rank])

    def unpause(self, rank: int) -> None:
        docker("unpause", self.containers[rank])

    def cut_off(self, rank: int) -> None:
        """Take a host's network away."""
        docker("network", "disconnect", "--force", self.network, self.containers[rank])


@contextmanager
def start_hosts(
    jobs: Sequence[Path],
    environ: Mapping[str, str] | None = None,
    *,
    command: Sequence[str] = ("train",),
    options: Sequence[str] = (),
) -> Iterator[Hosts]:
    """Start a program in a container for each contract tree; all is removed at the end.

    Args:
        jobs: the trees; their resource configurations are written.
        environ: of all containers.
        command: the program.
        options: more of them for ``docker run``.
    """
    names = host_names(len(jobs))
    network = f"openfm-hosts-{secrets.token_hex(4)}"
    created = docker("network", "create", network)
    assert created.returncode == 0, created.stderr
    variables = [f"--env={name}={value}" for name, value in (environ or {}).items()]
    containers: list[str] = []
    try:
        for name, job in zip(names, jobs, strict=True):
            write_resource_config(job, name, names)
            run = docker(
                "run", "--detach", f"--network={network}", f"--network-alias={name}", mount(job), *variables,
                *options, IMAGE, *command,
            )  # fmt: skip
            assert run.returncode == 0, run.stderr
            containers.append(run.stdout.strip())
        yield Hosts(network, tuple(containers))
    finally:
        for container in containers:
            docker("unpause", container)
            docker("rm", "--force", "--volumes", container)
        docker("network", "rm", network)


def empty_outputs(jobs: Sequence[Path]) -> None:
    """Remove models and outputs of an earlier run, but no checkpoints."""
    for job in jobs:
        for name in ("model", "output"):
            shutil.rmtree(job / name, ignore_errors=True)
