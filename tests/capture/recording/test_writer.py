from __future__ import annotations

import resource
import stat
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capture.recording.root import Root
from capture.recording.schema import TABLES
from capture.recording.writer import SessionWriter

SESSION_ID = "20260212T083055-4f3a9c12"


def event(seq: int, payload: str = "{}") -> dict[str, Any]:
    return {"seq": seq, "offset_ns": seq, "sender": "client", "kind": "event", "payload": payload}


def block(number: int = 0) -> dict[str, Any]:
    return {"track": "client", "block": number, "data": b"\0"}


def files(root: Root) -> list[str]:
    return sorted(str(path.relative_to(root.path)) for path in root.path.rglob("*") if path.is_file())


def table_of(root: Root, name: str) -> Any:
    # Without the folder's date: what stands in the file is looked at.
    return pq.read_table(root.table_file(name, SESSION_ID), partitioning=None)


def test_a_commit_makes_one_file_a_table(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as writer:
        writer.add("events", event(0))
        writer.add("audio", block())
        writer.add("divergences", {"step": 1})
        writer.add("rewrites", {"step": 2})
        writer.commit({"outcome": "ok", "tags": {"a": "b"}})
    assert files(root) == [
        f"{table}/date=2026-02-12/{SESSION_ID}.parquet"
        for table in ("audio", "divergences", "events", "rewrites", "sessions")
    ]
    for name, schema in TABLES.items():
        assert table_of(root, name).schema.equals(schema)
        assert table_of(root, name).column("session_id").to_pylist() == [SESSION_ID]
    assert table_of(root, "sessions").column("tags").to_pylist() == [[("a", "b")]]


def test_files_are_private_and_compressed(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as writer:
        writer.commit({})
    path = root.table_file("sessions", SESSION_ID)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_a_session_without_messages_still_has_events(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as writer:
        writer.commit({})
    assert table_of(root, "events").num_rows == 0
    assert files(root) == [f"{table}/date=2026-02-12/{SESSION_ID}.parquet" for table in ("events", "sessions")]


def test_nothing_is_visible_before_the_commit(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as writer:
        writer.add("events", event(0))
        assert [Path(name).suffix for name in files(root)] == [".tmp"]
        assert Path(files(root)[0]).name.startswith(".")


def test_what_is_not_committed_is_abandoned(root: Root) -> None:
    with pytest.raises(KeyError), SessionWriter(root, SESSION_ID) as writer:
        writer.add("events", event(0))
        writer.add("audio", block())
        raise KeyError
    assert files(root) == []


def test_the_sessions_row_comes_last(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[str] = []
    replace = Path.replace

    def watch(source: Path, target: Path) -> Path:
        renamed.append(target.parent.parent.name)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", watch)
    with SessionWriter(root, SESSION_ID) as writer:
        writer.add("rewrites", {"step": 2})
        writer.add("events", event(0))
        writer.add("audio", block())
        writer.commit({})
    assert renamed == ["audio", "events", "rewrites", "sessions"]


def test_a_row_that_does_not_fit_leaves_no_recording(root: Root) -> None:
    with pytest.raises(Exception, match="surrogates"), SessionWriter(root, SESSION_ID) as writer:
        writer.add("events", event(0))
        writer.commit({"model": "\ud800"})
    assert files(root) == []


def test_what_a_crash_left_is_overwritten(root: Root) -> None:
    left = root.table_file("events", SESSION_ID)
    left.parent.mkdir(parents=True)
    temporary = left.with_name(f".{left.name}.tmp")
    for path in (left, temporary):
        path.write_bytes(b"half a file")
        path.chmod(0o644)
    with SessionWriter(root, SESSION_ID, is_alone=True) as writer:
        writer.add("events", event(0))
        writer.commit({})
    assert table_of(root, "events").num_rows == 1
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert not temporary.exists()


def test_two_that_write_the_same_session_do_not_write_into_one_file(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as first, SessionWriter(root, SESSION_ID) as second:
        first.add("events", event(0))
        for seq in range(3):
            second.add("events", event(seq))
        assert len(set(root.path.rglob("*.tmp"))) == 2
        second.commit({})
        assert table_of(root, "events").num_rows == 3
        first.commit({})
    assert table_of(root, "events").num_rows == 1
    assert list(root.path.rglob("*.tmp")) == []


@pytest.mark.parametrize("failing", ["events", "sessions"])
@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_commit_that_fails_midway_leaves_nothing(
    root: Root, monkeypatch: pytest.MonkeyPatch, failing: str, is_renamed: bool
) -> None:
    replace = Path.replace

    def fail(source: Path, target: Path) -> Path:
        if target.parent.parent.name != failing:
            return replace(source, target)
        if is_renamed:
            replace(source, target)
        raise OSError("the disk is gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="the disk is gone"), SessionWriter(root, SESSION_ID) as writer:
        writer.add("events", event(0))
        writer.add("audio", block())
        writer.commit({})
    assert files(root) == []


def test_rows_stream_to_the_file_by_row_group(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as writer:
        for seq in range(20_000):
            writer.add("events", event(seq))
        writer.add("events", event(20_000, payload="x" * (9 << 20)))
        writer.add("events", event(20_001))
        (temporary,) = root.path.rglob("*.tmp")
        assert temporary.stat().st_size > 10_000
        writer.commit({})
    metadata = pq.read_metadata(root.table_file("events", SESSION_ID))
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(groups) == 20_002
    assert max(groups) < 10_000
    assert groups[-1] == 1
    assert table_of(root, "events").column("seq").to_pylist() == list(range(20_002))


def test_payloads_are_not_repeated_in_the_footer(root: Root) -> None:
    with SessionWriter(root, SESSION_ID) as writer:
        writer.add("events", event(0, payload="secret" * 1000))
        writer.commit({})
    group = pq.read_metadata(root.table_file("events", SESSION_ID)).row_group(0)
    columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    assert columns["payload"].statistics is None
    assert columns["session_id"].statistics.min == SESSION_ID


@pytest.mark.skipif(sys.platform != "linux", reason="fills a disk with a limit on the size of files")
def test_a_full_disk_leaves_nothing_half_written(root: Root) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large"), SessionWriter(root, SESSION_ID) as writer:
            for name in ("events", "audio"):
                writer.add(name, event(0, payload="x" * 1000) if name == "events" else block())
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
            writer.commit({})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert files(root) == []
