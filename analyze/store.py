"""Opens a root with DuckDB: Parquet files as tables, and the views of `sql/views/*.sql` over them.

Sessions are few and small: they are loaded into memory when a root is opened, so that lists and matrices never
touch the disk. Events and audio stay in their files; a question about one session reads that session's files only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from analyze.table_files import Shape, file_problem, names_holding, readable_names, shape_of
from capture.errors import UsageProblem
from capture.recording.listing import Listing, list_files
from capture.recording.root import Root
from capture.recording.schema import TABLES

VIEWS = (
    "_json",
    "sessions",
    "events",
    "timeline",
    "audio",
    "items",
    "responses",
    "transcriptions",
    "turns",
    "latencies",
    "errors",
)
"""Files of sql/views, each after those it reads."""

_LARGE = tuple(table for table in TABLES if table != "sessions")
"""Tables that stay in their files."""
_HELD_SESSIONS = 2
_FILE_ERRORS = (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException, duckdb.BinderException)
_Result = TypeVar("_Result")
_Fetched = tuple[tuple[str, ...], list[tuple[Any, ...]]]
_PARQUET_OPTIONS = "union_by_name = true, hive_partitioning = true, filename = true"


@dataclass(frozen=True, slots=True)
class ConsoleResult:
    """What a statement of the SQL console gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
    """There was more than was asked for."""


class Store:
    """An open root; a context manager that closes its connection. Its methods may be called from any thread."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.unreadable: dict[Path, str] = {}
        """Files that are left out, and why; the rest of the root works without them."""
        self.refreshes = 0
        """How often the root was taken in: what was computed over all of it holds while this stays."""
        self._lock = threading.RLock()
        self._files: dict[str, list[str]] = {table: [] for table in TABLES}
        self._shared: dict[str, frozenset[str]] = dict.fromkeys(TABLES, frozenset())
        """Those of them that hold several sessions."""
        self._unsure: dict[str, frozenset[str]] = dict.fromkeys(TABLES, frozenset())
        """Those of them that may hold rows which nobody committed."""
        self._shapes: dict[str, Shape] = {}
        self._columns: dict[str, list[tuple[str, str]]] = {}
        self._scope: tuple[str, ...] | None = ()
        """The sessions that are asked from here on; none: all of them, None: not known."""
        self._near: tuple[str, ...] = ()
        self._connection = duckdb.connect(":memory:")
        try:
            self._define_tables()
            self._load_views()
            self._harden()
            self.refresh()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def rows(self, sql: str, params: Sequence[Any] = (), *, only: Collection[str] = ()) -> list[dict[str, Any]]:
        """Run one of our own queries.

        `only` names the sessions it asks about: no other session's files are opened.
        """
        with self._lock:
            self._narrow(tuple(only))
            columns, rows = self._fetch(sql, params)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def tuples(self, sql: str, params: Sequence[Any] = (), *, only: Collection[str] = ()) -> list[tuple[Any, ...]]:
        """Run one of our own queries that gives many rows; as `rows`, without the names of the columns."""
        with self._lock:
            self._narrow(tuple(only))
            return self._fetch(sql, params)[1]

    def pass_over(self, scripts: Iterable[str], questions: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """Run scripts of ours that gather temporary tables from all sessions, then the named questions to these.

        The tables go with the pass: they may be as large as a tenth of the root.
        """
        with self._lock:
            self._narrow(())
            try:
                for script in scripts:
                    self._execute(script, ())
                return {name: self.rows(sql) for name, sql in questions.items()}
            finally:
                self._drop_temporary()

    def look_at(self, session_ids: Collection[str]) -> None:
        """Prepare for many questions about these one or two sessions."""
        with self._lock:
            self._narrow(tuple(session_ids))

    def console(self, sql: str, *, limit: int | None = None) -> ConsoleResult:
        """Run one SELECT or EXPLAIN that a person typed; `limit` bounds the rows that are fetched.

        Raises `UsageProblem` with the engine's words and the place of the error.
        """
        with self._lock:
            self._narrow(())
            try:
                sql.encode()
                statement = _guard(self._connection, sql)
                columns, rows = self._fetch(statement, (), limit=None if limit is None else limit + 1)
            except UnicodeEncodeError as error:
                raise UsageProblem("this SQL cannot be run: it is no valid UTF-8") from error
            except duckdb.Error as error:
                raise UsageProblem(_sql_problem(error)) from error
        return ConsoleResult(columns, rows[:limit], truncated=limit is not None and len(rows) > limit)

    def refresh(self) -> None:
        """Take in what was recorded or removed since the root was opened."""
        with self._lock:
            while True:
                listing = self._list()
                try:
                    self._take_in(listing)
                except _FILE_ERRORS:
                    # Compacted and deleted since it was listed: its sessions are in another file by now.
                    if not _has_vanished(listing):
                        raise
                else:
                    return

    def _take_in(self, listing: Listing) -> None:
        sessions = listing.tables["sessions"]
        every = {path.stem for path in sessions.own}
        self._refresh_sessions(readable_names(sessions, every, self.unreadable))
        known = {row[0] for row in self._connection.execute("SELECT session_id FROM _sessions").fetchall()}
        is_sure = self.unreadable.keys().isdisjoint({*sessions.compacted, *listing.missing})
        for table in _LARGE:
            files = listing.tables[table]
            compacted, foreign = (frozenset(map(str, paths)) for paths in (files.compacted, files.foreign))
            self._shared[table] = compacted | foreign
            # Of a session whose row cannot be read nothing is shown.
            self._unsure[table] = foreign if is_sure else foreign | compacted
            self._use_files(table, readable_names(files, known, self.unreadable))
        self.refreshes += 1
        # What is held in memory is of before: the next question narrows anew, to whatever it asks.
        self._scope, self._near = None, ()

    def _define_tables(self) -> None:
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

    def _harden(self) -> None:
        """Leave SQL that people type nothing but the tables: no other file, no extension, no setting."""
        folders = ", ".join(_quote(f"{self.root.table(table).resolve()}/") for table in TABLES)
        for statement in (
            "SET TimeZone = 'UTC'",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET python_enable_replacements = false",
            f"SET allowed_directories = [{folders}]",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._connection.execute(statement)

    def _load_views(self) -> None:
        folder = files("analyze") / "sql" / "views"
        for view in VIEWS:
            self._connection.execute((folder / f"{view}.sql").read_text(encoding="utf-8"))

    def _list(self) -> Listing:
        try:
            # What SQL may open is bounded by resolved paths.
            listing = list_files(Root(self.root.path.resolve()), tuple(TABLES))
        except OSError as error:
            raise UsageProblem(f"cannot read {self.root.path}: {error.strerror or error}") from error
        self.unreadable |= dict.fromkeys(listing.missing, "it is missing, and the manifest of its date names it")
        return listing

    def _refresh_sessions(self, names: list[str]) -> None:
        loaded = set(self._files["sessions"])
        gone = loaded - set(names)
        if gone:
            self._connection.execute("DELETE FROM _sessions WHERE list_contains(?, filename)", [sorted(gone)])
        self._files["sessions"] = sorted(loaded - gone)
        self._load_sessions([name for name in names if name not in loaded])

    def _load_sessions(self, fresh: list[str]) -> None:
        if not fresh:
            return
        columns = _names([*TABLES["sessions"].names, "date", "filename"])
        try:
            self._connection.execute(
                f"INSERT INTO _sessions SELECT {columns} FROM (SELECT * FROM _no_sessions WHERE FALSE UNION ALL BY NAME"  # noqa: S608 - names of our own schema
                f" SELECT * FROM read_parquet(?, {_PARQUET_OPTIONS})) ",
                [fresh],
            )
        except duckdb.Error as error:
            if not self._set_aside({"sessions": fresh}, error):
                raise
            self._load_sessions([name for name in fresh if Path(name) not in self.unreadable])
            return
        self._files["sessions"] += fresh
        self._drop_foreign_sessions()

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
            except _FILE_ERRORS as error:
                if not self._set_aside({table: names[:1]}, error):
                    raise
                self._use_files(table, names[1:])
                return
        self._files[table], self._shapes[table] = names, shape
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
        columns = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in self._columns[table])
        self._connection.execute(f"CREATE OR REPLACE VIEW _stored_{table} AS SELECT {columns} FROM {source} {known}")  # noqa: S608
        self._connection.execute(f"CREATE OR REPLACE VIEW _{table} AS SELECT * FROM _stored_{table}")  # noqa: S608

    def _narrow(self, session_ids: tuple[str, ...]) -> None:
        """Ask these sessions only from here on; all sessions where none is named."""
        held = self._scope == self._near and set(session_ids) <= set(self._near)
        if session_ids == self._scope or (session_ids and held):
            return
        # Now and not below: if files vanish meanwhile, it is these sessions that are narrowed to anew.
        self._scope = session_ids
        try:
            self._choose_files(session_ids)
            self._hold_near(session_ids)
        except BaseException:
            self._scope = None
            raise

    def _drop_temporary(self) -> None:
        tables = self._connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
        for (table,) in tables:
            self._connection.execute(f"DROP TABLE temp.{_names([table])}")

    def _choose_files(self, session_ids: tuple[str, ...]) -> None:
        for table in _LARGE:
            names = self._files[table]
            if names:
                chosen = self._files_of(table, session_ids) if session_ids else names
                # A table function wants a file, even where none of them holds the session.
                self._connection.execute(f"SET VARIABLE {table}_files = ?", [chosen or names[:1]])

    def _files_of(self, table: str, session_ids: tuple[str, ...]) -> list[str]:
        root, names = Root(self.root.path.resolve()), set(self._files[table])
        return names_holding(root, table, session_ids, names, self._shared[table] & names)

    def _hold_near(self, session_ids: tuple[str, ...]) -> None:
        """Hold the events of a session that is looked at in memory: many questions will follow the first."""
        is_near = 1 <= len(session_ids) <= _HELD_SESSIONS
        if is_near and session_ids != self._near:
            # Values one by one, not as a list, let the engine pass over row groups by their bounds.
            values = ", ".join("?" for _ in session_ids)
            self._execute(
                "CREATE OR REPLACE TABLE _near_events AS"  # noqa: S608 - question marks
                f" SELECT * FROM _stored_events WHERE session_id IN ({values}) ORDER BY session_id, seq",
                session_ids,
            )
            self._near = session_ids
        source = "_near_events" if is_near else "_stored_events"
        # To bind a view opens files, too.
        self._execute(f"CREATE OR REPLACE VIEW _events AS SELECT * FROM {source}", ())  # noqa: S608

    def _fetch(self, sql: str, params: Sequence[Any], *, limit: int | None = None) -> _Fetched:
        def read() -> _Fetched:
            result = self._connection.execute(sql, list(params))
            # Rows may be read from the files only now.
            rows = result.fetchall() if limit is None else result.fetchmany(limit)
            return tuple(column[0] for column in result.description or ()), rows

        return self._insist(read)

    def _execute(self, sql: str, params: Sequence[Any]) -> None:
        self._insist(lambda: self._connection.execute(sql, list(params)))

    def _insist(self, work: Callable[[], _Result]) -> _Result:
        """Do work on the files; where some are damaged or gone, do it again without them."""
        try:
            return work()
        except _FILE_ERRORS as error:
            # Query first, look for the cause after: checking every file before every question costs more.
            vanished = any(not Path(name).exists() for table in _LARGE for name in self._files[table])
            if not self._set_aside({table: self._files[table] for table in _LARGE}, error) and not vanished:
                raise
            scope = self._scope or ()
            self.refresh()
            self._narrow(scope)
            return self._insist(work)

    def _set_aside(self, tables: Mapping[str, Iterable[str]], error: duckdb.Error) -> bool:
        """Find the files that made a query fail, and leave them out; False where there are none."""
        suspects = [(Path(name), TABLES[table]) for table, names in tables.items() for name in names]
        found = {path: reason for path, schema in suspects if (reason := file_problem(path, schema))}
        if not found:
            # The footers are sound: then what the engine complains of is inside the file it names. Without that
            # check first it may name a good file that does not go together with a bad one.
            words = str(error)
            found = {path: words.splitlines()[0] for path, _ in suspects if path.exists() and str(path) in words}
        self.unreadable |= found
        return bool(found)


def open_store(root: Root) -> Store:
    """Open a root.

    Raises `UsageProblem` where it is no folder or cannot be read; an empty or missing root has empty tables.
    """
    try:
        if root.path.exists():
            next(root.path.iterdir(), None)
    except NotADirectoryError:
        raise UsageProblem(f"{root.path} is a file: name the folder that holds recordings") from None
    except OSError as error:
        raise UsageProblem(f"cannot read {root.path}: {error.strerror or error}") from error
    root.check_readable()
    return Store(root)


def _has_vanished(listing: Listing) -> bool:
    return any(
        not path.exists()
        for files in listing.tables.values()
        for path in (*files.own, *files.compacted, *files.foreign)
    )


def _names(columns: Iterable[str]) -> str:
    # `at` is a word of the grammar.
    return ", ".join(f'"{column}"' for column in columns)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_LEADING_COMMENTS = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_PRAGMA = re.compile(_LEADING_COMMENTS + r"PRAGMA\b", re.IGNORECASE | re.DOTALL)
_EXPLAIN = re.compile(
    r"(" + _LEADING_COMMENTS + r"EXPLAIN\s+(?:ANALYZE\s+)?(?:\(\s*(?:ANALYZE|FORMAT\s+\w+|\s|,)*\)\s*)?)(.*)",
    re.IGNORECASE | re.DOTALL,
)
_ONLY_READING = "only one SELECT or EXPLAIN at a time can be run here: recordings are never changed by a query"


def _guard(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Check that a text is one reading statement, and wrap it so that the engine holds it to that.

    A statement type of SELECT is not enough: from DuckDB 2.0 on `WITH x AS (COPY … TO 'file') SELECT …` is one,
    and it writes. The engine allows that at the top level only; inside a subquery it refuses.
    """
    prefix, query = "", _one_statement(connection, sql, (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN))
    explained = _EXPLAIN.fullmatch(query)
    if explained is not None:
        # EXPLAIN ANALYZE runs what it explains.
        prefix, rest = explained.groups()
        query = _one_statement(connection, rest, (duckdb.StatementType.SELECT,))
    return f"{prefix}SELECT * FROM (\n{query}\n)"  # noqa: S608 - it is what this is for


def _one_statement(connection: duckdb.DuckDBPyConnection, sql: str, allowed: Sequence[duckdb.StatementType]) -> str:
    statements = connection.extract_statements(sql)
    # Some PRAGMAs are rewritten to a SELECT before their type can be asked.
    if len(statements) != 1 or statements[0].type not in allowed or _PRAGMA.match(sql):
        raise UsageProblem(_ONLY_READING)
    return _without_semicolon(statements[0].query)


def _without_semicolon(statement: str) -> str:
    """Cut a statement at its closing semicolon, which comments may follow."""
    tokens = [at for at, kind in duckdb.tokenize(statement) if kind != duckdb.token_type.comment]
    encoded = statement.encode()
    while tokens and encoded[tokens[-1] : tokens[-1] + 1] == b";":
        encoded = encoded[: tokens.pop()]
    return encoded.decode()


def _sql_problem(error: duckdb.Error) -> str:
    """Say what is wrong with a statement in one sentence, and show the place."""
    first, _, rest = str(error).partition("\n")
    place = re.search(r"^LINE (\d+): (.*)\n( *\^+)", rest, re.MULTILINE)
    candidates = re.search(r"^(Candidate bindings|Did you mean).*", rest, re.MULTILINE)
    sentence = f"this SQL cannot be run: {first.strip()}"
    if candidates:
        sentence += f" {candidates[0].strip()}"
    if place is None:
        return sentence
    label = f"LINE {place[1]}: "
    return f"{sentence}\n  {place[2]}\n  {place[3][len(label) :]}"
