"""examples/kubernetes.yaml: the schema, what it promises, and the script in it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from openfm.serving.settings import ServingSettings

MANIFEST = Path(__file__).parents[2] / "examples" / "kubernetes.yaml"


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture(scope="module")
def pod(documents: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = documents["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def serve(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["containers"]
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize("version", ["1.27", "1.30", kubernetes_validate.latest_version()])
def test_it_fits_the_schema_of_kubernetes(documents: dict[str, Any], version: str) -> None:
    assert documents.keys() == {"ConfigMap", "Deployment", "Service"}
    for document in documents.values():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_validation_notices_a_misspelt_field(documents: dict[str, Any]) -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(documents["Service"] | {"sepc": {}}, "1.30", strict=True)


def test_every_container_is_confined(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["initContainers"] + pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= container["resources"].keys()
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_selectors_and_ports_meet(documents: dict[str, Any], serve: dict[str, Any]) -> None:
    deployment, service = documents["Deployment"], documents["Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    (port,) = serve["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert port["containerPort"] == ServingSettings().port
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert serve[probe]["httpGet"] == {"path": "/ping", "port": port["name"]}


def test_the_grace_period_is_enough(pod: dict[str, Any], serve: dict[str, Any]) -> None:
    environ = {variable["name"]: variable["value"] for variable in serve["env"]}
    settings = ServingSettings.from_environ(environ)
    before = int(serve["lifecycle"]["preStop"]["exec"]["command"][1])

    assert pod["terminationGracePeriodSeconds"] >= before + settings.graceful_timeout + 5
    assert settings.log_format == "json"


# -- the script of the init container -------------------------------------------------------------


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server on the loopback with a file ``model.tar.gz``."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "model.tar.gz").write_bytes(b"a model")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "site"))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/model.tar.gz"
        server.shutdown()
        thread.join()


def fetch(pod: dict[str, Any], folder: Path, url: str, digest: str) -> subprocess.CompletedProcess[str]:
    (container,) = pod["initContainers"]
    python, option, script = container["command"]
    assert (python, option) == ("python3", "-c")
    script = script.replace("/opt/ml/model/", f"{folder}/")
    environ = {"MODEL_URL": url, "MODEL_SHA256": digest, "no_proxy": "127.0.0.1"}
    return subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("digest", ["", hashlib.sha256(b"a model").hexdigest().upper()])
def test_the_model_is_fetched(pod: dict[str, Any], tmp_path: Path, address: str, digest: str) -> None:
    run = fetch(pod, tmp_path, address, digest)

    assert run.returncode == 0, run.stderr
    assert (tmp_path / "model.tar.gz").read_bytes() == b"a model"


def test_another_model_than_the_one_meant_is_refused(pod: dict[str, Any], tmp_path: Path, address: str) -> None:
    run = fetch(pod, tmp_path, address, "0" * 64)

    assert run.returncode == 1
    assert "not the one in MODEL_SHA256" in run.stderr
