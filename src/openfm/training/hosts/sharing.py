"""What one host has and the others need before training: a checkpoint, or a model to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.contract.checkpoints import Checkpoint
from openfm.fm.model import FactorizationMachine
from openfm.fm.settings import TrainingSettings
from openfm.training.checkpointing import SavedJob
from openfm.training.hosts.collective import Collective, gathered, send

__all__ = ["share_machine", "share_saved"]


def share_saved(collective: Collective, saved: SavedJob | None) -> SavedJob | None:
    """Give every host what the first found in its checkpoints; what the others give is not used.

    Returns:
        the same on every host; None: the first found nothing.
    """
    checkpoint = None if saved is None else saved.checkpoint
    shapes = {} if checkpoint is None else {name: array.shape for name, array in checkpoint.arrays.items()}
    header = _share_json(collective, None if checkpoint is None else {"meta": checkpoint.meta, "shapes": shapes})
    if header is None:
        return None
    if collective.rank == 0 and checkpoint is not None:
        arrays: Mapping[str, npt.NDArray[np.float32]] = checkpoint.arrays
    else:
        arrays = {name: np.empty(shape, dtype="<f4") for name, shape in header["shapes"].items()}
    for name in header["shapes"]:
        send(collective, arrays[name])
    return saved if collective.rank == 0 else SavedJob(Checkpoint(header["meta"], arrays))


def share_machine(
    collective: Collective, machine: FactorizationMachine | None, settings: TrainingSettings
) -> FactorizationMachine | None:
    """Give every host the machine of the first that has one.

    Args:
        collective: of the hosts.
        machine: of this host, or None.
        settings: of the job, which the machine fits.

    Returns:
        the same on every host; None: no host has one.
    """
    has_one = gathered(collective, np.array([machine is not None], dtype=np.uint8))[:, 0]
    if not has_one.any():
        return None
    source = int(np.argmax(has_one))
    shape = settings.feature_dim, settings.num_factors
    bias, linear, factors = np.empty(1), np.empty(shape[0], np.float32), np.empty(shape, np.float32)
    if collective.rank == source and machine is not None:
        bias[0] = machine.bias
        linear, factors = np.ascontiguousarray(machine.linear), np.ascontiguousarray(machine.factors)
    for array in (bias, linear, factors):
        send(collective, array, source=source)
    return FactorizationMachine(float(bias[0]), linear, factors, settings.predictor_type)


def _share_json(collective: Collective, content: Any) -> Any:
    """The first host's content on every host."""
    encoded = json.dumps(content).encode()
    length = int(gathered(collective, np.array([len(encoded)], dtype=np.int64))[0, 0])
    received = np.frombuffer(encoded, dtype=np.uint8).copy() if collective.rank == 0 else np.empty(length, np.uint8)
    send(collective, received)
    return json.loads(received.tobytes())
