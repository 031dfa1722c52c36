from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capture.recording.compacted import (
    CompactedWriter,
    SourceUnusable,
    check_source,
    own_rows,
    sessions_in,
    shared_rows,
)
from capture.recording.manifest import place_of
from capture.recording.schema import AUDIO, EVENTS, SESSIONS

FIRST, SECOND = "20260212T083055-0000000a", "20260212T083056-0000000b"


def events(session_id: str, count: int, payload: str = "x") -> pa.Table:
    rows = [{"session_id": session_id, "seq": n, "offset_ns": n, "payload": payload} for n in range(count)]
    return pa.Table.from_pylist(rows, schema=EVENTS)


def noise(session_id: str, size: int) -> pa.Table:
    data = (f"{n:016x}".encode() * 64 for n in range(size >> 10))
    rows = [{"session_id": session_id, "track": "client", "block": n, "data": each} for n, each in enumerate(data)]
    return pa.Table.from_pylist(rows, schema=AUDIO)


def test_sessions_lie_together_with_bounds_of_their_ids_and_none_of_payloads(tmp_path: Path) -> None:
    with CompactedWriter(tmp_path, EVENTS) as writer:
        writer.add(FIRST, events(FIRST, 20_000))
        writer.add(FIRST, events(FIRST, 10))
        writer.add(SECOND, events(SECOND, 5))
        (path,) = writer.finish()
    assert place_of(path.name) == "compacted"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [(found, len(rows)) for found, rows in shared_rows(path, EVENTS)] == [
        (FIRST, 20_000),
        (FIRST, 10),
        (SECOND, 5),
    ]
    assert sessions_in(path) == {FIRST, SECOND}
    group = pq.read_metadata(path).row_group(1)
    columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    assert (columns["session_id"].statistics.min, columns["session_id"].statistics.max) == (FIRST, SECOND)
    assert columns["payload"].statistics is None


def test_a_session_is_never_cut_in_two_files(tmp_path: Path) -> None:
    with CompactedWriter(tmp_path, EVENTS, file_bytes=1) as writer:
        for _ in range(3):
            writer.add(FIRST, events(FIRST, 20_000))
        writer.add(SECOND, events(SECOND, 20_000))
        paths = writer.finish()
    assert [sessions_in(path) for path in paths] == [{FIRST}, {SECOND}]
    assert [pq.read_metadata(path).num_rows for path in paths] == [60_000, 20_000]


def test_row_groups_are_bounded_by_bytes_too(tmp_path: Path) -> None:
    with CompactedWriter(tmp_path, AUDIO) as writer:
        for _ in range(12):
            writer.add(FIRST, noise(FIRST, 1 << 20))
        (path,) = writer.finish()
    assert pq.read_metadata(path).num_row_groups == 2


def test_nothing_to_write_makes_no_file(tmp_path: Path) -> None:
    with CompactedWriter(tmp_path, EVENTS) as writer:
        assert writer.finish() == []
    assert list(tmp_path.iterdir()) == []


def test_what_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CompactedWriter(tmp_path, EVENTS, file_bytes=1) as writer:
        writer.add(FIRST, events(FIRST, 20_000))
        writer.add(SECOND, events(SECOND, 1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_columns_that_came_later_are_null_in_older_files(tmp_path: Path) -> None:
    path = tmp_path / "old.parquet"
    pq.write_table(events(FIRST, 2).drop_columns(["pinned", "redacted"]), path)
    check_source(path, EVENTS)
    (rows,) = own_rows(path, EVENTS, FIRST)
    assert rows.schema.equals(EVENTS)
    assert rows.column("pinned").null_count == 2


def test_maps_and_lists_of_a_sealed_row_keep_their_type(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    gap = {"sender": "client", "from_ns": 1, "to_ns": 2, "bytes": None, "reason": "slow disk"}
    row = {"session_id": FIRST, "tags": [("a", "b")], "failure_keys": ["x"], "gaps": [gap], "started_at": 7}
    written = pa.Table.from_pylist([row], schema=SESSIONS)
    pq.write_table(written, path, store_schema=False)
    (rows,) = own_rows(path, SESSIONS, FIRST)
    assert rows.equals(written)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (pa.table({"session_id": [SECOND], "seq": [1], "offset_ns": [1]}), "it holds rows of another session"),
        (pa.table({"session_id": [FIRST], "seq": ["one"], "offset_ns": [1]}), "Failed to parse string"),
    ],
)
def test_rows_that_are_not_the_sessions_are_refused(table: pa.Table, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    with pytest.raises(SourceUnusable, match=problem):
        list(own_rows(path, EVENTS, FIRST))


def test_columns_of_a_newer_tool_are_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "new.parquet"
    pq.write_table(events(FIRST, 1).append_column("mood", pa.array(["good"])), path)
    with pytest.raises(SourceUnusable, match="it has a column mood, which this version does not know"):
        check_source(path, EVENTS)


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not really")
    for read in (
        lambda: check_source(path, EVENTS),
        lambda: sessions_in(path),
        lambda: list(shared_rows(path, EVENTS)),
    ):
        with pytest.raises(SourceUnusable, match=r"x\.parquet: "):
            read()
