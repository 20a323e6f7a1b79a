"""Models named by the files they lie in, loaded when they are first asked for.

On SageMaker the platform stands between a client's ``TargetModel`` and the container's ``/models``: it fetches the file
from S3, has it loaded, and has others unloaded where memory runs out. On one's own machine nothing does, so that this
does it for a folder of models.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from openfm.errors import InsufficientMemoryError, ModelNotLoadedError, RequestError
from openfm.serving.predictor import Predictor
from openfm.serving.registry import ModelRegistry

__all__ = ["TARGET_MODEL", "TargetModelError", "TargetModels"]

TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
"""The header that names the model of a multi-model endpoint; boto3's ``TargetModel``."""


class TargetModelError(RequestError):
    """TargetModel is missing, where there must be one, or there, where there must be none, or names no model.

    SageMaker itself refuses such a request; the container never sees it.
    """


class TargetModels:
    """The models of a folder, by their paths in it. Safe to use from many threads at once.

    Args:
        registry: holds them; a model that was loaded there under a target's name is that target.
        folder: such as ``/opt/ml/models``.
    """

    def __init__(self, registry: ModelRegistry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._own: OrderedDict[str, None] = OrderedDict()  # those loaded here, the least recently used first
        self._lock = threading.Lock()  # guards the above
        self._loading = threading.Lock()  # one is loaded at a time

    @contextmanager
    def borrow(self, target: str) -> Iterator[Predictor]:
        """The predictor of a model, loaded if need be; the least recently used make room for it.

        Args:
            target: a model that is loaded, or the path of one in the folder: a ``.tar.gz``, a model file, or a folder
                that holds one of them, itself or in ``model/``.

        Raises:
            TargetModelError: there is none.
            InsufficientMemoryError: it is too large for the memory that the others which were loaded by name leave.
            ArtifactError: it is damaged.
            PlatformError: it cannot be read.
        """
        with ExitStack() as stack:
            predictor = None
            while predictor is None:
                self._ensure_loaded(target)
                with suppress(ModelNotLoadedError):  # unloaded in between
                    predictor = stack.enter_context(self._registry.borrow(target))
            yield predictor

    def _ensure_loaded(self, target: str) -> None:
        if self._touch(target):
            return
        with self._loading:
            if not self._touch(target):
                self._load(target, self._path(target))

    def _touch(self, target: str) -> bool:
        """Whether the target is loaded; if so, it is now the most recently used."""
        with self._lock:
            if target not in self._registry:
                return False
            if target in self._own:
                self._own.move_to_end(target)
            return True

    def _load(self, target: str, path: Path) -> None:
        while True:
            try:
                self._registry.load(target, str(path))
            except InsufficientMemoryError:
                if not self._unload_oldest():
                    raise
            else:
                break
        with self._lock:
            self._own[target] = None

    def _unload_oldest(self) -> bool:
        with self._lock:
            if not self._own:
                return False
            oldest, _ = self._own.popitem(last=False)
        with suppress(ModelNotLoadedError):  # unloaded through the registry
            self._registry.unload(oldest)
        return True

    def _path(self, target: str) -> Path:
        relative = PurePosixPath(target)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise TargetModelError(f"TargetModel '{target}' is not a path within the folder of models")
        path = self._folder / relative
        try:
            if (path / "model").is_dir():
                path = path / "model"
            exists = path.exists()
        except (OSError, ValueError):  # such as a name that no file can have
            exists = False
        if not exists:
            raise TargetModelError(
                f"there is no model '{target}': none of this name is loaded, and {path} does not exist"
            )
        return path
