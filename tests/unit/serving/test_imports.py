"""A server that starts often, as serverless endpoints do, should import only what it uses."""

from __future__ import annotations

import subprocess
import sys


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_server_imports_nothing_heavy() -> None:
    modules = imported_by("openfm.serving.server")

    assert "openfm.serving.app" in modules
    assert modules.isdisjoint({"scipy", "google.protobuf", "pydantic", "pandas"})


def test_the_codecs_know_no_http() -> None:
    modules = imported_by("openfm.codecs.registry")

    assert "openfm.codecs.json" in modules
    assert modules.isdisjoint({"flask", "werkzeug", "gunicorn"})
