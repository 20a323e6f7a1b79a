"""DataFrames of pandas and polars and tables of Arrow: in, and back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

import openfm
from openfm.errors import DataError

COLUMNS = {"age": [1, 0, 3], "rating": [5.0, 4.0, 3.5], "member": [True, False, True]}
X = np.array([[1, 1], [0, 0], [3, 1]], dtype=np.float32)
Y = np.array([5.0, 4.0, 3.5], dtype=np.float32)

TABLES = {
    "pandas": pd.DataFrame(COLUMNS, index=["x", "y", "z"]),
    "polars": pl.DataFrame(COLUMNS),
    "arrow": pa.table(COLUMNS),
    "batch": pa.RecordBatch.from_pydict(COLUMNS),
    "chunked": pa.concat_tables([pa.table(COLUMNS).slice(0, 1), pa.table(COLUMNS).slice(1)]),
    "float16": pd.DataFrame(COLUMNS).astype({"age": np.float16, "rating": np.float32}),
    "categories-left-out": pl.DataFrame(COLUMNS | {"name": ["a", "b", "c"]}).drop("name"),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("target", ["rating", 1])
def test_tables_become_rows_and_labels(kind: str, target: str | int) -> None:
    rows, labels = openfm.from_table(TABLES[kind], target=target)

    assert isinstance(rows, csr_matrix)
    np.testing.assert_array_equal(rows.toarray(), X)
    assert rows.nnz == 4
    np.testing.assert_array_equal(labels, Y)


def test_without_a_target_all_columns_are_features() -> None:
    rows, labels = openfm.from_table(TABLES["polars"])

    assert rows.shape == (3, 3)
    assert labels is None


@pytest.mark.parametrize("sparse", [True, False])
def test_rows_become_tables(sparse: bool) -> None:
    table = openfm.to_table(csr_matrix(X) if sparse else X.tolist(), Y, target="stars")

    assert table.schema == pa.schema([("stars", pa.float32()), ("f0", pa.float32()), ("f1", pa.float32())])
    back, labels = openfm.from_table(pl.from_arrow(table), target="stars")
    np.testing.assert_array_equal(back.toarray(), X)
    np.testing.assert_array_equal(labels, Y)
    np.testing.assert_array_equal(table.to_pandas()[["f0", "f1"]], X)


@pytest.mark.parametrize(
    ("table", "target", "message"),
    [
        (pd.DataFrame({"name": ["a"]}), None, "Column 'name' of the table is of the type "),
        (pl.DataFrame({"a": [1.0, None]}), None, "Row 1 of the table has no value in column 'a'"),
        (pd.DataFrame({"a": [1.0, np.nan]}), None, "Row 1 of the table has no value in column 'a'"),
        (pl.DataFrame({"a": [1.0, 1e39]}), None, "Row 1 of the table holds 1e+39 in column 'a'"),
        (pl.DataFrame({"a": [1.0]}), "b", "the table has no column 'b' to be the target. It has 'a'."),
        (pl.DataFrame({"a": [1.0]}), 1, "the table has 1 columns, numbered from 0: none is the target 1"),
        (pl.DataFrame({"a": []}, schema={"a": pl.Float32}), None, "The table has no rows"),
        (17, None, "A int cannot be taken as a table"),
    ],
)
def test_faults_name_row_and_column(table: object, target: str | int | None, message: str) -> None:
    with pytest.raises(DataError) as raised:
        openfm.from_table(table, target=target)
    assert message in str(raised.value)


def test_without_pyarrow_the_extra_is_named() -> None:
    program = "import sys; sys.modules['pyarrow'] = None; import openfm; openfm.to_table([[1.0]])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "pip install 'openfm[tables]'" in run.stderr.splitlines()[-1]
