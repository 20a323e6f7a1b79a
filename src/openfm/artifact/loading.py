"""Reading a model, whoever trained it and wherever it lies."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from openfm.artifact.archive import GZIP_MAGIC, read_archive, unpacked_size
from openfm.artifact.graph import Graph, Role
from openfm.artifact.meta import dimension, parse_meta
from openfm.artifact.model import Model
from openfm.artifact.model_file import ModelFile, inspect_model_file, read_model_file
from openfm.artifact.names import ARCHIVE_NAME, MODEL_NAME, choose_model, listed
from openfm.artifact.parameters import find_parameters
from openfm.artifact.symbol import OUTPUT_OPERATORS
from openfm.errors import ArtifactError, InsufficientMemoryError, PlatformError
from openfm.fm.model import FactorizationMachine, PredictorType

__all__ = ["find_model", "load_model", "model_from_bytes", "model_size"]

_FLOAT32_BYTES = 4
_OPTIONAL = {"use_bias": Role.BIAS, "use_linear": Role.LINEAR}


def load_model(path: str | os.PathLike[str]) -> Model:
    """Load a model that openfm or Amazon's container trained. Nothing is unpacked to disk.

    Args:
        path: a ``model.tar.gz``, a model file (``model_algo-1`` or any other name), or a folder
            that holds one.

    Raises:
        ArtifactError: there is no model, or what is there is damaged or not a Factorization
            Machine.
        PlatformError: the file cannot be read.
        InsufficientMemoryError: the machine has too little memory for it.
    """
    with _opened(path) as file:
        return _model(_read(file))


def model_from_bytes(content: bytes) -> Model:
    """The model of a ``model_algo-1`` or a ``model.tar.gz`` in memory.

    Raises:
        ArtifactError: it is damaged or not a Factorization Machine.
    """
    return _model(_read(io.BytesIO(content)))


def model_size(path: str | os.PathLike[str]) -> int:
    """The bytes of a model once it is unpacked, told by the headers alone: about what its parameters take in memory.

    Of a model file it is what its members or the parameters of its dimensions take, whichever is more: rows that are
    zero may have been left out. Of a ``model.tar.gz`` gzip's own trailer is believed, which nothing vouches for before
    all is read.

    Args:
        path: as for :func:`load_model`.

    Raises:
        ArtifactError: there is no model, or the file is damaged.
        PlatformError: the file cannot be read.
    """
    with _opened(path) as file:
        if _is_gzip(file):
            return unpacked_size(file)
        members, meta = inspect_model_file(file)
        feature_dim, num_factors = _dimensions(parse_meta(meta))
        return max(members, _FLOAT32_BYTES * (1 + feature_dim * (1 + num_factors)))


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """The model file or archive at ``path``; errors of reading it name it."""
    target = Path(path)
    try:
        if target.is_dir():
            target = find_model(target)
        with target.open("rb") as file:
            try:
                yield file
            except ArtifactError as error:
                raise ArtifactError(f"cannot load {target}: {error}") from error
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no model at {target}") from error
    except OSError as error:
        raise PlatformError(f"cannot read the model {target}: {error.strerror or error}") from error
    except MemoryError as error:
        raise InsufficientMemoryError(f"the memory left is too small for the model {target}") from error


def find_model(directory: str | os.PathLike[str]) -> Path:
    """The model in a folder: ``model_algo-1``, else the only ``model_*``, else ``model.tar.gz``.

    Raises:
        ArtifactError: there is none, or several and none of them called ``model_algo-1``; says what
            was found.
        PlatformError: the folder cannot be listed.
    """
    folder = Path(directory)
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{folder} is not a folder") from error
    except OSError as error:
        raise PlatformError(f"cannot list {folder}: {error.strerror or error}") from error
    name = choose_model(names, str(folder))
    if name is None and ARCHIVE_NAME in names:
        name = ARCHIVE_NAME
    if name is None:
        raise ArtifactError(f"{folder} holds no {MODEL_NAME} and no {ARCHIVE_NAME}; it holds {listed(names)}")
    return folder / name


def _read(file: IO[bytes]) -> ModelFile:
    if _is_gzip(file):
        with read_archive(file) as model_file:
            # What was packed once is not packed again: so nothing grows twice, and the archive's size is the model's.
            return read_model_file(model_file, limit=model_file.seek(0, io.SEEK_END), max_values=_most_values)
    return read_model_file(file, max_values=_most_values)


def _is_gzip(file: IO[bytes]) -> bool:
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return magic == GZIP_MAGIC


def _model(content: ModelFile) -> Model:
    training_parameters = parse_meta(content.meta)
    graph = Graph.parse(content.symbol)
    parameters = find_parameters(
        content.arrays,
        graph,
        *_dimensions(training_parameters),
        optional=frozenset(
            role for name, role in _OPTIONAL.items() if str(training_parameters.get(name)).lower() == "false"
        ),
    )
    machine = FactorizationMachine(
        parameters.bias,
        parameters.linear,
        parameters.factors,
        _predictor_type(training_parameters, graph),
    )
    return Model(machine, training_parameters, extras=content.extras)


def _dimensions(training_parameters: dict[str, str | int]) -> tuple[int, int]:
    """D and k."""
    return dimension(training_parameters, "feature_dim"), dimension(training_parameters, "num_factors")


def _most_values(meta: bytes) -> int:
    """The values of the largest array of a machine with this ``meta.json``: V, of shape (D, k)."""
    feature_dim, num_factors = _dimensions(parse_meta(meta))
    return feature_dim * num_factors


def _predictor_type(training_parameters: dict[str, str | int], graph: Graph) -> PredictorType:
    by_output = {operator: kind for kind, operator in OUTPUT_OPERATORS.items()}.get(graph.output_operator)
    stated = training_parameters.get("predictor_type")
    if stated is None and by_output is not None:
        return by_output
    if stated not in list(PredictorType):
        raise ArtifactError(
            f"its predictor_type is {stated!r} and its graph ends in {graph.output_operator}; "
            f"expected {' or '.join(PredictorType)}"
        )
    if by_output not in (None, stated):
        raise ArtifactError(
            f"its predictor_type is {stated}, but its graph ends in {graph.output_operator}, as a {by_output}'s does"
        )
    return PredictorType(stated)
