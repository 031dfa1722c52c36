"""Files that are damaged, foreign, older or not yet whole: the rest of the root works without them."""

from __future__ import annotations

import os
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from analyze.store import open_store
from capture.compaction import compact_date
from capture.recording.root import Root
from capture.regular_files import NO_FILE
from tests.analyze.conftest import Trace
from tests.analyze.tui.hostile_root import write_rows

COUNT = "SELECT COUNT(*) AS n FROM"


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


def test_pipes_in_a_root_are_named_and_nobody_waits_for_them(root: Root, failed_session: str, ok_session: str) -> None:
    own, said = root.table_file("events", ok_session), root.annotations / f"{ok_session}.0000000a.parquet"
    own.unlink()
    root.annotations.mkdir()
    pipes = [own, own.with_name("theirs.parquet"), root.table_file("sessions", "20260212T090000-00000bad")]
    for pipe in (*pipes, said):
        os.mkfifo(pipe)
    with open_store(root) as store:
        assert store.rows(f"{COUNT} sessions") == [{"n": 2}]
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": failed_session}]
        assert store.unreadable == dict.fromkeys(pipes, NO_FILE)


def test_events_that_were_not_copied_are_named_until_they_are(root: Root, ok_session: str) -> None:
    refused = Trace("20260212T090000-0000000a", columns={"events_sent": 0, "events_received": 0}).write(root)
    called = Trace("20260212T090000-0000000b", columns={"events_sent": 1, "events_received": 0})
    called.client(0, "response.create")
    path = root.table_file("events", called.write(root))
    elsewhere = path.rename(root.path / "elsewhere")
    with open_store(root) as store:
        assert store.unreadable == {path: "it is missing, and its session has messages: was all of the root copied?"}
        assert store.rows("SELECT DISTINCT session_id FROM events") == [{"session_id": ok_session}]
        elsewhere.rename(path)
        store.refresh()
        assert store.unreadable == {}
        with_events = store.rows("SELECT DISTINCT session_id FROM events ORDER BY ALL")
        assert with_events == [{"session_id": ok_session}, {"session_id": called.session_id}]
        assert store.rows(f"{COUNT} sessions WHERE session_id = ?", [refused]) == [{"n": 1}]


def test_a_corrupt_events_file_takes_no_older_recording_with_it(
    root: Root, failed_session: str, ok_session: str
) -> None:
    # Sealed before rows had the latencies of turns: these are measured in its events.
    older = root.table_file("sessions", failed_session)
    pq.write_table(pq.read_table(older, partitioning=None).drop_columns(["turn_latencies"]), older)
    corrupt = root.table_file("events", ok_session)
    corrupt.write_bytes(corrupt.read_bytes()[:200])
    with open_store(root) as store:
        assert store.rows(f"{COUNT} sessions") == [{"n": 2}]
        assert store.rows("SELECT DISTINCT session_id FROM latencies") == [{"session_id": failed_session}]
        assert list(store.unreadable) == [corrupt]


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


def test_what_no_measure_can_be_is_read_as_nothing(root: Root) -> None:
    rows = [
        {"session_id": "a", "duration_ms": float("nan"), "failure_keys": [None, "error|x"], "started_at": 2**63 - 1},
        {"session_id": "b", "duration_ms": float("inf"), "failure_keys": None, "started_at": -(2**63) + 1},
        {"session_id": "c", "duration_ms": 1e308, "failure_keys": [], "started_at": 0},
    ]
    write_rows(root, "sessions", rows)
    with open_store(root) as store:
        read = store.tuples("SELECT duration_ms, failure_keys, started_at FROM sessions ORDER BY session_id")
    assert read == [(None, ["error|x"], None), (None, None, None), (1e308, [], datetime(1970, 1, 1))]  # noqa: DTZ001


def test_a_name_that_is_no_text_is_left_out(root: Root, failed_session: str) -> None:
    odd = root.table("sessions") / "date=2026-02-12" / os.fsdecode(b"caf\xe9.parquet")
    odd.write_bytes(root.table_file("sessions", failed_session).read_bytes())
    with open_store(root) as store:
        assert [row["session_id"] for row in store.rows("SELECT session_id FROM sessions")] == [failed_session]
        assert store.unreadable[odd].startswith("its path is not UTF-8")
