"""Opening roots: good ones, empty ones, damaged ones; and what SQL that people type may do."""

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
    with pytest.raises(UsageProblem, match=r"cannot read .*recordings: Permission denied"):
        open_store(root)


def test_a_corrupt_sessions_file_is_named_and_left_out(root: Root, failed_session: str) -> None:
    corrupt = root.table_file("sessions", "20260212T090000-00000bad")
    corrupt.write_bytes(b"PAR1 this is no Parquet file PAR1")
    with open_store(root) as store:
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]
        assert list(store.unreadable) == [corrupt]
        assert "no readable Parquet file" in store.unreadable[corrupt]


def test_a_corrupt_events_file_is_named_and_left_out(root: Root, failed_session: str, ok_session: str) -> None:
    corrupt = root.table_file("events", failed_session)
    corrupt.write_bytes(corrupt.read_bytes()[:200])
    with open_store(root) as store:
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": ok_session}]
        assert list(store.unreadable) == [corrupt]
        assert store.rows(f"{COUNT} events WHERE session_id = ?", [failed_session], only=[failed_session]) == [{"n": 0}]


def test_a_foreign_table_is_named_and_left_out(root: Root, failed_session: str) -> None:
    foreign = root.table("sessions") / "date=2026-02-12" / "trips.parquet"
    pq.write_table(pa.table({"vendor": ["a"], "fare": [1.5]}), foreign)
    with open_store(root) as store:
        assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]
        assert store.unreadable == {foreign: "it has no session_id: no file of this table"}


def test_a_table_with_columns_of_other_types_is_named_and_left_out(root: Root, failed_session: str) -> None:
    foreign = root.table("events") / "date=2026-02-12" / "other.parquet"
    pq.write_table(pa.table({"session_id": [failed_session], "seq": [[1]], "type": ["x"]}), foreign)
    with open_store(root) as store:
        assert store.rows(f"{COUNT} events WHERE type = 'response.done' AND seq > 0") == [{"n": 1}]
        assert "its column seq is list" in store.unreadable[foreign]


def test_files_of_an_older_tool_lack_columns(root: Root, failed_session: str) -> None:
    path = root.table_file("sessions", failed_session)
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["drift_us", "overrides"]), path)
    with open_store(root) as store:
        assert store.rows("SELECT session_id, drift_us FROM sessions") == [
            {"session_id": failed_session, "drift_us": None}
        ]


def test_a_file_that_is_being_written_is_passed_over(root: Root, failed_session: str) -> None:
    unfinished = root.table("sessions") / "date=2026-02-12" / ".unfinished.parquet"
    unfinished.write_bytes(b"PAR1")
    with open_store(root) as store:
        assert store.rows(f"{COUNT} sessions") == [{"n": 1}]
        assert not store.unreadable


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


def test_a_compacted_file_that_is_missing_or_damaged_is_named(root: Root, failed_session: str, ok_session: str) -> None:
    compact_date(root, "2026-02-12", grace_s=0)
    (sessions,) = root.date_folder("sessions", "2026-02-12").iterdir()
    (audio,) = root.date_folder("audio", "2026-02-12").iterdir()
    sessions.write_bytes(b"damaged")
    audio.unlink()
    with open_store(root) as store:
        # Nothing is shown of sessions whose row cannot be read.
        assert store.rows(f"{COUNT} events") == [{"n": 0}]
        assert "no readable Parquet file" in store.unreadable[sessions]
        assert store.unreadable[audio] == "it is missing, and the manifest of its date names it"


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


def test_the_console_answers(failed_session: str, store: Store) -> None:
    result = store.console(
        "-- how many?\nSELECT sender, COUNT(*) AS n FROM events GROUP BY sender ORDER BY n; -- so many"
    )
    assert result.columns == ("sender", "n")
    assert result.rows == [("client", 7), ("server", 13)]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM sessions",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a",
        "VALUES (1), (2)",
        "DESCRIBE events",
        "SHOW TABLES",
        "SUMMARIZE latencies",
        "EXPLAIN SELECT * FROM turns",
        "EXPLAIN ANALYZE SELECT * FROM sessions",
        "explain (format json) select 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SELECT 'ä; -- €' AS a ;; /* ; */ -- ;",
    ],
)
def test_the_console_takes_whatever_only_reads(sql: str, failed_session: str, store: Store) -> None:
    assert store.console(sql).rows


def test_the_console_gives_no_more_rows_than_asked_for(failed_session: str, store: Store) -> None:
    result = store.console("SELECT seq FROM events ORDER BY seq", limit=3)
    assert (result.rows, result.truncated) == ([(0,), (1,), (2,)], True)
    assert not store.console("SELECT 1", limit=1).truncated


WRITES = "COPY (SELECT 1) TO '{path}'"


@pytest.mark.parametrize(
    "sql",
    [
        "{writes}",
        "EXPLAIN ANALYZE {writes}",
        "EXPLAIN (ANALYZE) {writes}",
        "EXPLAIN (ANALYZE, FORMAT json) {writes}",
        "/* EXPLAIN */ EXPLAIN /* x */ ANALYZE {writes}",
        "SELECT 1; {writes}",
        # From DuckDB 2.0 on these are SELECT statements for extract_statements, and they write.
        "WITH x AS ({writes}) SELECT * FROM x",
        "WITH x AS ({writes}) SELECT 5",
        "EXPLAIN ANALYZE WITH x AS ({writes}) SELECT * FROM x",
        "SELECT * FROM (WITH x AS ({writes}) SELECT * FROM x)",
        "SELECT 1 WHERE EXISTS (WITH x AS MATERIALIZED ({writes}) SELECT * FROM x)",
        "SELECT 1) AS a; {writes}; SELECT * FROM (SELECT 1",
        "ATTACH '{path}' AS other",
        "EXPORT DATABASE '{path}'",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW sessions",
        "DELETE FROM _sessions",
        "WITH x AS (DELETE FROM _sessions RETURNING *) SELECT * FROM x",
        "INSERT INTO _sessions (session_id) VALUES ('x')",
        "SET VARIABLE events_files = ['/etc/passwd']",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "/* x */ PRAGMA version",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "CHECKPOINT",
        "USE memory",
        "",
        "-- nothing",
    ],
)
def test_the_console_refuses_whatever_does_more_than_read(
    sql: str, failed_session: str, store: Store, root: Root
) -> None:
    victim = root.table("sessions").resolve() / "date=2026-02-12" / "new.parquet"
    with pytest.raises(UsageProblem):
        store.console(sql.replace("{writes}", WRITES).replace("{path}", str(victim)))
    assert not victim.exists()
    assert store.rows("SELECT session_id FROM sessions") == [{"session_id": failed_session}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_blob('{journal}')",
        "SELECT * FROM read_text('{journal}')",
        "SELECT * FROM glob('{root}/journal/*')",
        "SELECT * FROM read_parquet('{root}/sessions/../journal/x.journal')",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
        "SELECT * FROM sqlite_scan('/tmp/x.db', 't')",
        "SELECT * FROM root",
    ],
)
def test_the_console_reads_nothing_but_the_tables(sql: str, failed_session: str, store: Store, root: Root) -> None:
    root.journal.mkdir(parents=True)
    journal = root.journal / "x.journal"
    journal.write_text("secret")
    statement = sql.replace("{journal}", str(journal.resolve())).replace("{root}", str(root.path.resolve()))
    with pytest.raises(UsageProblem, match="this SQL cannot be run"):
        store.console(statement)


def test_an_sql_error_is_one_sentence_with_its_place(failed_session: str, store: Store) -> None:
    with pytest.raises(UsageProblem) as caught:
        store.console("SELECT\n  sesion_id FROM events")
    sentence, line, carets = str(caught.value).splitlines()
    assert sentence.startswith('this SQL cannot be run: Binder Error: Referenced column "sesion_id" not found')
    assert "session_id" in sentence
    assert line.endswith("  sesion_id FROM events")
    assert line.index("sesion_id") == carets.index("^")


def test_sql_that_is_no_text_is_refused(store: Store) -> None:
    with pytest.raises(UsageProblem, match="no valid UTF-8"):
        store.console("SELECT '\udcff'")


def test_a_closed_store_holds_no_connection(root: Root) -> None:
    with open_store(root) as store:
        pass
    with pytest.raises(duckdb.ConnectionException):
        store.rows("SELECT 1")
