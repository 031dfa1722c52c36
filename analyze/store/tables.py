"""The tables of a root over one connection: from which files each is read, and which files are left out.

Sessions are few and small: they are loaded into memory, so that lists and matrices never touch the disk. The other
tables are views over files that a variable names, so that a query can be narrowed to the files of one session.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from analyze.store.small_files import read_small_files
from analyze.store.table_files import (
    Shape,
    file_problem,
    nameless_files,
    names_holding,
    newest_files,
    page_problem,
    readable_names,
    shape_of,
)
from capture.errors import OutOfFiles, UsageProblem
from capture.recording.file_problem import NAME_IS_NO_TEXT, brief
from capture.recording.listing import Listing
from capture.recording.manifest import place_of
from capture.recording.root import Root
from capture.recording.schema import TABLES

FILE_ERRORS = (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException, duckdb.BinderException)
"""What the engine raises where a file is damaged, gone, or none of its table."""

_LARGE = tuple(table for table in TABLES if table != "sessions")
"""Tables that stay in their files."""
_OWN_AT_ONCE = 500
_NO_EVENTS = "it is missing, and its session has messages: was all of the root copied?"
_TOLD_TIMES = ("1000-01-01 00:00:00+00", "9000-01-01 00:00:00+00")
"""Times that Python and calendars can tell, and add years to; what else stands in a file is no time of a session."""
_PARQUET_OPTIONS = "union_by_name = true, hive_partitioning = true, filename = true"


class StoredTables:
    """Defines `_sessions` in memory, and `_stored_TABLE` and `_TABLE` over the files of each of the others."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, root: Root, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self.unreadable: dict[Path, str] = {}
        """Files that are left out, and why; the rest of the root works without them."""
        self._connection = connection
        self._root = root
        self._is_over = is_over
        self._files: dict[str, list[str]] = {table: [] for table in TABLES}
        self._asked: dict[str, list[str]] = {table: [] for table in TABLES}
        """Those of them that the question at hand is put to."""
        self._shared: dict[str, frozenset[str]] = dict.fromkeys(TABLES, frozenset())
        """Those of them that hold several sessions."""
        self._unsure: dict[str, frozenset[str]] = dict.fromkeys(TABLES, frozenset())
        """Those of them that may hold rows which nobody committed."""
        self._shapes: dict[str, Shape] = {}
        self._is_partial = False
        self._columns: dict[str, list[tuple[str, str]]] = {}

    def define(self) -> None:
        """Define all tables, without a row."""
        for table, schema in TABLES.items():
            self._connection.register("_columns", schema.empty_table())
            self._connection.execute(
                f"CREATE TABLE _no_{table} AS SELECT *, NULL::DATE AS date, NULL::VARCHAR AS filename FROM _columns"  # noqa: S608 - our own table names
            )
            self._connection.unregister("_columns")
            described = self._connection.execute(f"DESCRIBE _no_{table}").fetchall()
            self._columns[table] = [(name, kind) for name, kind, *_ in described if name != "filename"]
        self._connection.execute("CREATE TABLE _sessions AS SELECT * FROM _no_sessions")
        # Views are bound when they are made, which costs less over empty tables than over files.
        for table in _LARGE:
            self._use_files(table, [])

    def take_newest(self, listing: Listing, count: int) -> str | None:
        """Hold the newest sessions only, and no other table; None where that is no less than all of them.

        Gives an id that no other session's is above.
        """
        sessions = listing.tables["sessions"]
        newest = newest_files(sessions, count)
        if newest is None:
            return None
        chosen, above = newest
        self._load_sessions(sorted(map(str, chosen)), above=above)
        self._is_partial = True
        return above

    def take_in(self, listing: Listing) -> None:
        """Read from the files of this listing from here on; raises one of `FILE_ERRORS` where one has vanished."""
        for files in listing.tables.values():
            self.unreadable |= dict.fromkeys(nameless_files(files), NAME_IS_NO_TEXT)
        sessions = listing.tables["sessions"]
        if self._is_partial:
            self._refresh_sessions([])
            self._is_partial = False
        every = {path.stem for path in sessions.own}
        self._refresh_sessions(readable_names(sessions, every, self.unreadable))
        self._miss_events(listing)
        known = self._committed(listing)
        is_sure = self.unreadable.keys().isdisjoint({*sessions.compacted, *listing.missing})
        for table in _LARGE:
            files = listing.tables[table]
            compacted, foreign = (frozenset(map(str, paths)) for paths in (files.compacted, files.foreign))
            self._shared[table] = compacted | foreign
            # Of a session whose row cannot be read nothing is shown.
            self._unsure[table] = foreign if is_sure else foreign | compacted
            self._use_files(table, readable_names(files, known, self.unreadable))

    def _miss_events(self, listing: Listing) -> None:
        """Name the events of sessions that have some by their rows, and no file of them: a root was partly copied."""
        for path in [path for path, reason in self.unreadable.items() if reason == _NO_EVENTS]:
            del self.unreadable[path]
        files = listing.tables["events"]
        has_events = {path.stem for path in (*files.own, *listing.irregular)}
        without = [path for path in listing.tables["sessions"].own if path.stem not in has_events]
        # Any session's events may lie in files of others.
        if not without or files.foreign:
            return
        rows = self._connection.execute(
            "SELECT filename FROM _sessions WHERE events_sent + events_received > 0 AND filename IN (SELECT UNNEST(?))",
            [[str(path) for path in without]],
        ).fetchall()
        root = Root(self._root.path.resolve())
        named = (root.table_file("events", Path(name).stem) for (name,) in rows)
        self.unreadable |= dict.fromkeys(sorted(named), _NO_EVENTS)

    def _committed(self, listing: Listing) -> set[str]:
        """Give the sessions that own files are asked about; of 100,000 compacted ones nobody asks."""
        own = sorted({path.stem for table in _LARGE for path in listing.tables[table].own})
        if not own:
            return set()
        rows = self._connection.execute(
            "SELECT session_id FROM _sessions WHERE session_id IN (SELECT UNNEST(?))", [own]
        ).fetchall()
        return {row[0] for row in rows}

    def choose_files(self, session_ids: Sequence[str]) -> None:
        """Read the large tables from the files that may hold these sessions; from all where none is named."""
        for table in _LARGE:
            names = self._files[table]
            if names:
                chosen = self._files_of(table, session_ids) if session_ids else names
                # A table function wants a file, even where none of them holds the session.
                self.ask(table, chosen or names[:1])

    def pieces(self, table: str) -> list[list[str]]:
        """Cut the files of a large table into pieces that hold sessions whole and may be asked one after the other.

        The engine holds 60 kB for each file that a question is put to, as long as the answer takes.
        """
        names, shared = self._files[table], self._shared[table]
        if any(place_of(Path(name).name) == "foreign" for name in shared):
            # Others may have cut a session in two.
            return [names]
        own = [name for name in names if name not in shared]
        pieces = [[name for name in names if name in shared], *_grouped(own)]
        return [piece for piece in pieces if piece] or [[]]

    def ask(self, table: str, names: Sequence[str]) -> None:
        """Put questions to these files of a large table, until files are chosen anew."""
        self._asked[table] = list(names)
        self._connection.execute(f"SET VARIABLE {table}_files = ?", [self._asked[table]])

    @contextmanager
    def one_file_of(self, table: str) -> Iterator[None]:
        """Read a large table from one of its files only, which is enough to know the columns."""
        self._connection.execute(f"SET VARIABLE {table}_files = ?", [self._asked[table][:1]])
        try:
            yield
        finally:
            # By now they may be others.
            self._connection.execute(f"SET VARIABLE {table}_files = ?", [self._asked[table]])

    def has_vanished_files(self) -> bool:
        """Tell whether a file of a large table is gone since it was listed."""
        return any(not Path(name).exists() for table in _LARGE for name in self._files[table])

    def set_aside_damaged(self, error: duckdb.Error) -> bool:
        """Find the files of large tables that made a query fail, and leave them out; False where there are none."""
        if self._set_aside({table: self._files[table] for table in _LARGE}, error):
            return True
        # A page that does not read is told of without a name: then each file that was asked is read by itself.
        found = self._damaged_within() if is_nameless(error) else {}
        self.unreadable |= found
        return bool(found)

    def _damaged_within(self) -> dict[Path, str]:
        asked = sorted({Path(name) for table in _LARGE for name in self._asked[table]})
        return {path: reason for path in asked if (reason := page_problem(path))}

    def _refresh_sessions(self, names: list[str]) -> None:
        loaded = set(self._files["sessions"])
        gone = loaded - set(names)
        if gone:
            self._connection.execute("DELETE FROM _sessions WHERE list_contains(?, filename)", [sorted(gone)])
        self._files["sessions"] = sorted(loaded - gone)
        fresh = [name for name in names if name not in loaded]
        # Not all at once: the engine would hold several times of what the table comes to.
        for few in _batches(fresh):
            self.check_wanted()
            self._load_sessions(few)

    def check_wanted(self) -> None:
        """Raise `UsageProblem` where nobody waits for what is read any more."""
        if self._is_over():
            raise UsageProblem("broken off: not all of the root was read")

    def _load_sessions(self, fresh: list[str], *, above: str | None = None) -> None:
        """Hold the sessions of files, those with ids above one where it is given."""
        if not fresh:
            return
        condition, params = ("TRUE", []) if above is None else ("session_id > ?", [above])
        columns = ", ".join([*(_told(name, kind) for name, kind in self._columns["sessions"]), "filename"])
        if self._insert_small(fresh, columns, condition, params):
            return
        try:
            self._connection.execute(
                f"INSERT INTO _sessions SELECT {columns} FROM (SELECT * FROM _no_sessions WHERE FALSE UNION ALL BY NAME"  # noqa: S608 - names of our own schema
                f" SELECT * FROM read_parquet(?, {_PARQUET_OPTIONS})) WHERE {condition}",
                [fresh, *params],
            )
        except duckdb.OutOfMemoryException as error:
            if len(fresh) == 1:
                self.unreadable[Path(fresh[0])] = f"it unpacks to more than memory holds: {brief(error)}"
            else:
                for name in fresh:
                    self._load_sessions([name], above=above)
            return
        except duckdb.Error as error:
            if not self._set_aside({"sessions": fresh}, error):
                raise
            self._load_sessions([name for name in fresh if Path(name) not in self.unreadable], above=above)
            return
        self._files["sessions"] += fresh
        self._drop_foreign_sessions()

    def _insert_small(self, fresh: list[str], columns: str, condition: str, params: list[str]) -> bool:
        """Hold the sessions of files of one session each; False where they have to be read one by one."""
        is_small = all(place_of(Path(name).name) == "own" for name in fresh)
        rows = read_small_files(fresh, self._columns["sessions"]) if is_small else None
        if rows is None:
            return False
        self._connection.register("_fresh", rows)
        try:
            self._connection.execute(
                f"INSERT INTO _sessions SELECT {columns} FROM _fresh WHERE {condition}",  # noqa: S608 - words of ours
                params,
            )
        finally:
            self._connection.unregister("_fresh")
        self._files["sessions"] += fresh
        self._drop_foreign_sessions()
        return True

    def _drop_foreign_sessions(self) -> None:
        strangers = self._connection.execute(
            "DELETE FROM _sessions WHERE session_id IS NULL RETURNING filename"
        ).fetchall()
        for (name,) in strangers:
            self.unreadable[Path(name)] = "it has no session_id: no file of this table"

    def _use_files(self, table: str, names: list[str]) -> None:
        """Read a table from these files from here on."""
        shape = shape_of(names, self._unsure[table])
        if shape != self._shapes.get(table):
            try:
                self._define_large(table, names, shape)
            except FILE_ERRORS as error:
                if not self._set_aside({table: names[:1]}, error):
                    raise
                self._use_files(table, names[1:])
                return
        self._files[table], self._asked[table], self._shapes[table] = names, names, shape
        self._connection.execute(f"SET VARIABLE {table}_files = ?", [names])

    def _define_large(self, table: str, names: Sequence[str], shape: Shape) -> None:
        """Define `_TABLE` over files of which each query asks a variable, or over none.

        Rows of a session without a sessions row are left out: it was never committed.
        """
        source, known = f"_no_{table}", ""
        if shape != "empty":
            # To bind a view opens every file it is over: one is enough to know the columns.
            self._connection.execute(f"SET VARIABLE {table}_files = ?", [names[:1]])
            files = f"read_parquet(getvariable('{table}_files'), {_PARQUET_OPTIONS})"
            source = f"(SELECT * FROM {source} WHERE FALSE UNION ALL BY NAME SELECT * FROM {files})"  # noqa: S608 - our own names
        if shape == "shared":
            known = "WHERE session_id IN (SELECT session_id FROM _sessions)"
        columns = ", ".join(_told(name, kind) for name, kind in self._columns[table])
        self._connection.execute(f"CREATE OR REPLACE VIEW _stored_{table} AS SELECT {columns} FROM {source} {known}")  # noqa: S608
        self._connection.execute(f"CREATE OR REPLACE VIEW _{table} AS SELECT * FROM _stored_{table}")  # noqa: S608

    def _files_of(self, table: str, session_ids: Sequence[str]) -> list[str]:
        root, names = Root(self._root.path.resolve()), set(self._files[table])
        return names_holding(root, table, session_ids, names, self._shared[table] & names)

    def _set_aside(self, suspected: Mapping[str, Iterable[str]], error: duckdb.Error) -> bool:
        if os.strerror(errno.EMFILE) in str(error):
            raise OutOfFiles from error
        suspects = [(Path(name), TABLES[table]) for table, names in suspected.items() for name in names]
        found = {path: reason for path, schema in suspects if (reason := file_problem(path, schema))}
        if not found:
            # The footers are sound: then what the engine complains of is inside the file it names. Without that
            # check first it may name a good file that does not go together with a bad one.
            words = str(error)
            found = {path: brief(error) for path, _ in suspects if path.exists() and str(path) in words}
        self.unreadable |= found
        return bool(found)


def is_nameless(error: duckdb.Error) -> bool:
    """Tell whether the engine came upon a page that does not read: it has no class and no file's name for that."""
    return type(error) is duckdb.Error


def _told(name: str, kind: str) -> str:
    """Write a column as it is read: with the type of the format, and NULL in place of what no measure can be."""
    # `at` is a word of the grammar.
    value = f'CAST("{name}" AS {kind})'
    if kind.startswith("TIMESTAMP"):
        first, last = (f"{kind} '{time}'" for time in _TOLD_TIMES)
        value = f"CASE WHEN {value} BETWEEN {first} AND {last} THEN {value} END"
    elif kind == "DOUBLE":
        value = f"CASE WHEN ISFINITE({value}) THEN {value} END"
    elif kind == "VARCHAR[]":
        value = f"LIST_FILTER({value}, LAMBDA word: word IS NOT NULL)"
    return f'{value} AS "{name}"'


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    """Give each file of many sessions alone, and those of one session by the hundred."""
    own: list[str] = []
    for name in names:
        if place_of(Path(name).name) == "own":
            own.append(name)
        else:
            yield [name]
    yield from _grouped(own)


def _grouped(own: Sequence[str]) -> Iterator[list[str]]:
    return (list(own[at : at + _OWN_AT_ONCE]) for at in range(0, len(own), _OWN_AT_ONCE))
