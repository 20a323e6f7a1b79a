"""SDK 3: a ModelTrainer with two instances; then again, and one of them fails. The argument is the image."""

import json
import sys
from pathlib import Path

import numpy as np
from loss import kill_second_host
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode
from scipy.sparse import random

from openfm.sagemaker import write_spmatrix_to_sparse_tensor

session = Session()
X = random(600, 40, density=0.1, format="csr", dtype=np.float32, random_state=1)
with Path("train.pbr").open("wb") as file:
    write_spmatrix_to_sparse_tensor(file, X, X.sum(axis=1).A1.astype(np.float32))


def train(name, epochs):
    """The files of the model."""
    root = Path(name).absolute()
    root.mkdir()
    trainer = ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=sys.argv[1],
        compute=Compute(instance_type="local_cpu", instance_count=2),
        hyperparameters={
            "feature_dim": 40, "num_factors": 4, "predictor_type": "regressor", "mini_batch_size": 20, "epochs": epochs
        },
        local_container_root=str(root),
        sagemaker_session=session,
    )  # fmt: skip
    trainer.train([InputData(channel_name="train", data_source=str(Path("train.pbr").absolute()))])
    return sorted(path.name for path in (root / "model").iterdir())


result = {"files": train("together", 3)}
kill_second_host()
try:
    train("lost", 1000000)
except RuntimeError as error:
    result["error"] = str(error)
Path("result.json").write_text(json.dumps(result))
