"""The files of a table: which of them are ours, and what is wrong with the others; knows nothing of SQL."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from capture.plain_text import is_utf8
from capture.recording.file_problem import brief
from capture.recording.listing import Listing, TableFiles
from capture.recording.manifest import last_session, may_hold
from capture.recording.root import Root

_TAIL = struct.Struct("<I4s")
"""Of a Parquet file: the length of the footer before it, and the mark that begins the file too."""
Shape = Literal["empty", "committed", "shared"]
"""No files; every row is committed; some files may hold rows that nobody committed."""


def shape_of(names: Collection[str], unsure: Collection[str]) -> Shape:
    """Tell whether every row in these files is committed, or some of them are `unsure` to hold such rows only.

    To check every row costs a third of a query; own files of uncommitted sessions are not even listed, and the
    manifest that names a compacted file is its commit.
    """
    if not names:
        return "empty"
    return "committed" if set(unsure).isdisjoint(names) else "shared"


def readable_names(files: TableFiles, committed: Collection[str], unreadable: Collection[Path]) -> list[str]:
    """List the files that a query reads: no own file of a session that has no sessions row."""
    own = [path for path in files.own if path.stem in committed]
    return sorted(str(path) for path in (*own, *files.compacted, *files.foreign) if path not in unreadable)


def nameless_files(files: TableFiles) -> list[Path]:
    """List the files whose paths are no text: some releases of the engine refuse all that are asked for with them."""
    return [path for path in (*files.own, *files.compacted, *files.foreign) if not is_utf8(str(path))]


def only_holding(listing: Listing, session_ids: Collection[str]) -> Listing:
    """Leave of a listing the files that may hold these sessions."""
    wanted = frozenset(session_ids)
    tables = {
        table: TableFiles(
            [path for path in files.own if path.stem in wanted],
            [path for path in files.compacted if any(may_hold(path.name, session_id) for session_id in wanted)],
            files.foreign,
        )
        for table, files in listing.tables.items()
    }
    return replace(listing, tables=tables)


def look_whole(files: TableFiles) -> bool:
    """Tell whether each file ends as Parquet does, which a torn, empty or overwritten one does not.

    A hundredth of what it takes to open them.
    """
    return all(_ends_well(path) for path in (*files.own, *files.compacted, *files.foreign))


def _ends_well(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL.size, 0))
            footer_bytes, magic = _TAIL.unpack(file.read())
    except (OSError, struct.error):
        return False
    return bool(magic == b"PAR1" and 0 < footer_bytes <= size - _TAIL.size - 4)


def newest_files(files: TableFiles, count: int) -> tuple[list[Path], str] | None:
    """Choose files that hold the newest sessions, `count` or somewhat fewer, and the id that these are all above.

    None where that is all files, or where nobody knows which sessions a file holds. Newest by their ids, which
    imported sessions have from the time of the import.
    """
    if files.foreign:
        return None
    last_ids = [(path.stem, path) for path in files.own]
    last_ids += [(last_session(path.name), path) for path in files.compacted]
    chosen: list[Path] = []
    above, sessions = "", 0
    for last_id, path in sorted(last_ids, reverse=True):
        if sessions >= count:
            return chosen, max(above, last_id)
        chosen.append(path)
        found, below = _newest_rows(path, count - sessions) if path in files.compacted else (1, "")
        sessions, above = sessions + found, max(above, below)
    return (chosen, above) if above else None


def _newest_rows(path: Path, count: int) -> tuple[int, str]:
    """Count the sessions in the last row groups of a file that hold so many, and give the last id before these."""
    sessions = 0
    try:
        footer = pq.read_metadata(path)
        for number in reversed(range(footer.num_row_groups)):
            group = footer.row_group(number)
            bounds = group.column(footer.schema.names.index("session_id")).statistics
            if sessions >= count and bounds is not None:
                return sessions, str(bounds.max)
            sessions += group.num_rows
    except (pa.ArrowException, OSError, ValueError):
        return 0, ""
    return sessions, ""


def names_holding(
    root: Root, table: str, session_ids: Iterable[str], own: Collection[str], shared: Collection[str]
) -> list[str]:
    """Choose the files in which these sessions may lie: their `own`, else those of many sessions."""
    wanted: set[str] = set()
    for session_id in session_ids:
        name = str(root.table_file(table, session_id))
        wanted |= {name} if name in own else {each for each in shared if may_hold(Path(each).name, session_id)}
    return sorted(wanted)


def file_problem(path: Path, schema: pa.Schema) -> str | None:
    """Tell by its footer why a file is none of a table; None where it looks right."""
    try:
        found = pq.read_schema(path)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as error:
        return f"no readable Parquet file: {brief(error)}"
    if "session_id" not in found.names:
        return "it has no session_id: no file of this table"
    for column in schema:
        if column.name in found.names and not _fits(found.field(column.name).type, column.type):
            return f"its column {column.name} is {found.field(column.name).type}, not {column.type}"
    return None


def page_problem(path: Path) -> str | None:
    """Tell by reading all of a file why it cannot be read; None where it can, or where it is gone."""
    try:
        for _ in pq.ParquetFile(path).iter_batches():
            pass
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"a page of it does not read: {brief(error)}"
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
