"""The command ``openfm``: one module for each verb."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["VERBS", "main"]

VERBS = (
    "train",
    "serve",
    "predict",
    "explain",
    "topk",
    "thresholds",
    "convert",
    "export",
    "inspect",
    "metadata",
    "compare",
)
"""In the order in which help lists them: each is the command of this name in the module of this name."""


class _Verbs(click.Group):
    """Imports the module of a verb when the verb is asked for: ``openfm serve`` starts without what others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(f"openfm.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Verbs)
@click.version_option(package_name="openfm")
def main() -> None:
    """Amazon SageMaker's Factorization Machines, local and open."""
