"""Amazon's MNIST notebook for Factorization Machines, run here: is this digit a zero?

Trains the notebook's job (50000 dense records of 784 pixels) three ways through ``openfm train``,
serves each model with ``openfm serve``, sends it the 10000 test images in 100 requests and prints
what came of it beside what Amazon's own container answered in the notebook. Each job's
``/opt/ml`` tree with its model and its logs is left in the folder ``demo`` of the repository.

    python examples/mnist_demo.py             # the openfm command that is installed beside python
    python examples/mnist_demo.py --docker    # the Docker image "openfm"; --docker NAME: another
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from console import free_port
from datasets import DatasetError, Split, load_mnist
from openfm import write_records

DEMO = Path(__file__).resolve().parents[1] / "demo"
REQUESTS = 100
SECONDS_TO_START = 60
NOTEBOOK_HYPERPARAMETERS = {
    "feature_dim": "784",
    "predictor_type": "binary_classifier",
    "mini_batch_size": "200",
    "num_factors": "10",
}
WHY_THEY_DIFFER = """\
Amazon trains dense records by a network that ignores the documented rates: it learns at rate 1.0,
and nearly all its scores end as 0 or 1. openfm trains them as documented, unless told otherwise.
"""


class DemoError(RuntimeError):
    """A job or a server of the demo did not do what it should."""


@dataclass(frozen=True)
class Job:
    """A training job: the notebook's with further hyperparameters."""

    folder: str
    title: str
    hyperparameters: dict[str, str]


JOBS = (
    Job("openfm", "1 epoch", {}),
    Job("openfm-10-epochs", "10 epochs", {"epochs": "10"}),
    Job("openfm-as-amazon", "dense_network=amazon", {"dense_network": "amazon"}),
)


@dataclass(frozen=True)
class Outcome:
    """What a model made of the test images: counts, log loss, seconds. None: not published."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    log_loss: float | None = None
    training_seconds: float | None = None
    request_seconds: float | None = None

    @property
    def accuracy(self) -> float:
        right = self.true_positives + self.true_negatives
        return right / (right + self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        return self.true_positives / max(1, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        return self.true_positives / max(1, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / max(1, 2 * self.true_positives + wrong)


# The output of the notebook as Amazon published it. It shows no times and no log loss of the test.
AMAZON = Outcome(true_positives=951, false_positives=165, false_negatives=29, true_negatives=8855)


class Runner(Protocol):
    """A way to run openfm's two programs on an ``/opt/ml`` tree."""

    def train(self, tree: Path, log: IO[bytes]) -> int:
        """Run the tree's training job to its end; the exit code."""

    def serve(self, tree: Path, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start to serve the tree's model on ``port`` of this machine; SIGTERM ends it."""

    def serve_command(self, tree: Path) -> str:
        """What to type to serve the tree's model on port 8080."""


class InstalledCommand:
    """The command ``openfm`` that is installed beside the Python that runs this."""

    openfm = Path(sys.executable).parent / "openfm"

    def train(self, tree: Path, log: IO[bytes]) -> int:
        environment = os.environ | {"SAGEMAKER_BASE_DIR": str(tree)}
        return subprocess.call([self.openfm, "train"], env=environment, stdout=log, stderr=log)

    def serve(self, tree: Path, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "SAGEMAKER_BASE_DIR": str(tree),
            "SAGEMAKER_BIND_TO_PORT": str(port),
        }
        return subprocess.Popen([self.openfm, "serve"], env=environment, stdout=log, stderr=log)

    def serve_command(self, tree: Path) -> str:
        return f"SAGEMAKER_BASE_DIR={shown(tree)} {shown(self.openfm)} serve"


@dataclass(frozen=True)
class DockerImage:
    """A Docker image of openfm, run as the user who runs this."""

    image: str

    def train(self, tree: Path, log: IO[bytes]) -> int:
        return subprocess.call(self._command(tree, "train"), stdout=log, stderr=log)

    def serve(self, tree: Path, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        publish = f"--publish=127.0.0.1:{port}:8080"
        return subprocess.Popen(self._command(tree, "serve", publish), stdout=log, stderr=log)

    def serve_command(self, tree: Path) -> str:
        volume = f'"$PWD/{shown(tree)}":/opt/ml:ro'
        return f"docker run --rm -p 127.0.0.1:8080:8080 -v {volume} {self.image} serve"

    def _command(self, tree: Path, program: str, *options: str) -> list[str]:
        user = f"--user={os.getuid()}:{os.getgid()}"
        volume = f"--volume={tree}:/opt/ml"
        return ["docker", "run", "--rm", user, volume, *options, self.image, program]


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="Amazon's MNIST notebook, run by openfm.")
    parser.add_argument("--docker", nargs="?", const="openfm", metavar="IMAGE", help="run this image (openfm)")
    image = parser.parse_args().docker
    runner = DockerImage(image) if image else InstalledCommand()
    try:
        run(runner)
    except (DatasetError, DemoError) as error:
        sys.exit(f"{error}")


def run(runner: Runner) -> None:
    """Train, serve, ask and print."""
    say("Getting MNIST")
    mnist = load_mnist()
    say("Writing 50000 training images as recordIO-protobuf")
    records = write_training_records(mnist)
    bodies = request_bodies(mnist.X_test)
    outcomes = [AMAZON]
    for job in JOBS:
        tree = write_tree(job, records)
        say(f"Training: {job.title}")
        training_seconds = train(runner, tree)
        say(f"Serving it, sending it {len(mnist.X_test)} images in {len(bodies)} requests")
        scores, request_seconds = ask(runner, tree, bodies)
        outcomes.append(evaluate(scores, mnist.y_test, training_seconds, request_seconds))
    say("")
    print_table(outcomes)
    print(WHY_THEY_DIFFER)
    print_how_to_ask(runner, mnist)


def shown(path: Path) -> str:
    """The path as someone in this folder would type it."""
    return os.path.relpath(path)


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


def write_training_records(mnist: Split) -> Path:
    """The training set as one file of dense records."""
    DEMO.mkdir(exist_ok=True)
    path = DEMO / "train.pbr"
    write_records(path, mnist.X_train, mnist.y_train, dense=True)
    return path


def write_tree(job: Job, records: Path) -> Path:
    """The job's ``/opt/ml`` tree, which shares the file of records by a hard link."""
    tree = DEMO / job.folder
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("input/config", "input/data/train", "model", "output"):
        (tree / folder).mkdir(parents=True)
    (tree / "input/data/train/mnist.pbr").hardlink_to(records)
    hyperparameters = NOTEBOOK_HYPERPARAMETERS | job.hyperparameters
    (tree / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters, indent=2))
    return tree


def request_bodies(images: npt.NDArray[np.float32]) -> list[bytes]:
    """The images in 100 JSON requests, as the notebook sends them."""
    return [
        json.dumps({"instances": [{"features": row} for row in rows.tolist()]}).encode()
        for rows in np.array_split(images, REQUESTS)
    ]


def train(runner: Runner, tree: Path) -> float:
    """Run the tree's job; its seconds from start to exit."""
    log = tree / "train.log"
    started = time.perf_counter()
    with log.open("wb") as file:
        code = runner.train(tree, file)
    if code != 0:
        raise DemoError(f"openfm train exited with {code}. The end of {shown(log)}:\n{tail(log)}")
    return time.perf_counter() - started


def ask(runner: Runner, tree: Path, bodies: Sequence[bytes]) -> tuple[npt.NDArray[np.float64], float]:
    """Serve the tree's model and send it the requests; all scores, and the requests' seconds."""
    scores = []
    with serving(runner, tree) as port, contextlib.closing(connect(port)) as connection:
        started = time.perf_counter()
        for body in bodies:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise DemoError(f"/invocations answered {answer.status}: {text.decode()}")
            scores += [prediction["score"] for prediction in json.loads(text)["predictions"]]
        seconds = time.perf_counter() - started
    return np.array(scores), seconds


@contextlib.contextmanager
def serving(runner: Runner, tree: Path) -> Iterator[int]:
    """The port on which the tree's model is served, until the end of the ``with`` block."""
    port = free_port()
    log = tree / "serve.log"
    with log.open("wb") as file:
        server = runner.serve(tree, port, file)
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not is_up(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"openfm serve did not start. The end of {shown(log)}:\n{tail(log)}")
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()
            server.wait(timeout=30)


def connect(port: int) -> HTTPConnection:
    """A connection to the server on this machine."""
    return HTTPConnection("127.0.0.1", port, timeout=60)


def is_up(port: int) -> bool:
    """Whether /ping answers 200."""
    with contextlib.closing(connect(port)) as connection:
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def evaluate(
    scores: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float32],
    training_seconds: float,
    request_seconds: float,
) -> Outcome:
    """Compare scores with labels. The log loss adds 1e-8 to each probability, as Amazon's does."""
    predicted, actual = scores >= 0.5, labels == 1
    probability_of_truth = np.where(actual, scores, 1 - scores)
    return Outcome(
        true_positives=int(np.sum(predicted & actual)),
        false_positives=int(np.sum(predicted & ~actual)),
        false_negatives=int(np.sum(~predicted & actual)),
        true_negatives=int(np.sum(~predicted & ~actual)),
        log_loss=float(-np.mean(np.log(probability_of_truth + 1e-8))),
        training_seconds=training_seconds,
        request_seconds=request_seconds,
    )


def print_table(outcomes: Sequence[Outcome]) -> None:
    """One column a model (Amazon's, then those of the jobs), one row a figure."""
    owners = ["Amazon", *("openfm" for _ in JOBS)]
    titles = ["1 epoch", *(job.title for job in JOBS)]
    rows = [
        ("true positives", "true_positives", "d"),
        ("false positives", "false_positives", "d"),
        ("false negatives", "false_negatives", "d"),
        ("true negatives", "true_negatives", "d"),
        ("accuracy", "accuracy", ".4f"),
        ("precision", "precision", ".4f"),
        ("recall", "recall", ".4f"),
        ("F1", "f1", ".4f"),
        ("log loss", "log_loss", ".4f"),
        ("training, seconds", "training_seconds", ".1f"),
        ("100 requests, seconds", "request_seconds", ".1f"),
    ]
    lines = [("", owners), ("", titles)]
    for title, name, form in rows:
        values = [getattr(outcome, name) for outcome in outcomes]
        cells = ["-" if value is None else format(value, form) for value in values]
        lines.append((title, cells))
    for title, cells in lines:
        columns = (f"{cell:>{len(head) + 4}}" for cell, head in zip(cells, titles, strict=True))
        print(f"{title:22}" + "".join(columns))
    print()


def print_how_to_ask(runner: Runner, mnist: Split) -> None:
    """Write one test image, a zero, to demo/digit.json and print how to have it scored."""
    zero = mnist.X_test[int(np.argmax(mnist.y_test))]
    digit = DEMO / "digit.json"
    digit.write_text(json.dumps({"instances": [{"features": zero.tolist()}]}))
    address = "http://127.0.0.1:8080/invocations"
    print("To score one digit, serve a model:\n")
    print(f"    {runner.serve_command(DEMO / JOBS[1].folder)}\n")
    print("and from another terminal, in this folder:\n")
    print(f"    curl -H 'Content-Type: application/json' -d @{shown(digit)} {address}")


if __name__ == "__main__":
    main()
