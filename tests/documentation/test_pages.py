"""What the documents list is what the code has."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from openfm.fm.model import PredictorType
from openfm.learning import Extent, LearningSettings
from openfm.learning.defaults import defaults_for
from support import api_page, command_line_page, environment_page, hyperparameter_page
from support.docstrings import markdown
from support.documents import DOCUMENTS, REPOSITORY, blocks_of
from support.links import anchors_of, links_of

PAGES = [*DOCUMENTS, Path("CONTRIBUTING.md"), Path("CHANGELOG.md")]


def written(page: Path, begin: str) -> str:
    """What stands in a page below the line from which it is generated."""
    return page.read_text(encoding="utf-8").partition(begin)[2].lstrip("\n")


def test_hyperparameters_are_the_declared_ones() -> None:
    page = hyperparameter_page
    assert written(page.PAGE, page.BEGIN) == page.tables(), "run make reference"


def test_environment_variables_are_the_declared_ones() -> None:
    page = environment_page
    assert written(page.PAGE, page.BEGIN) == page.tables(), "run make reference"


def test_the_command_line_is_the_declared_one() -> None:
    page = command_line_page
    assert written(page.PAGE, page.BEGIN) == page.reference(), "run make reference"


def test_the_defaults_of_estimators_are_those_of_the_table() -> None:
    page = (REPOSITORY / "docs" / "estimators.md").read_text(encoding="utf-8")
    of_row = {names: ours for names, ours, *_ in re.findall(r"^\| (`.*?) \| (.*?) \|", page, re.MULTILINE)}
    ours = LearningSettings.preset("openfm", PredictorType.REGRESSOR)
    names = ("patience", "tolerance")
    assert of_row[", ".join(f"`{name}`" for name in names)] == ", ".join(f"{getattr(ours, name):g}" for name in names)
    known = {kind: defaults_for(Extent(10**6, 2, 9), kind, goes_on=False) for kind in PredictorType}
    factors = [known[kind].num_factors for kind in (PredictorType.BINARY_CLASSIFIER, PredictorType.REGRESSOR)]
    assert of_row["`num_factors`"] == "; ".join(map(str, factors))
    few = defaults_for(Extent(999, 2, 9), PredictorType.REGRESSOR, goes_on=False)
    many = known[PredictorType.REGRESSOR]
    for name in ("epochs", "validation_fraction"):
        assert of_row[f"`{name}`"] == f"{getattr(many, name)}; {getattr(few, name)}"


def test_every_variable_that_the_code_names_is_declared() -> None:
    sources = [path for path in (REPOSITORY / "src/openfm").rglob("*.py") if "native" not in path.parts]
    named = {name for path in sources for name in re.findall(r"\b(?:OPENFM|SAGEMAKER)_[A-Z_]+\b", path.read_text())}
    declared = set(re.findall(r"`([A-Z_]+)`", environment_page.tables()))
    assert named - declared == set()


def test_public_names_are_those_of_the_docstrings() -> None:
    assert written(api_page.PAGE, api_page.BEGIN) == api_page.reference(), "run make reference"


def test_what_the_pages_import_is_on_the_page_of_public_names() -> None:
    imported = {
        f"{node.module}.{name.name}"
        for document in DOCUMENTS
        for block in blocks_of(document)
        if block.language == "python"
        for node in ast.walk(ast.parse(block.code))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "openfm"
        for name in node.names
    }
    listed = set(re.findall(r"^### `([\w.]+)`$", api_page.PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert "openfm.sagemaker.write_spmatrix_to_sparse_tensor" in imported
    assert imported - listed == set()


def test_docstrings_become_markdown() -> None:
    docstring = """Scores rows, see :func:`~openfm.fm.rows.as_rows` and :func:`openfm.read_data`.

Such as::

    model.predict(X)

Args:
    X, Y: rows of ``feature_dim``
        columns.

Returns:
    float32, shape
    (rows,)."""
    assert markdown(docstring).splitlines() == [
        "Scores rows, see `as_rows` and `openfm.read_data`.",
        "",
        "Such as:",
        "",
        "```text",
        "model.predict(X)",
        "```",
        "",
        "**Arguments**",
        "",
        "- `X`, `Y`: rows of `feature_dim`",
        "  columns.",
        "",
        "**Returns**",
        "",
        "float32, shape",
        "(rows,).",
    ]


@pytest.mark.parametrize("document", PAGES, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    place = REPOSITORY / document
    for path, anchor in links_of(place.read_text(encoding="utf-8")):
        target = place.parent / path if path else place
        assert target.exists(), path
        if anchor:
            assert anchor in anchors_of(target.read_text(encoding="utf-8")), f"{path}#{anchor}"


def test_the_check_of_links_finds_them_and_their_anchors() -> None:
    page = """# A page
## `openfm.train(x)`: what *it* does
## Twice
## Twice
See [the page](other.md#a-b_c), [below](#twice-1), [a site](https://host/path#x), `[code](none.md)`.
```text
# no heading
[no](link.md)
```
"""
    assert links_of(page) == [("other.md", "a-b_c"), ("", "twice-1")]
    assert anchors_of(page) == {"a-page", "openfmtrainx-what-it-does", "twice", "twice-1"}


def test_every_page_is_on_the_map_and_in_the_readme() -> None:
    pages = {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"README.md"}
    on_map = {path for path, _ in links_of((REPOSITORY / "docs/README.md").read_text(encoding="utf-8"))}
    in_readme = {path for path, _ in links_of((REPOSITORY / "README.md").read_text(encoding="utf-8"))}
    assert pages - on_map == set()
    assert {f"docs/{page}" for page in pages} | {"docs/README.md"} <= in_readme


def test_oldest_versions_are_the_declared_ones() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = project["dependencies"] + project["optional-dependencies"]["serve"]
    declared = dict(line.partition(",")[0].split(">=") for line in bounds)
    pinned = dict(re.findall(r"^([\w-]+)==(.+)$", (REPOSITORY / "tests/oldest.txt").read_text(), re.MULTILINE))
    assert pinned.keys() == declared.keys()
    assert {name for name, oldest in declared.items() if not f"{pinned[name]}.".startswith(f"{oldest}.")} == set()


def test_map_of_the_code_names_every_package() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Map of the code\n")[2]
    packages = {path.parent.name for path in (REPOSITORY / "src/openfm").glob("*/__init__.py")}
    assert {name for name in packages if not re.search(rf"\b{name}/", section)} == set()


def test_from_a_table_to_recommendations_takes_twenty_lines() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    heading = "## From a table to recommendations\n"
    section = heading + readme.partition(heading)[2].partition("\n## ")[0]
    assert len(section.strip().splitlines()) <= 20
    assert "openfm train examples/quickstart/ratings.csv" in section
    assert '"top_k"' in section
