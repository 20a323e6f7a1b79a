"""Types of the native core. One section for each part; C++ has the code."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# --- records: openfm.data.records wraps these ------------------------------------------------------------------------

class Decoded:
    """What :func:`decode_records` found.

    ``fault`` is None, or (kind, record, offset, found, expected): the fields of :class:`openfm.data.faults.Fault`.
    Rows are then those before the fault.
    """

    @property
    def consumed(self) -> int: ...
    @property
    def indptr(self) -> npt.NDArray[np.int64]: ...
    @property
    def indices(self) -> npt.NDArray[np.int32]: ...
    @property
    def values(self) -> npt.NDArray[np.float32]: ...
    @property
    def labels(self) -> npt.NDArray[np.float32] | None: ...
    @property
    def feature_dim(self) -> int: ...
    @property
    def dense_records(self) -> int: ...
    @property
    def fault(self) -> tuple[str, int, int, int, int] | None: ...

def decode_records(
    data: bytes | bytearray | memoryview,
    feature_dim: int | None,
    labels: Literal["required", "optional", "ignored"],
    framed: bool,
    final: bool,
) -> Decoded:
    """Decodes the whole records that ``data`` start with; ``consumed`` says how many bytes they take.

    Unless ``final``, an incomplete record at the end is left for the next call. Releases the GIL.
    """

def encode_dense(values: npt.NDArray[Any], labels: npt.NDArray[Any] | None) -> bytes: ...
def encode_sparse(
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None,
    feature_dim: int,
) -> bytes: ...
def encode_scores(
    scores: npt.NDArray[np.float32], predicted_labels: npt.NDArray[np.float32] | None
) -> bytes: ...
