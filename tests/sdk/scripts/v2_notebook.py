"""SDK 2: the steps of Amazon's notebook on Factorization Machines and MNIST, from the data's conversion on.

Three things differ from the notebook: where the data come from, the image, which the first argument names ("amazon":
whatever the SDK calls Amazon's own), and the instances, which are this machine.
"""

import io
import json
import sys
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker import image_uris
from sagemaker.amazon.common import write_numpy_to_dense_tensor
from sagemaker.deserializers import JSONDeserializer
from sagemaker.local import LocalSession
from sagemaker.serializers import JSONSerializer

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
image = sys.argv[1]
if image == "amazon":
    image = image_uris.retrieve("factorization-machines", boto3.Session().region_name)
fm = sagemaker.estimator.Estimator(
    image,
    role,
    instance_count=1,
    instance_type="local",
    output_path=f"s3://{bucket}/fm-mnist/output",
    sagemaker_session=session,
)
fm.set_hyperparameters(feature_dim=784, predictor_type="binary_classifier", mini_batch_size=200, num_factors=10)
fm.fit({"train": f"s3://{bucket}/fm-mnist/train/recordio-pb-data"})


# Hosting
class FMSerializer(JSONSerializer):
    def serialize(self, data):
        return json.dumps({"instances": [{"features": row.tolist()} for row in data]})


fm_predictor = fm.deploy(
    initial_instance_count=1,
    instance_type="local",
    serializer=FMSerializer(),
    deserializer=JSONDeserializer(),
    wait=False,  # for the 30 seconds after which the SDK looks for the first time
)

# Validation
print(fm_predictor.predict(train_images[30:31]))
predictions = []
for images in np.array_split(mnist["test_images"], 100):
    result = fm_predictor.predict(images)
    predictions += [prediction["predicted_label"] for prediction in result["predictions"]]
actual, predicted = mnist["test_labels"] == 0, np.array(predictions) == 1
fm_predictor.delete_endpoint()

confusion = [[int(np.sum((actual == a) & (predicted == p))) for p in (False, True)] for a in (False, True)]
Path("result.json").write_text(json.dumps({"image": image, "confusion": confusion}))
