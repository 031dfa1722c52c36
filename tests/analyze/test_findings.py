from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from analyze.findings import EVIDENCE, Finding, UnknownFailure, find_all, find_unknown
from analyze.queries import Queries
from analyze.signatures import CONFIDENCES
from analyze.store import Store, open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from capture.recording.schema import TABLES
from tests.analyze.conftest import FAILED_KEY, Trace, configure, spoken_turn

START = datetime(2026, 2, 12, 8, 30, tzinfo=UTC)
LATER = datetime(2026, 2, 12, 9, 30, tzinfo=UTC)


def test_every_signature_answers_with_the_columns_of_a_finding(root: Root) -> None:
    with open_store(root) as store:
        assert find_all(store) == ()


def test_a_finding_names_its_rows_and_its_time(failed_session: str, ok_session: str, store: Store) -> None:
    (finding,) = find_all(store)

    assert finding.session_id == failed_session
    assert finding.name == "transcription_model_path_failure"
    assert finding.confidence in CONFIDENCES
    assert finding.explains == (FAILED_KEY,)
    (seq,) = finding.evidence
    (event,) = store.rows("SELECT * FROM events WHERE session_id = ? AND seq = ?", [failed_session, seq])
    assert finding.first_at == event["at"].replace(tzinfo=UTC)


def test_nothing_of_a_pass_is_left_in_memory(failed_session: str, store: Store) -> None:
    find_all(store)

    assert store.rows("SELECT * FROM duckdb_tables() WHERE temporary") == []


def test_a_pass_that_meets_a_removal_is_of_what_is_there_then(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        assert store.rows("SELECT COUNT(DISTINCT session_id) AS n FROM events") == [{"n": 2}]
        later = Trace("20260213T000000-0000000e", {"outcome": "failed", "failure_keys": [FAILED_KEY]})
        configure(later)
        spoken_turn(later, 20, transcript=None)
        later.write(root)
        for table in TABLES:
            root.table_file(table, failed_session).unlink(missing_ok=True)

        assert [finding.session_id for finding in find_all(store)] == [later.session_id]


def test_the_evidence_is_documented_like_the_views() -> None:
    from importlib.resources import files

    folder = files("analyze") / "sql" / "evidence"
    assert {f"{name}.sql" for name in EVIDENCE} == {entry.name for entry in folder.iterdir()}


def test_findings_are_picked_by_the_filter_of_sessions(failed_session: str, ok_session: str, queries: Queries) -> None:
    assert [finding.session_id for finding in queries.findings()] == [failed_session]
    assert [finding.session_id for finding in queries.findings("region:eastus2")] == [failed_session]
    assert queries.findings("region:swedencentral") == []


def test_findings_of_one_session(failed_session: str, ok_session: str, queries: Queries) -> None:
    assert len(queries.session_findings(failed_session)) == 1
    assert queries.session_findings(ok_session) == []
    with pytest.raises(UsageProblem, match="there is no recording"):
        queries.session_findings("20260101T000000-00000000")


def test_what_is_recorded_later_is_found_after_a_refresh(root: Root, failed_session: str) -> None:
    with open_store(root) as store:
        queries = Queries(store)
        assert len(queries.findings()) == 1
        trace = Trace("20260212T093055-0000000c", {"failure_keys": [FAILED_KEY], "outcome": "failed"})
        configure(trace)
        spoken_turn(trace, 20, transcript=None)
        trace.write(root)
        store.refresh()
        assert len(queries.findings()) == 2


def test_a_key_without_a_finding_is_an_unknown_failure(root: Root, failed_session: str) -> None:
    strange = Trace("20260212T093055-0000000d", {"failure_keys": ["error|odd||Something."], "outcome": "failed"})
    strange.server(0, "error", error={"type": "odd", "message": "Something."})
    strange.write(root)
    with open_store(root) as store:
        queries = Queries(store)
        (unknown,) = queries.unknown_failures()
        assert unknown.failure_key == "error|odd||Something."
        assert unknown.sessions == ("20260212T093055-0000000d",)
        assert queries.unknown_failures("session:20260212T083055*") == []


def finding(session_id: str, *explains: str) -> Finding:
    return Finding(session_id, "some_name", "certain", (), None, None, {}, explains)


def test_a_finding_explains_the_keys_of_its_own_session_only() -> None:
    sessions: list[dict[str, Any]] = [
        {"session_id": "a", "started_at": START, "failure_keys": ["key|1"]},
        {"session_id": "b", "started_at": LATER, "failure_keys": ["key|1", "key|2"]},
        {"session_id": "c", "started_at": LATER, "failure_keys": None},
        {"session_id": "d", "started_at": None, "failure_keys": ["key|3"]},
    ]

    assert find_unknown(sessions, [finding("a", "key|1")]) == [
        UnknownFailure("key|1", ("b",), 1, LATER, LATER),
        UnknownFailure("key|2", ("b",), 1, LATER, LATER),
        UnknownFailure("key|3", ("d",), 1, None, None),
    ]
    assert find_unknown(sessions, [])[0] == UnknownFailure("key|1", ("a", "b"), 2, START, LATER)
