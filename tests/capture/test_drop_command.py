"""Recordings are removed by name: from files of their own and from compacted ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from capture.compaction import compact_date
from capture.drop_command import app
from capture.errors import UsageProblem
from capture.recording.annotations import add_annotation
from capture.recording.claim import claimed
from capture.recording.manifest import load_manifest, save_manifest
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_compaction import DATE, IDS, speech


@pytest.fixture
def sealed(root: Root, write_journal: Callable[..., str]) -> list[str]:
    """Seal five sessions of one day."""
    for seed, session_id in enumerate(IDS):
        seal(root.path, write_journal(speech(seed), session_id=session_id))
    return list(IDS)


def drop(root: Root, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--recordings", str(root.path)])


@pytest.mark.parametrize("is_compacted", [False, True])
def test_what_is_named_goes_wherever_it_lies(root: Root, sealed: list[str], is_compacted: bool) -> None:
    if is_compacted:
        compact_date(root, DATE)
    assert drop(root, sealed[3], sealed[1], "--dry-run").stdout.split() == [sealed[1], sealed[3]]
    assert list_session_ids(root) == sealed
    done = drop(root, sealed[3], sealed[1])
    assert (done.exit_code, done.stdout.split()) == (0, [sealed[1], sealed[3]])
    assert list_session_ids(root) == [sealed[0], sealed[2], sealed[4]]
    assert not any(sealed[1].encode() in path.read_bytes() for path in root.path.rglob("*.*") if path.is_file())


def test_replays_with_the_same_caller_are_named(root: Root, sealed: list[str], monkeypatch: Any) -> None:
    replayed = {sealed[1]: sealed[0], sealed[2]: sealed[1], sealed[3]: None, sealed[4]: sealed[0], sealed[0]: None}
    monkeypatch.setattr(
        "capture.recording.all_sessions.read_all_sessions",
        lambda *_: {session_id: {"replay_of": of} for session_id, of in replayed.items()},
    )
    done = drop(root, sealed[0], sealed[4], "--json")
    assert json.loads(done.stdout) == {
        "dry_run": False,
        "sessions": [sealed[0], sealed[4]],
        "replays": [sealed[1], sealed[2]],
    }
    assert f"which stay unless they are named too: {sealed[1]} {sealed[2]}" in done.stderr.replace("\n", " ")


def test_nothing_goes_where_one_of_the_names_is_none(root: Root, sealed: list[str]) -> None:
    for name, problem in [
        ("20250101T", "no recording matches"),
        (sealed[0][:8], "begins 5 recordings"),
        ("last", "give the id"),
        ("", "give the id of what is to go: '' may be any session"),
    ]:
        done = drop(root, sealed[1], name)
        assert isinstance(done.exception, UsageProblem)
        assert problem in str(done.exception)
    assert list_session_ids(root) == sealed


def test_a_name_that_is_empty_names_not_the_only_recording(root: Root, write_journal: Callable[..., str]) -> None:
    seal(root.path, write_journal(speech(0), session_id=IDS[0]))
    assert "give the id of what is to go" in str(drop(root, "").exception)
    assert list_session_ids(root) == IDS[:1]


def left_of(root: Root, session_id: str) -> list[str]:
    """List the files that bear the id or hold it."""
    found = (path for path in root.path.rglob("*") if path.is_file())
    return [path.name for path in found if session_id in path.name or session_id.encode() in path.read_bytes()]


def test_an_interrupted_removal_is_finished_by_doing_it_again(root: Root, sealed: list[str]) -> None:
    add_annotation(root, sealed[0], datetime(2026, 2, 13, tzinfo=UTC), notes=["the caller's name is …"])
    # Killed when the sessions row had gone; another had all gone but what was said of it, and a table half written.
    root.table_file("sessions", sealed[0]).unlink()
    for table in ("sessions", "events"):
        root.table_file(table, sealed[1]).unlink()
    audio = root.table_file("audio", sealed[1])
    audio.rename(audio.with_name(f".{audio.name}.tmp"))
    done = drop(root, sealed[0], sealed[1])
    assert (done.exit_code, done.stdout.split()) == (0, sealed[:2])
    assert left_of(root, sealed[0]) == left_of(root, sealed[1]) == []
    assert list_session_ids(root) == sealed[2:]


def test_killed_when_a_compacted_day_is_written_anew_the_old_files_go_with_the_next_removal(
    root: Root, sealed: list[str], tmp_path: Path
) -> None:
    compact_date(root, DATE, grace_s=0)
    shutil.copytree(root.path, tmp_path / "before")
    assert drop(root, sealed[2]).exit_code == 0
    old = [path.relative_to(tmp_path / "before") for path in (tmp_path / "before").glob("*/date=*/*.parquet")]
    for path in old:
        shutil.copy(tmp_path / "before" / path, root.path / path)
    assert list_session_ids(root) == [*sealed[:2], *sealed[3:]]
    assert drop(root, sealed[2]).stdout.split() == [sealed[2]]
    assert not any((root.path / path).exists() for path in old)
    assert list_session_ids(root) == [*sealed[:2], *sealed[3:]]


def test_a_journal_in_quarantine_goes_by_its_sessions_id(root: Root, write_journal: Callable[..., str]) -> None:
    journal = root.journal_of(write_journal(speech(0), session_id=IDS[0]))
    root.quarantine.mkdir()
    journal.rename(root.quarantined(IDS[0]))
    assert drop(root, IDS[0], "--dry-run").stdout.split() == [IDS[0]]
    assert drop(root, IDS[0]).stdout.split() == [IDS[0]]
    assert left_of(root, IDS[0]) == []


def test_a_call_that_goes_on_is_said_to_be_in_flight(root: Root, write_journal: Callable[..., str]) -> None:
    write_journal(speech(0), session_id=IDS[0])
    assert f"{IDS[0]} is in flight or being sealed" in str(drop(root, IDS[0]).exception)
    assert left_of(root, IDS[0]) != []


def test_a_day_that_cannot_be_removed_keeps_no_other_from_it(
    root: Root, sealed: list[str], write_journal: Callable[..., str]
) -> None:
    other = "20260213T083000-0000000a"
    seal(root.path, write_journal(speech(0), session_id=other))
    compact_date(root, DATE, grace_s=0)
    manifest = load_manifest(root, DATE)
    root.manifest_file(DATE).write_text("{")
    done = drop(root, other, sealed[0])
    assert done.stdout.split() == [other]
    assert "no readable manifest" in str(done.exception)
    assert manifest is not None
    save_manifest(root, DATE, manifest)
    assert list_session_ids(root) == sealed


def test_what_the_disk_refuses_is_told_and_done_again(
    root: Root, sealed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.parent.parent == root.table("audio"):
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, missing_ok=missing_ok)

    unlink = Path.unlink
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        done = drop(root, sealed[0])
    assert done.stdout == ""
    path = root.table_file("audio", sealed[0])
    assert str(done.exception) == (
        f"what is to go of {DATE} cannot be removed: {path}: Operation not permitted; mend that, and do it again"
    )
    assert drop(root, sealed[0]).stdout.split() == [sealed[0]]
    assert left_of(root, sealed[0]) == []


def test_what_an_import_is_writing_is_left_and_said(root: Root, sealed: list[str]) -> None:
    root.table_file("sessions", sealed[0]).unlink()
    with claimed(root, sealed[0], "imports it"):
        done = drop(root, sealed[0], sealed[1])
    assert done.stdout.split() == [sealed[1]]
    assert f"something is writing them: {sealed[0]}" in str(done.exception)


def test_what_recovery_would_bring_back_is_recovered_first(
    root: Root, sealed: list[str], write_journal: Callable[..., str]
) -> None:
    write_journal(speech(0), session_id=sealed[0])
    done = drop(root, sealed[0])
    assert "`wiretape capture recover`, then drop" in str(done.exception)
    assert list_session_ids(root) == sealed


@pytest.mark.parametrize("table", ["sessions", "audio"])
@pytest.mark.parametrize("is_copied", [False, True])
def test_a_file_of_others_is_left_and_named(root: Root, sealed: list[str], table: str, is_copied: bool) -> None:
    own = root.table_file(table, sealed[2])
    theirs = own.with_name("theirs.parquet")
    shutil.copy(own, theirs) if is_copied else own.rename(theirs)
    assert drop(root, sealed[1], sealed[2], "--dry-run").stdout.split() == [sealed[1]]
    done = drop(root, sealed[1], sealed[2])
    assert done.stdout.split() == [sealed[1]]
    assert str(done.exception) == f"not removed, for they stand in files that Wiretape did not write: {sealed[2]}"
    assert (sealed[2] in list_session_ids(root)) == (table == "sessions")


def test_an_id_of_others_that_is_a_path_removes_no_file(
    root: Root, sealed: list[str], write_journal: Callable[..., str]
) -> None:
    path = root.date_folder("sessions", DATE) / "theirs.parquet"
    odd = f"../{IDS[0]}"
    pq.write_table(pa.table({"session_id": [odd]}), path)
    write_journal(speech(0), session_id=IDS[0])
    done = drop(root, odd)
    assert "files that Wiretape did not write" in str(done.exception)
    assert root.journal_of(IDS[0]).exists()
