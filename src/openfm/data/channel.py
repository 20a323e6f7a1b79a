"""A channel's files, as SageMaker, its SDKs' Local Mode and people with ``docker run -v`` put them down."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openfm.errors import ChannelError

__all__ = ["Channel", "EmptyChannelError", "find_channel"]

_LOST_AND_FOUND = "lost+found"
"""What a volume of its own (ext4) has at its root; only root may look into it."""

_MAX_NAMED = 5
"""How many skipped files an error message names."""


class EmptyChannelError(ChannelError):
    """A channel is there, but holds no data."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A data channel: files, or a series of FIFOs.

    Attributes:
        name: the name under which it was found, such as ``train``.
        path: its folder, or the file itself; in Pipe mode nothing is there, and the FIFOs lie beside it.
        files: its data files, in the order in which they are read: sorted by their path below ``path``, as bytes,
            which is the order in which S3 lists them. Empty in Pipe mode.
        is_pipe: whether its data come through FIFOs.
    """

    name: str
    path: Path
    files: tuple[Path, ...]
    is_pipe: bool = False

    def pipe(self, number: int) -> Path:
        """The FIFO of a pass over the data, counted from 0."""
        return _pipe(self.path, number)


def find_channel(data_dir: Path, names: Sequence[str], *, pipes: Collection[str] = ()) -> Channel | None:
    """Looks for a channel under the data folder (``/opt/ml/input/data``).

    A channel is a folder, with folders nested to any depth, or a single file at the channel's own path. Symbolic links
    are followed. Hidden files and folders, ``lost+found``, ``_SUCCESS`` markers, manifests, empty files and whatever is
    no regular file are skipped.

    Or it is a series of FIFOs (Pipe mode). What is there counts, not what the configuration says: the SageMaker SDK's
    Local Mode delivers a folder for a channel in Pipe mode, and others feed FIFOs without a word in the configuration.
    The configuration decides where both are there, and where nothing is there yet.

    Args:
        data_dir: the folder that holds the channels.
        names: the channel's name and its aliases, such as ``("train", "training")``; the first that exists is taken.
        pipes: the channels that the configuration says are in Pipe mode.

    Returns:
        the channel, or None if there is none under any of the names.

    Raises:
        EmptyChannelError: the channel holds no data; the message says what was skipped.
        ChannelError: the channel cannot be read.
    """
    for name in names:
        path = data_dir / name
        is_there = os.path.lexists(path)
        if _is_pipe(_pipe(path, 0)) and (name in pipes or not is_there):
            return Channel(name, path, (), is_pipe=True)
        if is_there:
            return _read_channel(name, path)
    for name in names:
        if name in pipes:  # its first FIFO is yet to come
            return Channel(name, data_dir / name, (), is_pipe=True)
    return None


def _pipe(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}_{number}")


def _is_pipe(path: Path) -> bool:
    # Emulators of the platform may put a regular file there. A folder is a channel of this name.
    return os.path.exists(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112


def _read_channel(name: str, path: Path) -> Channel:
    files: list[Path] = []
    skipped: list[str] = []
    try:
        for file in sorted(_walk(path), key=os.fsencode):
            reason = _reason_to_skip(file, is_root=file == path)
            if reason is None:
                files.append(file)
            else:
                skipped.append(f"{path.name if file == path else file.relative_to(path)} ({reason})")
    except OSError as error:
        raise ChannelError(
            f"Unable to read data channel '{name}'. Cannot read '{error.filename or path}': {error.strerror or error}. "
            "Make it readable for the user that openfm runs as."
        ) from error
    if not files:
        raise EmptyChannelError(_nothing_left(name, path, skipped))
    return Channel(name, path, tuple(files))


def _walk(path: Path, inside: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All that is below the path and not a folder, and folders that are hidden or the file system's: none is entered.

    ``inside`` holds the real paths of the folders above: a link back to one of them is not followed again.
    """
    if not path.is_dir():
        yield path
        return
    real = os.path.realpath(path)
    if real in inside:
        return
    for entry in path.iterdir():
        if entry.name.startswith(".") or entry.name == _LOST_AND_FOUND:
            yield entry
        else:
            yield from _walk(entry, inside | {real})


def _reason_to_skip(file: Path, *, is_root: bool) -> str | None:
    """Why a file holds no records, or None if it may."""
    # The channel's own path is what the user or SageMaker named: its name says nothing about its content.
    if not is_root:
        if file.name.startswith("."):
            return "hidden"
        if file.name == _LOST_AND_FOUND:
            return "the file system's"
        if file.name == "_SUCCESS":
            return "a marker"
        if file.name.endswith((".manifest", "-manifest")):
            return "a manifest"
    if not file.exists():
        return "a broken link"
    if not file.is_file():
        return "no regular file"
    if file.stat().st_size == 0:
        return "empty"
    return None


def _nothing_left(name: str, path: Path, skipped: list[str]) -> str:
    sentence = f"Data channel '{name}' ('{path}') holds no data"
    if skipped:
        named = ", ".join(skipped[:_MAX_NAMED])
        more = f" and {len(skipped) - _MAX_NAMED} more" if len(skipped) > _MAX_NAMED else ""
        sentence += f": skipped {named}{more}"
    return f"{sentence}. Put files of records there."
