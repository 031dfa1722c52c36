"""The files of a table: which of them are ours, and what is wrong with the others; knows nothing of SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

_SESSION_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")

Shape = Literal["empty", "own", "shared"]
"""No files; each file holds one committed session; some may hold rows that nobody committed."""


def shape_of(names: Sequence[str]) -> Shape:
    """Tell whether each file holds one committed session, or some may hold rows that nobody committed.

    To check every row costs a third of a query; files named after uncommitted sessions are not even listed.
    """
    if not names:
        return "empty"
    return "own" if all(_SESSION_ID.fullmatch(Path(name).stem) for name in names) else "shared"


def is_uncommitted(stem: str, known: set[str]) -> bool:
    """Tell whether a file is named after a session that has no sessions row: it was never committed."""
    return stem not in known and _SESSION_ID.fullmatch(stem) is not None


def file_problem(path: Path, schema: pa.Schema) -> str | None:
    """Tell by its footer why a file is none of a table; None where it looks right."""
    try:
        found = pq.read_schema(path)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as error:
        return f"no readable Parquet file: {str(error).splitlines()[0]}"
    if "session_id" not in found.names:
        return "it has no session_id: no file of this table"
    for column in schema:
        if column.name in found.names and not _fits(found.field(column.name).type, column.type):
            return f"its column {column.name} is {found.field(column.name).type}, not {column.type}"
    return None


def _fits(found: pa.DataType, expected: pa.DataType) -> bool:
    if pa.types.is_null(found) or found == expected:
        return True
    # Other writers spell the same values with other types; DuckDB reads them alike.
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp, pa.types.is_nested)
    texts = {pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())}
    binaries = {pa.binary(), pa.large_binary(), pa.binary_view()}
    return (
        any(kind(found) and kind(expected) for kind in kinds)
        or {found, expected} <= texts
        or {found, expected} <= binaries
    )
