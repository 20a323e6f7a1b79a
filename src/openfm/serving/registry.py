"""The models of a multi-model server: loaded, listed, lent out and unloaded by name. It knows no HTTP."""

from __future__ import annotations

import bisect
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from openfm.artifact import Model, load_model, model_size
from openfm.contract.memory import trim_memory
from openfm.errors import InsufficientMemoryError, ModelAlreadyLoadedError, ModelNotLoadedError
from openfm.serving.predictor import Predictor

__all__ = ["LoadedModel", "ModelRegistry"]

_LOADING_FACTOR = 2
"""What loading takes at its peak, in sizes of the model file: the parameters, and beside them the file itself if it was
packed, or arrays that are cast or turned. What scoring keeps beside the parameters, a number for each feature, is less
than the file's row numbers, which are dropped."""

_MODEL_OVERHEAD = 2**15
"""Bytes for each model, however small: Python objects and the memory allocator's waste."""

_MIB = 2**20

logger = logging.getLogger(__name__)


class LoadedModel(NamedTuple):
    """A model as it is listed: the name it goes by, and the path that it was loaded from."""

    name: str
    url: str


@dataclass(slots=True)
class _Entry:
    url: str
    predictor: Predictor
    reserved: int
    borrowers: int = 0


class ModelRegistry:
    """Models by name, within a budget of memory. Safe to use from many threads at once.

    Memory is set aside before a model is loaded, by the size that its file has, and what it turns out to take is kept
    until it is unloaded and nobody uses it any more.

    Args:
        memory_bytes: what all models together may take.
        load: reads a model, as :func:`openfm.artifact.load_model` does.
        size: the size of a model file, as :func:`openfm.artifact.model_size` tells it.
    """

    def __init__(
        self,
        memory_bytes: int,
        *,
        load: Callable[[Path], Model] = load_model,
        size: Callable[[Path], int] = model_size,
    ) -> None:
        self.memory_bytes = memory_bytes
        self._load = load
        self._size = size
        self._entries: dict[str, _Entry] = {}
        self._loading: set[str] = set()
        self._reserved = 0
        self._changed = threading.Condition()  # guards the three above

    @property
    def reserved_bytes(self) -> int:
        """The memory set aside for the models that are loaded, being loaded, or still used after being unloaded."""
        return self._reserved

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def load(self, name: str, url: str) -> None:
        """Load a model, so that it can be borrowed when this returns.

        Args:
            name: what it is to be called; any text.
            url: the path of a model file, of a ``model.tar.gz`` or of a folder with one of them.

        Raises:
            ModelAlreadyLoadedError: the name is taken, even if by a model that is still being loaded.
            InsufficientMemoryError: the models that are there leave too little memory.
            ArtifactError: there is no model at ``url``, or it is damaged.
            PlatformError: the file cannot be read.
        """
        with self._changed:
            if name in self._entries or name in self._loading:
                raise ModelAlreadyLoadedError(f"Model {name} is already registered.")
            self._loading.add(name)
        reserved = 0
        try:
            reserved = self._reserve(name, reserved, _LOADING_FACTOR * self._size(Path(url)) + _MODEL_OVERHEAD)
            predictor, size = self._read(Path(url))
            reserved = self._reserve(name, reserved, size + _MODEL_OVERHEAD)
        except BaseException:
            with self._changed:
                self._loading.remove(name)
                self._reserved -= reserved
            raise
        with self._changed:
            self._loading.remove(name)
            self._entries[name] = _Entry(url, predictor, reserved)
        logger.info("Loaded model %s from %s: %d bytes of memory", name, url, reserved)

    def unload(self, name: str) -> None:
        """Forget a model, and return when its memory is free.

        It cannot be borrowed any more from the start; who has borrowed it finishes in peace.

        Raises:
            ModelNotLoadedError: there is none of this name, or it is still being loaded.
        """
        with self._changed:
            entry = self._get(name)
            del self._entries[name]
            while entry.borrowers:
                self._changed.wait()
            reserved = entry.reserved
        del entry
        trim_memory()
        with self._changed:
            self._reserved -= reserved
        logger.info("Unloaded model %s", name)

    @contextmanager
    def borrow(self, name: str) -> Iterator[Predictor]:
        """The model's predictor, which stays in memory within the ``with`` block.

        Raises:
            ModelNotLoadedError: as :meth:`unload`.
        """
        with self._changed:
            entry = self._get(name)
            entry.borrowers += 1
        try:
            yield entry.predictor
        finally:
            with self._changed:
                entry.borrowers -= 1
                self._changed.notify_all()

    def describe(self, name: str) -> LoadedModel:
        """The model of this name.

        Raises:
            ModelNotLoadedError: as :meth:`unload`.
        """
        with self._changed:
            return LoadedModel(name, self._get(name).url)

    def models(self, *, after: str | None = None, limit: int | None = None) -> list[LoadedModel]:
        """The loaded models in the order of their names.

        Args:
            after: only those whose name comes after this one, so that pages fit together while models come and go.
            limit: at most so many.
        """
        with self._changed:
            loaded = [LoadedModel(name, entry.url) for name, entry in self._entries.items()]
        loaded.sort()
        start = 0 if after is None else bisect.bisect_right(loaded, after, key=lambda model: model.name)
        return loaded[start : None if limit is None else start + limit]

    def _get(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise ModelNotLoadedError(f"Model not found: {name}")
        return entry

    def _read(self, path: Path) -> tuple[Predictor, int]:
        """The predictor of a model, and its bytes."""
        model = self._load(path)
        try:
            encoder = model.encoder
            predictor = Predictor(model.machine, model.threshold, encoder)
            return predictor, model.machine.nbytes + (0 if encoder is None else encoder.nbytes)
        except MemoryError as error:
            raise InsufficientMemoryError(f"the memory left is too small for the model {path}") from error

    def _reserve(self, name: str, reserved: int, wanted: int) -> int:
        """Set ``wanted`` bytes aside for a model instead of ``reserved``; returns ``wanted``."""
        with self._changed:
            free = self.memory_bytes - self._reserved + reserved
            if wanted > free:
                raise InsufficientMemoryError(
                    f"Model {name} takes {wanted / _MIB:.1f} MiB of memory to load, and {max(free, 0) / _MIB:.1f} of "
                    f"the {self.memory_bytes / _MIB:.1f} MiB for models are free: unload other models, give the "
                    "container more memory, or set OPENFM_MODEL_MEMORY_IN_MB"
                )
            self._reserved += wanted - reserved
        return wanted
