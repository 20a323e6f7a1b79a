"""What the documents list is what the code has."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from openfm.contract import environment
from openfm.serving.settings import ServingSettings
from support.documents import DOCUMENTS, REPOSITORY
from support.hyperparameter_page import BEGIN, PAGE, tables

LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


def table_names(document: str, heading: str) -> set[str]:
    """The words in backquotes in the first column of the table under a heading."""
    section = (REPOSITORY / document).read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", "".join(rows)))


def test_hyperparameters_are_the_declared_ones() -> None:
    written = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].lstrip("\n")
    assert written == tables(), "run python tests/support/hyperparameter_page.py"


def test_serving_environment_is_what_the_server_reads() -> None:
    read = {name for f in dataclasses.fields(ServingSettings) for name in f.metadata["names"]}
    listed = table_names("docs/serving.md", "Environment variables")
    assert listed == read | {"SAGEMAKER_BASE_DIR"}


def test_training_environment_is_what_jobs_read() -> None:
    read = set(re.findall(r"^(OPENFM_\w+)", environment.__doc__ or "", re.MULTILINE))
    assert table_names("docs/training.md", "Environment variables") == read | {"SAGEMAKER_BASE_DIR"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    folder = (REPOSITORY / document).parent
    for target in LINK.findall((REPOSITORY / document).read_text(encoding="utf-8")):
        assert (folder / target).exists(), target


def test_oldest_versions_are_the_declared_ones() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = dict(line.split(">=") for line in project["dependencies"] + project["optional-dependencies"]["serve"])
    pinned = dict(re.findall(r"^([\w-]+)==(.+)$", (REPOSITORY / "tests/oldest.txt").read_text(), re.MULTILINE))
    assert pinned.keys() == declared.keys()
    assert {name for name, oldest in declared.items() if not f"{pinned[name]}.".startswith(f"{oldest}.")} == set()


def test_map_of_the_code_names_every_package() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Map of the code\n")[2]
    packages = {path.parent.name for path in (REPOSITORY / "src/openfm").glob("*/__init__.py")}
    assert {name for name in packages if not re.search(rf"\b{name}/", section)} == set()
