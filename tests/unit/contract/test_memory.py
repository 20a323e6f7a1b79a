from __future__ import annotations

import platform
from pathlib import Path

import pytest

from openfm.contract.memory import memory_limit, resident_memory, trim_memory

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
