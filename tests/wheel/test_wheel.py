"""The wheel, as users get it: on every Python >= 3.11 of this machine, with no compiler on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from support.documents import copy_repository
from support.interpreters import find_interpreters

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)
INTERPRETERS = {
    f"{major}.{minor}": python
    for (major, minor), python in find_interpreters(os.environ).items()
    if (major, minor) >= OLDEST
}


@dataclass(frozen=True)
class Installation:
    """A virtual environment that holds the wheel; its commands see nothing but their own folder."""

    wheel: Path
    bin: Path

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's own commands."""
        return self._run(self.bin / command[0], *command[1:], cwd=cwd or self.bin.parent)

    def install(self, *requirements: str) -> None:
        """Install with the pip of the Python that runs this test; nothing may be compiled."""
        pip = (sys.executable, "-m", "pip", "--python", self.bin / "python")
        run = self._run(*pip, "install", "--quiet", "--only-binary", ":all:", *requirements)
        assert run.returncode == 0, run.stdout + run.stderr

    def _run(self, *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
        environ["PATH"] = str(self.bin)
        return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution that the wheels are built from."""
    folder = tmp_path_factory.mktemp("sdist")
    check(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    (path,) = folder.glob("openfm-*.tar.gz")
    return path


@pytest.fixture(scope="module", params=INTERPRETERS)
def installation(
    request: pytest.FixtureRequest, sdist: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The wheel, built for one interpreter, repaired, and installed without extras."""
    folder = tmp_path_factory.mktemp("wheel")
    python = INTERPRETERS[request.param]
    wheel = build_wheel(python, sdist, folder)
    check(python, "-m", "venv", "--without-pip", folder / "clean")
    installation = Installation(wheel, folder / "clean" / "bin")
    installation.install(str(wheel))
    yield installation
    shutil.rmtree(folder)


def build_wheel(python: Path, sdist: Path, folder: Path) -> Path:
    """Build the source distribution and let auditwheel make a manylinux wheel of it."""
    pip = (sys.executable, "-m", "pip", "--python", python)
    check(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "raw", sdist)
    (raw,) = (folder / "raw").glob("*.whl")
    check(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder / "dist", raw)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def check(*command: str | Path) -> None:
    """Run a command that must succeed; the programs beside this Python are on its PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr


def test_sdist_holds_no_stray_file(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    copy_repository(clone)
    for stray in ("notes.txt", "model.tar.gz", "mine/records.pbr", "src/openfm/native/core.o", "src/openfm/x.pyc"):
        (clone / stray).parent.mkdir(exist_ok=True)
        (clone / stray).touch()
    check(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, clone)
    (path,) = tmp_path.glob("openfm-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "src/openfm").rglob("*.[ch]pp")}
    assert source <= names
    assert {"pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "src/openfm/py.typed"} <= names
    assert {name for name in names if not name.startswith("src/openfm/")} == {
        "pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "PKG-INFO",
    }  # fmt: skip
    assert {Path(name).suffix for name in names - {"LICENSE", "PKG-INFO"}} == {
        ".py", ".pyi", ".cpp", ".hpp", ".typed", ".txt", ".md", ".toml", ".j2", ".css",
    }  # fmt: skip


def test_there_is_an_interpreter() -> None:
    assert INTERPRETERS


def test_wheel_is_manylinux_and_holds_no_sources(installation: Installation) -> None:
    assert "manylinux" in installation.wheel.name
    names = zipfile.ZipFile(installation.wheel).namelist()
    assert any(name.startswith("openfm/native/_core.") and name.endswith(".so") for name in names)
    assert "openfm/py.typed" in names
    assert "openfm/native/_core.pyi" in names
    assert "openfm/report/templates/report.html.j2" in names
    assert not [name for name in names if name.endswith((".cpp", ".hpp", ".proto", ".pyc"))]
    tops = {name.split("/")[0] for name in names}
    assert tops == {"openfm", f"openfm-{version('openfm')}.dist-info"}


def test_only_openfm_is_put_on_path(installation: Installation) -> None:
    assert installation.run("openfm", "--help").returncode == 0
    assert not (installation.bin / "train").exists()
    assert not (installation.bin / "serve").exists()


def test_there_is_no_compiler(installation: Installation) -> None:
    program = "import shutil; print(*map(shutil.which, ['cc', 'c++', 'gcc', 'g++', 'clang']))"
    assert installation.run("python", "-c", program).stdout.split() == ["None"] * 5


def test_importing_needs_nothing_of_the_server(installation: Installation) -> None:
    program = "import openfm, sys; print({'flask', 'gunicorn', 'orjson'} & set(sys.modules))"
    run = installation.run("python", "-c", program)
    assert (run.returncode, run.stdout) == (0, "set()\n"), run.stderr
    assert installation.run("python", "-c", "import flask").returncode == 1


def test_unit_tests_pass_on_what_is_installed(installation: Installation, tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    installation.install(f"{installation.wheel}[serve]", *project["dependency-groups"]["test"])
    for name in ("pyproject.toml", "tests", "examples"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    slow = "tests/unit/training/hosts/test_connected.py"  # minutes with many processes of the engine: not the wheel's
    run = installation.run("python", "-m", "pytest", "-q", "tests/unit", f"--ignore={slow}", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    location = installation.run("python", "-c", "import openfm; print(openfm.__file__)").stdout
    assert Path(location).is_relative_to(installation.bin.parent)
