"""SDK 2: its own class for Factorization Machines, asked for what Amazon's own test of that class asks for.

Amazon's test trains a regressor on 200 rows of MNIST and has 10 of them scored. Two things differ here, because Local
Mode can do neither: the records are given as a folder instead of a manifest, and each host gets all of them.
"""

import json
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker import FactorizationMachines, FactorizationMachinesModel
from sagemaker.amazon.amazon_estimator import RecordSet
from sagemaker.local import LocalSession

with np.load("mnist.npz") as mnist:
    images, labels = mnist["train_images"][:200], mnist["train_labels"][:200]

session = LocalSession()
role = sagemaker.get_execution_role(session)
fm = FactorizationMachines(
    role=role,
    instance_count=1,
    instance_type="local",
    num_factors=10,
    predictor_type="regressor",
    epochs=2,
    clip_gradient=1e2,
    eps=0.001,
    rescale_grad=1.0 / 100,
    sagemaker_session=session,
)
manifest = fm.record_set(images, labels.astype("float32"))
folder = manifest.s3_data.rpartition("/")[0]
records = RecordSet(folder, 200, feature_dim=784, s3_data_type="S3Prefix", distribution="FullyReplicated")
fm.fit(records, job_name="fm-mnist")

model = FactorizationMachinesModel(fm.model_data, role=role, sagemaker_session=session)
predictor = model.deploy(1, "local", endpoint_name="fm-mnist", wait=False)
result = predictor.predict(images[:10])
predictor.delete_endpoint()

bucket, _, key = fm.model_data[len("s3://") :].partition("/")
session.boto_session.client("s3").download_file(bucket, key, "model.tar.gz")
Path("result.json").write_text(json.dumps([record.label["score"].float32_tensor.values[0] for record in result]))
