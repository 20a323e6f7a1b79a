"""What makes one of Local Mode's instances fail: it is killed when all of them are connected."""

import os
import subprocess
import threading
import time

PROJECT = f"label=com.docker.compose.project={os.environ['COMPOSE_PROJECT_NAME']}"
SERVICE = '{{.ID}} {{.Label "com.docker.compose.service"}}'


def docker(*arguments: str) -> str:
    run = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    return run.stdout + run.stderr


def kill_second_host() -> None:
    """Wait until the instance algo-2 is connected with the other, and kill it; in a thread."""
    threading.Thread(target=_kill, daemon=True).start()


def _kill() -> None:
    while True:
        for line in docker("ps", "--filter", PROJECT, "--format", SERVICE).splitlines():
            container, _, service = line.partition(" ")
            if service.startswith("algo-2") and "hosts are connected" in docker("logs", container):
                docker("kill", container)
                return
        time.sleep(0.2)
