"""openfm's own environment variables, and the number of CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from openfm.contract.environment import Environment, available_cpus
from openfm.errors import CustomerError


def test_nothing_set() -> None:
    assert Environment.read({}, cpus=lambda: 7) == Environment(strict=False, num_threads=7)


@pytest.mark.parametrize(
    ("value", "strict"),
    [("1", True), ("true", True), ("True", True), ("0", False), ("false", False), ("", False)],
)
def test_strict(value: str, strict: bool) -> None:
    assert Environment.read({"OPENFM_STRICT": value}).strict is strict


@pytest.mark.parametrize(("value", "threads"), [("1", 1), ("12", 12), ("1024", 1024), ("", 7), ("auto", 7), (" 3 ", 3)])
def test_num_threads(value: str, threads: int) -> None:
    environ = {"OPENFM_NUM_THREADS": value}
    assert Environment.read(environ, cpus=lambda: 7).num_threads == threads


@pytest.mark.parametrize(("value", "seconds"), [("", 60.0), ("1", 1.0), ("0.25", 0.25), (" 3600 ", 3600.0)])
def test_checkpoint_seconds(value: str, seconds: float) -> None:
    assert Environment.read({"OPENFM_CHECKPOINT_SECONDS": value}).checkpoint_seconds == seconds


def test_where_and_how_long_hosts_meet() -> None:
    assert (Environment.read({}).hosts_port, Environment.read({}).hosts_wait) == (9099, 900.0)
    given = Environment.read({"OPENFM_HOSTS_PORT": "65534", "OPENFM_HOSTS_WAIT": "2.5"})
    assert (given.hosts_port, given.hosts_wait) == (65534, 2.5)


def test_pipe_timeout() -> None:
    assert Environment.read({}).pipe_timeout == 600.0
    assert Environment.read({"OPENFM_PIPE_TIMEOUT": "2.5"}).pipe_timeout == 2.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", None), ("0", 0), ("500000000", 500_000_000), (" 16MiB ", 2**24), ("2 GiB", 2**31), ("3KiB", 3072)],
)
def test_cache_bytes(value: str, expected: int | None) -> None:
    assert Environment.read({"OPENFM_CACHE_BYTES": value}).cache_bytes == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("OPENFM_CACHE_BYTES", "-1"),
        ("OPENFM_CACHE_BYTES", "1.5GiB"),
        ("OPENFM_CACHE_BYTES", "all"),
        ("OPENFM_CACHE_BYTES", "2GB"),
        ("OPENFM_PIPE_TIMEOUT", "0"),
        ("OPENFM_HOSTS_WAIT", "long"),
        ("OPENFM_HOSTS_PORT", "0"),
        ("OPENFM_HOSTS_PORT", "65535"),
        ("OPENFM_HOSTS_PORT", "tcp"),
        ("OPENFM_CHECKPOINT_SECONDS", "0"),
        ("OPENFM_CHECKPOINT_SECONDS", "-1"),
        ("OPENFM_CHECKPOINT_SECONDS", "nan"),
        ("OPENFM_CHECKPOINT_SECONDS", "1e9"),
        ("OPENFM_STRICT", "yes"),
        ("OPENFM_NUM_THREADS", "0"),
        ("OPENFM_NUM_THREADS", "-1"),
        ("OPENFM_NUM_THREADS", "1025"),
        ("OPENFM_NUM_THREADS", "two"),
        ("OPENFM_NUM_THREADS", "1.5"),
        ("OPENFM_NUM_THREADS", "9" * 5000),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key: str, value: str) -> None:
    with pytest.raises(CustomerError, match=f"environment variable {key} is '{value}'"):
        Environment.read({key: value})


def cpus(tmp_path: Path, process: str, files: dict[str, str], affinity: int = 8) -> int:
    for name, content in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    process_cgroups = tmp_path / "self_cgroup"
    process_cgroups.write_text(process)
    return available_cpus(
        affinity=lambda: affinity,
        cgroup_root=tmp_path / "cgroup",
        process_cgroups=process_cgroups,
    )


V1 = "12:cpuset:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker\n"


@pytest.mark.parametrize(
    ("process", "files", "expected"),
    [
        ("", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "300000 100000\n"}, 2),
        ("0::/not/there\n", {"cpu.max": "400000 100000\n"}, 4),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        (V1, {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        (
            V1,
            {
                "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "100000\n",
                "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "50000\n",
            },
            2,
        ),
    ],
)
def test_quotas_of_cgroups(tmp_path: Path, process: str, files: dict[str, str], expected: int) -> None:
    assert cpus(tmp_path, process, files) == expected


def test_affinity_is_a_limit_too(tmp_path: Path) -> None:
    assert cpus(tmp_path, "0::/\n", {"cpu.max": "400000 100000\n"}, affinity=3) == 3


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert available_cpus(affinity=lambda: 5, process_cgroups=tmp_path / "missing") == 5


def test_this_machine_has_a_cpu() -> None:
    assert available_cpus() >= 1
