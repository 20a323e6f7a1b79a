"""What docs/sagemaker-sdk.md says to install and to run."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.documents import REPOSITORY, blocks_of
from support.sdk import AWS_IMAGE, Workplace, requirements_of

pytestmark = pytest.mark.sdk

PAGE = Path("docs/sagemaker-sdk.md")
BLOCKS = [block for block in blocks_of(PAGE) if block.needs == "sdk"]
COMMANDS = [shlex.split(block.code) for block in BLOCKS if block.language == "bash"]


@pytest.fixture
def dead_proxy() -> Iterator[socket.socket]:
    """A proxy that nobody gets an answer from."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def was_called(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


@pytest.mark.parametrize("sdk", ["v1", "v2", "v3"])
def test_programs_run_offline_and_without_credentials(sdk: str, tmp_path: Path, dead_proxy: socket.socket) -> None:
    variables = {"HTTPS_PROXY": f"http://127.0.0.1:{dead_proxy.getsockname()[1]}"}
    workplace = Workplace.make(tmp_path, variables)
    shutil.copytree(REPOSITORY / "examples/quickstart", workplace.folder / "examples/quickstart")
    program = workplace.folder / "program.py"
    program.write_text("".join(block.code for block in BLOCKS if block.has(sdk)))
    printed = workplace.run(sdk, program)
    (answer,) = (block.code for block in BLOCKS if block.has("answer"))
    assert json.dumps(json.loads(answer)) in printed
    assert not was_called(dead_proxy)


@pytest.mark.parametrize("sdk", ["v1", "v2"])
def test_programs_run_in_what_the_page_installs(sdk: str) -> None:
    """Version 3 is left out, for the tests make do with half of it."""
    assert ["pip", "install", *requirements_of(sdk)] in COMMANDS


def test_amazon_image_is_the_one_of_the_tests() -> None:
    assert ["docker", "tag", "openfm", AWS_IMAGE] in COMMANDS
