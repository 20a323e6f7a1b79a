"""The model artifact model_algo-1: Amazon's own format, read and written without MXNet.

===================  ===========================================================================
``loading``          ``load_model`` and ``find_model``: from a path to a :class:`Model`
``saving``           ``save_model``: atomic, equal bytes for equal models
``export``           ``export_model``: the formats of other programs
``model``            :class:`Model`: a Factorization Machine with the parameters of its training
``archive``          ``model.tar.gz``: one member in a gzipped tar
``model_file``       ``model_algo-1``: a stored zip of ``meta.json``, ``symbol.json`` and ``params``
``meta``             ``meta.json``: the training parameters
``symbol``           ``symbol.json``, written: the network as MXNet's graph
``graph``            ``symbol.json``, read
``ndarray_file``     ``params``: MXNet's NDArray list
``parameters``       which array of a file is the bias, the linear weights, the factors
``names``            what models are called
``threshold``        ``openfm/threshold.json``: a binary classifier's threshold
``encoder``          ``openfm/encoder*``: how columns of raw values become features
``limits``           how much a small file may unpack to
``replacing``        files that appear whole
===================  ===========================================================================

A file that is read may come from anyone: every count and size in it is checked before memory is
taken for it, nothing is ever written while reading, and nothing is unpickled.
"""

from __future__ import annotations

from openfm.artifact.encoder import load_encoder, save_encoder
from openfm.artifact.export import ExportFormat, export_model
from openfm.artifact.loading import find_model, load_model, model_size
from openfm.artifact.model import Model
from openfm.artifact.names import ARCHIVE_NAME, MODEL_NAME
from openfm.artifact.saving import save_model

__all__ = [
    "ARCHIVE_NAME",
    "MODEL_NAME",
    "ExportFormat",
    "Model",
    "export_model",
    "find_model",
    "load_encoder",
    "load_model",
    "model_size",
    "save_encoder",
    "save_model",
]
