"""Read many files of a row each, as sealing leaves them, into one table."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import duckdb
import pyarrow as pa

from capture.recording.root import Root, date_of

_LEAST_FILES = 50
"""Fewer are not worth a connection of their own."""
_MOST_THREADS = 4
_MANY = 2000
"""Files that are read in a few seconds."""

Columns = Sequence[tuple[str, str]]
"""Names and types, as the engine describes them."""


def read_small_files(names: Sequence[str], columns: Columns) -> pa.Table | None:
    """Read these columns of all files, and their names as `filename`.

    None where one of them cannot be read: whoever asks finds out which.
    """
    threads = min(os.cpu_count() or 1, _MOST_THREADS, len(names) // _LEAST_FILES)
    if not threads:
        return None
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda first: _read(names[first::threads], columns), range(threads)))
    found = [part for part in parts if part is not None]
    return pa.concat_tables(found).combine_chunks() if len(found) == threads else None


def why_slow(root: Root, session_ids: Collection[str]) -> str:
    """Say why to read these sessions takes long, and what makes it quick; nothing of as few as take no time.

    They are those that lie in files of their own.
    """
    from capture.compaction import dates_to_compact

    if len(session_ids) <= _MANY:
        return ""
    is_past = not {date_of(session_id) for session_id in session_ids}.isdisjoint(dates_to_compact(root))
    command = root.command("wiretape capture compact" if is_past else "wiretape capture compact --all")
    return f"reading {len(session_ids):,} sessions, each from a file of its own, takes long: `{command}` merges them"


def _read(names: Sequence[str], columns: Columns) -> pa.Table | None:
    # Threads of one connection take two and a half times as long in all, over files as small as these: each thread has
    # a connection of its own.
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for read in (_read_alike, _read_united):
            with suppress(duckdb.Error):
                rows = read(connection, names, columns)
                # What is handed over is beyond the engine's limit on memory: a file of others may unpack to any amount.
                if rows is not None and len(rows) <= len(names):
                    return rows
    return None


def _read_alike(connection: duckdb.DuckDBPyConnection, names: Sequence[str], columns: Columns) -> pa.Table | None:
    """Read files of one version; None where the first is of another."""
    # Without `union_by_name` each file is opened once and not twice; where one lacks a column the engine complains,
    # but values are cast to the types of the first file: these must be right.
    files = "read_parquet($1, hive_partitioning = true, filename = true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {files}", [list(names[:1])]).fetchall()  # noqa: S608
    if not set(columns) <= {(name, kind) for name, kind, *_ in described}:
        return None
    wanted = ", ".join(f'"{name}"' for name, _ in columns)
    found = connection.sql(f"SELECT {wanted}, filename FROM {files} LIMIT {len(names) + 1}", params=[list(names)])  # noqa: S608
    return found.to_arrow_table()


def _read_united(connection: duckdb.DuckDBPyConnection, names: Sequence[str], columns: Columns) -> pa.Table:
    """Read files of any version, which opens each twice: what one of them lacks is NULL."""
    empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns)
    wanted = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in columns)
    files = "read_parquet($1, union_by_name = true, hive_partitioning = true, filename = true)"
    return connection.sql(
        f"SELECT {wanted}, filename FROM (SELECT {empty} WHERE FALSE UNION ALL BY NAME SELECT * FROM {files})"  # noqa: S608
        f" LIMIT {len(names) + 1}",
        params=[list(names)],
    ).to_arrow_table()
