"""Parquet files that prove themselves: they carry a checksum of their rows."""

from __future__ import annotations

import io
import math
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hierflow.hashing import digest

_CHECKSUM = b"hierflow.sha256"
# What pyarrow and the checksum raise over a flipped bit, found by flipping each.
_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, ArithmeticError, LookupError)


def table_bytes(table: pa.Table) -> bytes:
    """The parquet file of a table: zstd, with page checksums and a checksum of all rows; deterministic."""
    checked = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), _CHECKSUM: _rows_digest(table).encode()}
    )
    file = io.BytesIO()
    pq.write_table(checked, file, compression="zstd", write_page_checksum=True, store_schema=True)
    return file.getvalue()


def read_table(data: bytes, what: str) -> pa.Table:
    """The table in a file that :func:`table_bytes` wrote, equal to the one written.

    Args:
        data: the file.
        what: what it should be, such as `manifest`, for the messages.

    Raises:
        ValueError: the file is damaged, incomplete or no such table; the message says which.
    """
    try:
        table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
        # Page checksums leave the footer open: a flipped bit there renames a column or shifts a type.
        found = _rows_digest(table)
    except _DAMAGE as error:
        raise ValueError(f"the {what} ({len(data)} bytes) is damaged or no parquet file: {error}") from error
    expected = (table.schema.metadata or {}).get(_CHECKSUM)
    if expected is None:
        raise ValueError(f"the parquet file carries no checksum of its rows, so it is no {what} of hierflow's")
    if found.encode() != expected:
        raise ValueError(f"the {what} is damaged: its rows do not match the checksum it carries")
    return table.replace_schema_metadata(None)


def _rows_digest(table: pa.Table) -> str:
    # Parquet renames what is inside a map, so only that it is one counts.
    kinds = ["map" if pa.types.is_map(column.type) else str(column.type) for column in table.schema]
    return digest(table.column_names, kinds, [_values(column) for column in table.columns])


def _values(column: pa.ChunkedArray) -> list[Any]:
    """What JSON can say of a column: moments are numbers, and numbers that are none (an axis may hold NaN) texts."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return [
        repr(value) if isinstance(value, float) and not math.isfinite(value) else value
        for value in column.to_pylist()
    ]
