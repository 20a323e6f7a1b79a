"""Model artifacts made by hand, byte by byte, without openfm's own writers."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "AMAZON_DEFAULTS",
    "dense_array",
    "ml100k_parameters",
    "model_bytes",
    "params_bytes",
    "row_sparse_array",
    "tar_gz",
    "tar_member",
    "training_parameters",
    "zip_bytes",
]

DTYPE_FLAGS = {"float32": 0, "float64": 1, "float16": 2, "int32": 4, "int64": 6}

# What Amazon's container logs as its default configuration, in its order.
AMAZON_DEFAULTS: dict[str, str | int] = {
    "epochs": 1,
    "mini_batch_size": "1000",
    "use_bias": "true",
    "use_linear": "true",
    "bias_lr": "0.1",
    "linear_lr": "0.001",
    "factors_lr": "0.0001",
    "bias_wd": "0.01",
    "linear_wd": "0.001",
    "factors_wd": "0.00001",
    "bias_init_method": "normal",
    "bias_init_sigma": "0.01",
    "linear_init_method": "normal",
    "linear_init_sigma": "0.01",
    "factors_init_method": "normal",
    "factors_init_sigma": "0.001",
    "batch_metrics_publish_interval": "500",
    "_data_format": "record",
    "_kvstore": "auto",
    "_learning_rate": "1.0",
    "_log_level": "info",
    "_num_gpus": "auto",
    "_num_kv_servers": "auto",
    "_optimizer": "adam",
    "_tuning_objective_metric": "",
    "_use_full_symbolic": "true",
    "_wd": "1.0",
}


def training_parameters(
    feature_dim: int, num_factors: int, predictor_type: str = "regressor", **given: str
) -> dict[str, str | int]:
    """The final configuration of a job that gives little."""
    job = {"feature_dim": str(feature_dim), "num_factors": str(num_factors), **given}
    return AMAZON_DEFAULTS | dict(sorted((job | {"predictor_type": predictor_type}).items()))


def ml100k_parameters() -> dict[str, str | int]:
    """The configuration of the job whose artifact is public (MovieLens 100k, u1, 50 epochs)."""
    return training_parameters(2625, 64, mini_batch_size="1000", epochs="50")


def shape_bytes(shape: Sequence[int]) -> bytes:
    return struct.pack(f"<I{len(shape)}q", len(shape), *shape)


def dense_array(values: Any, dtype: str = "float32") -> bytes:
    """One array of MXNet's form V2, stored whole."""
    values = np.asarray(values, dtype=dtype)
    return (
        struct.pack("<Ii", 0xF993FAC9, 0)
        + shape_bytes(values.shape)
        + struct.pack("<iii", 1, 0, DTYPE_FLAGS[dtype])
        + values.tobytes()
    )


def row_sparse_array(
    values: Any,
    row_ids: Sequence[int] | None = None,
    rows: int | None = None,
    *,
    dtype: str = "float32",
    id_dtype: str = "int64",
) -> bytes:
    """One array of MXNet's form V2, stored as rows: all of them unless ``row_ids`` are given."""
    values = np.asarray(values, dtype=dtype)
    ids = np.arange(len(values)) if row_ids is None else np.asarray(row_ids)
    shape = (len(values) if rows is None else rows, *values.shape[1:])
    return (
        struct.pack("<Ii", 0xF993FAC9, 1)
        + shape_bytes(values.shape)
        + shape_bytes(shape)
        + struct.pack("<iii", 1, 0, DTYPE_FLAGS[dtype])
        + struct.pack("<i", DTYPE_FLAGS[id_dtype])
        + shape_bytes(ids.shape)
        + values.tobytes()
        + ids.astype(id_dtype).tobytes()
    )


def params_bytes(arrays: Mapping[str, bytes]) -> bytes:
    """A file of named arrays."""
    names = [name.encode() for name in arrays]
    return (
        struct.pack("<QQQ", 0x112, 0, len(arrays))
        + b"".join(arrays.values())
        + struct.pack("<Q", len(names))
        + b"".join(struct.pack("<Q", len(name)) + name for name in names)
    )


def zip_bytes(
    members: Mapping[str, bytes] | Sequence[tuple[str, bytes]],
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A zip file, with today's times as Amazon's has."""
    pairs = members.items() if isinstance(members, Mapping) else members
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return buffer.getvalue()


def model_bytes(
    parameters: Mapping[str, object],
    symbol: bytes,
    arrays: Mapping[str, bytes],
    extras: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A ``model_algo-1``."""
    meta = {
        "version": 1,
        "epoch_number": 1,
        "training_parameters": dict(parameters),
        "label_names": ["out_label"],
    }
    members = {
        "meta.json": json.dumps(meta).encode(),
        "symbol.json": symbol,
        "params": params_bytes(arrays),
        **(extras or {}),
    }
    return zip_bytes(members, compression)


def tar_member(name: str, content: bytes = b"", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One member of a tar; ``attributes`` are those of :class:`tarfile.TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def tar_gz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A gzipped tar."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
