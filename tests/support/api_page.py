"""docs/api.md, out of the docstrings of what openfm makes public.

``make reference`` writes it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from support.docstrings import markdown

__all__ = ["BEGIN", "PAGE", "reference"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BEGIN = "<!-- From here on written by tests/support/api_page.py. -->\n"

MODULES = ("openfm", "openfm.sagemaker")
"""Modules of which all public names are listed."""

ESTIMATORS = ("openfm.FactorizationMachineClassifier", "openfm.FactorizationMachineRegressor")
"""For scikit-learn, which a plain ``import openfm`` does not need."""

FURTHER = (
    "openfm.fm.explain.Explanation",
    "openfm.fm.pairs.RankedPairs",
    "openfm.fm.topk.Ranking",
    "openfm.fm.neighbours.NeighbourVectors",
    "openfm.fm.thresholds.threshold_table",
    "openfm.fm.thresholds.ThresholdTable",
    "openfm.artifact.export_model",
    "openfm.artifact.ExportFormat",
    "openfm.artifact.load_encoder",
    "openfm.artifact.save_encoder",
    "openfm.report.report_page",
    "openfm.report.TestData",
    "openfm.contract.metrics_file.read_metrics",
    "openfm.fm.matrices.as_rows",
    "openfm.metadata.create_algorithm_request",
    "openfm.metadata.metric_definitions",
    "openfm.metadata.parameter_ranges",
)
"""What the functions and methods of these modules give back, and what the other pages show."""


def reference() -> str:
    """Markdown: a section for each module, a part for each name."""
    sections = []
    for name in MODULES:
        module = import_module(name)
        introduction = f"## {name}\n\n{markdown(_first_paragraph(module))}\n"
        sections.append(introduction + "".join(_parts(name, _public(module))))
    sections.append(f"## Estimators\n{_listed(ESTIMATORS)}")
    sections.append(f"## Results, thresholds, export, reports, what SageMaker asks\n{_listed(FURTHER)}")
    return "\n".join(sections)


def _listed(paths: tuple[str, ...]) -> str:
    named = [(path, *path.rpartition(".")[::2]) for path in paths]
    return "".join(_part(path, getattr(import_module(module), name)) for path, module, name in named)


def _first_paragraph(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n\n")[0]


def _public(module: ModuleType) -> list[tuple[str, Any]]:
    """The public names, functions and classes before exceptions."""
    named = [(name, getattr(module, name)) for name in module.__all__]
    return sorted(named, key=lambda item: (_is_error(item[1]), item[0].lower()))


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _parts(prefix: str, named: list[tuple[str, Any]]) -> Iterator[str]:
    for name, value in named:
        yield _part(f"{prefix}.{name}", value)


def _part(path: str, value: Any) -> str:
    if isinstance(value, type):
        return _class(path, value)
    if callable(value):
        return _entry(3, _call(path, inspect.signature(value)), value)
    return f"\n### `{path}`\n"


def _class(path: str, value: type) -> str:
    called = path if _is_error(value) or hasattr(value, "__members__") else _call(path, inspect.signature(value))
    if _is_error(value):
        bases = ", ".join(f"`{base.__name__}`" for base in value.__bases__)
        return f"\n### `{path}`\n\nA kind of {bases}. {markdown(inspect.getdoc(value) or '')}\n"
    entry = _entry(3, called, value)
    for name, member in _members(value):
        if isinstance(member, property):
            entry += _entry(4, f"{value.__name__}.{name}", member.fget)
        else:
            signature = inspect.signature(member)
            bound = [p for n, p in signature.parameters.items() if n not in ("self", "cls")]
            entry += _entry(4, _call(f"{value.__name__}.{name}", signature.replace(parameters=bound)), member)
    return entry


def _members(value: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that openfm itself defines and documents, as they stand in the code."""
    seen: dict[str, Any] = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith("openfm."):
            seen |= vars(base)
    for name, member in seen.items():
        function = getattr(member, "__func__", member)  # of class methods
        if name.startswith("_") or not (inspect.isfunction(function) or isinstance(member, property)):
            continue
        if getattr(function, "__module__", "openfm.").startswith("openfm."):
            yield name, member if isinstance(member, property) else function


def _entry(level: int, title: str, value: Any) -> str:
    documented = markdown(inspect.getdoc(value) or "")
    return f"\n{'#' * level} {_title(title)}\n\n{_signature(title)}{documented}\n"


def _title(called: str) -> str:
    return f"`{called.partition('(')[0]}`"


def _signature(called: str) -> str:
    return f"```text\n{called}\n```\n\n" if "(" in called else ""


def _call(path: str, signature: inspect.Signature) -> str:
    """A call as one would write its declaration: in one line where it fits."""
    parameters = list(_parameters(signature))
    returned = signature.return_annotation
    arrow = "" if returned in (inspect.Signature.empty, "None", None) else f" -> {_annotation(returned)}"
    line = f"{path}({', '.join(parameters)}){arrow}"
    if len(line) <= 100:
        return line
    return "\n".join([f"{path}(", *(f"    {parameter}," for parameter in parameters), f"){arrow}"])


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        starred |= parameter.kind is parameter.VAR_POSITIONAL
        text = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "") + parameter.name
        if parameter.annotation is not inspect.Parameter.empty:
            text += f": {_annotation(parameter.annotation)}"
        if parameter.default is not inspect.Parameter.empty:
            text += f" = {parameter.default!r}"
        yield text


def _annotation(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return re.sub(r"\bnpt\.", "", text)


def main() -> None:
    """Write the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(f"{text}{BEGIN}\n{reference()}", encoding="utf-8")


if __name__ == "__main__":
    main()
