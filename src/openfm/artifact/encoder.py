"""``openfm/encoder.json`` and ``openfm/encoder/*``: how columns of raw values become the model's features.

MXNet and Amazon's code ignore them. A zip of these members alone is an encoder's own file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from openfm.artifact.model_file import read_extras, write_extras
from openfm.artifact.replacing import replacing
from openfm.encoding import ColumnEncoder
from openfm.encoding.members import check_storable, is_encoder_member
from openfm.errors import ArtifactError, PlatformError

__all__ = ["join_encoder", "load_encoder", "save_encoder", "split_encoder"]


def split_encoder(
    extras: Mapping[str, bytes], given: ColumnEncoder | None, feature_dim: int
) -> tuple[dict[str, bytes], ColumnEncoder | None]:
    """A model's extra members without the encoder's, and the encoder: ``given``, or else what they hold, or None.

    Raises:
        ArtifactError: the members are damaged, or the encoder makes other than ``feature_dim`` features.
        DataError: ``given`` has more columns or texts than a model file has room for.
        TypeError: ``given`` is no encoder.
    """
    others = {name: content for name, content in extras.items() if not is_encoder_member(name)}
    if given is not None:
        if not isinstance(given, ColumnEncoder):
            raise TypeError(f"encoder must be a ColumnEncoder, such as ColumnEncoder.fit makes, not {given!r:.60}")
        check_storable(given.columns, given.target, given.weight, given.ignored)
    encoder = given
    if given is None and len(others) < len(extras):
        encoder = ColumnEncoder.from_members(extras)
    if encoder is not None and encoder.feature_dim != feature_dim:
        raise ArtifactError(f"the encoder makes {encoder.feature_dim} features, but the model has {feature_dim}")
    return others, encoder


def join_encoder(extras: Mapping[str, bytes], encoder: ColumnEncoder | None) -> dict[str, bytes]:
    """All extra members, the encoder's among them."""
    return {**extras, **({} if encoder is None else encoder.to_members())}


def save_encoder(encoder: ColumnEncoder, path: str | os.PathLike[str]) -> Path:
    """Write an encoder to a file of its own, which appears at once and whole: equal encoders, equal bytes.

    Raises:
        PlatformError: the file cannot be written there.
    """
    target = Path(path)
    try:
        with replacing(target) as destination:
            write_extras(destination, encoder.to_members())
    except OSError as error:
        raise PlatformError(
            f"The encoder cannot be written to {target}: {error.strerror or error}. Free some space there, or name a "
            "folder that openfm may write to."
        ) from error
    return target


def load_encoder(path: str | os.PathLike[str]) -> ColumnEncoder:
    """Load an encoder from a file of its own, or from a model file ``model_algo-1``.

    Raises:
        ArtifactError: there is none, or it is damaged.
        PlatformError: the file cannot be read.
    """
    target = Path(path)
    try:
        with target.open("rb") as file:
            return ColumnEncoder.from_members(read_extras(file))
    except ArtifactError as error:
        raise ArtifactError(f"cannot load the encoder {target}: {error}") from error
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no encoder at {target}") from error
    except OSError as error:
        raise PlatformError(f"cannot read the encoder {target}: {error.strerror or error}") from error
