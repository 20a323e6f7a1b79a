"""openfm: Amazon SageMaker's Factorization Machines as an open, local container and Python package."""

from __future__ import annotations

from openfm.errors import (
    AlgorithmError,
    ArtifactError,
    CustomerError,
    DataError,
    OpenFMError,
    PlatformError,
)

__all__ = ["AlgorithmError", "ArtifactError", "CustomerError", "DataError", "OpenFMError", "PlatformError"]
