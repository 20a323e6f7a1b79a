"""SDK 2: an Estimator with two instances; then again, and one of them fails. The argument is the image."""

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import sagemaker
from loss import kill_second_host
from sagemaker.amazon.common import write_spmatrix_to_sparse_tensor
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from scipy.sparse import random

session = LocalSession()
role = sagemaker.get_execution_role(session)
X = random(600, 40, density=0.1, format="csr", dtype=np.float32, random_state=1)
folder = Path("train").absolute()
folder.mkdir()
with (folder / "records.pbr").open("wb") as file:
    write_spmatrix_to_sparse_tensor(file, X, X.sum(axis=1).A1.astype(np.float32))


def train(name, epochs):
    """The files of the model."""
    output = Path(name).absolute()
    output.mkdir()
    fm = Estimator(
        sys.argv[1], role, instance_count=2, instance_type="local", sagemaker_session=session,
        output_path=f"file://{output}",
    )  # fmt: skip
    fm.set_hyperparameters(feature_dim=40, num_factors=4, predictor_type="regressor", mini_batch_size=20, epochs=epochs)
    fm.fit({"train": f"file://{folder}"})
    with tarfile.open(output / "model.tar.gz") as archive:
        archive.extractall(output)
        return archive.getnames()


result = {"files": train("together", 3)}
kill_second_host()
try:
    train("lost", 1000000)
except RuntimeError as error:
    result["error"] = str(error)
Path("result.json").write_text(json.dumps(result))
