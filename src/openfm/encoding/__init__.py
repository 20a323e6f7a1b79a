"""Raw ids in: columns of a table to the features of a model, and features back to columns and values.

===================  ===========================================================================
``encoder``          :class:`ColumnEncoder`: fitted on blocks of columns, encodes blocks of columns
``columns``          what becomes of a column: one-hot, a scaled number, or hash buckets
``fitting``          what is learned of each column
``members``          the encoder as members ``openfm/*`` of a model file
``tables``           tables of any format as records
===================  ===========================================================================
"""

from __future__ import annotations

from openfm.encoding.columns import ColumnSpec, HashedColumn, NumberColumn, OneHotColumn
from openfm.encoding.encoder import ColumnEncoder, Encoded

__all__ = ["ColumnEncoder", "ColumnSpec", "Encoded", "HashedColumn", "NumberColumn", "OneHotColumn"]
