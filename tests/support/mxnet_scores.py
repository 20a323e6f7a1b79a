"""Run by the Python that has MXNet, which has no openfm.

``python mxnet_scores.py score MODEL_FILE ROWS_NPZ SCORES_NPY`` scores rows with a model file by the recipe of AWS's
blog posts and notebooks: unzip, rename, ``Module.load``.

``python mxnet_scores.py save PARAMETERS_NPZ PARAMS`` has MXNet write the arrays of a params file.

``python mxnet_scores.py load PARAMS PARAMETERS_NPZ`` has MXNet read them.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as np

SPARSE = ("arg:w1_weight", "arg:v")


def score(model_file, rows_file, scores_file):
    rows = np.load(rows_file)
    shape = tuple(int(size) for size in rows["shape"])
    data = mx.nd.sparse.csr_matrix((rows["data"], rows["indices"], rows["indptr"]), shape=shape)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["unzip", "-q", "-o", str(Path(model_file).resolve()), "-d", folder], check=True)
        os.chdir(folder)
        Path("symbol.json").rename("model-symbol.json")
        Path("params").rename("model-0000.params")
        module = mx.module.Module.load("./model", 0, False, label_names=["out_label"])
        module.bind(
            data_shapes=[("data", shape)],
            label_shapes=[("out_label", (shape[0], 1))],
            for_training=False,
        )
        module.forward(mx.io.DataBatch(data=[data], label=None), is_train=False)
        scores = module.get_outputs()[0].asnumpy().reshape(-1)
        # What people read out of it for a nearest-neighbour model.
        assert module._arg_params["v"].asnumpy().shape[0] == shape[1]
        assert module._arg_params["w1_weight"].asnumpy().shape == (shape[1], 1)
        assert module._arg_params["w0_weight"].asnumpy().shape == (1,)
    np.save(scores_file, scores)


def save(parameters_file, params_file):
    parameters = np.load(parameters_file)
    arrays = {}
    for name in parameters.files:
        array = mx.nd.array(parameters[name], dtype="float32")
        arrays[name] = array.tostype("row_sparse") if name in SPARSE else array
    mx.nd.waitall()  # MXNet's save writes an array's stored shape before it waits for the array
    mx.nd.save(params_file, arrays)


def load(params_file, parameters_file):
    arrays = mx.nd.load(params_file)
    assert list(arrays) == ["arg:w1_weight", "arg:w0_weight", "arg:v"]
    assert all(arrays[name].stype == "row_sparse" for name in SPARSE)
    np.savez(parameters_file, **{name: array.asnumpy() for name, array in arrays.items()})


if __name__ == "__main__":
    {"score": score, "save": save, "load": load}[sys.argv[1]](*sys.argv[2:])
