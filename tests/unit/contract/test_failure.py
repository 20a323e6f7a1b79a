"""Whose fault a failure is, and the file that says so."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from openfm.contract.failure import classify, write_failure
from openfm.contract.paths import ContractPaths
from openfm.errors import AlgorithmError, DataError, OpenFMError, PlatformError


@pytest.fixture
def paths(tmp_path: Path) -> ContractPaths:
    return ContractPaths(tmp_path)


def raised(error: Exception) -> Exception:
    """The error with a traceback."""
    try:
        raise error
    except type(error) as caught:
        return caught


def deep_bug(depth: int) -> None:
    if depth == 0:
        raise ZeroDivisionError("division by zero")
    deep_bug(depth - 1)


def test_an_error_of_openfm_is_itself() -> None:
    error = DataError("bad record")
    assert classify(error) is error


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "No space left on device: /opt/ml/model/m. Free some space"),
        (errno.EDQUOT, "Disk quota exceeded: /opt/ml/model/m. Free some space"),
        (errno.EFBIG, "File too large: /opt/ml/model/m. Raise the limit"),
        (errno.EROFS, "Read-only file system: /opt/ml/model/m. Mount a folder there"),
        (errno.EACCES, "Permission denied: /opt/ml/model/m. Mount a folder there"),
        (errno.EPERM, "Operation not permitted: /opt/ml/model/m. Mount a folder there"),
        (errno.EIO, "Input/output error: /opt/ml/model/m. Check the disk"),
    ],
)
def test_what_the_machine_refuses_is_the_platforms(number: int, sentence: str) -> None:
    problem = OSError(number, os.strerror(number), "/opt/ml/model/m")
    error = classify(problem)
    assert isinstance(error, PlatformError)
    assert error.message.startswith(sentence)
    assert error.__cause__ is problem


def test_no_space_without_a_files_name() -> None:
    error = classify(OSError(errno.ENOSPC, "No space left on device"))
    assert error.message.startswith("No space left on device. Free some space")


def test_no_memory_is_the_platforms() -> None:
    error = classify(MemoryError())
    assert isinstance(error, PlatformError)
    assert "num_factors" in error.message


@pytest.mark.parametrize(
    ("bug", "message"),
    [
        (KeyError("x"), "'x' (caused by KeyError)"),
        (ValueError(), "Unknown error (caused by ValueError)"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "/a"),
            "[Errno 2] No such file: '/a' (caused by FileNotFoundError)",
        ),
    ],
)
def test_anything_else_is_a_bug(bug: Exception, message: str) -> None:
    error = classify(bug)
    assert isinstance(error, AlgorithmError)
    assert error.message == message
    assert error.__cause__ is bug


@pytest.mark.parametrize(
    ("error", "content"),
    [
        (DataError("record 3 is cut off."), "ClientError: record 3 is cut off."),
        (PlatformError("no space"), "PlatformError: no space"),
        (AlgorithmError("never raised"), "AlgorithmError: never raised\n\n"),
    ],
)
def test_the_cause_comes_first(paths: ContractPaths, error: OpenFMError, content: str) -> None:
    write_failure(paths, error)
    assert paths.failure.read_text() == content


def test_a_customers_error_has_no_traceback(paths: ContractPaths) -> None:
    error = raised(DataError("bad"))
    assert isinstance(error, DataError)
    write_failure(paths, error)
    assert paths.failure.read_text() == "ClientError: bad"


def test_a_bug_shows_its_innermost_frames(paths: ContractPaths) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        deep_bug(200)
    write_failure(paths, classify(caught.value))
    content = paths.failure.read_text()
    assert content.startswith("AlgorithmError: division by zero (caused by ZeroDivisionError)\n\n")
    assert 'raise ZeroDivisionError("division by zero")' in content.splitlines()[-1]
    assert content.splitlines()[2].startswith('  File "')
    assert len(content) < 1024


@pytest.mark.parametrize("character", ["x", "é", "漢", "🙂", "\udcff"])
@pytest.mark.parametrize("kind", [DataError, AlgorithmError])
def test_a_long_cause_is_cut_within_the_limit(paths: ContractPaths, character: str, kind: type[OpenFMError]) -> None:
    error = raised(kind(character * 5000))
    assert isinstance(error, OpenFMError)
    write_failure(paths, error)
    content = paths.failure.read_bytes()
    assert 690 < len(content) < 1024
    assert content.decode().startswith(f"{kind.prefix}: ")
    assert b"..." in content


def test_the_file_is_replaced_and_readable_by_all(paths: ContractPaths) -> None:
    paths.output.mkdir()
    paths.failure.write_text("older")
    paths.failure.chmod(0o600)
    umask = os.umask(0o077)
    try:
        write_failure(paths, DataError("newer"))
    finally:
        os.umask(umask)
    assert paths.failure.read_text() == "ClientError: newer"
    assert stat.S_IMODE(paths.failure.stat().st_mode) == 0o644
    assert [file.name for file in paths.output.iterdir()] == ["failure"]


def test_no_tree_is_made_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ContractPaths(tmp_path / "nothing")
    write_failure(paths, DataError("bad"))
    assert not paths.base.exists()
    assert capsys.readouterr().err == (f"openfm: cannot write {paths.failure}: No such file or directory\n")


def test_a_folder_in_the_files_place_leaves_nothing_behind(
    paths: ContractPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.failure.mkdir(parents=True)
    write_failure(paths, DataError("bad"))
    assert [file.name for file in paths.output.iterdir()] == ["failure"]
    assert "cannot write" in capsys.readouterr().err
