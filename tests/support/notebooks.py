"""The notebooks of examples/: how they are executed, and how their outputs are kept small and the same everywhere.

``make notebooks`` executes them and writes their outputs into them.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
from nbclient import NotebookClient

from support.documents import REPOSITORY

__all__ = ["NOTEBOOKS", "execute", "images_of", "printed_by"]

EXAMPLES = REPOSITORY / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))

SECONDS_FOR_A_CELL = 600
MAIN_OUTPUTS = ("image/png", "text/html", "text/plain")


def execute(path: Path, examples: Path) -> nbformat.NotebookNode:
    """Run all cells of a notebook in a folder of examples, as Jupyter does when it is opened there.

    Returns:
        the notebook with its outputs, and with nothing of this run that says when, where or how often.
    """
    notebook = nbformat.read(path, as_version=4)
    # IPython keeps a history in the home; nothing here should depend on one, or write to it.
    home = examples.parent / ".ipython"
    client = NotebookClient(
        notebook,
        timeout=SECONDS_FOR_A_CELL,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(examples)}},
    )
    with mock.patch.dict(os.environ, {"IPYTHONDIR": str(home)}):
        client.execute()
    shutil.rmtree(home, ignore_errors=True)
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
        cell.metadata = nbformat.NotebookNode()
        for output in cell.outputs:
            _lean(output)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def _lean(output: Any) -> None:
    """Keep the best form of what a cell shows, and nothing about it."""
    if "data" in output:
        best = next(form for form in MAIN_OUTPUTS if form in output.data)
        output.data = {best: output.data[best]}
        output.metadata = {}


def printed_by(notebook: Mapping[str, Any]) -> list[str]:
    """What each cell of code printed."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return ["".join(o["text"] for o in cell["outputs"] if o["output_type"] == "stream") for cell in cells]


def images_of(notebook: Mapping[str, Any]) -> Iterator[bytes]:
    """All images that cells show, as PNG."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield base64.b64decode(output["data"]["image/png"])


def main() -> None:
    """Write the outputs into the notebooks."""
    for path in NOTEBOOKS:
        nbformat.write(execute(path, EXAMPLES), path)


if __name__ == "__main__":
    main()
