"""Read one session's rows out of the tables of a root; files that are none of ours are passed over."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capture.recording.file_problem import UNREADABLE, FileProblem, brief
from capture.recording.listing import list_files
from capture.recording.manifest import may_hold, place_of, read_manifest
from capture.recording.root import Root, date_of
from capture.recording.schema import TABLES, TURN_LATENCIES
from capture.regular_files import check_regular, regular_files

Row = dict[str, Any]

_log = logging.getLogger(__name__)


class TableDamaged(FileProblem):
    """A session's own file cannot be read."""


class Vanished(Exception):
    """A file was there when it was listed, and is not when it is opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


class RowGroup:
    """Rows that lie together in a file, column by column."""

    def __init__(self, path: Path, table: pa.Table) -> None:
        self._path = path
        self._table = table
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def names(self) -> list[str]:
        """The columns, in the order of the file."""
        return cast("list[str]", self._table.column_names)

    def column(self, name: str) -> list[Any]:
        """Give a column's values, made when they are first asked for.

        Raises `TableDamaged`, and `KeyError` where there is no such column.
        """
        if name not in self._columns:
            stored = self._table.column(name)
            try:
                self._columns[name] = _values(stored)
            except UNREADABLE as error:
                raise TableDamaged(self._path, brief(error)) from error
        return self._columns[name]

    def rows(self) -> Iterator[Row]:
        """Give the rows, each with all its columns."""
        names = self.names
        return (dict(zip(names, row, strict=True)) for row in zip(*map(self.column, names), strict=True))


class RowView(Mapping[str, Any]):
    """One row of a group: costs next to nothing until a column is asked for."""

    __slots__ = ("_group", "_index")

    def __init__(self, group: RowGroup, index: int) -> None:
        self._group = group
        self._index = index

    def __getitem__(self, name: str) -> Any:
        return self._group.column(name)[self._index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._group.names)

    def __len__(self) -> int:
        return len(self._group.names)


def read_groups(root: Root, table: str, session_id: str, **only: str) -> Iterator[RowGroup]:
    """Give a session's rows of one table in the order of the file, one row group in memory at a time.

    They come from the session's own file, from the compacted files of its day, or from files of others that hold
    several sessions. `only` are values that further columns must have. Raises `TableDamaged`.
    """
    missing: Path | None = None
    while True:
        try:
            yield from _groups_now(root, table, session_id, **only)
        except Vanished as gone:
            # Compaction deleted it between listing and opening, and none of its rows was given: look again.
            if gone.path == missing:
                raise TableDamaged(gone.path, "it is missing, and a manifest names it") from gone
            missing = gone.path
        else:
            return


def _groups_now(root: Root, table: str, session_id: str, **only: str) -> Iterator[RowGroup]:
    if place_of(f"{session_id}.parquet") != "own":
        # An id that we would not give, and may be no file's name: it stands in files of others, of any date.
        for path in list_files(root, [table]).tables[table].foreign:
            yield from _groups_in_any(path, table, session_id=session_id, **only)
        return
    own = root.table_file(table, session_id)
    # Before the manifest: a session whose own file is gone stands in the manifest by then.
    if own.exists():
        yield from _groups_in(own, table, session_id=session_id, **only)
        return
    manifest = read_manifest(root, date_of(session_id))
    if manifest is not None and session_id in manifest.session_ids:
        yield from _groups_of_one(
            [root.path / name for name in manifest.tables.get(table, ()) if may_hold(Path(name).name, session_id)],
            table,
            session_id=session_id,
            **only,
        )
        return
    for path in regular_files(own.parent, ".parquet"):
        if place_of(path.name) == "foreign" or (manifest is None and place_of(path.name) == "compacted"):
            yield from _groups_in_any(path, table, session_id=session_id, **only)


def _groups_of_one(paths: list[Path], table: str, **only: str) -> Iterator[RowGroup]:
    """Give the rows of the one compacted file that holds the session: it is never cut in two."""
    for path in paths:
        is_here = False
        for group in _groups_in(path, table, **only):
            yield group
            is_here = True
        if is_here:
            return


def _groups_in_any(path: Path, table: str, **only: str) -> Iterator[RowGroup]:
    try:
        yield from _groups_in(path, table, **only)
    except TableDamaged as damage:
        # Another session's file, or nobody's: it must not take this one down.
        _log.warning("%s is passed over: %s", path, damage.reason)
    except Vanished:
        return


def read_rows(root: Root, table: str, session_id: str, **only: str) -> Iterator[Row]:
    """Give the rows of `read_groups` one by one."""
    for group in read_groups(root, table, session_id, **only):
        yield from group.rows()


def list_ids(root: Root) -> set[str]:
    """Give the ids of all sessions of a root."""
    listing = list_files(root, ["sessions"])
    files = listing.tables["sessions"]
    # Ten thousand files are listed in the time it takes to open a few: names and manifests tell.
    ids = set(listing.session_ids) | {path.stem for path in files.own}
    for path in files.foreign:
        ids.update(_ids_in(path))
    return ids


def _ids_in(path: Path) -> list[str]:
    try:
        column = pq.read_table(path, columns=["session_id"], partitioning=None).column("session_id")
        return [session_id for session_id in pc.unique(column).to_pylist() if isinstance(session_id, str)]
    except UNREADABLE as error:
        _log.warning("%s is passed over: it is no sessions table (%s)", path, brief(error))
        return []


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file of a table; what goes wrong in the block is `Vanished`, or `TableDamaged`."""
    try:
        check_regular(path)
        with pq.ParquetFile(path) as file:
            if not pa.types.is_string(file.schema_arrow.field("session_id").type):
                raise TypeError("its session_id is no text")
            yield file
    except FileNotFoundError as error:
        raise Vanished(path) from error
    except UNREADABLE as error:
        raise TableDamaged(path, brief(error)) from error


def _groups_in(path: Path, table: str, **only: str) -> Iterator[RowGroup]:
    with opened(path) as file:
        for number in range(file.num_row_groups):
            bounds = {name: _bounds(file.metadata.row_group(number), name) for name in only}
            if not all(_may_hold(bounds[name], value) for name, value in only.items()):
                continue
            group = file.read_row_group(number)
            for name, value in only.items():
                # Filtering copies all columns: the rows of a session's own file are its own by their bounds.
                if not _holds_only(bounds[name], value):
                    group = group.filter(pc.equal(group.column(name), value))
            if len(group):
                yield RowGroup(path, with_all_columns(group, TABLES[table]))


def _bounds(group: pq.RowGroupMetaData, name: str) -> pq.Statistics | None:
    columns = (group.column(number) for number in range(group.num_columns))
    found = next((column.statistics for column in columns if column.path_in_schema == name), None)
    return found if found is not None and found.has_min_max else None


def _may_hold(bounds: pq.Statistics | None, value: str) -> bool:
    return bounds is None or bool(bounds.min <= value <= bounds.max)


def _holds_only(bounds: pq.Statistics | None, value: str) -> bool:
    return bounds is not None and bounds.null_count == 0 and bool(bounds.min == value == bounds.max)


def with_all_columns(group: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add the columns of a schema that rows lack: files of an older tool do not have those that came since."""
    for field in schema:
        if field.name not in group.column_names:
            group = group.append_column(field, pa.nulls(len(group), field.type))
    return group


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Give a column's values; ten times as fast as `to_pylist` where numpy has the same ones."""
    kind = column.type
    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return cast("list[Any]", column.to_numpy().tolist())
    if pa.types.is_integer(kind):
        numbers = pc.fill_null(column, 0).to_numpy().tolist()
        if column.null_count:
            return [n if valid else None for n, valid in zip(numbers, column.is_valid().to_numpy(), strict=True)]
        return cast("list[Any]", numbers)
    if pa.types.is_boolean(kind) and not column.null_count:
        return cast("list[Any]", column.to_numpy().tolist())
    if pa.types.is_timestamp(kind):
        instants = column.to_numpy().tolist()
        # An instant that no calendar of Python's tells comes as a number: it is no time of a session.
        return [at.replace(tzinfo=UTC) if isinstance(at, datetime) else None for at in instants]
    stored = cast("list[Any]", column.to_pylist(maps_as_pydicts="lossy"))
    if pa.types.is_list(kind) and kind.value_type != TURN_LATENCIES:
        # Of turns a place in the list means one; elsewhere an element of nothing says nothing.
        return [each and [element for element in each if element is not None] for each in stored]
    return stored
