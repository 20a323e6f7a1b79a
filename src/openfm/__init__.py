"""openfm: Amazon SageMaker's Factorization Machines as an open, local container and Python package.

Records in and out, and trained models::

    X, y = openfm.read_records("train.pbr", feature_dim=784)
    openfm.write_records("train.pbr", X, y)
    model = openfm.load_model("model.tar.gz")
    scores = model.predict(X)

:func:`read_data`, :func:`iter_data` and :func:`write_data` do the same with libsvm, CSV, Parquet and other formats,
:func:`from_table` and :func:`to_table` with DataFrames. :class:`ColumnEncoder` makes features of columns of raw values.
``openfm.FactorizationMachineClassifier`` and ``openfm.FactorizationMachineRegressor`` are scikit-learn estimators; they
need the extra ``openfm[sklearn]``, which nothing else imports.
:mod:`openfm.sagemaker` has the SageMaker Python SDK's own names for the same things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openfm.artifact import Model, load_model
from openfm.data.formats.files import iter_columns, iter_data, read_data, write_data
from openfm.data.formats.tables import from_table, table_columns, to_table
from openfm.data.records import read_records, write_records
from openfm.encoding import ColumnEncoder
from openfm.errors import (
    AlgorithmError,
    ArtifactError,
    CustomerError,
    DataError,
    OpenFMError,
    PlatformError,
)

if TYPE_CHECKING:
    from openfm.estimators import FactorizationMachineClassifier as FactorizationMachineClassifier
    from openfm.estimators import FactorizationMachineRegressor as FactorizationMachineRegressor

__all__ = [
    "AlgorithmError",
    "ArtifactError",
    "ColumnEncoder",
    "CustomerError",
    "DataError",
    "Model",
    "OpenFMError",
    "PlatformError",
    "from_table",
    "iter_columns",
    "iter_data",
    "load_model",
    "read_data",
    "read_records",
    "table_columns",
    "to_table",
    "write_data",
    "write_records",
]

# Imported when they are asked for; not in __all__, so that `from openfm import *` does without scikit-learn.
_ESTIMATORS = ("FactorizationMachineClassifier", "FactorizationMachineRegressor")


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        from openfm import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'openfm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ESTIMATORS})
