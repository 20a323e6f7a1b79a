"""Models in the formats of other programs: NumPy's npz, CSV, and the text of libFM.

All hold w0, w and V to the last bit of float32. The score of a row is

    s(x) = w0 + sum_i w_i x_i + 0.5 * sum_f ((sum_i v_if x_i)^2 - sum_i v_if^2 x_i^2)

and a binary classifier answers 1 / (1 + exp(-s)).
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openfm.artifact.replacing import replacing
from openfm.errors import PlatformError

if TYPE_CHECKING:
    from openfm.artifact.model import Model

__all__ = ["ExportFormat", "export_model"]

_BLOCK_VALUES = 2**16
_NUMBER = "%.9g"  # nine digits tell every float32 from its neighbours (IEEE 754-2019, 5.12.2)


class ExportFormat(enum.StrEnum):
    """What a model can be written as.

    Attributes:
        NPZ: ``numpy.load`` reads it: ``bias`` (), ``linear`` (D,) and ``factors`` (D, k) in float32, and
            ``predictor_type``.
        CSV: a row with the columns ``feature``, ``linear`` and ``factor_1`` to ``factor_k`` for each feature; before
            them a row whose feature is ``bias``, with w0 under ``linear`` and nothing under the factors.
        LIBFM: what ``libFM -save_model`` writes and ``-load_model`` reads (libFM 1.4.4, ``fm_model.h``), with w0 and
            w, as of ``-dim 1,1,k``.
    """

    NPZ = "npz"
    CSV = "csv"
    LIBFM = "libfm"


def export_model(model: Model, path: str | os.PathLike[str], format: ExportFormat) -> Path:
    """Write a model in another format. The file appears at once and whole.

    Args:
        model: what to write.
        path: of the file.
        format: of the file, whatever its name.

    Returns:
        The file written.

    Raises:
        PlatformError: it cannot be written there.
    """
    target = Path(path)
    try:
        with replacing(target) as file:
            _WRITERS[format](file, model)
    except OSError as error:
        raise PlatformError(
            f"The model cannot be written to {target}: {error.strerror or error}. Free some space there, or write it "
            "to a folder that openfm may write to."
        ) from error
    return target


def _write_npz(file: IO[bytes], model: Model) -> None:
    np.savez(
        file,
        bias=np.float32(model.bias),
        linear=model.linear,
        factors=model.factors,
        predictor_type=np.array(model.predictor_type.value),
    )


def _write_csv(file: IO[bytes], model: Model) -> None:
    k = model.num_factors
    names = ["feature", "linear", *(f"factor_{factor}" for factor in range(1, k + 1))]
    file.write((",".join(names) + "\n").encode())
    file.write(f"bias,{_NUMBER % model.bias}{',' * k}\n".encode())
    line = ",".join(["%d"] + [_NUMBER] * (1 + k)) + "\n"
    for first, rows in _blocks(model.factors):
        for feature, (weight, factors) in enumerate(
            zip(model.linear[first : first + len(rows)].tolist(), rows.tolist(), strict=True), first
        ):
            file.write((line % (feature, weight, *factors)).encode())


def _write_libfm(file: IO[bytes], model: Model) -> None:
    file.write(f"#global bias W0\n{_NUMBER % model.bias}\n#unary interactions Wj\n".encode())
    for _, weights in _blocks(model.linear.reshape(-1, 1)):
        file.write(_lines(weights))
    file.write(b"#pairwise interactions Vj,f\n")
    for _, rows in _blocks(model.factors):
        file.write(_lines(rows))


def _blocks(matrix: npt.NDArray[np.float32]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Some rows at a time, and the number of the first."""
    step = max(1, _BLOCK_VALUES // matrix.shape[1])
    return ((first, matrix[first : first + step]) for first in range(0, len(matrix), step))


def _lines(rows: npt.NDArray[np.float32]) -> bytes:
    """A line for each row, its values separated by spaces."""
    line = " ".join([_NUMBER] * rows.shape[1]) + "\n"
    return (line * len(rows) % tuple(rows.ravel().tolist())).encode()


_WRITERS: dict[ExportFormat, Callable[[IO[bytes], Model], None]] = {
    ExportFormat.NPZ: _write_npz,
    ExportFormat.CSV: _write_csv,
    ExportFormat.LIBFM: _write_libfm,
}
