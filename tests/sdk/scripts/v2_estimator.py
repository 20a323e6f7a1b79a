"""SDK 2: an Estimator with data and model on S3, its endpoint asked in JSON and in records, and batch transform."""

import io
import json
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.amazon.common import write_numpy_to_dense_tensor, write_spmatrix_to_sparse_tensor
from sagemaker.deserializers import JSONDeserializer, RecordDeserializer, StringDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.serializers import JSONSerializer, RecordSerializer
from scipy.sparse import random

session = LocalSession()
role = sagemaker.get_execution_role(session)
bucket = session.boto_session.resource("s3").Bucket(session.default_bucket())

# Data, and the records of it on S3
X = random(600, 40, density=0.1, format="csr", dtype=np.float32, random_state=1)
sums = X.sum(axis=1).A1
y = (sums > np.median(sums)).astype(np.float32)
files = {"train": io.BytesIO(), "test": io.BytesIO(), "batch": io.BytesIO()}
write_spmatrix_to_sparse_tensor(files["train"], X[:500], y[:500])
write_spmatrix_to_sparse_tensor(files["test"], X[500:], y[500:])
write_numpy_to_dense_tensor(files["batch"], X[500:].toarray())
for name, file in files.items():
    file.seek(0)
    bucket.upload_fileobj(file, f"data/{name}/records.pbr")
lines = "".join(json.dumps({"features": row}) + "\n" for row in X[500:].toarray().tolist())
bucket.put_object(Key="data/lines/rows.jsonl", Body=lines.encode())

# Train
fm = Estimator("openfm", role, instance_count=1, instance_type="local", sagemaker_session=session)
fm.set_hyperparameters(feature_dim=40, num_factors=4, predictor_type="binary_classifier", mini_batch_size=20, epochs=30)
fm.fit({name: f"s3://{bucket.name}/data/{name}" for name in ("train", "test")})

# Serve: JSON in its sparse form, then records
predictor = fm.deploy(1, "local", serializer=JSONSerializer(), deserializer=JSONDeserializer(), wait=False)
instances = [
    {"data": {"features": {"keys": row.indices.tolist(), "shape": [40], "values": row.data.tolist()}}}
    for row in X[500:]
]
answers = {"json": predictor.predict({"instances": instances})["predictions"]}
# Local Mode hands a refusal's text over as if it were an answer.
predictor.deserializer = StringDeserializer()
answers["refusal"] = predictor.predict({"instances": [{"features": [1.0, 2.0]}]})
predictor.serializer, predictor.deserializer = RecordSerializer(), RecordDeserializer()
answers["records"] = [
    {name: record.label[name].float32_tensor.values[0] for name in ("score", "predicted_label")}
    for record in predictor.predict(X[500:].toarray())
]
predictor.delete_endpoint()


# Batch transform, with what Local Mode does with each file: whole, record by record, line by line
def transform(name, output, accept, split_type, content_type, strategy):
    transformer = fm.transformer(
        1, "local", strategy=strategy, accept=accept, output_path=f"s3://{bucket.name}/{output}"
    )
    # wait=False spares the 10 seconds after which the SDK looks again; the job is done when this returns.
    transformer.transform(
        f"s3://{bucket.name}/data/{name}", content_type=content_type, split_type=split_type, wait=False
    )
    (answer,) = bucket.objects.filter(Prefix=f"{output}/")
    return answer.get()["Body"].read()


RECORDS, LINES = "application/x-recordio-protobuf", "application/jsonlines"
whole = transform("batch", "whole", None, None, RECORDS, "SingleRecord")
split = transform("batch", "split", LINES, "RecordIO", RECORDS, "SingleRecord")
by_line = transform("lines", "by-line", LINES, "Line", LINES, "MultiRecord")
for name, output in {"whole": whole, "split": split, "by line": by_line}.items():
    answers[name] = [json.loads(line) for line in output.decode().splitlines()]

model_bucket, _, key = fm.model_data[len("s3://") :].partition("/")
session.boto_session.client("s3").download_file(model_bucket, key, "model.tar.gz")
np.save("rows.npy", X[500:].toarray())
Path("result.json").write_text(json.dumps(answers))
