"""The command ``openfm``: one module for each verb."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["SECTIONS", "VERBS", "main"]

SECTIONS = {
    "Train and serve": {
        "train": "Train on a table, or the job of SageMaker's folders.",
        "serve": "Serve a model: GET /ping and POST /invocations.",
    },
    "Use a model": {
        "predict": "Score the records of a file.",
        "topk": "Find the best of many candidates: items for a user.",
        "explain": "Tell where scores come from.",
        "thresholds": "Count what each threshold makes of labelled records.",
        "report": "Write a report on a model: one HTML page.",
    },
    "Look at data and models": {
        "inspect": "Say what a data file or a model holds.",
        "convert": "Turn a data file into another format.",
        "export": "Write a model for other programs.",
    },
    "Amazon SageMaker": {
        "metadata": "Print what SageMaker asks to know of the algorithm.",
        "compare": "Train a job of Amazon's container again; compare metrics.",
    },
}
"""The verbs as help lists them: each is the command of this name in the module of this name."""

VERBS = tuple(verb for verbs in SECTIONS.values() for verb in verbs)
"""All of them, in that order."""


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, for which no verb's module is needed."""
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()), col_max=max(map(len, VERBS)))


@click.group(cls=_Verbs)
@click.version_option(package_name="openfm")
def main() -> None:
    """Factorization Machines, trained and served as by Amazon SageMaker, on your own machine.

    \b
    From a table to a server:
      openfm train ratings.csv --target rating --out model.tar.gz
      openfm serve model.tar.gz

    openfm VERB --help says more of each verb, with examples.
    """
