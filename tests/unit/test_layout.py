"""The house keeps its order: imports point one way, and few rooms know of the world outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import openfm

SOURCE = Path(openfm.__file__).parent
ROOMS = {
    # A room: the rooms that it may import from.
    "errors": set(),
    "native": {"errors"},
    "fm": {"native", "errors"},
    "learning": {"fm", "native", "errors"},
    "data": {"fm", "native", "errors"},
    "stored_zip": set(),
    "encoding": {"data", "fm", "native", "errors"},
    "artifact": {"encoding", "stored_zip", "fm", "errors"},
    "contract": {"stored_zip", "fm", "errors"},
    "codecs": {"encoding", "data", "fm", "native", "errors"},
    "training": {"encoding", "artifact", "contract", "data", "fm", "errors"},
    "serving": {"encoding", "codecs", "artifact", "contract", "data", "fm", "errors"},
    "report": {"artifact", "fm", "errors"},
    "estimators": {"learning", "artifact", "fm", "errors"},
    "sagemaker": {"data", "fm", "errors"},
    "metadata": {"codecs", "contract", "fm", "errors"},
    "openfm": {"encoding", "estimators", "artifact", "data", "errors"},  # the package's own __init__
    "cli": {
        "encoding",
        "training",
        "serving",
        "learning",
        "report",
        "metadata",
        "codecs",
        "artifact",
        "contract",
        "data",
        "fm",
        "errors",
    },
    "__main__": {"cli"},
}
WEB = {"flask", "gunicorn", "werkzeug", "prometheus_client"}
READ_ENVIRONMENT = {"contract", "cli"}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    """Every module of the package: its room, its path and its code."""
    for path in sorted(SOURCE.rglob("*.py")):
        inside = path.relative_to(SOURCE).parts
        room = inside[0] if len(inside) > 1 else path.stem.replace("__init__", "openfm")
        yield room, path, ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """What a module imports, wherever in it, by full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_is_known():
    assert {room for room, _, _ in modules()} == set(ROOMS)


def test_imports_point_one_way():
    wrong = []
    for room, path, tree in modules():
        for name in imported(tree):
            package, _, rest = name.partition(".")
            if package != "openfm":
                continue
            other = rest.split(".")[0]
            if other not in ROOMS:
                other = "openfm"  # a name of the package's own __init__
            if other != room and other not in ROOMS[room]:
                wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert wrong == []


def test_only_serving_knows_the_web():
    users = {room for room, _, tree in modules() if WEB & {name.split(".")[0] for name in imported(tree)}}
    assert users == {"serving"}


def test_only_the_hosts_know_the_engine():
    users = {
        path.relative_to(SOURCE).parent
        for _, path, tree in modules()
        if "xgboost" in {name.split(".")[0] for name in imported(tree)}
    }
    assert users == {Path("training/hosts")}


def test_only_the_contract_and_the_command_line_read_the_environment():
    readers = {
        room
        for room, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "environb"), ("os", "getenv")}
    }
    assert readers <= READ_ENVIRONMENT


def test_nothing_is_pickled_or_evaluated():
    for _, path, tree in modules():
        names = {name.split(".")[0] for name in imported(tree)}
        assert not names & {"pickle", "cloudpickle", "joblib", "marshal", "shelve"}, path
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert not {"eval", "exec"} & {name.id for name in called if isinstance(name, ast.Name)}, path
