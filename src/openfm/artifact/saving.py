"""Writing a model: whole or not at all, readable by all, equal bytes for equal models."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from openfm.artifact.archive import write_archive
from openfm.artifact.meta import meta_json
from openfm.artifact.model_file import ModelFile, write_model_file
from openfm.artifact.names import MODEL_NAME
from openfm.artifact.ndarray_file import StoredArray
from openfm.artifact.replacing import replacing
from openfm.artifact.symbol import BIAS, FACTORS, LINEAR, symbol_json
from openfm.errors import PlatformError

if TYPE_CHECKING:
    from openfm.artifact.model import Model

__all__ = ["model_bytes", "save_model"]


def save_model(model: Model, path: str | os.PathLike[str]) -> Path:
    """Write a model in Amazon's format.

    The file appears at once and whole: it is written under another name in the same folder and then
        renamed.

    Args:
        model: what to write.
        path: an existing folder, in which ``model_algo-1`` is written; a name that ends in
            ``.tar.gz``, for an archive with that file in it; or the name of the model file itself.

    Returns:
        The file written.

    Raises:
        PlatformError: the file cannot be written there.
        ArtifactError: the model's training parameters are not those of a Factorization Machine.
    """
    target = Path(path)
    if target.is_dir():
        target = target / MODEL_NAME
    content = _content(model)
    try:
        with replacing(target) as destination:
            if target.name.endswith(".tar.gz"):
                with tempfile.TemporaryFile(dir=target.parent) as model_file:
                    write_model_file(model_file, content)
                    write_archive(destination, model_file)
            else:
                write_model_file(destination, content)
    except OSError as error:
        raise PlatformError(
            f"The model cannot be written to {target}: {error.strerror or error}. Free some space there, or mount a "
            "folder that openfm may write to."
        ) from error
    return target


def model_bytes(model: Model) -> bytes:
    """What :func:`save_model` writes as ``model_algo-1``.

    Raises:
        ArtifactError: the model's training parameters are not those of a Factorization Machine.
    """
    destination = io.BytesIO()
    write_model_file(destination, _content(model))
    return destination.getvalue()


def _content(model: Model) -> ModelFile:
    parameters = model.training_parameters
    return ModelFile(
        meta=meta_json(parameters),
        symbol=symbol_json(model.predictor_type, model.feature_dim, model.num_factors, parameters),
        # The order of Amazon's own. Without use_bias or use_linear the array is there all the same,
        # and zero.
        arrays={
            f"arg:{LINEAR}": StoredArray.row_sparse(model.linear.reshape(-1, 1)),
            f"arg:{BIAS}": StoredArray.dense(np.array([model.bias], dtype=np.float32)),
            f"arg:{FACTORS}": StoredArray.row_sparse(model.factors),
        },
        extras=model.extras,
    )
