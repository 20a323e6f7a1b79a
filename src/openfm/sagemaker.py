"""The SageMaker Python SDK v2's record writers, readers and serializers, under their own names.

Version 3 of the SDK no longer has them. Those here need no SDK and work with either: the serializers have what the
``Predictor`` of version 2 and the ``Endpoint`` of version 3 ask for (``CONTENT_TYPE``, ``ACCEPT``, ``serialize``,
``deserialize``).

::

    from openfm.sagemaker import RecordDeserializer, RecordSerializer, write_numpy_to_dense_tensor
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from openfm.data import recordio
from openfm.data.faults import Fault, FaultError, data_error
from openfm.data.writing import encode_matrix
from openfm.errors import DataError
from openfm.fm.rows import MAX_FEATURE_DIM

__all__ = [
    "RecordDeserializer",
    "RecordSerializer",
    "SparseJSONSerializer",
    "read_records",
    "write_numpy_to_dense_tensor",
    "write_spmatrix_to_sparse_tensor",
]

_RECORDIO_PROTOBUF = "application/x-recordio-protobuf"
_JSON = "application/json"


def write_numpy_to_dense_tensor(
    file: BinaryIO, array: npt.NDArray[Any], labels: npt.NDArray[Any] | None = None
) -> None:
    """Writes an array as dense records.

    As in the SDK, integers become Int32 tensors, float64 Float64 tensors and float32 Float32 tensors; booleans are
    taken too, as integers. Amazon's Factorization Machines train on float32 labels and features only; openfm takes all
    three. :func:`openfm.write_records` writes float32 whatever it is given.

    Args:
        file: a file open for writing bytes.
        array: shape (n, feature_dim).
        labels: shape (n,), or None for records without labels.

    Raises:
        DataError: (a ValueError) the shapes do not fit, or the numbers no tensor.
    """
    if array.ndim != 2:
        raise DataError("Array must be a Matrix")
    _write(file, _tensor_array(array, "array"), _label_array(labels, array.shape[0]), dense=True)


def write_spmatrix_to_sparse_tensor(file: BinaryIO, array: Any, labels: npt.NDArray[Any] | None = None) -> None:
    """Writes a SciPy sparse matrix or array as sparse records: keys, values and shape.

    Types are those of :func:`write_numpy_to_dense_tensor`. Rows are written as they are stored in CSR form.

    Args:
        file: a file open for writing bytes.
        array: shape (n, feature_dim), of any SciPy format.
        labels: shape (n,), or None for records without labels.

    Raises:
        TypeError: the array is not sparse.
        DataError: (a ValueError) as for dense tensors.
    """
    from scipy.sparse import issparse

    if not issparse(array):
        raise TypeError("Array must be sparse")
    if len(array.shape) != 2:
        raise DataError("Array must be a Matrix")
    if array.shape[1] > MAX_FEATURE_DIM:
        raise DataError(f"Array has {array.shape[1]} columns, but at most {MAX_FEATURE_DIM} can be indexed")
    csr = array.tocsr()
    data = _tensor_array(csr.data, "array")
    typed = type(csr)((data, csr.indices, csr.indptr), shape=csr.shape, copy=False)
    _write(file, typed, _label_array(labels, csr.shape[0]), dense=False)


def read_records(file: BinaryIO) -> list[Any]:
    """Reads a whole file of records into protobuf messages ``aialgs.data.Record``.

    Returns:
        the messages; a feature vector is in ``record.features["values"].float32_tensor.values``, an answer's score in
        ``record.label["score"].float32_tensor.values[0]``.

    Raises:
        DataError: the bytes are not framed records; it names the record.
    """
    from google.protobuf.message import DecodeError

    from openfm.data.record_schema import Record

    records = []
    try:
        for number, (offset, payload) in enumerate(recordio.iter_frames(file.read())):
            record = Record()
            try:
                record.ParseFromString(payload)
            except DecodeError as error:
                raise data_error(Fault("malformed", number, offset)) from error
            records.append(record)
    except FaultError as error:
        raise data_error(error.fault) from None
    return records


class RecordSerializer:
    """Serializes an array for an inference request, as dense records.

    Args:
        content_type: the Content-Type of the requests.
    """

    def __init__(self, content_type: str = _RECORDIO_PROTOBUF) -> None:
        self.content_type = content_type
        _join_sdk(type(self), "serializers", "BaseSerializer")

    @property
    def CONTENT_TYPE(self) -> str:  # noqa: N802 - the SDK's name
        """The Content-Type of the requests."""
        return self.content_type

    def serialize(self, data: npt.NDArray[Any]) -> bytes:
        """The array's rows as records; one-dimensional data are one row.

        The SDK's own gives a ``BytesIO`` of the same bytes, which version 3's Endpoint cannot send.

        Raises:
            DataError: the array has more than two dimensions or holds no numbers.
        """
        if data.ndim == 1:
            data = data.reshape(1, -1)
        if data.ndim != 2:
            raise DataError(f"Expected a 1D or 2D array, but got a {data.ndim}D array instead.")
        buffer = io.BytesIO()
        write_numpy_to_dense_tensor(buffer, data)
        return buffer.getvalue()


class RecordDeserializer:
    """Deserializes an answer in recordIO-protobuf.

    Args:
        accept: the type, or types, that the requests ask for.
    """

    def __init__(self, accept: str | tuple[str, ...] = _RECORDIO_PROTOBUF) -> None:
        self.accept = accept
        _join_sdk(type(self), "deserializers", "BaseDeserializer")

    @property
    def ACCEPT(self) -> tuple[str, ...]:  # noqa: N802 - the SDK's name
        """The types that the requests ask for."""
        return (self.accept,) if isinstance(self.accept, str) else self.accept

    def deserialize(self, stream: BinaryIO, content_type: str) -> list[Any]:
        """The answer's records, as :func:`read_records` gives them; closes the stream."""
        try:
            return read_records(stream)
        finally:
            stream.close()


class SparseJSONSerializer:
    """Serializes rows for an inference request as JSON in the sparse form of Factorization Machines.

    ``{"instances": [{"data": {"features": {"keys": [...], "shape": [...], "values": [...]}}}, ...]}``

    Args:
        content_type: the Content-Type of the requests.
    """

    def __init__(self, content_type: str = _JSON) -> None:
        self.content_type = content_type
        _join_sdk(type(self), "serializers", "BaseSerializer")

    @property
    def CONTENT_TYPE(self) -> str:  # noqa: N802 - the SDK's name
        """The Content-Type of the requests."""
        return self.content_type

    def serialize(self, data: Any) -> str:
        """The rows of a sparse matrix, or the non-zero values of an array's, as instances.

        Args:
            data: a SciPy sparse matrix or array, or an array of one row or of shape (n, feature_dim).

        Raises:
            DataError: a value is not a finite number, for which JSON has no form.
        """
        from scipy.sparse import csr_matrix, issparse

        csr = csr_matrix(data if issparse(data) else np.atleast_2d(np.asarray(data)))
        if not np.isfinite(csr.data).all():
            raise DataError("JSON has no form for NaN and infinity: please remove them.")
        shape = [int(csr.shape[1])]
        instances = []
        for start, end in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
            keys, values = csr.indices[start:end].tolist(), csr.data[start:end].tolist()
            instances.append({"data": {"features": {"keys": keys, "shape": shape, "values": values}}})
        return json.dumps({"instances": instances})


def _join_sdk(own: type, package: str, base: str) -> None:
    """Makes a class count as one of SDK version 3's own, if that is loaded: its Endpoint takes no others."""
    sdk = sys.modules.get(f"sagemaker.core.{package}.base")
    if sdk is not None:
        getattr(sdk, base).register(own)


def _write(file: BinaryIO, rows: Any, labels: npt.NDArray[Any] | None, *, dense: bool) -> None:
    for block in encode_matrix(rows, labels, dense=dense):
        file.write(block)


def _label_array(labels: npt.NDArray[Any] | None, rows: int) -> npt.NDArray[Any] | None:
    if labels is None:
        return None
    if labels.ndim != 1:
        raise DataError("Labels must be a Vector")
    if labels.shape[0] != rows:
        raise DataError(f"Label shape {labels.shape} not compatible with {rows} rows")
    return _tensor_array(labels, "labels")


def _tensor_array(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The array in the type of the tensor that the SDK writes for it."""
    if array.dtype in (np.float32, np.float64):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind not in "iub":
        raise DataError(f"Unsupported dtype {array.dtype} on {name}")
    limits = np.iinfo(np.int32)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise DataError(f"{name} holds integers that an Int32 tensor cannot hold: convert them to float64")
    return array.astype(np.int32, copy=False)
