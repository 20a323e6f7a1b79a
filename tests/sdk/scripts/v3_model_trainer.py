"""SDK 3: a ModelTrainer with a file and with data on S3, and an endpoint asked in JSON and in records.

Version 3 has no record writers; openfm.sagemaker's take their place.
"""

import io
import json
from pathlib import Path

import numpy as np
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.local import LocalSession
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode
from scipy.sparse import random

from openfm.sagemaker import RecordDeserializer, RecordSerializer, SparseJSONSerializer, write_spmatrix_to_sparse_tensor

# Data: one file here, one on S3
X = random(600, 40, density=0.1, format="csr", dtype=np.float32, random_state=1)
y = X.sum(axis=1).A1
with Path("train.pbr").open("wb") as file:
    write_spmatrix_to_sparse_tensor(file, X[:500], y[:500])
test = io.BytesIO()
write_spmatrix_to_sparse_tensor(test, X[500:], y[500:])
session = Session()
bucket = session.boto_session.resource("s3").Bucket(session.default_bucket())
bucket.put_object(Key="v3/test/records.pbr", Body=test.getvalue())

# Train
root = Path("job").absolute()
root.mkdir()
trainer = ModelTrainer(
    training_mode=Mode.LOCAL_CONTAINER,
    training_image="openfm",
    compute=Compute(instance_type="local_cpu", instance_count=1),
    hyperparameters={"feature_dim": 40, "num_factors": 4, "predictor_type": "regressor", "mini_batch_size": 20},
    local_container_root=str(root),
    sagemaker_session=session,
)
trainer.train(
    [
        InputData(channel_name="train", data_source=str(Path("train.pbr").absolute())),
        InputData(channel_name="test", data_source=f"s3://{bucket.name}/v3/test"),
    ]
)

# Serve
local = LocalSession()
client, runtime = local.sagemaker_client, local.sagemaker_runtime_client
model = {"Image": "openfm", "ModelDataUrl": f"file://{root}/compressed_artifacts/model.tar.gz", "Environment": {}}
variant = {"VariantName": "all", "ModelName": "fm", "InstanceType": "local", "InitialInstanceCount": 1}
client.create_model("fm", model)
client.create_endpoint_config("fm", [variant])
client.create_endpoint("fm", "fm")

sparse = SparseJSONSerializer()
answer = runtime.invoke_endpoint(sparse.serialize(X[500:]), "fm", sparse.CONTENT_TYPE, "application/json")
scores = {"json": [prediction["score"] for prediction in json.loads(answer["Body"].read())["predictions"]]}
dense, reader = RecordSerializer(), RecordDeserializer()
body = dense.serialize(X[500:].toarray())
answer = runtime.invoke_endpoint(body, "fm", dense.CONTENT_TYPE, reader.ACCEPT[0])
records = reader.deserialize(answer["Body"], answer["ContentType"])
scores["records"] = [record.label["score"].float32_tensor.values[0] for record in records]
client.delete_endpoint("fm")

np.save("rows.npy", X[500:].toarray())
Path("result.json").write_text(json.dumps(scores))
