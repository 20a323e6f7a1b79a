"""File formats of data: recordIO-protobuf, libsvm, CSV, TSV, Parquet, NumPy and SciPy. One module for each.

Each turns a source into blocks of records, and blocks into a file; :mod:`openfm.data.formats.registry` lists them.
"""
