"""The pass over a root asks some of its files at a time, and gathers the same as from all at once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.findings import find_all
from analyze.store import open_store, tables
from analyze.store.gathering import Script
from capture.compaction import compact_date
from capture.recording.root import Root
from tests.analyze.conftest import FAILED_KEY, Trace, configure, spoken_turn

COUNT_FILES = Script(
    "-- How many files each session's events were asked among.\n\n"
    "CREATE OR REPLACE TEMP TABLE _asked AS\n"
    "SELECT DISTINCT session_id, LEN(getvariable('events_files')) AS files FROM events;\n",
    "events",
)
QUESTION = {"asked": "SELECT * FROM _asked ORDER BY session_id"}


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_OWN_AT_ONCE", 1)


@pytest.mark.usefixtures("few_at_once")
def test_files_of_one_session_are_asked_some_at_a_time(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        asked = store.pass_over([COUNT_FILES], QUESTION)["asked"]
        assert asked == [{"session_id": each, "files": 1} for each in sorted([failed_session, ok_session])]
        # Whoever asks next asks all of them.
        assert store.rows("SELECT COUNT(DISTINCT session_id) AS n FROM events") == [{"n": 2}]


@pytest.mark.usefixtures("few_at_once")
def test_findings_are_those_of_all_files_at_once(
    root: Root, failed_session: str, ok_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact_date(root, "2026-02-12", grace_s=0)
    # Compacted, and in files of their own.
    later = [f"20260212T1{number}0000-0000000a" for number in range(3)]
    for session_id in later:
        again = Trace(session_id, {"outcome": "failed", "errors": 1, "failure_keys": [FAILED_KEY]})
        configure(again)
        spoken_turn(again, 20, transcript=None)
        again.write(root)
    with open_store(root) as store:
        in_pieces = find_all(store)
        monkeypatch.setattr(tables, "_OWN_AT_ONCE", 500)
        assert in_pieces == find_all(store)
    assert {failed_session, *later} <= {finding.session_id for finding in in_pieces}


@pytest.mark.usefixtures("few_at_once")
def test_a_session_that_others_cut_in_two_stays_one(root: Root, failed_session: str, ok_session: str) -> None:
    own = root.table_file("events", ok_session)
    rows = pq.read_table(own, partitioning=None)
    pq.write_table(rows.slice(0, 3), own.with_name("part-0.parquet"))
    pq.write_table(pa.concat_tables([rows.slice(3)]), own.with_name("part-1.parquet"))
    own.unlink()
    with open_store(root) as store:
        assert {row["files"] for row in store.pass_over([COUNT_FILES], QUESTION)["asked"]} == {3}


@pytest.mark.usefixtures("few_at_once")
def test_a_file_that_turns_out_damaged_begins_the_pass_anew(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        damaged = root.table_file("events", max(failed_session, ok_session))
        damaged.write_bytes(b"damaged")
        asked = store.pass_over([COUNT_FILES], QUESTION)["asked"]
        assert asked == [{"session_id": min(failed_session, ok_session), "files": 1}]
        assert list(store.unreadable) == [damaged]


@pytest.mark.usefixtures("few_at_once")
def test_compaction_in_the_middle_of_a_pass_changes_nothing(root: Root, failed_session: str, ok_session: str) -> None:
    with open_store(root) as store:
        compact_date(root, "2026-02-12", grace_s=0)
        asked = store.pass_over([COUNT_FILES], QUESTION)["asked"]
        assert [row["session_id"] for row in asked] == sorted([failed_session, ok_session])
        assert not store.unreadable
