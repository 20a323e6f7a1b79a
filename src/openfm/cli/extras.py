"""Packages that only some verbs need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["packages_of"]


@contextmanager
def packages_of(extra: str) -> Iterator[None]:
    """Say what to install where an import finds that a package of an extra, such as ``serve``, is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"This command needs the package '{error.name}', which is not installed. Install it with "
            f"pip install 'openfm[{extra}]'."
        ) from error
