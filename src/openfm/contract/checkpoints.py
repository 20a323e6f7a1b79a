"""Checkpoints: files in a folder that SageMaker copies to and from S3 while the job runs.

SageMaker fills the folder before a job starts that was interrupted, and copies what is written there as it appears
("Use checkpoints in Amazon SageMaker", developer guide). Its agent leaves ``<file>.sagemaker-uploading`` while it
copies a file and ``<file>.sagemaker-uploaded`` afterwards, and ignores names that end in ``.sagemaker-ignore``.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from openfm.contract.config import read_json_object
from openfm.contract.paths import DEFAULT_BASE, ContractPaths
from openfm.errors import ChannelError, PlatformError
from openfm.stored_zip import StoredZipWriter

__all__ = ["ArrayPieces", "Checkpoint", "CheckpointFolder", "checkpoint_folder"]

_FORMAT = 1
_NAME = re.compile(r"openfm-checkpoint-(\d{15})\.npz")
_KEPT = 5
_IGNORED, _UPLOADING, _UPLOADED = ".sagemaker-ignore", ".sagemaker-uploading", ".sagemaker-uploaded"
_META = "meta"

_T = TypeVar("_T")

# What reading a damaged file raises; zipfile knows no compression or encryption that damage may make of its bytes.
_UNSOUND = (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class ArrayPieces:
    """An array to be written.

    Attributes:
        name: of the array.
        shape: of the array.
        pieces: its float32 values in row-major order. Each has been written when the next is asked for, so that all may
            lie in the same memory.
    """

    name: str
    shape: tuple[int, ...]
    pieces: Iterable[npt.NDArray[np.float32]]

    @classmethod
    def whole(cls, name: str, array: npt.NDArray[np.float32]) -> ArrayPieces:
        """An array that is in memory already."""
        return cls(name, array.shape, [array])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        meta: what JSON can say.
        arrays: by name; none is called ``meta``. Their bytes are little-endian whatever the machine.
    """

    meta: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[np.float32]]


def checkpoint_folder(paths: ContractPaths) -> Path | None:
    """Where checkpoints go: the ``LocalPath`` of ``checkpointconfig.json``, else ``checkpoints`` if it exists.

    A ``LocalPath`` below ``/opt/ml`` moves with the tree that ``SAGEMAKER_BASE_DIR`` names.

    Returns:
        the folder, or None: the job keeps no checkpoints.

    Raises:
        ChannelError: the file is no JSON object, or its ``LocalPath`` is no path.
    """
    config = paths.config / "checkpointconfig.json"
    local_path = read_json_object(config).get("LocalPath")
    if local_path is None:
        return paths.checkpoints if paths.checkpoints.is_dir() else None
    if not isinstance(local_path, str) or not local_path.startswith("/"):
        raise ChannelError(f"{config} has the LocalPath {local_path!r}, but an absolute path is needed. Correct it.")
    folder = Path(local_path)
    return paths.base / folder.relative_to(DEFAULT_BASE) if folder.is_relative_to(DEFAULT_BASE) else folder


class CheckpointFolder:
    """The checkpoints of one job, a NumPy ``.npz`` file each, named by the optimiser's step.

    Args:
        folder: made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"openfm-checkpoint-*{_IGNORED}"):  # by a job that was killed
            left.unlink(missing_ok=True)

    def save(self, step: int, meta: Mapping[str, Any], arrays: Iterable[ArrayPieces]) -> Path:
        """Write a checkpoint, whole or not at all, and remove all but the newest five.

        Args:
            step: of the optimiser.
            meta: of the checkpoint.
            arrays: of the checkpoint, taken and written one by one.

        Raises:
            PlatformError: it cannot be written; nothing is left of it.
        """
        path = self._folder / f"openfm-checkpoint-{step:015d}.npz"
        temporary = path.with_name(path.name + _IGNORED)
        content = np.frombuffer(json.dumps({"format": _FORMAT, **meta}).encode(), dtype=np.uint8)
        try:
            with temporary.open("wb") as file:
                archive = StoredZipWriter(file)
                _write(archive, _META, "|u1", content.shape, [content])
                for array in arrays:
                    _write(archive, array.name, "<f4", array.shape, array.pieces)
                archive.close()
            temporary.chmod(0o644)
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise PlatformError(
                f"The checkpoint cannot be written to {path}: {error.strerror or error}. Free some space there, or "
                "mount a folder that openfm may write to."
            ) from error
        self._remove_old()
        return path

    def newest(self, parse: Callable[[Checkpoint], _T]) -> tuple[_T | None, list[str]]:
        """Read the newest checkpoint that is sound.

        Args:
            parse: makes something of a checkpoint; a ValueError or KeyError says that it is not sound.

        Returns:
            what ``parse`` made of it, or None; and a sentence on each file that was passed over.
        """
        remarks = [
            f"{path} is no checkpoint of openfm's and is left alone."
            for path in sorted(self._folder.iterdir())
            if not self._is_ours(path)
        ]
        for path in reversed(self._files()):
            try:
                return parse(_read(path)), remarks
            except _UNSOUND as error:
                remarks.append(f"The checkpoint {path} cannot be read and is passed over: {error}")
        return None, remarks

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))

    def _is_ours(self, path: Path) -> bool:
        name = path.name
        for suffix in (_UPLOADING, _UPLOADED, _IGNORED):
            name = name.removesuffix(suffix)
        return name != path.name or _NAME.fullmatch(name) is not None

    def _remove_old(self) -> None:
        for path in self._files()[:-_KEPT]:
            uploading, uploaded = (path.with_name(path.name + suffix) for suffix in (_UPLOADING, _UPLOADED))
            if uploading.exists() and not uploaded.exists():
                continue  # the agent is at it
            with contextlib.suppress(OSError):  # what cannot be removed does no harm
                path.unlink()


def _write(
    archive: StoredZipWriter, name: str, dtype: str, shape: tuple[int, ...], pieces: Iterable[npt.NDArray[Any]]
) -> None:
    """As ``numpy.savez`` does, but without its copies."""
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, {"descr": dtype, "fortran_order": False, "shape": shape})
    header = start.getvalue()
    values = (
        np.ascontiguousarray(piece, dtype=dtype).reshape(-1).view(np.uint8).data for piece in pieces if piece.size
    )
    archive.add(f"{name}.npy", itertools.chain([header], values), len(header) + math.prod(shape) * int(dtype[-1]))


def _read(path: Path) -> Checkpoint:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    meta = json.loads(arrays.pop(_META).tobytes())
    if not isinstance(meta, dict) or meta.pop("format", None) != _FORMAT:
        raise ValueError("it was written by another version of openfm")
    for name, array in arrays.items():
        if array.dtype != np.dtype("<f4"):
            raise ValueError(f"{name} is not float32")
    return Checkpoint(meta, arrays)
