"""SDK 1: the steps of Amazon's notebook on Factorization Machines and MNIST, under the name of Amazon's own image.

Two things differ from the notebook: where the data come from, and the instances, which are this machine. At the end
the SDK's own predictor for Factorization Machines asks the same endpoint in records.
"""

import io
import json
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker import FactorizationMachinesPredictor
from sagemaker.amazon.amazon_estimator import get_image_uri
from sagemaker.amazon.common import write_numpy_to_dense_tensor
from sagemaker.local import LocalSession
from sagemaker.predictor import json_deserializer

session = LocalSession()
role = sagemaker.get_execution_role(session)
bucket = session.default_bucket()
mnist = np.load("mnist.npz")

# Data conversion
train_images = mnist["train_images"].astype("float32")
is_zero = np.where(mnist["train_labels"] == 0, 1, 0).astype("float32")
buffer = io.BytesIO()
write_numpy_to_dense_tensor(buffer, train_images, is_zero)
buffer.seek(0)

# Upload
boto3.resource("s3").Bucket(bucket).Object("fm-mnist/train/recordio-pb-data").upload_fileobj(buffer)

# Training
image = get_image_uri(boto3.Session().region_name, "factorization-machines")
fm = sagemaker.estimator.Estimator(
    image,
    role,
    train_instance_count=1,
    train_instance_type="local",
    output_path=f"s3://{bucket}/fm-mnist/output",
    sagemaker_session=session,
)
fm.set_hyperparameters(feature_dim=784, predictor_type="binary_classifier", mini_batch_size=200, num_factors=10)
fm.fit({"train": f"s3://{bucket}/fm-mnist/train/recordio-pb-data"})

# Hosting
fm_predictor = fm.deploy(initial_instance_count=1, instance_type="local")
fm_predictor.content_type = "application/json"
fm_predictor.serializer = lambda data: json.dumps({"instances": [{"features": row.tolist()} for row in data]})
fm_predictor.deserializer = json_deserializer

# Validation
print(fm_predictor.predict(train_images[30:31]))
predictions = []
for images in np.array_split(mnist["test_images"], 100):
    result = fm_predictor.predict(images)
    predictions += [prediction["predicted_label"] for prediction in result["predictions"]]
actual, predicted = mnist["test_labels"] == 0, np.array(predictions) == 1

# The same in records
records = FactorizationMachinesPredictor(fm_predictor.endpoint, session).predict(mnist["test_images"][:100])
in_records = [record.label["predicted_label"].float32_tensor.values[0] for record in records]
fm_predictor.delete_endpoint()

confusion = [[int(np.sum((actual == a) & (predicted == p))) for p in (False, True)] for a in (False, True)]
Path("result.json").write_text(
    json.dumps({"image": image, "confusion": confusion, "same in records": in_records == predictions[:100]})
)
