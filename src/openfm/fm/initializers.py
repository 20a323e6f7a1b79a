"""Initial values: normal, uniform or constant, drawn from MXNet's random streams.

Amazon's container never seeds MXNet, so its initial values are those of seed 0; the same streams give the same values
here. The streams are MXNet's CPU parallel generator (``src/common/random_generator.h``, ``src/resource.cc`` of
apache/mxnet 1.3.1), with one difference: MXNet takes the logarithm of the C library it runs on, this one is rounded
correctly on every machine, so that about one value in four hundred differs in its last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from openfm.native._core import ParallelGenerator

__all__ = ["InitMethod", "Initializer", "RandomStreams"]

InitMethod = Literal["normal", "uniform", "constant"]


@dataclass(frozen=True, slots=True)
class Initializer:
    """How a group of parameters starts.

    Attributes:
        method: ``normal`` draws from N(0, scale^2), ``uniform`` from [-scale, scale), ``constant`` sets ``scale``.
        scale: standard deviation, half width or value.
    """

    method: InitMethod
    scale: float


class RandomStreams:
    """MXNet's parallel random generator: its state goes on from draw to draw.

    Args:
        seed: 0 gives the values of Amazon's container; another seed shifts all streams.
        threads: how many threads draw; the values do not depend on it.
    """

    def __init__(self, seed: int = 0, *, threads: int = 1) -> None:
        self._generator = ParallelGenerator(seed % 2**32)
        self._threads = threads

    def draw(
        self, initializer: Initializer, shape: tuple[int, ...], *, out: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        """Draw a float32 array of ``shape``, filled in row-major order. A constant draws nothing.

        Args:
            initializer: what to draw.
            shape: of the array.
            out: the array to fill, C-contiguous; a new one if None.
        """
        out = np.empty(int(np.prod(shape)), dtype=np.float32) if out is None else out.reshape(-1)
        if initializer.method == "normal":
            self._generator.fill_normal(out, initializer.scale, self._threads)
        elif initializer.method == "uniform":
            self._generator.fill_uniform(out, -initializer.scale, initializer.scale, self._threads)
        else:
            out.fill(initializer.scale)
        return out.reshape(shape)
