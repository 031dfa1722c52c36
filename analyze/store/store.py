"""Answers SQL over a root: the tables and the views of `sql/views/*.sql` over them, narrowed to what is asked about."""

from __future__ import annotations

import shutil
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from analyze.store.annotations import StoredAnnotations
from analyze.store.console import ConsoleResult, guard, sql_problem
from analyze.store.engine_problems import in_a_sentence
from analyze.store.gathering import Script
from analyze.store.table_files import look_whole, only_holding
from analyze.store.tables import FILE_ERRORS, StoredTables, is_nameless
from capture.errors import UsageProblem
from capture.recording.listing import Listing, list_files
from capture.recording.root import Root
from capture.recording.schema import TABLES
from capture.regular_files import NO_FILE

VIEWS = (
    "_json",
    "annotations",
    "_measured",
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
    "divergences",
    "rewrites",
)
"""Files of sql/views, each after those it reads."""
_ON_DEMAND = ("turns", "latencies")
"""Of these the ones that take longer to bind than all the rest, and that few questions ask: the first to do so pays.

In the order of `VIEWS`.
"""

_HELD_SESSIONS = 2
_Result = TypeVar("_Result")
Question = tuple[str, Sequence[Any]]
"""SQL of ours and its parameters."""
_Fetched = tuple[tuple[str, ...], list[tuple[Any, ...]]]


def _private_folder() -> str:
    try:
        return mkdtemp(prefix="wiretape-")
    except OSError:
        # Nothing can be written here: the engine does without.
        return ""


class Store:
    """An open root; a context manager that closes its connection. Its methods may be called from any thread."""

    def __init__(
        self,
        root: Root,
        *,
        newest: int | None = None,
        only: Collection[str] = (),
        before_reading: Callable[[Sequence[str]], None] = lambda _ids: None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open a root; with `newest` so many sessions only where that is quicker, until it is refreshed.

        With `only` these sessions are there, and perhaps others, as long as no file of the sessions looks torn.
        `before_reading` is told which sessions are about to be read from files of their own: many take long. Between
        them `is_over` is asked whether nobody waits any more: to read them then raises `UsageProblem`.
        """
        self.root = root
        self.others_up_to: str | None = None
        """An id that no session is above but those that are held; None: all are."""
        self.refreshes = 0
        """How often the root was taken in: what was computed over all of it holds while this stays."""
        self._only = tuple(only)
        self._before_reading = before_reading
        self._lock = threading.RLock()
        self._scope: tuple[str, ...] | None = ()
        """The sessions that are asked from here on; none: all of them, None: not known."""
        self._near: tuple[str, ...] = ()
        self._events_source = ""
        """What the view of events reads, as it was last defined here."""
        self._undefined = list(_ON_DEMAND)
        """Views that nobody has asked yet."""
        self._listed: Listing | None = None
        """The files of the root when these were listed last."""
        self._taken_in: tuple[Listing, frozenset[Path]] | None = None
        """The files of the root as they were taken in, and those that were left out."""
        self._spilled = _private_folder()
        """For what does not fit into memory; empty where there is no room for such."""
        # Also where nobody closes it.
        weakref.finalize(self, shutil.rmtree, self._spilled, ignore_errors=True)
        self._connection = duckdb.connect(":memory:")
        self._beside = self._connection.cursor()
        """Asks what is held in memory while the other is busy; which files to read is not set for it."""
        self._helper = ThreadPoolExecutor(1, "wiretape store")
        self._tables = StoredTables(self._connection, root, is_over)
        self._annotations = StoredAnnotations(self._connection, root, self._tables.unreadable)
        try:
            self._tables.define()
            self._annotations.define()
            self._define_views([view for view in VIEWS if view not in _ON_DEMAND])
            self._harden()
            self._open(newest)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a question that a signal ended before its answer is broken off."""
        with self._lock:
            # To close is to wait for all tasks of such a question, and the engine would work on them to their end.
            self.interrupt()
            self._helper.shutdown()
            self._beside.close()
            self._connection.close()

    @property
    def is_partial(self) -> bool:
        """Whether only the newest sessions are held, and nothing else: a refresh takes in the rest."""
        return self.others_up_to is not None

    @property
    def listed_sessions(self) -> int:
        """How many sessions the root has, by the names of its files."""
        if self._listed is None:
            return 0
        sessions = self._listed.tables["sessions"]
        return len(self._listed.session_ids) + len(sessions.own) + len(sessions.foreign)

    @property
    def own_sessions(self) -> list[str]:
        """The sessions that lie in files of their own, by the names of these."""
        return [] if self._listed is None else [path.stem for path in self._listed.tables["sessions"].own]

    def looks_whole(self) -> bool:
        """Tell whether no file of the sessions looks torn or is missing, those among them that were not read."""
        with self._lock:
            return not self.unreadable and self._listed is not None and look_whole(self._listed.tables["sessions"])

    @property
    def unreadable(self) -> dict[Path, str]:
        """Files that are left out, and why; the rest of the root works without them."""
        return self._tables.unreadable

    def rows(self, sql: str, params: Sequence[Any] = (), *, only: Collection[str] = ()) -> list[dict[str, Any]]:
        """Run one of our own queries.

        `only` names the sessions it asks about: no other session's files are opened.
        """
        with self._lock:
            self._narrow(tuple(only))
            return _named(self._fetch(sql, params))

    def beside(
        self, held: Question, work: Callable[[], _Result], *, only: Collection[str]
    ) -> tuple[list[dict[str, Any]], _Result]:
        """Run one of our own queries about some sessions, and work that puts further questions about them meanwhile.

        `held` asks events, sessions and turns only. Of one or two sessions these are in memory, and it runs beside the
        work: to plan a query takes longer than to run it over one session, and each is planned by one core.
        """
        with self._lock:
            self._narrow(tuple(only))
            if len(only) > _HELD_SESSIONS:
                return _named(self._fetch(*held)), work()
            # It asks turns, and what is asked beside cannot be put again.
            if "turns" in self._undefined:
                self._define_next()
            answer = self._helper.submit(_fetch_from, self._beside, *held)
            try:
                done = work()
            finally:
                # Whatever became of the work: nobody else is to find the helper busy.
                wait([answer])
            return _named(answer.result()), done

    def tuples(self, sql: str, params: Sequence[Any] = (), *, only: Collection[str] = ()) -> list[tuple[Any, ...]]:
        """Run one of our own queries that gives many rows; as `rows`, without the names of the columns."""
        with self._lock:
            self._narrow(tuple(only))
            return self._fetch(sql, params)[1]

    def table(self, sql: str, params: Sequence[Any] = (), *, only: Collection[str] = ()) -> pa.Table:
        """Run one of our own queries whose answer is taken column by column; as `rows`."""
        with self._lock:
            self._narrow(tuple(only))
            return self._insist(lambda: self._read_arrow(sql, params))

    def pass_over(self, scripts: Iterable[Script], questions: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """Run scripts of ours that gather temporary tables from all sessions, then the named questions to these.

        The tables go with the pass: they may be as large as a tenth of the root.
        """
        scripts = tuple(scripts)
        with self._lock:
            while True:
                taken_in = self.refreshes
                found = self._pass_once(scripts, questions)
                # Else files turned out damaged or gone on the way: what was gathered before that is of other sessions.
                if self.refreshes == taken_in:
                    return found

    def _pass_once(self, scripts: Iterable[Script], questions: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        self._narrow(())
        try:
            for script in scripts:
                if script.table is None:
                    self._execute(script.sql, ())
                elif not self._gather(script, script.table):
                    return {}
            return {name: self.rows(sql) for name, sql in questions.items()}
        finally:
            self._drop_temporary()

    def _gather(self, script: Script, table: str) -> bool:
        """Run a script over the files of a table piece by piece; False where these turned out to be others."""
        taken_in = self.refreshes
        # Until it is narrowed anew, also where that fails.
        self._scope = None
        for names, sql in script.statements(self._tables.pieces(table)):
            self._tables.check_wanted()
            self._tables.ask(table, names)
            self._execute(sql, ())
            if self.refreshes != taken_in:
                return False
        self._narrow(())
        return True

    def look_at(self, session_ids: Collection[str]) -> None:
        """Prepare for many questions about these one or two sessions."""
        with self._lock:
            self._narrow(tuple(session_ids))

    def console(self, sql: str, *, limit: int | None = None) -> ConsoleResult:
        """Run one SELECT or EXPLAIN that a person typed; `limit` bounds the rows that are fetched.

        Raises `UsageProblem` with the engine's words and the place of the error.
        """
        fetched = None if limit is None else limit + 1
        columns, rows = self._typed(sql, lambda statement: self._fetch(statement, (), limit=fetched))
        return ConsoleResult(columns, rows[:limit], truncated=limit is not None and len(rows) > limit)

    def console_table(self, sql: str) -> pa.Table:
        """Run one SELECT that a person typed; give its whole answer with the engine's own types.

        Raises `UsageProblem` as `console` does.
        """
        return self._typed(sql, lambda statement: self._insist(lambda: self._read_arrow(statement)))

    def _read_arrow(self, statement: str, params: Sequence[Any] = ()) -> pa.Table:
        return self._connection.sql(statement, params=list(params)).to_arrow_table()

    def _typed(self, sql: str, run: Callable[[str], _Result]) -> _Result:
        with self._lock:
            try:
                self._narrow(())
                self._define_all()
                sql.encode()
                return run(guard(self._connection, sql))
            except UnicodeEncodeError as error:
                raise UsageProblem("this SQL cannot be run: it is no valid UTF-8") from error
            except OverflowError as error:
                raise UsageProblem(
                    f"a value of the answer is beyond what Python holds, cast it to text: {error}"
                ) from error
            except duckdb.Error as error:
                raise UsageProblem(sql_problem(error)) from error

    def interrupt(self) -> None:
        """Break off the question that is being answered, if any: it raises `UsageProblem`, in its own thread."""
        # Without the lock, which that question holds. Of a closed connection there is nothing to break off.
        with suppress(duckdb.ConnectionException):
            self._connection.interrupt()
            self._beside.interrupt()

    def catalog(self) -> dict[str, tuple[str, ...]]:
        """Name the tables that SQL may ask, with their columns."""
        with self._lock:
            self._define_all()
            rows = self._fetch(
                "SELECT table_name, column_name FROM duckdb_columns()"
                " WHERE schema_name = 'main' AND NOT internal ORDER BY table_name, column_index",
                (),
            )[1]
        tables: dict[str, tuple[str, ...]] = {}
        for table, column in rows:
            if not table.startswith("_"):
                tables[table] = (*tables.get(table, ()), column)
        return tables

    def _open(self, newest: int | None) -> None:
        if newest is not None:
            self._annotations.take_in()
            try:
                self.others_up_to = self._tables.take_newest(self._list(), newest)
            except (*FILE_ERRORS, duckdb.OutOfMemoryException):
                # The whole of it says which file it was.
                self.others_up_to = None
        if not self.is_partial:
            self.refresh()

    @in_a_sentence()
    def refresh(self) -> None:
        """Take in what was recorded or removed since the root was opened; what was computed holds where nothing was."""
        with self._lock:
            # Apart from the recordings: what is said of sessions changes nothing that was computed from these.
            self._annotations.take_in()
            while True:
                listing = self._list()
                state = (listing, frozenset(self.unreadable))
                if state == self._taken_in:
                    return
                if self._taken_in is None:
                    self._before_reading([path.stem for path in listing.tables["sessions"].own])
                try:
                    self._take_in(listing)
                except FILE_ERRORS as error:
                    # Compacted and deleted since it was listed: its sessions are in another file by now.
                    # Damaged: a view was bound to its table, and the next round goes on without it.
                    if not self._tables.set_aside_damaged(error) and not _has_vanished(listing):
                        raise
                else:
                    self._taken_in = (listing, frozenset(self.unreadable))
                    self.others_up_to = None
                    return

    def _take_in(self, listing: Listing) -> None:
        # The tables define that view, too.
        self._events_source = ""
        self._tables.take_in(listing)
        if "latencies" not in self._undefined:
            self._choose_latencies()
        self.refreshes += 1
        # What is held in memory is of before: the next question narrows anew, to whatever it asks.
        self._scope, self._near = None, ()

    def _choose_latencies(self) -> None:
        """Take the latencies of turns from the sessions' rows, and from events only where a row has none."""
        (older,) = self._connection.execute("SELECT COUNT(*) > COUNT(turn_latencies) FROM _sessions").fetchall()
        sources = ("_row_latencies", "_event_latencies") if older[0] else ("_row_latencies",)
        selects = " UNION ALL ".join(f"SELECT session_id, turn, name, latency_ms FROM {source}" for source in sources)  # noqa: S608
        self._connection.execute(f"CREATE OR REPLACE VIEW _latencies AS {selects}")

    def _define_views(self, names: Iterable[str]) -> None:
        folder = files("analyze") / "sql" / "views"
        for view in names:
            self._connection.execute((folder / f"{view}.sql").read_text(encoding="utf-8"))

    def _define_next(self) -> bool:
        """Define the next of the views that nobody has asked yet; False where there is none."""
        if not self._undefined:
            return False
        view = self._undefined[0]
        self._insist(lambda: self._define_over_nothing(view))
        if view == "latencies":
            self._insist(self._choose_latencies)
        self._undefined.remove(view)
        return True

    def _define_over_nothing(self, view: str) -> None:
        """Define a view while no events are there: to bind it over files would open them again and again."""
        # Until it is narrowed anew, also where that fails.
        scope, self._scope = self._scope or (), None
        self._read_events_from("_no_events")
        self._define_views([view])
        self._narrow(scope)

    def _define_all(self) -> None:
        while self._define_next():
            pass

    def _harden(self) -> None:
        """Leave SQL that people type nothing but the tables: no other file, no extension, no setting."""
        opened = (*(self.root.table(table) for table in TABLES), self.root.annotations)
        folders = ", ".join(_quote(f"{folder.resolve()}/") for folder in opened)
        for statement in (
            "SET GLOBAL TimeZone = 'UTC'",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET python_enable_replacements = false",
            # The engine's own is `.tmp` in the current folder: all may read it, and SQL whatever else lies there.
            f"SET temp_directory = {_quote(self._spilled)}",
            # The messages of a session with pictures in it may come to more than 2 GB.
            "SET arrow_large_buffer_size = true",
            f"SET allowed_directories = [{folders}]",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._connection.execute(statement)

    def _list(self) -> Listing:
        try:
            # What SQL may open is bounded by resolved paths.
            listing = list_files(Root(self.root.path.resolve()), tuple(TABLES))
        except OSError as error:
            raise UsageProblem(f"cannot read {self.root.path}: {error.strerror or error}") from error
        self._listed = listing
        self.unreadable.update(dict.fromkeys(listing.missing, "it is missing, and the manifest of its date names it"))
        self.unreadable.update(dict.fromkeys(listing.irregular, NO_FILE))
        # What is torn is named, whichever session is asked about: then all are read.
        return only_holding(listing, self._only) if self._only and look_whole(listing.tables["sessions"]) else listing

    def _narrow(self, session_ids: tuple[str, ...]) -> None:
        """Ask these sessions only from here on; all sessions where none is named."""
        held = self._scope == self._near and set(session_ids) <= set(self._near)
        if session_ids == self._scope or (session_ids and held):
            return
        # Now and not below: if files vanish meanwhile, it is these sessions that are narrowed to anew.
        self._scope = session_ids
        try:
            self._tables.choose_files(session_ids)
            self._hold_near(session_ids)
        except BaseException:
            self._scope = None
            raise

    def _hold_near(self, session_ids: tuple[str, ...]) -> None:
        """Hold the events of a session that is looked at in memory: many questions will follow the first."""
        is_near = 1 <= len(session_ids) <= _HELD_SESSIONS
        if is_near and session_ids != self._near:
            # Values one by one, not as a list, let the engine pass over row groups by their bounds. Not sorted: files
            # are, by session and seq, and to do it again takes half as long as to read them.
            values = ", ".join("?" for _ in session_ids)
            self._execute(
                "CREATE OR REPLACE TABLE _near_events AS"  # noqa: S608 - question marks
                f" SELECT * FROM _stored_events WHERE session_id IN ({values})",
                session_ids,
            )
            self._near = session_ids
        self._read_events_from("_near_events" if is_near else "_stored_events")

    def _read_events_from(self, source: str) -> None:
        if source != self._events_source:
            # To bind a view opens all files that it is over, and the question that follows may ask none of them.
            with self._tables.one_file_of("events"):
                self._execute(f"CREATE OR REPLACE VIEW _events AS SELECT * FROM {source}", ())  # noqa: S608
            self._events_source = source

    def _drop_temporary(self) -> None:
        tables = self._connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
        for (table,) in tables:
            self._connection.execute(f'DROP TABLE temp."{table}"')

    def _fetch(self, sql: str, params: Sequence[Any], *, limit: int | None = None) -> _Fetched:
        return self._insist(lambda: _fetch_from(self._connection, sql, params, limit=limit))

    def _execute(self, sql: str, params: Sequence[Any]) -> None:
        self._insist(lambda: self._connection.execute(sql, list(params)))

    @in_a_sentence()
    def _insist(self, work: Callable[[], _Result]) -> _Result:
        """Do work on the files; where some are damaged or gone, do it again without them."""
        try:
            return work()
        except duckdb.CatalogException:
            if not self._define_next():
                raise
            return self._insist(work)
        except duckdb.Error as error:
            if not (isinstance(error, FILE_ERRORS) or is_nameless(error)):
                raise
            # Query first, look for the cause after: checking every file before every question costs more.
            vanished = self._tables.has_vanished_files()
            if not self._tables.set_aside_damaged(error) and not vanished:
                raise
            scope = self._scope or ()
            self.refresh()
            self._narrow(scope)
            return self._insist(work)


def open_store(
    root: Root,
    *,
    newest: int | None = None,
    only: Collection[str] = (),
    before_reading: Callable[[Sequence[str]], None] = lambda _ids: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Store:
    """Open a root; `newest`, `only`, `before_reading` and `is_over` as in `Store`.

    Raises `UsageProblem` where it is no folder or cannot be read; an empty or missing root has empty tables.
    """
    root.check_readable()
    try:
        if root.path.exists():
            next(root.path.iterdir(), None)
    except OSError as error:
        raise UsageProblem(f"cannot read {root.path}: {error.strerror or error}") from error
    return Store(root, newest=newest, only=only, before_reading=before_reading, is_over=is_over)


def _fetch_from(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any], *, limit: int | None = None
) -> _Fetched:
    result = connection.execute(sql, list(params))
    # Rows may be read from the files only now.
    rows = result.fetchall() if limit is None else result.fetchmany(limit)
    return tuple(column[0] for column in result.description or ()), rows


def _named(fetched: _Fetched) -> list[dict[str, Any]]:
    columns, rows = fetched
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _has_vanished(listing: Listing) -> bool:
    return any(
        not path.exists()
        for files in listing.tables.values()
        for path in (*files.own, *files.compacted, *files.foreign)
    )


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
