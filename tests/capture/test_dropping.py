"""Dropping sessions: gone from files of their own and from compacted ones, and the others stay byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from capture.compaction import compact_date
from capture.dropping import drop_leftovers, drop_sessions
from capture.errors import UsageProblem
from capture.recording.annotations import add_annotation, annotation_files
from capture.recording.claim import claimed
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_compaction import COMPACTED, DATE, IDS, contents, crash_everywhere, names, speech

Write = Callable[..., str]


@pytest.fixture
def sealed(root: Root, write_journal: Write) -> dict[str, list[object]]:
    """Seal five sessions of one day; gives what each holds."""
    for seed, session_id in enumerate(IDS):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    return contents(root)


def test_sessions_are_dropped_from_compacted_files(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE)
    assert drop_sessions(root, DATE, [IDS[1], IDS[4], "20260212T235959-0000000f"]) == {IDS[1], IDS[4]}
    assert names(root) == COMPACTED
    assert contents(root) == {kept: sealed[kept] for kept in (IDS[0], IDS[2], IDS[3])}
    assert not any(IDS[1].encode() in path.read_bytes() for path in root.path.rglob("*.*") if path.is_file())


def test_what_was_said_of_a_session_goes_with_it(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE)
    for session_id in IDS[:2]:
        add_annotation(root, session_id, datetime(2026, 2, 13, tzinfo=UTC), notes=["heard an echo"])
    drop_sessions(root, DATE, [IDS[1], IDS[4]])
    assert [path.name.split(".")[0] for path in annotation_files(root)] == [IDS[0]]


def test_interrupted_among_many_sessions_no_note_outlives_its_recording(
    root: Root, sealed: dict[str, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for session_id in IDS[:2]:
        add_annotation(root, session_id, datetime(2026, 2, 13, tzinfo=UTC), notes=["the caller's name is …"])

    def interrupted(paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
            if path == root.table_file("sessions", IDS[1]):
                raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("capture.dropping.unlink_all", interrupted)
        drop_sessions(root, DATE, IDS[:3])
    assert [path.name.split(".")[0] for path in annotation_files(root)] == [IDS[1]]
    # The next pruning finds the rest of it, and takes what was said of it along.
    drop_leftovers(root, DATE, IDS)
    assert annotation_files(root) == []
    assert list(contents(root)) == IDS[2:]


def test_files_of_which_nothing_is_left_go(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE, grace_s=0)
    assert drop_sessions(root, DATE, IDS) == set(IDS)
    assert names(root) == []
    assert contents(root) == {}


def test_sessions_in_files_of_their_own_are_dropped_too(root: Root, sealed: dict[str, list[object]]) -> None:
    assert drop_sessions(root, DATE, IDS[:4]) == set(IDS[:4])
    assert contents(root) == {IDS[4]: sealed[IDS[4]]}
    assert drop_sessions(root, DATE, IDS[:4]) == set()


def test_a_damaged_compacted_file_is_not_written_anew(root: Root, sealed: dict[str, list[object]]) -> None:
    compact_date(root, DATE, grace_s=0)
    (path,) = root.date_folder("audio", DATE).iterdir()
    path.write_bytes(b"nothing")
    with pytest.raises(UsageProblem, match=f"the sessions of {DATE} cannot be dropped: .*/audio/.*parquet"):
        drop_sessions(root, DATE, IDS[:1])
    assert names(root) == COMPACTED
    assert list_session_ids(root) == IDS


def test_leftovers_go_and_sessions_stay(root: Root, sealed: dict[str, list[object]]) -> None:
    root.table_file("sessions", IDS[0]).unlink()
    drop_leftovers(root, DATE, IDS)
    assert contents(root) == {kept: sealed[kept] for kept in IDS[1:]}
    assert not [name for name in names(root) if IDS[0] in name]


def test_what_is_being_sealed_is_no_leftover(root: Root, sealed: dict[str, list[object]], write_journal: Write) -> None:
    root.table_file("sessions", IDS[0]).unlink()
    write_journal(speech(0), session_id=IDS[0])
    drop_leftovers(root, DATE, IDS[:1])
    assert root.table_file("events", IDS[0]).exists()


def test_what_is_being_imported_is_no_leftover(root: Root, sealed: dict[str, list[object]]) -> None:
    root.table_file("sessions", IDS[0]).unlink()
    with claimed(root, IDS[0], "imports it"):
        drop_leftovers(root, DATE, IDS[:1])
    assert root.table_file("events", IDS[0]).exists()
    drop_leftovers(root, DATE, IDS[:1])
    assert not root.table_file("events", IDS[0]).exists()


@pytest.mark.slow
def test_killed_while_dropping_a_session_is_there_or_gone(root: Root, write_journal: Write, tmp_path: Path) -> None:
    for seed, session_id in enumerate(IDS[:2]):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    compact_date(root, DATE, grace_s=0)
    sealed = contents(root)
    kept = {IDS[1]: sealed[IDS[1]]}
    crashed = crash_everywhere(root, tmp_path / "crashed", "drop", IDS[0])
    found = [contents(each) for each in crashed]
    assert [each in (sealed, kept) for each in found] == [True] * len(crashed)
    assert (found[0], found[-1]) == (sealed, kept)
    for each in crashed:
        drop_sessions(each, DATE, IDS[:1])
        assert names(each) == COMPACTED
        assert list_session_ids(each) == [IDS[1]]
