from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capture.recording import tables
from capture.recording.compacted import CompactedWriter
from capture.recording.manifest import Manifest, load_manifest, save_manifest
from capture.recording.root import Root
from capture.recording.schema import EVENTS, SESSIONS, TABLES
from capture.recording.tables import RowView, TableDamaged, list_ids, read_groups, read_rows
from capture.recording.writer import SessionWriter

SESSION_ID = "20260212T083055-4f3a9c12"
OTHER_ID = "20260212T090000-00000001"


def save(root: Root, session_id: str, events: list[dict[str, Any]], session: dict[str, Any] | None = None) -> None:
    with SessionWriter(root, session_id) as writer:
        for event in events:
            writer.add("events", event)
        writer.commit(session or {})


def test_values_have_the_types_of_python(root: Root) -> None:
    event = {
        "seq": 0,
        "offset_ns": 2**40,
        "at": 1_770_885_055_000_001,
        "sender": "client",
        "content_index": None,
        "payload_bytes": b"\xff",
        "pinned": True,
    }
    later = {"seq": 1, "offset_ns": 2**40, "content_index": 7, "pinned": None, "at": None}
    save(root, SESSION_ID, [event, later])
    first, second = read_rows(root, "events", SESSION_ID)
    assert first == dict.fromkeys(EVENTS.names) | event | {
        "session_id": SESSION_ID,
        "at": datetime(2026, 2, 12, 8, 30, 55, 1, tzinfo=UTC),
    }
    assert second == dict.fromkeys(EVENTS.names) | later | {"session_id": SESSION_ID}
    assert type(first["seq"]) is int
    assert type(first["pinned"]) is bool


def test_maps_lists_and_structs_come_as_dicts_and_lists(root: Root) -> None:
    gap = {"sender": "client", "from_ns": 1, "to_ns": 2, "bytes": None, "reason": "slow disk"}
    session = {"tags": {"a": "b"}, "failure_keys": ["error|x|y|z"], "gaps": [gap], "duration_ms": 1.5}
    save(root, SESSION_ID, [], session)
    (row,) = read_rows(root, "sessions", SESSION_ID)
    assert row == dict.fromkeys(SESSIONS.names) | session | {"session_id": SESSION_ID}


def test_rows_are_found_in_files_of_several_sessions(root: Root) -> None:
    save(root, SESSION_ID, [{"seq": n, "offset_ns": 0, "kind": "event"} for n in range(5)])
    save(root, OTHER_ID, [{"seq": n, "offset_ns": 0, "kind": "ping"} for n in range(5)])
    own = [root.table_file("events", session_id) for session_id in (SESSION_ID, OTHER_ID)]
    merged = pa.concat_tables([pq.read_table(path, partitioning=None) for path in own])
    pq.write_table(merged, own[0].with_name("compacted-0.parquet"), row_group_size=3)
    for path in own:
        path.unlink()
    assert [row["seq"] for row in read_rows(root, "events", SESSION_ID)] == [0, 1, 2, 3, 4]
    assert {row["kind"] for row in read_rows(root, "events", OTHER_ID)} == {"ping"}
    assert list(read_rows(root, "events", OTHER_ID, kind="event")) == []


def test_a_damaged_file_of_the_session_is_an_error_that_names_it(root: Root) -> None:
    save(root, SESSION_ID, [])
    root.table_file("events", SESSION_ID).write_bytes(b"nothing at all")
    with pytest.raises(TableDamaged, match=SESSION_ID):
        list(read_rows(root, "events", SESSION_ID))


def test_ids_come_from_names_and_from_files_of_several_sessions(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    save(root, SESSION_ID, [])
    save(root, OTHER_ID, [])
    other = root.table_file("sessions", OTHER_ID)
    other.rename(other.with_name("compacted-0.parquet"))
    pq.write_table(pa.table({"someone": ["else"]}), other.with_name("alien.parquet"))
    assert list_ids(root) == {SESSION_ID, OTHER_ID}
    assert "alien.parquet is passed over: it is no sessions table" in caplog.text


def test_a_view_of_a_row_reads_as_the_row_does(root: Root) -> None:
    save(root, SESSION_ID, [{"seq": n, "offset_ns": 0, "kind": "event"} for n in range(3)])
    (group,) = read_groups(root, "events", SESSION_ID)
    assert len(group) == 3
    assert [dict(RowView(group, index)) for index in range(3)] == list(group.rows())
    assert len(RowView(group, 0)) == len(EVENTS.names)
    assert RowView(group, 2).get("seq") == 2
    assert RowView(group, 2).get("no such column") is None


def test_a_column_that_cannot_be_read_is_an_error_when_it_is_asked_for(root: Root) -> None:
    save(root, SESSION_ID, [])
    no_text = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    columns = {"session_id": pa.array([SESSION_ID]), "seq": pa.array([7]), "payload": no_text}
    pq.write_table(pa.table(columns), root.table_file("events", SESSION_ID))
    (group,) = read_groups(root, "events", SESSION_ID)
    assert group.column("seq") == [7]
    with pytest.raises(TableDamaged, match=SESSION_ID):
        group.column("payload")


def compact(root: Root, *session_ids: str) -> list[Path]:
    """Move sessions into compacted files, each table's into one, and delete what they replace."""
    made: dict[str, tuple[str, ...]] = {}
    for table in ("events", "sessions"):
        own = [root.table_file(table, session_id) for session_id in session_ids]
        with CompactedWriter(own[0].parent, TABLES[table]) as writer:
            for path, session_id in zip(own, session_ids, strict=True):
                writer.add(session_id, pq.read_table(path, partitioning=None).cast(TABLES[table]))
            made[table] = tuple(path.relative_to(root.path).as_posix() for path in writer.finish())
    before = load_manifest(root, "2026-02-12") or Manifest(format_version=1)
    ids = before.session_ids | frozenset(session_ids)
    merged = {table: before.tables.get(table, ()) + made[table] for table in made}
    save_manifest(root, "2026-02-12", Manifest(format_version=1, tables=merged, session_ids=ids))
    for table in made:
        for session_id in session_ids:
            root.table_file(table, session_id).unlink()
    return [root.path / name for name in made["events"]]


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"seq": n, "offset_ns": 0, "kind": "event"} for n in range(count)]


def test_rows_come_from_the_compacted_file_that_holds_the_session(root: Root) -> None:
    save(root, SESSION_ID, numbered(20_000))
    save(root, OTHER_ID, numbered(3))
    (path,) = compact(root, SESSION_ID, OTHER_ID)
    assert list_ids(root) == {SESSION_ID, OTHER_ID}
    # Row groups whose bounds exclude the session are not read.
    assert pq.read_metadata(path).num_row_groups == 2
    assert [len(group) for group in read_groups(root, "events", SESSION_ID)] == [20_000]
    assert [row["seq"] for row in read_rows(root, "events", OTHER_ID)] == [0, 1, 2]
    assert list(read_rows(root, "audio", OTHER_ID)) == []


def test_only_files_that_may_hold_the_session_are_opened(root: Root) -> None:
    save(root, SESSION_ID, numbered(2))
    save(root, OTHER_ID, numbered(3))
    compact(root, SESSION_ID)
    (other,) = compact(root, OTHER_ID)
    other.write_bytes(b"damaged")
    assert len(list(read_rows(root, "events", SESSION_ID))) == 2
    with pytest.raises(TableDamaged, match="compacted-"):
        list(read_rows(root, "events", OTHER_ID))


def test_a_file_that_goes_between_listing_and_opening_is_looked_for_again(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(root, SESSION_ID, numbered(2))
    find = tables._groups_in

    def compact_first(path: Path, table: str, **only: str) -> Iterator[tables.RowGroup]:
        if path == root.table_file("events", SESSION_ID) and path.exists():
            compact(root, SESSION_ID)
        return find(path, table, **only)

    monkeypatch.setattr(tables, "_groups_in", compact_first)
    assert [row["seq"] for row in read_rows(root, "events", SESSION_ID)] == [0, 1]


def test_a_file_that_a_manifest_names_in_vain_is_an_error_that_names_it(root: Root) -> None:
    save(root, SESSION_ID, numbered(2))
    (path,) = compact(root, SESSION_ID)
    path.unlink()
    with pytest.raises(TableDamaged, match=r"compacted-.*: it is missing, and a manifest names it"):
        list(read_rows(root, "events", SESSION_ID))


def test_rows_without_a_session_belong_to_none_though_the_bounds_name_only_one(root: Root) -> None:
    save(root, SESSION_ID, [])
    table = pa.table({"session_id": pa.array([SESSION_ID, None]), "seq": pa.array([7, 8])})
    pq.write_table(table, root.table_file("events", SESSION_ID))
    assert [row["seq"] for row in read_rows(root, "events", SESSION_ID)] == [7]


@pytest.mark.parametrize("session_id", ["call-1", "../../x", "a" * 300, "\x00"])
def test_an_id_that_no_file_could_bear_is_found_in_files_of_others(root: Root, session_id: str) -> None:
    folder = root.table("sessions") / "date=2026-02-12"
    folder.mkdir(parents=True)
    rows = [{"session_id": session_id, "failure_keys": [None, "error"], "started_at": 2**63 - 1}]
    columns = {name: pa.array([rows[0].get(name)], SESSIONS.field(name).type) for name in rows[0]}
    pq.write_table(pa.table(columns), folder / "theirs.parquet")
    [row] = read_rows(root, "sessions", session_id)
    assert (row["session_id"], row["failure_keys"], row["started_at"]) == (session_id, ["error"], None)
    assert list(read_rows(root, "sessions", f"{session_id}x")) == []
