"""Whose fault it is: every error that openfm raises on purpose.

::

    OpenFMError                  exit code   HTTP    prefix in output/failure
      CustomerError                  2        400    ClientError
        HyperparameterError
        ChannelError
        DataError
        ArtifactError
        TrainingDivergedError
        RequestError
          PayloadTooLargeError                413
          UnsupportedContentTypeError         415
          NotAcceptableError                  406
          ModelNotLoadedError                 404
          ModelAlreadyLoadedError             409
      AlgorithmError                 1        500    AlgorithmError
      PlatformError                  3        500    PlatformError
        InsufficientMemoryError               507
        ServerBusyError                       503

A ``CustomerError`` is something that whoever runs the job or sends the request can mend (their data, their
hyperparameters), an ``AlgorithmError`` is a bug in openfm, a ``PlatformError`` is the machine's (no space left, a
read-only folder). The exit codes and prefixes are those of Amazon's own containers.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlgorithmError",
    "ArtifactError",
    "ChannelError",
    "CustomerError",
    "DataError",
    "HyperparameterError",
    "InsufficientMemoryError",
    "ModelAlreadyLoadedError",
    "ModelNotLoadedError",
    "NotAcceptableError",
    "OpenFMError",
    "PayloadTooLargeError",
    "PlatformError",
    "RequestError",
    "ServerBusyError",
    "TrainingDivergedError",
    "UnsupportedContentTypeError",
]


class OpenFMError(Exception):
    """Base of all errors that openfm raises on purpose.

    The message is one clear sentence that names what was found, where, and the remedy. It is public: it goes to the
    failure file and into HTTP answers.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    prefix: ClassVar[str] = "AlgorithmError"

    @property
    def message(self) -> str:
        """The sentence, without a prefix."""
        return str(self)

    @property
    def failure_reason(self) -> str:
        """The sentence as the failure file and stderr show it, such as ``ClientError: ...``."""
        return f"{self.prefix}: {self.message}"


class CustomerError(OpenFMError, ValueError):
    """What was asked for or given is wrong; whoever asked can mend it."""

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 400
    prefix: ClassVar[str] = "ClientError"


class HyperparameterError(CustomerError):
    """A hyperparameter is missing, unknown or out of its range."""


class ChannelError(CustomerError):
    """A data channel or a configuration file is missing, empty or of the wrong kind."""


class DataError(CustomerError):
    """A file holds records that cannot be read or do not fit the job."""


class ArtifactError(CustomerError):
    """A model artifact cannot be read or does not hold a Factorization Machine."""


class TrainingDivergedError(CustomerError):
    """A parameter or a metric stopped being a finite number."""


class RequestError(CustomerError):
    """A request to the server cannot be answered."""


class PayloadTooLargeError(RequestError):
    """The request's body is larger than the server takes."""

    http_status: ClassVar[int] = 413


class UnsupportedContentTypeError(RequestError):
    """The request's Content-Type is none that the server reads."""

    http_status: ClassVar[int] = 415


class NotAcceptableError(RequestError):
    """The request's Accept names no type that the server writes."""

    http_status: ClassVar[int] = 406


class ModelNotLoadedError(RequestError):
    """A multi-model server has no model of this name in memory."""

    http_status: ClassVar[int] = 404


class ModelAlreadyLoadedError(RequestError):
    """A multi-model server has a model of this name already."""

    http_status: ClassVar[int] = 409


class AlgorithmError(OpenFMError):
    """Something inside openfm went wrong."""


class PlatformError(OpenFMError):
    """The machine does not give what the job needs: disk, memory, a writable folder."""

    exit_code: ClassVar[int] = 3
    prefix: ClassVar[str] = "PlatformError"


class InsufficientMemoryError(PlatformError):
    """A model or a request needs more memory than is left."""

    http_status: ClassVar[int] = 507


class ServerBusyError(PlatformError):
    """The server has as many requests in hand as it takes."""

    http_status: ClassVar[int] = 503
