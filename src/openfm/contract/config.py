"""The configuration files under ``input/config``. Every file is optional, and so is every key.

SageMaker, its SDK's Local Mode and a bare ``docker run`` write different subsets, so nothing is
taken for granted, and what is unknown is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from openfm.contract.channel_table import CHANNELS, MODEL
from openfm.contract.content_types import ContentType
from openfm.errors import ChannelError

__all__ = [
    "ChannelConfig",
    "InputDataConfig",
    "ResourceConfig",
    "read_hyperparameters",
    "read_json_object",
]

DEFAULT_HOST = "algo-1"

# How SageMaker gives a channel's files to the hosts: all to each, or some to each.
_REPLICATED, _SHARDED = "FullyReplicated", "ShardedByS3Key"

_DECLARATIONS = {name: declaration for declaration in CHANNELS for name in declaration.names}

# Names stand in log lines whose readers take a host to be one word.
_HostName = Annotated[str, StringConstraints(pattern=r"^\S+$")]

_Model = TypeVar("_Model", bound=BaseModel)


class ChannelConfig(BaseModel):
    """What ``inputdataconfig.json`` says of a channel.

    Attributes:
        content_type: as the job gave it, or None.
        input_mode: ``File``, ``FastFile`` or ``Pipe``, in any case; None, which means ``File``, if it is not given.
        distribution: ``FullyReplicated`` or ``ShardedByS3Key``, in any case; None, which means ``FullyReplicated``, if
            it is not given.
    """

    model_config = ConfigDict(frozen=True)

    content_type: str | None = Field(None, alias="ContentType")
    input_mode: str | None = Field(None, alias="TrainingInputMode")
    distribution: str | None = Field(None, alias="S3DistributionType")

    @property
    def is_pipe(self) -> bool:
        """Whether the data come through FIFOs."""
        return (self.input_mode or "").lower() == "pipe"

    @property
    def is_sharded(self) -> bool:
        """Whether each host has records of its own, and not all the same ones."""
        return (self.distribution or "").lower() == _SHARDED.lower()


class InputDataConfig(BaseModel):
    """The content of ``inputdataconfig.json``.

    Attributes:
        channels: by name; empty if the file is missing.
    """

    model_config = ConfigDict(frozen=True)

    channels: dict[str, ChannelConfig] = {}

    @classmethod
    def read(cls, path: Path) -> InputDataConfig:
        """Read the file and check the channels that the algorithm reads.

        Raises:
            ChannelError: broken JSON, or a content type, input mode or distribution that is not supported.
        """
        content = {name: {} if value is None else value for name, value in read_json_object(path).items()}
        config = _validated(cls, {"channels": content}, path)
        for name, channel in config.channels.items():
            declaration = _DECLARATIONS.get(name)
            if declaration is None:
                continue
            if declaration is not MODEL:  # a model tells by itself what it is
                ContentType.parse(channel.content_type, name)
            _check_input_mode(name, channel.input_mode, declaration.input_modes)
            _check_distribution(name, channel.distribution)
        return config

    @property
    def pipe_channels(self) -> frozenset[str]:
        """Names of the channels in Pipe mode."""
        return frozenset(name for name, channel in self.channels.items() if channel.is_pipe)

    def is_sharded(self, channel: str) -> bool:
        """Whether each host has records of its own in a channel: not, where nothing is said of it."""
        config = self.channels.get(channel)
        return config is not None and config.is_sharded

    def content_type(self, channel: str) -> ContentType:
        """What the files of a channel hold: records, where nothing is said of it."""
        config = self.channels.get(channel)
        return ContentType() if config is None else ContentType.parse(config.content_type, channel)

    def remarks(self) -> list[str]:
        """One sentence for the log on each channel that is not read."""
        return [
            f"Channel '{name}' is not used: the algorithm reads 'train', 'validation', 'test' and 'model'."
            for name in sorted(self.channels)
            if name not in _DECLARATIONS
        ]


class _ResourceFile(BaseModel):
    current_host: _HostName | None = None
    hosts: list[_HostName] | None = None


class ResourceConfig(BaseModel):
    """The content of ``resourceconfig.json``.

    Attributes:
        current_host: name of this host.
        hosts: names of all hosts, sorted; a host's rank is its index.
    """

    model_config = ConfigDict(frozen=True)

    current_host: str
    hosts: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> ResourceConfig:
        """Read the file; without it the only host is ``algo-1``.

        Raises:
            ChannelError: broken JSON, names that are no names, or several hosts of which this is none.
        """
        content = _validated(_ResourceFile, read_json_object(path), path)
        hosts = sorted(set(content.hosts or ()))
        if len(hosts) > 1 and content.current_host not in hosts:
            raise ChannelError(
                f"{path} has the current_host {content.current_host!r}, which is none of its hosts "
                f"{', '.join(hosts)}. Correct the file."
            )
        current = content.current_host or (hosts[0] if hosts else DEFAULT_HOST)
        return cls(current_host=current, hosts=tuple(hosts) or (current,))

    @property
    def rank(self) -> int:
        """The number of this host: its index in the list of hosts, 0 where it is the only one."""
        return self.hosts.index(self.current_host) if len(self.hosts) > 1 else 0


def read_hyperparameters(path: Path) -> dict[str, object]:
    """Read ``hyperparameters.json``, unchecked; empty if the file is missing.

    Raises:
        ChannelError: broken JSON, or no JSON object.
    """
    return read_json_object(path)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a configuration file; empty if it is missing.

    Raises:
        ChannelError: broken JSON, or no JSON object.
    """
    if path.is_dir():
        raise ChannelError(
            f"{path} is a folder, but a file is needed. Docker makes such a folder when the file "
            f"that -v names does not exist: check its path."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content = json.loads(text)
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise ChannelError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}. Correct the file."
        ) from error
    except UnicodeDecodeError as error:
        raise ChannelError(
            f"{path} is not UTF-8 text: invalid byte at position {error.start}. Correct the file."
        ) from error
    except (ValueError, RecursionError) as error:  # absurd numbers, absurd nesting
        raise ChannelError(f"{path} cannot be read as JSON: {error}. Correct the file.") from error
    if not isinstance(content, dict):
        raise ChannelError(
            f"{path} holds a JSON {_json_type(content)}, but an object such as "
            f'{{"name": ...}} is needed. Correct the file.'
        )
    return content


def _json_type(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _validated(model: type[_Model], content: dict[str, Any], path: Path) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part != "channels")
        raise ChannelError(
            f"{path} has the wrong kind of value at {place}: {first['msg']}. Correct the file."
        ) from error


def _check_input_mode(channel: str, mode: str | None, modes: Sequence[str]) -> None:
    if mode and mode.lower() not in [known.lower() for known in modes]:
        raise ChannelError(
            f"Channel '{channel}' asks for TrainingInputMode '{mode}', but openfm reads it in the modes "
            f"{', '.join(modes)} only. Set the input mode to one of these."
        )


def _check_distribution(channel: str, distribution: str | None) -> None:
    if distribution and distribution.lower() not in {_REPLICATED.lower(), _SHARDED.lower()}:
        raise ChannelError(
            f"Channel '{channel}' has the S3DistributionType '{distribution}', but there are only {_REPLICATED} and "
            f"{_SHARDED}. Set it to one of these."
        )
