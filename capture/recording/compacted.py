"""Write and read files that hold many sessions: ordered by session_id, a session never cut in two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capture.private_files import create_private, put_in_place
from capture.recording.file_problem import UNREADABLE, FileProblem, brief
from capture.recording.manifest import compacted_name
from capture.recording.schema import SESSIONS
from capture.recording.writer import tuning
from capture.regular_files import check_regular

TEMPORARY = ".compacted-*.parquet.tmp"
"""Glob of files in the making; what a crash leaves of them is nobody's."""
FILE_BYTES = 256 << 20
# A question about one session decodes whole row groups: larger ones pack no better and answer more slowly.
_GROUP_ROWS = 16_384
_GROUP_BYTES = 8 << 20
_GROUP_SESSIONS = 256


class SourceUnusable(FileProblem):
    """A file cannot be compacted; it is to be left as it is."""


class CompactedWriter:
    """Writes the rows of many sessions into few files of one folder.

    As a context manager it removes what it wrote where an exception ends it.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, file_bytes: int = FILE_BYTES) -> None:
        self._folder = folder
        self._schema = schema
        self._file_bytes = file_bytes
        self._file: _OpenFile | None = None
        self._finished: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.abandon()
        if error is not None:
            for path in self._finished:
                path.unlink(missing_ok=True)

    def add(self, session_id: str, rows: pa.Table) -> None:
        """Take in rows of a session, behind those of sessions with smaller ids."""
        if self._file is not None and self._file.last_id != session_id and self._file.size >= self._file_bytes:
            self._finish_file()
        if self._file is None:
            self._file = _OpenFile(self._folder, self._schema, session_id)
        self._file.add(session_id, rows)

    def finish(self) -> list[Path]:
        """Give the files, which are on disk under their names."""
        self._finish_file()
        return self._finished

    def _finish_file(self) -> None:
        if self._file is not None:
            self._finished.append(self._file.finish())
            self._file = None


class _OpenFile:
    """One file in the making."""

    def __init__(self, folder: Path, schema: pa.Schema, first_id: str) -> None:
        self.last_id = first_id
        self._first_id = first_id
        self._folder = folder
        self._schema = schema
        self._group_rows = _GROUP_SESSIONS if schema is SESSIONS else _GROUP_ROWS
        self._waiting: list[pa.Table] = []
        self._waiting_rows = self._waiting_bytes = self._rows = 0
        # As with sealing, neither `*.parquet` nor Spark take up a file that is not finished.
        self._temporary = folder / f".{compacted_name(first_id, first_id)}.tmp"
        self._file = create_private(self._temporary)
        self._parquet = pq.ParquetWriter(self._file, schema, compression="zstd", **tuning(schema, is_shared=True))

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def add(self, session_id: str, rows: pa.Table) -> None:
        self.last_id = session_id
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_rows >= self._group_rows or self._waiting_bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> Path:
        self._flush()
        self._parquet.close()
        self._file.flush()
        stored = pq.read_metadata(self._temporary).num_rows
        if stored != self._rows:
            raise OSError(f"{self._temporary} holds {stored} rows and not {self._rows}")
        path = self._folder / compacted_name(self._first_id, self.last_id)
        put_in_place(self._file, self._temporary, path)
        return path

    def abandon(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._parquet.close()
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._waiting_rows:
            self._parquet.write_table(pa.concat_tables(self._waiting), row_group_size=self._waiting_rows)
        self._rows += self._waiting_rows
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0


def check_source(path: Path, schema: pa.Schema) -> None:
    """Check by its footer that a file can be compacted; raises `SourceUnusable`, and `FileNotFoundError`."""
    try:
        check_regular(path)
        # `read_schema` looks for a package of other filesystems first, anew for each file.
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise SourceUnusable(path, brief(error)) from error
    known = frozenset(schema.names)
    unknown = [name for name in names if name not in known]
    if unknown:
        # To drop a column that a newer Wiretape wrote would be a loss.
        raise SourceUnusable(path, f"it has a column {unknown[0]}, which this version does not know")


def own_rows(path: Path, schema: pa.Schema, session_id: str) -> Iterator[pa.Table]:
    """Give the rows of a session's own file, one row group in memory at a time; raises `SourceUnusable`."""
    for rows in _groups(path, schema):
        bounds = pc.min_max(rows.column("session_id")).as_py()
        if len(rows) and bounds != {"min": session_id, "max": session_id}:
            raise SourceUnusable(path, "it holds rows of another session")
        yield rows


def shared_rows(path: Path, schema: pa.Schema) -> Iterator[tuple[str, pa.Table]]:
    """Give the rows of a compacted file by session, one row group in memory at a time; raises `SourceUnusable`."""
    for rows in _groups(path, schema):
        runs = pc.run_end_encode(rows.column("session_id").combine_chunks())
        start = 0
        for session_id, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            yield session_id, rows.slice(start, end - start)
            start = end


def sessions_in(path: Path) -> set[str]:
    """Give the sessions of a compacted file; raises `SourceUnusable`."""
    try:
        column = pq.read_table(path, columns=["session_id"], partitioning=None).column("session_id")
        return set(pc.unique(column).to_pylist())
    except UNREADABLE as error:
        raise SourceUnusable(path, brief(error)) from error


def _groups(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    try:
        check_regular(path)
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                # To share out seventy columns of a few rows among threads takes longer than to read them.
                yield _unified(file.read_row_group(number, use_threads=False), schema)
    except UNREADABLE as error:
        raise SourceUnusable(path, brief(error)) from error


def _unified(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    if rows.schema.equals(schema):
        return rows
    # Files of an older tool lack columns that were added since.
    for column in schema:
        if column.name not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(len(rows), column.type))
    return cast("pa.Table", rows.select(schema.names).cast(schema))
