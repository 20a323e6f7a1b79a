"""The model that ``openfm train`` on files starts from, if one is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openfm.artifact import Model, load_model
from openfm.data.formats.source import Source
from openfm.encoding import ColumnEncoder
from openfm.errors import CustomerError
from openfm.fm.model import FactorizationMachine

__all__ = ["OF_COLUMNS", "Start"]

OF_COLUMNS = ("categorical", "hashed", "ignore")
"""The verb's options that say which features columns with names become."""


@dataclass(frozen=True, slots=True)
class Start:
    """A model to start from.

    Attributes:
        path: where it is.
        model: it.
    """

    path: Path
    model: Model

    @classmethod
    def load(cls, path: Path, options: Mapping[str, Any]) -> Start:
        """Load the model, and see that the verb's options ask for no other one.

        Args:
            path: a model.tar.gz, a model file, or a folder with one of them.
            options: of the verb, by name; None or empty where they are not given.

        Raises:
            ArtifactError: there is no model that can be read.
            CustomerError: an option asks for a model of another shape or type, or for other features of columns.
        """
        start = cls(path, load_model(path))
        shape = {
            "num_factors": start.model.num_factors,
            "predictor_type": start.model.predictor_type.value,
            "feature_dim": start.model.feature_dim,
        }
        for name, found in shape.items():
            if options[name] not in (None, found):
                raise CustomerError(
                    f"{_option(name)} is {options[name]}, but {start} has {found}. Leave {_option(name)} out, or start "
                    "from another model."
                )
        for name in OF_COLUMNS:
            if options[name] and start.model.encoder is not None:
                raise CustomerError(f"{start} says what becomes of all columns: leave {_option(name)} out.")
        return start

    def check_source(self, source: Source, *, is_table: bool) -> None:
        """See that features of the data can be those of the model.

        Args:
            source: the data.
            is_table: whether they have columns with names.

        Raises:
            DataError: the model knows columns, and the data have none, or the other way round.
        """
        if is_table and self.model.encoder is None:
            raise source.error(
                f"The columns of {source.name} have names, but {self} has no encoder that says which features they "
                "are. Turn the data into records by openfm convert, or start from a model that was trained on columns."
            )
        if not is_table and self.model.encoder is not None:
            raise source.error(
                f"{source.name} is no table of columns such as {self} was trained on. Give csv, tsv or parquet."
            )

    def encoder(self, source: Source, target: str, weight: str | None) -> ColumnEncoder:
        """The model's encoder, for a table whose labels and weights may be called otherwise.

        Args:
            source: the table, for errors.
            target: the column of its labels.
            weight: the column of its weights; None: there are none.

        Raises:
            DataError: the labels' or weights' column is a feature of the model, or the two are the same.
        """
        encoder = self.model.encoder
        assert encoder is not None  # the source was checked
        features = {column.name for column in encoder.columns}
        for name, what in ((target, "labels"), (weight, "weights")):
            if name in features:
                raise source.error(f"Column '{name}' is a feature of {self}. Name another one for the {what}.")
        if target == weight:
            raise source.error(f"Target and weight of {source.name} are the same column, {target!r}. Name another one.")
        ignored = [name for name in encoder.ignored if name not in (target, weight)]
        return ColumnEncoder(encoder.columns, target=target, weight=weight, ignored=ignored)

    def trained_on(
        self, machine: FactorizationMachine, training_parameters: Mapping[str, str | int], encoder: ColumnEncoder | None
    ) -> Model:
        """The model that training made of it, with all that it keeps beside its parameters, its threshold among them.

        Args:
            machine: the trained one.
            training_parameters: that it was trained with.
            encoder: of the columns that it was trained on; None: it was trained on records.
        """
        others = self.model.with_encoder(None).extras
        return Model(machine, training_parameters, extras=others, encoder=encoder)

    def __str__(self) -> str:
        return f"the model to start from ({self.path})"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
