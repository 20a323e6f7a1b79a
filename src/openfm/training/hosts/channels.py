"""Which channels the hosts have between them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from openfm.contract.config import InputDataConfig
from openfm.data.channel import Channel, EmptyChannelError, find_channel
from openfm.errors import ChannelError
from openfm.training.hosts.collective import Collective, gathered

__all__ = ["find_channel_together"]


def find_channel_together(
    collective: Collective,
    hosts: Sequence[str],
    data_dir: Path,
    names: Sequence[str],
    inputs: InputDataConfig,
) -> Channel | None:
    """Look for a channel as :func:`openfm.data.channel.find_channel` does, on all hosts.

    Args:
        collective: of the hosts.
        hosts: their names.
        data_dir: the folder that holds the channels.
        names: the channel's name and its aliases.
        inputs: what the configuration says of channels.

    Returns:
        the channel, without any file where only other hosts have data for it; None: no host has it.

    Raises:
        ChannelError: it cannot be read, no host has data in it, or it is not the same on all hosts but should be.
    """
    empty: EmptyChannelError | None = None
    try:
        found = find_channel(data_dir, names, pipes=inputs.pipe_channels)
    except EmptyChannelError as error:
        found, empty = None, error
    row = np.array([found is not None, _listing(found), empty is not None], dtype=np.int64)
    there, listings, empties = gathered(collective, row).T
    if not there.any():
        if empties.any():
            raise empty or ChannelError(f"Data channel '{names[0]}' holds no data on any host. Put files there.")
        return None
    name = next((name for name in names if name in inputs.channels), names[0])
    channel = found or Channel(name, data_dir / name, ())
    if not inputs.is_sharded(channel.name):
        differing = np.flatnonzero((there != there[0]) | (listings != listings[0]))
        if len(differing):
            raise ChannelError(
                f"Channel '{channel.name}' has other files on host '{hosts[int(differing[0])]}' than on '{hosts[0]}', "
                "but all hosts have the whole channel (FullyReplicated). Give all the same files, or set the channel's "
                "S3DistributionType to ShardedByS3Key in inputdataconfig.json if each has its own."
            )
    return channel


def _listing(channel: Channel | None) -> int:
    """A checksum of the files' names and sizes. What comes through FIFOs is not known yet."""
    checksum = 0
    for file in () if channel is None else channel.files:
        name = os.fsencode(os.path.relpath(file, channel.path)) if channel is not None else b""
        checksum = zlib.crc32(b"%d %s\n" % (file.stat().st_size, name), checksum)
    return checksum
