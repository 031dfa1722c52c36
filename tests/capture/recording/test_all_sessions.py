"""Reads the sessions table of a root whose files were sealed, compacted, written by others or damaged."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capture.compaction import compact_date
from capture.recording.all_sessions import read_all_sessions, read_some_sessions
from capture.recording.listing import list_files
from capture.recording.root import Root
from capture.recording.tables import TableDamaged
from capture.recording.writer import SessionWriter

FIRST, SECOND, THIRD = "20260212T083055-0000000a", "20260212T083056-0000000b", "20260213T083057-0000000c"
DATE = "2026-02-12"


def save(root: Root, session_id: str, **session: Any) -> Path:
    with SessionWriter(root, session_id) as writer:
        writer.add("events", {"seq": 0, "offset_ns": 0})
        writer.commit(session)
    return root.table_file("sessions", session_id)


def outcomes(root: Root, *, damaged: Collection[Path] = ()) -> dict[str, Any]:
    told: list[TableDamaged] = []
    rows = read_all_sessions(root, ["outcome"], told.append)
    assert {damage.path for damage in told} == set(damaged)
    return {session_id: row["outcome"] for session_id, row in rows.items()}


def test_rows_come_oldest_first_with_the_columns_that_were_asked_for(root: Root) -> None:
    save(root, SECOND, outcome="failed", started_at=1_770_885_056_000_000)
    save(root, FIRST, outcome="ok")
    rows = read_all_sessions(root, ["started_at", "outcome"], lambda damage: pytest.fail(str(damage)))
    assert list(rows.items()) == [
        (FIRST, {"session_id": FIRST, "started_at": None, "outcome": "ok"}),
        (
            SECOND,
            {"session_id": SECOND, "started_at": datetime(2026, 2, 12, 8, 30, 56, tzinfo=UTC), "outcome": "failed"},
        ),
    ]


def test_it_tells_how_many_files_are_read(root: Root) -> None:
    for session_id in (FIRST, SECOND, THIRD):
        save(root, session_id, outcome="ok")
    told: list[tuple[int, int]] = []
    read_all_sessions(root, ["outcome"], lambda damage: pytest.fail(str(damage)), lambda *how_far: told.append(how_far))
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_an_empty_or_missing_root_has_none(root: Root) -> None:
    assert outcomes(root) == {}
    assert outcomes(Root(root.path / "nowhere")) == {}


def test_each_session_is_there_once_while_merged_files_wait_for_their_end(root: Root) -> None:
    for session_id in (FIRST, SECOND, THIRD):
        save(root, session_id, outcome="ok")
    compact_date(root, DATE)
    assert root.table_file("sessions", FIRST).exists()
    assert outcomes(root) == dict.fromkeys((FIRST, SECOND, THIRD), "ok")
    compact_date(root, DATE, grace_s=0)
    assert not root.table_file("sessions", FIRST).exists()
    assert outcomes(root) == dict.fromkeys((FIRST, SECOND, THIRD), "ok")


def test_a_compaction_between_listing_and_reading_hides_none(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    for session_id in (FIRST, SECOND, THIRD):
        save(root, session_id, outcome="ok")

    def list_then_compact(*arguments: Any) -> Any:
        listing = list_files(*arguments)
        compact_date(root, DATE, grace_s=0)
        return listing

    monkeypatch.setattr("capture.recording.all_sessions.list_files", list_then_compact)
    assert outcomes(root) == dict.fromkeys((FIRST, SECOND, THIRD), "ok")


def test_a_few_are_read_from_the_files_that_may_hold_them(root: Root) -> None:
    for session_id in (FIRST, SECOND):
        save(root, session_id, outcome="ok")
    compact_date(root, DATE, grace_s=0)
    save(root, THIRD, outcome="failed")
    later = save(root, "20260213T083058-0000000d", outcome="ok")
    later.write_bytes(b"this is no Parquet, and nobody asks for it")
    rows = read_some_sessions(root, [SECOND, THIRD, later.stem], ["outcome"])
    assert {session_id: row["outcome"] for session_id, row in rows.items()} == {SECOND: "ok", THIRD: "failed"}


def test_damaged_files_are_told_and_hide_no_other(root: Root) -> None:
    save(root, FIRST, outcome="ok")
    damaged, cut, another = (save(root, session_id) for session_id in (SECOND, THIRD, "20260213T083058-0000000d"))
    damaged.write_bytes(b"this is no Parquet")
    cut.write_bytes(cut.read_bytes()[:-40])
    another.write_bytes(root.table_file("sessions", FIRST).read_bytes())
    dangling = another.with_name("elsewhere.parquet")
    dangling.symlink_to(root.path / "nowhere")
    assert outcomes(root, damaged=[damaged, cut, another, dangling]) == {FIRST: "ok"}


def test_files_of_others_hold_any_sessions_and_may_lack_columns(root: Root) -> None:
    path = save(root, FIRST, outcome="ok").with_name("theirs.parquet")
    pq.write_table(pa.table({"session_id": ["call-1", None, FIRST]}), path)
    numbers = path.with_name("numbers.parquet")
    pq.write_table(pa.table({"session_id": [1, 2]}), numbers)
    assert outcomes(root, damaged=[numbers]) == {FIRST: "ok", "call-1": None}


def test_a_file_of_others_with_times_as_text_is_told_or_understood(root: Root) -> None:
    path = save(root, FIRST, outcome="ok").with_name("theirs.parquet")
    pq.write_table(pa.table({"session_id": ["call-1"], "started_at": ["2026-02-12T08:30:55Z"]}), path)
    odd = path.with_name("yesterday.parquet")
    pq.write_table(pa.table({"session_id": ["call-2"], "started_at": ["yesterday"]}), odd)
    told: list[TableDamaged] = []
    rows = read_all_sessions(root, ["started_at"], told.append)
    assert rows["call-1"]["started_at"] == datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
    assert ([damage.path for damage in told], "call-2" in rows) == ([odd], False)
