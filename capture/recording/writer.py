"""Write one session's rows to Parquet, and commit them.

Rows stream to temporary files by row group; a commit renames them, the sessions row last. A session without a
sessions row does not exist for readers, so a crash at any point leaves either the whole recording or none; what
is left over is overwritten when the session is sealed again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from capture.private_files import create_private, make_private_folder, put_in_place
from capture.recording.root import Root
from capture.recording.schema import SESSIONS, TABLES

Row = Mapping[str, Any]

_GROUP_ROWS = 8192
_GROUP_BYTES = 8 << 20
_HEAVY_COLUMNS = {"payload", "payload_bytes", "data"}
# Nothing repeats in these, so a dictionary would only be built and thrown away.
_UNIQUE_COLUMNS = _HEAVY_COLUMNS | {"event_id", "seq", "offset_ns", "at", "audio_start"}
# The sessions row is the commit: readers pass over everything that has none.
_COMMIT_ORDER = ("audio", "events", "divergences", "rewrites", "sessions")


class SessionWriter:
    """Takes the rows of one session and commits them, or abandons them.

    As a context manager it abandons what was not committed.
    """

    def __init__(self, root: Root, session_id: str, *, is_alone: bool = False) -> None:
        """Take the session; `is_alone` where a lock keeps all others from it: then what a crash left is overwritten."""
        self._root = root
        self._is_alone = is_alone
        self._session_id = session_id
        self._tables: dict[str, _TableWriter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def add(self, table: str, row: Row) -> None:
        """Take in a row of a table, without its session_id; events come ordered by seq, blocks by number."""
        (self._tables.get(table) or self._table(table)).add(row)

    def commit(self, session_row: Row) -> None:
        """Make the recording visible: audio, events, divergences and rewrites, and then the sessions row.

        Failing, it leaves none of them.
        """
        # A session without a single message still has an events file: readers need not ask why it is missing.
        self._table("events")
        self.add("sessions", session_row)
        tables = [self._tables[name] for name in _COMMIT_ORDER if name in self._tables]
        # What does not fit its column, or the disk, shows here: before the first file has its name.
        for table in tables:
            table.finish()
        begun: list[_TableWriter] = []
        try:
            for table in tables:
                begun.append(table)
                table.commit()
        except BaseException:
            # The sessions row first: what it stands for is no longer whole.
            for table in reversed(begun):
                table.withdraw()
            raise
        self._tables.clear()

    def abandon(self) -> None:
        """Drop what was not committed."""
        while self._tables:
            self._tables.popitem()[1].abandon()

    def _table(self, name: str) -> _TableWriter:
        if name not in self._tables:
            path = self._root.table_file(name, self._session_id)
            self._tables[name] = _TableWriter(path, TABLES[name], self._session_id, is_alone=self._is_alone)
        return self._tables[name]


class _TableWriter:
    """One Parquet file in the making."""

    def __init__(self, path: Path, schema: pa.Schema, session_id: str, *, is_alone: bool) -> None:
        self._path = path
        # Its name ends otherwise, and begins with a dot: neither `*.parquet` nor Spark or pyarrow take it up.
        # Should two write the same session, each writes its own.
        own = "" if is_alone else f".{secrets.token_hex(4)}"
        self._temporary = path.with_name(f".{path.name}{own}.tmp")
        self._schema = schema
        self._row_type = pa.struct(list(schema))
        self._session_id = session_id
        self._heavy = [name for name in schema.names if name in _HEAVY_COLUMNS]
        self._rows: list[Row] = []
        self._bytes = 0
        make_private_folder(path.parent)
        self._file = create_private(self._temporary)
        self._parquet = pq.ParquetWriter(self._file, schema, compression="zstd", **tuning(schema))

    def add(self, row: Row) -> None:
        self._rows.append(row)
        for name in self._heavy:
            if heavy := row.get(name):
                self._bytes += len(heavy)
        if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._parquet.close()

    def commit(self) -> None:
        put_in_place(self._file, self._temporary, self._path)

    def withdraw(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def abandon(self) -> None:
        # On a full disk closing fails too, for what is still buffered: the file must go all the same.
        with suppress(OSError, pa.ArrowException):
            self._parquet.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._rows:
            return
        # All at once: rows turned into columns by Python cost more than everything else done here.
        columns = pa.array(self._rows, self._row_type).flatten()
        place = self._schema.get_field_index("session_id")
        columns[place] = pa.repeat(self._session_id, len(self._rows))
        self._parquet.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows.clear()
        self._bytes = 0


def tuning(schema: pa.Schema, *, is_shared: bool = False) -> dict[str, Any]:
    """Give the options of pyarrow's writer for a table; `is_shared` where the file holds many sessions."""
    if schema is SESSIONS and not is_shared:
        # One row of seventy columns: bounds, dictionaries and a second copy of the schema would be most of the
        # file, and lists read thousands of such files.
        return {"use_dictionary": False, "write_statistics": False, "store_schema": False}
    # Readers prune sessions by their id alone; bounds of seventy columns would be most of the footer.
    bounded = ["session_id"] if schema is SESSIONS else schema.names
    return {
        "use_dictionary": [name for name in schema.names if name not in _UNIQUE_COLUMNS],
        # Nobody prunes on payloads, and bounds of them would repeat whole messages in the footer.
        "write_statistics": [name for name in bounded if name not in _HEAVY_COLUMNS],
    }
