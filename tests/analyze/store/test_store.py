"""Opening roots, asking about one session or all, and files that come and go meanwhile."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.store import Store, open_store
from capture.compaction import compact_date
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import Trace, spoken_turn

COUNT = "SELECT COUNT(*) AS n FROM"


def test_an_empty_root_has_empty_tables_with_all_columns(root: Root) -> None:
    with open_store(root) as store:
        for view in ("sessions", "events", "audio", "tracks", "items", "responses", "turns", "latencies", "errors"):
            assert store.rows(f"{COUNT} {view}") == [{"n": 0}]
        assert len(store.rows("DESCRIBE events")) > 25


def test_a_file_is_no_root(tmp_path: Path) -> None:
    path = tmp_path / "recordings"
    path.write_text("")
    with pytest.raises(UsageProblem, match="is a file: name the folder that holds recordings"):
        open_store(Root(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_root_that_must_not_be_read(root: Root) -> None:
    root.path.mkdir(mode=0)
    with pytest.raises(UsageProblem, match=r"recordings cannot be read: check its permissions"):
        open_store(root)


def test_refresh_takes_in_what_was_recorded_and_what_is_gone(root: Root, failed_session: str) -> None:
    with open_store(root) as store:
        later = Trace("20260213T000000-0000000e")
        spoken_turn(later)
        later.write(root)
        assert store.rows(f"{COUNT} sessions") == [{"n": 1}]
        store.refresh()
        assert store.rows(f"{COUNT} sessions") == [{"n": 2}]
        assert store.rows("SELECT COUNT(DISTINCT session_id) AS n FROM events") == [{"n": 2}]
        for table in ("sessions", "events", "audio"):
            root.table_file(table, failed_session).unlink()
        store.refresh()
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": later.session_id}]


def test_a_file_that_vanishes_under_a_query_is_no_error(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        for table in ("sessions", "events", "audio"):
            root.table_file(table, failed_session).unlink()
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": ok_session}]


def test_views_that_few_ask_are_there_for_who_does(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        root.table_file("events", ok_session).unlink()
        assert store.rows("SELECT session_id, turn FROM turns") == [{"session_id": failed_session, "turn": 1}]
        assert store.rows(f"{COUNT} latencies WHERE session_id = ?", [failed_session])[0]["n"] > 0
        with pytest.raises(duckdb.CatalogException, match="Table with name turnings does not exist"):
            store.rows(f"{COUNT} turnings")


def test_a_question_about_one_session_opens_no_other_file(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        root.table_file("events", ok_session).write_bytes(b"damaged")
        counted = store.rows(f"{COUNT} events WHERE session_id = ?", [failed_session], only=[failed_session])
        assert counted == [{"n": 20}]
        assert not store.unreadable


def test_one_session_in_a_shared_file_is_found(root: Root, failed_session: str, ok_session: str) -> None:
    own = [root.table_file("events", each) for each in (failed_session, ok_session)]
    pq.write_table(
        pa.concat_tables(pq.read_table(path, partitioning=None) for path in own), own[0].with_name("c.parquet")
    )
    for path in own:
        path.unlink()
    with open_store(root) as store:
        counted = store.rows(f"{COUNT} events WHERE session_id = ?", [failed_session], only=[failed_session])
        assert counted == [{"n": 20}]


def test_a_refresh_ends_the_looking_at_one_session(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        store.look_at([failed_session])
        assert store.rows("SELECT DISTINCT session_id FROM events", only=[failed_session]) == [
            {"session_id": failed_session}
        ]
        store.refresh()
        assert store.rows("SELECT COUNT(DISTINCT session_id) AS n FROM events") == [{"n": 2}]


@pytest.mark.parametrize("grace_s", [0, 600])
def test_compaction_under_an_open_store_changes_nothing(
    grace_s: float, root: Root, failed_session: str, ok_session: str
) -> None:
    every = "SELECT * FROM events ORDER BY session_id, seq"
    with open_store(root) as store:
        events, sessions = store.rows(every), store.rows("SELECT * FROM sessions ORDER BY session_id")
        one = store.rows(every, only=[ok_session])
        compact_date(root, "2026-02-12", grace_s=grace_s)
        for _ in range(2):
            assert store.rows(every) == events
            assert store.rows("SELECT * FROM sessions ORDER BY session_id") == sessions
            assert store.rows(every, only=[ok_session]) == one
            store.refresh()
        assert not store.unreadable


def test_a_question_about_one_session_opens_no_compacted_file_of_others(
    root: Root, failed_session: str, ok_session: str
) -> None:
    compact_date(root, "2026-02-12", grace_s=0, file_bytes=1)
    damaged = next(root.date_folder("events", "2026-02-12").glob(f"compacted-{ok_session}-*.parquet"))
    with open_store(root) as store:
        damaged.write_bytes(b"damaged")
        counted = store.rows(f"{COUNT} events WHERE session_id = ?", [failed_session], only=[failed_session])
        assert counted == [{"n": 20}]
        assert not store.unreadable


def test_questions_may_come_from_many_threads(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store, ThreadPoolExecutor(8) as pool:

        def count(session_id: str) -> int:
            rows = store.rows(
                "SELECT DISTINCT session_id FROM events WHERE session_id = ?", [session_id], only=[session_id]
            )
            return len(rows)

        assert list(pool.map(count, [failed_session, ok_session] * 20)) == [1] * 40


def test_times_are_utc_wherever_this_runs(failed_session: str, store: Store) -> None:
    assert store.console("SELECT CAST(started_at AS VARCHAR) FROM sessions").rows == [("2026-02-12 08:30:55",)]


def test_a_question_beside_others_is_answered_as_one_after_the_other(
    root: Root, failed_session: str, ok_session: str
) -> None:
    held, row = (
        'SELECT seq, "at" FROM events WHERE session_id = ? ORDER BY seq',
        "SELECT * FROM sessions WHERE session_id = ?",
    )
    with open_store(root) as store, ThreadPoolExecutor(4) as pool:

        def ask(session_id: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
            of_it = [session_id]
            return store.beside((held, of_it), lambda: store.rows(row, of_it, only=of_it), only=of_it)

        for session_id in (failed_session, ok_session):
            one_by_one = tuple(store.rows(sql, [session_id], only=[session_id]) for sql in (held, row))
            assert all(one_by_one)
            assert ask(session_id) == one_by_one
        both = [failed_session, ok_session] * 10
        assert [rows[0]["session_id"] for _, rows in pool.map(ask, both)] == both


def test_of_more_sessions_than_are_held_it_is_answered_too(root: Root, failed_session: str, ok_session: str) -> None:
    several = [failed_session, ok_session, failed_session]
    with open_store(root) as store:
        told, counted = store.beside(
            ("SELECT DISTINCT session_id FROM events ORDER BY session_id", ()),
            lambda: store.rows(f"{COUNT} sessions", only=several),
            only=several,
        )
        assert [row["session_id"] for row in told] == sorted({failed_session, ok_session})
        assert counted == [{"n": 2}]


def test_work_that_fails_beside_a_question_leaves_nobody_waiting(root: Root, failed_session: str) -> None:
    of_it = [failed_session]
    held = (f"{COUNT} events WHERE session_id = ?", of_it)
    with open_store(root) as store:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                store.beside(held, lambda: 1 // 0, only=of_it)
        assert store.beside(held, lambda: None, only=of_it) == ([{"n": 20}], None)


def test_work_beside_a_question_leaves_damaged_files_out(root: Root, failed_session: str, ok_session: str) -> None:
    damaged = root.table_file("audio", ok_session)
    with open_store(root) as store:
        damaged.write_bytes(b"damaged")
        of_it = [ok_session]
        events, tracks = store.beside(
            (f"{COUNT} events WHERE session_id = ?", of_it),
            lambda: store.rows(f"{COUNT} tracks WHERE session_id = ?", of_it, only=of_it),
            only=of_it,
        )
        assert (events[0]["n"] > 0, tracks) == (True, [{"n": 0}])
        assert list(store.unreadable) == [damaged]


def test_a_closed_store_holds_no_connection(root: Root) -> None:
    with open_store(root) as store:
        pass
    with pytest.raises(duckdb.ConnectionException):
        store.rows("SELECT 1")


def test_the_newest_sessions_are_there_before_the_rest(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root, newest=1) as store:
        assert (store.is_partial, store.listed_sessions) == (True, 2)
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": ok_session}]
        store.refresh()
        assert not store.is_partial
        assert store.rows(f"{COUNT} sessions") == [{"n": 2}]
        assert store.rows("SELECT COUNT(DISTINCT session_id) AS n FROM events") == [{"n": 2}]
    with open_store(root, newest=2) as store:
        assert not store.is_partial
        assert store.rows("SELECT COUNT(DISTINCT session_id) AS n FROM events") == [{"n": 2}]


def test_a_newest_file_that_cannot_be_read_is_left_out(root: Root, failed_session: str, ok_session: str) -> None:
    root.table_file("sessions", ok_session).write_bytes(b"no Parquet at all")
    with open_store(root, newest=1) as store:
        store.refresh()
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]
        assert list(store.unreadable) == [root.table_file("sessions", ok_session)]


def test_a_refresh_that_finds_nothing_new_keeps_what_was_computed(root: Root, failed_session: str) -> None:
    with open_store(root) as store:
        before = store.refreshes
        store.refresh()
        assert store.refreshes == before
        Trace("20260212T100000-0000000c").write(root)
        store.refresh()
        assert (store.refreshes, store.rows(f"{COUNT} sessions")) == (before + 1, [{"n": 2}])


def test_a_question_about_sessions_opens_no_file_of_events(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        root.table_file("events", ok_session).write_bytes(b"damaged")
        assert store.rows(f"{COUNT} sessions") == [{"n": 2}]
        assert not store.unreadable
        # Whoever asks for events reads all of them, and learns which cannot be read.
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": failed_session}]
        assert list(store.unreadable) == [root.table_file("events", ok_session)]


def test_a_store_of_some_sessions_opens_no_file_of_others(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root, only=[failed_session]) as store:
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": failed_session}]
        assert store.listed_sessions == 2
        # Compacted since it was opened: the others are in its file now.
        compact_date(root, "2026-02-12", grace_s=0)
        assert store.rows(f"{COUNT} events", only=[failed_session]) == [{"n": 20}]


def test_where_a_file_is_torn_all_sessions_are_read(root: Root, failed_session: str, ok_session: str) -> None:
    torn = root.table_file("sessions", ok_session)
    torn.write_bytes(torn.read_bytes()[:-100])
    with open_store(root, only=[failed_session]) as store:
        assert list(store.unreadable) == [torn]
