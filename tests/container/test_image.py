"""What the image is, before any job: its description, its files, and commands that are not ours."""

from __future__ import annotations

from typing import Any

import pytest

from support.docker import run_image

pytestmark = pytest.mark.docker

COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "cpp", "as", "ld", "make", "cmake", "ninja")


def test_default_command_is_train_and_nothing_stands_before_it(image: dict[str, Any]) -> None:
    config = image["Config"]
    assert config["Cmd"] == ["train"]
    assert not config["Entrypoint"]
    assert not config["User"]
    assert list(config["ExposedPorts"]) == ["8080/tcp"]


def test_labels(image: dict[str, Any]) -> None:
    labels = image["Config"]["Labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert labels["com.amazonaws.sagemaker.capabilities.multi-models"] == "true"
    assert labels["org.opencontainers.image.title"] == "openfm"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_environment(image: dict[str, Any]) -> None:
    environment = dict(entry.split("=", 1) for entry in image["Config"]["Env"])
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["LANG"] == "C.UTF-8"
    assert environment["OPENFM_BIND"] == "0.0.0.0"


def test_is_small(image: dict[str, Any]) -> None:
    assert image["Size"] < 500e6  # a quarter of it is pyarrow, which reads Parquet


def test_holds_no_compiler_and_no_pip_cache() -> None:
    run = run_image("sh", "-c", f"command -v {' '.join(COMPILERS)}; ls -A /root/.cache /root")
    assert "/bin/" not in run.stdout, run.stdout
    assert ".cache" not in run.stdout.split(), run.stdout


def test_holds_no_sources_of_the_native_core() -> None:
    run = run_image("find", "/opt/openfm", "-path", "*openfm/native*", "-name", "*.[ch]pp")
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("program", ["train", "serve", "openfm", "bash", "python3", "pip3"])
def test_program_is_on_path(program: str) -> None:
    run = run_image("sh", "-c", f"command -v {program}")
    assert run.returncode == 0, f"{program} is not on PATH"


@pytest.mark.parametrize("program", ["train", "serve"])
def test_program_is_on_the_path_of_a_login_shell(program: str) -> None:
    run = run_image("bash", "-lc", f"command -v {program}")
    assert run.stdout == f"/usr/local/bin/{program}\n"


def test_other_commands_pass_through() -> None:
    run = run_image("python3", "-c", "import openfm, os; print(os.getpid(), openfm.__name__)")
    assert (run.returncode, run.stdout) == (0, "1 openfm\n"), run.stderr


def test_changing_modes_passes_through() -> None:
    """SageMaker's SDK v3 ends a local job so."""
    run = run_image("chmod", "-R", "777", "/opt/ml")
    assert run.returncode == 0, run.stderr


def test_pip3_installs_where_python3_imports_from() -> None:
    run = run_image("sh", "-c", "pip3 show openfm && python3 -m pip --version")
    assert run.returncode == 0, run.stderr
    assert "Name: openfm" in run.stdout


def test_folders_below_opt_ml() -> None:
    run = run_image("sh", "-c", "stat -c '%n %a' /opt/ml/*")
    assert run.stdout.split("\n")[:-1] == [
        "/opt/ml/input 777",
        "/opt/ml/model 777",
        "/opt/ml/models 777",
        "/opt/ml/output 777",
    ]


def test_every_file_of_the_package_is_readable_by_any_user() -> None:
    run = run_image(
        "find", "/opt/openfm", "/usr/local/bin", "/etc/openfm", "(", "-type", "f", "!", "-readable",
        "-o", "-type", "d", "!", "-executable", ")",
        options=["--user=1234:1234"],
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_libraries_import_without_their_test_suites() -> None:
    run = run_image("python3", "-c", "import numpy.testing, scipy.sparse.linalg, scipy.special")
    assert run.returncode == 0, run.stderr
