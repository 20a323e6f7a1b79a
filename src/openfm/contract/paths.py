"""Where everything of a job lies: the tree under ``/opt/ml``, or under ``SAGEMAKER_BASE_DIR``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openfm.contract.variables import BASE_DIR
from openfm.errors import ChannelError

__all__ = ["DEFAULT_BASE", "ContractPaths"]

DEFAULT_BASE = Path("/opt/ml")


@dataclass(frozen=True, slots=True)
class ContractPaths:
    """The paths of SageMaker's container contract. Nothing here touches the disk but
    :meth:`require_job`.

    Attributes:
        base: root of the tree, ``/opt/ml`` inside a container.
    """

    base: Path = DEFAULT_BASE

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ContractPaths:
        """The tree that ``SAGEMAKER_BASE_DIR`` names; ``/opt/ml`` if it is unset or empty."""
        base = environ.get(BASE_DIR.name)
        return cls(Path(base)) if base else cls()

    @property
    def config(self) -> Path:
        """Folder of the configuration files."""
        return self.base / "input" / "config"

    @property
    def hyperparameters(self) -> Path:
        """``hyperparameters.json``: one flat JSON object."""
        return self.config / "hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        """``inputdataconfig.json``: channels and their content types."""
        return self.config / "inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        """``resourceconfig.json``: the hosts of the job."""
        return self.config / "resourceconfig.json"

    @property
    def data(self) -> Path:
        """Folder of the data channels, one entry each."""
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        """Folder of the trained model; where ``serve`` finds it too."""
        return self.base / "model"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints, if it exists; ``checkpointconfig.json`` may name another."""
        return self.base / "checkpoints"

    @property
    def models(self) -> Path:
        """Folder of a multi-model endpoint's models."""
        return self.base / "models"

    @property
    def output(self) -> Path:
        """Folder of all output that is not the model."""
        return self.base / "output"

    @property
    def metrics(self) -> Path:
        """``metrics.jsonl``: how the training went; what lies in its folder, the platform copies to S3."""
        return self.output / "data" / "metrics.jsonl"

    @property
    def failure(self) -> Path:
        """The file that says why a job failed."""
        return self.output / "failure"

    def require_job(self) -> None:
        """Check that there is anything to do at all.

        Raises:
            ChannelError: there is neither a ``hyperparameters.json`` nor any data; says what to
                mount.
        """
        if self.hyperparameters.exists() or (self.data.is_dir() and any(self.data.iterdir())):
            return
        raise ChannelError(
            f"There is no training job at {self.base}: {self.hyperparameters} and "
            f"{self.data}/train are both missing. Mount a folder that holds "
            f"input/config/hyperparameters.json and input/data/train there (docker run -v "
            f"/path/to/folder:/opt/ml ...); outside a container name the data (openfm train "
            f"ratings.csv --target rating --out model.tar.gz), or such a folder in SAGEMAKER_BASE_DIR."
        )
