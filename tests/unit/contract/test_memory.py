from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from openfm.contract.memory import available_memory, memory_limit, resident_memory, trim_memory

GIB = 2**30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def limit(root: Path, cgroups: str, files: dict[str, str]) -> int:
    process = root.parent / "self-cgroup"
    process.write_text(cgroups)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return memory_limit(physical=64 * GIB, cgroup_root=root, process_cgroups=process)


@pytest.mark.parametrize(
    ("cgroups", "files", "expected"),
    [
        ("0::/\n", {}, 64 * GIB),
        ("0::/\n", {"memory.max": "max\n"}, 64 * GIB),
        ("0::/\n", {"memory.max": "4294967296\n"}, 4 * GIB),
        ("0::/a/b\n", {"a/memory.max": f"{2 * GIB}\n", "a/b/memory.max": f"{8 * GIB}\n"}, 2 * GIB),
        ("0::/docker/1234\n", {"memory.max": f"{GIB}\n"}, GIB),
        ("0::/\n", {"memory.max": f"{128 * GIB}\n"}, 64 * GIB),
        ("5:memory:/docker/1\n", {"memory/docker/1/memory.limit_in_bytes": f"{3 * GIB}\n"}, 3 * GIB),
        ("5:memory:/docker/1\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 64 * GIB),
        ("5:cpu,cpuacct:/\n", {"memory/memory.limit_in_bytes": f"{GIB}\n"}, 64 * GIB),
    ],
)
def test_the_smallest_limit_counts(root: Path, cgroups: str, files: dict[str, str], expected: int) -> None:
    assert limit(root, cgroups, files) == expected


def test_without_cgroups(tmp_path: Path) -> None:
    assert memory_limit(physical=GIB, process_cgroups=tmp_path / "missing") == GIB


def test_this_machine() -> None:
    assert 2**20 < resident_memory() < memory_limit()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep nothing, or cannot be told")
def test_what_was_freed_is_given_back() -> None:
    blocks = [bytearray(10_000) for _ in range(5000)]
    kept = blocks[::500]
    full = resident_memory()
    del blocks
    trim_memory()

    assert full - resident_memory() > 30 * 2**20
    assert len(kept) == 10


@pytest.mark.parametrize(
    ("limit", "used", "available", "expected"),
    [(8 * GIB, GIB, 20 * GIB, 7 * GIB), (8 * GIB, GIB, 3 * GIB, 3 * GIB), (GIB, 2 * GIB, GIB, 0)],
)
def test_available_memory(tmp_path: Path, limit: int, used: int, available: int, expected: int) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {64 * GIB // 1024} kB\nMemAvailable: {available // 1024} kB\nBuffers: 0 kB\n")
    assert available_memory(limit=limit, used=used, meminfo=meminfo) == expected


def test_available_memory_where_the_machine_does_not_tell(tmp_path: Path) -> None:
    assert available_memory(limit=8 * GIB, used=GIB, meminfo=tmp_path / "gone") == 7 * GIB


def test_available_memory_of_this_process() -> None:
    assert 0 < available_memory() < memory_limit()


FRAGMENTS = """
import sys
import numpy as np
from openfm.contract.memory import map_arrays, resident_memory

if sys.argv[1] == "mapped":
    map_arrays()
kept = []
for _ in range(200):
    freed = np.ones(250_000, dtype=np.uint8)
    kept.append(np.ones(100_000, dtype=np.uint8))
    del freed
before = resident_memory()
kept = kept[-1:]
print(before - resident_memory())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries map arrays as they like")
def test_mapped_arrays_go_back_to_the_system_though_a_later_one_lives() -> None:
    """The last array lies behind all others: a heap could not shrink."""

    def freed(how: str) -> int:
        command = [sys.executable, "-c", FRAGMENTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert freed("mapped") > 190 * 100_000 > 2 * freed("heap")
