"""What models are called, in a folder and in an archive."""

from __future__ import annotations

from collections.abc import Iterable

from openfm.errors import ArtifactError

__all__ = ["ARCHIVE_NAME", "MODEL_NAME", "choose_model", "is_model_name", "leads_out", "listed"]

MODEL_NAME = "model_algo-1"
"""The model file's name, whatever the host that trained is called."""

ARCHIVE_NAME = "model.tar.gz"
"""What SageMaker calls the archive around it."""

_PREFIX = "model_"  # Amazon's container appends the name of the host that trained
_MOST_LISTED = 10


def is_model_name(name: str) -> bool:
    """Whether a file of this name is taken for a model file: ``model_*``."""
    return name.startswith(_PREFIX)


def choose_model(names: Iterable[str], place: str) -> str | None:
    """Which file of a folder or an archive is the model: ``model_algo-1``, else the only ``model_*``; None: none is.

    Raises:
        ArtifactError: there are several, and none of them is called ``model_algo-1``.
    """
    models = [name for name in names if is_model_name(name)]
    if MODEL_NAME in models:
        return MODEL_NAME
    if len(models) > 1:
        raise ArtifactError(
            f"{place} holds several models ({listed(models)}) and none called {MODEL_NAME}; keep one of them"
        )
    return models[0] if models else None


def leads_out(name: str) -> bool:
    """Whether a member's name is a path to somewhere outside its archive."""
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def listed(names: Iterable[str]) -> str:
    """The first of some names in order, for a sentence that says what was found."""
    found = sorted(names)
    return (", ".join(found[:_MOST_LISTED]) or "nothing") + (", ..." if len(found) > _MOST_LISTED else "")
