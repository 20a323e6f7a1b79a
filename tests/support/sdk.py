"""Run programs that use the SageMaker Python SDK, each in an environment with the SDK that it is written for.

The environments are made by ``make sdk-environments``; what they hold is in ``tests/sdk/environments``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.docker import docker
from support.documents import REPOSITORY
from support.interpreters import find_interpreters
from support.ports import free_port

__all__ = ["AWS_IMAGE", "COMPOSE_PROJECT", "Workplace", "python_of", "requirements_of", "simulated_aws"]

ENVIRONMENTS = REPOSITORY / ".cache" / "sdk"
SCRIPTS = REPOSITORY / "tests" / "sdk"

AWS_IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/factorization-machines:1"
"""The name of Amazon's own image in us-east-1."""

COMPOSE_PROJECT = "openfm-sdk-tests"
"""Labels the containers that the SDK starts, for it leaves them behind."""

TIMEOUT = 600
"""Seconds that a program may take."""

ORDINARY_USER = 65534
"""Whom a program runs as that must not be root: nobody."""


def python_of(name: str) -> Path:
    """The interpreter of an environment: v1, v2, v3, or aws for what stands for AWS."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if name == "v1" and not python.exists() and (3, 8) not in find_interpreters(os.environ):
        pytest.skip("SDK 1 runs on Python 3.8, and this machine has none")
    assert python.exists(), f"there is no {python}: make sdk-environments"
    return python


def requirements_of(name: str) -> list[str]:
    """What an environment is made of."""
    lines = (SCRIPTS / "environments" / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@contextlib.contextmanager
def simulated_aws(folder: Path) -> Iterator[dict[str, str]]:
    """Run moto's proxy, which answers for all of AWS.

    Yields:
        the environment variables of a program in it, an execution role's credentials among them.
    """
    python, port = python_of("aws"), free_port()
    with (folder / "moto.log").open("wb") as log:
        proxy = subprocess.Popen(
            [python.with_name("moto_proxy"), "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        _wait_for(port, proxy)
        code = "import moto, pathlib; print(pathlib.Path(moto.__file__).parent / 'moto_proxy' / 'ca.crt')"
        certificate = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        variables = {
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            "AWS_CA_BUNDLE": certificate,
            "REQUESTS_CA_BUNDLE": certificate,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        role = subprocess.run(
            [python, SCRIPTS / "become_role.py"],
            env=os.environ | variables | keys,
            capture_output=True,
            text=True,
            check=True,
        )
        yield variables | json.loads(role.stdout)
    finally:
        proxy.terminate()
        proxy.wait(timeout=30)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        assert server.poll() is None and time.monotonic() < deadline, "moto's proxy did not start"
        time.sleep(0.1)


@dataclass(frozen=True)
class Workplace:
    """A user's home and current folder, with nothing of AWS in it but what ``variables`` say."""

    home: Path
    folder: Path
    variables: Mapping[str, str]

    @classmethod
    def make(cls, root: Path, variables: Mapping[str, str]) -> Workplace:
        """Make both folders in ``root``."""
        home, folder = root / "home", root / "work"
        for path in (home, folder):
            path.mkdir()
        return cls(home, folder, variables)

    def run(self, sdk: str, script: str | Path, *arguments: str, ordinary_user: bool = False) -> str:
        """Run a program with this version of the SDK to its end, which must be a good one.

        Args:
            sdk: v1, v2 or v3.
            script: a file; a relative path is meant from tests/sdk.
            arguments: the program's.
            ordinary_user: run it as another user than root, as most users do.

        Returns:
            what it printed.
        """
        python = python_of(sdk)
        self._configure(sdk)
        command = [str(python), str(SCRIPTS / script), *arguments]
        if ordinary_user and os.getuid() == 0:
            command = [*self._as_ordinary_user(), *command]
        log = self.folder.with_name("log")
        with log.open("w") as errors:
            program = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(python),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            printed, _ = program.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            # A program that fails while an endpoint is up does not end: the SDK waits for the endpoint's end.
            program.kill()
            printed, _ = program.communicate()
        finally:
            _remove_containers()
        assert program.returncode == 0, f"{' '.join(command)}\n{printed}\n{log.read_text()}"
        return printed

    def result(self) -> dict[str, object]:
        """What the program wrote to result.json."""
        found: dict[str, object] = json.loads((self.folder / "result.json").read_text())
        return found

    def _configure(self, sdk: str) -> None:
        """Give endpoints a free port, and the SDK's temporary folders their place beside the home."""
        temporary, settings = self.home.with_name("tmp"), self.home / ".sagemaker"
        for path in (temporary, settings):
            path.mkdir(exist_ok=True)
        # Version 1 reads the port too, but asks 8080 whatever it is.
        port = 8080 if sdk == "v1" else free_port()
        # JSON is YAML.
        local = {"serving_port": port, "container_root": str(temporary)}
        (settings / "config.yaml").write_text(json.dumps({"local": local}))

    def _environment(self, python: Path) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "SAGEMAKER_"))
        }
        return inherited | {
            "HOME": str(self.home),
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker")),
            "COMPOSE_PROJECT_NAME": COMPOSE_PROJECT,
            **self.variables,
        }

    def _as_ordinary_user(self) -> list[str]:
        """The command before a command. Reading stays allowed, for the interpreter may lie in root's home."""
        for path in (self.home.parent, *self.home.parent.rglob("*")):
            shutil.chown(path, ORDINARY_USER, ORDINARY_USER)
        group = Path("/var/run/docker.sock").stat().st_gid
        return [
            "setpriv",
            f"--reuid={ORDINARY_USER}",
            f"--regid={ORDINARY_USER}",
            f"--groups={group}",
            "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search",
        ]


def _remove_containers() -> None:
    listed = docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={COMPOSE_PROJECT}")
    if containers := listed.stdout.split():
        docker("rm", "--force", "--volumes", *containers)
