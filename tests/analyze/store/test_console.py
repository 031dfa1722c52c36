"""What SQL that people type may do, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.store import Store, open_store, sql_tokens
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn

SESSION = "20260212T083055-0000000a"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Open a root of one session for all tests that only ask, and for those that try to do more and must not."""
    root = Root(tmp_path_factory.mktemp("console") / "recordings")
    trace = Trace(SESSION)
    configure(trace)
    spoken_turn(trace, 20, transcript=None)
    trace.write(root)
    with open_store(root) as opened:
        yield opened


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
def test_the_console_takes_whatever_only_reads(sql: str, recorded: Store) -> None:
    assert recorded.console(sql).rows


def test_the_console_gives_no_more_rows_than_asked_for(failed_session: str, store: Store) -> None:
    result = store.console("SELECT seq FROM events ORDER BY seq", limit=3)
    assert (result.rows, result.truncated) == ([(0,), (1,), (2,)], True)
    assert not store.console("SELECT 1", limit=1).truncated


SETTINGS = "SELECT name, value FROM duckdb_settings() ORDER BY name"
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
def test_the_console_refuses_whatever_does_more_than_read(sql: str, recorded: Store) -> None:
    victim = recorded.root.table("sessions").resolve() / "date=2026-02-12" / "new.parquet"
    tables, settings = recorded.catalog(), recorded.rows(SETTINGS)
    with pytest.raises(UsageProblem):
        recorded.console(sql.replace("{writes}", WRITES).replace("{path}", str(victim)))
    assert not victim.exists()
    assert recorded.rows("SELECT session_id FROM sessions") == [{"session_id": SESSION}]
    assert (recorded.catalog(), recorded.rows(SETTINGS)) == (tables, settings)


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
def test_the_console_reads_nothing_but_the_tables(sql: str, recorded: Store) -> None:
    journal = recorded.root.journal / "x.journal"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_text("secret")
    statement = sql.replace("{journal}", str(journal.resolve())).replace("{root}", str(recorded.root.path.resolve()))
    with pytest.raises(UsageProblem, match="this SQL cannot be run"):
        recorded.console(statement)


def test_what_lies_in_the_current_folder_is_no_table(
    failed_session: str, root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The engine's own place for what does not fit into memory, which it opens to SQL.
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "notes").write_text("secret")
    monkeypatch.chdir(tmp_path)
    with Store(root) as store:
        with pytest.raises(UsageProblem, match="this SQL cannot be run"):
            store.console("SELECT content FROM read_text('.tmp/notes')")
        (used,) = store.console("SELECT current_setting('temp_directory')").rows[0]
        assert Path(used).stat().st_mode & 0o777 == 0o700


def test_a_time_with_a_zone_says_how_it_is_asked_for(failed_session: str, store: Store) -> None:
    with pytest.raises(UsageProblem, match="now\\(\\)::TIMESTAMP"):
        store.console("SELECT now()")
    assert store.console("SELECT now()::TIMESTAMP > started_at FROM sessions").rows == [(True,)]


def test_an_sql_error_is_one_sentence_with_its_place(failed_session: str, store: Store) -> None:
    with pytest.raises(UsageProblem) as caught:
        store.console("SELECT\n  sesion_id FROM events")
    sentence, line, carets = str(caught.value).splitlines()
    assert sentence.startswith('this SQL cannot be run: Binder Error: Referenced column "sesion_id" not found')
    assert "session_id" in sentence
    assert line.endswith("  sesion_id FROM events")
    assert line.index("sesion_id") == carets.index("^")


def test_one_payload_that_is_no_json_says_how_to_read_the_others(root: Root) -> None:
    trace = Trace(SESSION)
    trace.text("server", 1, r'{"type": "error", "note": "half an emoji: \ud83d"}')
    trace.text("server", 2, '{"type": "error", "note": "whole"}')
    trace.write(root)
    with open_store(root) as store:
        with pytest.raises(UsageProblem, match="Malformed JSON at byte") as caught:
            store.console("SELECT payload->>'note' FROM events")
        assert "TRY(payload->>'x') gives NULL there, and WHERE json_valid(payload) passes over it" in str(caught.value)
        assert store.console("SELECT TRY(payload->>'note') FROM events ORDER BY seq").rows == [(None,), ("whole",)]
        valid = "SELECT payload->>'note' FROM events WHERE json_valid(payload)"
        assert store.console(valid).rows == [("whole",)]


def test_no_table_of_our_own_making_is_offered_for_one_that_is_misspelt(store: Store) -> None:
    with pytest.raises(UsageProblem, match=r"Table with name noevents does not exist!\n"):
        store.console("SELECT * FROM noevents")
    with pytest.raises(UsageProblem, match='Did you mean "events"'):
        store.console("SELECT * FROM event")


def test_sql_that_is_no_text_is_refused(store: Store) -> None:
    with pytest.raises(UsageProblem, match="no valid UTF-8"):
        store.console("SELECT '\udcff'")


def test_the_catalog_names_what_can_be_asked(store: Store) -> None:
    catalog = store.catalog()
    assert list(catalog["latencies"]) == ["session_id", "turn", "name", "latency_ms"]
    assert not [table for table in catalog if table.startswith("_")]


def test_a_question_that_takes_long_can_be_broken_off(store: Store) -> None:
    # Again and again, as the engine may only be about to start.
    over = Event()

    def break_off() -> None:
        while not over.wait(0.02):
            store.interrupt()

    breaking = Thread(target=break_off)
    breaking.start()
    with pytest.raises(UsageProblem, match="broken off"):
        store.console("SELECT COUNT(*) FROM range(1000000000) a, range(1000000000) b")
    over.set()
    breaking.join()
    assert store.console("SELECT 1 AS one").rows == [(1,)]


def test_tokens_are_those_that_the_engine_reads() -> None:
    sql = "SELECT 'é', x -- why\nFROM t WHERE n > 1"
    encoded = sql.encode()
    # Releases before 2.0 tell of no comment.
    told = [(kind, encoded[at : at + 4]) for at, kind in sql_tokens(sql) if kind != "comment"]
    assert told[:5] == [
        ("keyword", b"SELE"),
        ("string", "'é'".encode()),
        ("operator", b", x "),
        ("identifier", b"x --"),
        ("keyword", b"FROM"),
    ]


@pytest.mark.skipif(int(duckdb.__version__.split(".")[0]) < 2, reason="the engine tells of no comment")
def test_a_comment_is_a_token() -> None:
    assert ("comment", 9) in [(kind, at) for at, kind in sql_tokens("SELECT 1 -- why")]


@given(st.text())
def test_tokens_of_any_text_lie_in_it_in_order(text: str) -> None:
    places = [at for at, _ in sql_tokens(text)]
    assert places == sorted(places)
    assert all(0 <= at <= len(text.encode()) for at in places)
