"""A root's folders and file names, and session ids."""

from __future__ import annotations

import errno
import os
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from capture.errors import UsageProblem
from capture.recording.root import (
    ID_PATTERN,
    ROOT_VARIABLE,
    Root,
    new_session_id,
    open_root,
    session_id_at,
    started_at_by,
)
from capture.recording.schema import TABLES

SESSION_ID = "20260212T083055-4f3a9c12"


def test_every_file_has_one_place() -> None:
    root = Root(Path("/r"))
    assert root.journal_of(SESSION_ID) == Path(f"/r/journal/{SESSION_ID}.journal")
    assert root.quarantine == Path("/r/journal/quarantine")
    assert root.runs == Path("/r/runs")
    assert root.table("events") == Path("/r/events")
    assert root.table_file("events", SESSION_ID) == Path(f"/r/events/date=2026-02-12/{SESSION_ID}.parquet")


def test_the_root_is_the_one_given_then_the_variables_then_recordings_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    assert open_root(Path("given")) == Root(Path("given"))
    assert open_root() == Root(tmp_path)
    monkeypatch.setenv(ROOT_VARIABLE, "")
    assert open_root() == Root(Path("recordings"))
    monkeypatch.delenv(ROOT_VARIABLE)
    assert open_root() == Root(Path("recordings"))


def test_opening_a_root_writes_nothing(tmp_path: Path) -> None:
    open_root(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_where_the_folder_one_is_in_is_gone_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageProblem, match="the folder that this is run in is gone"):
        open_root(Path("recordings")).check_readable()
    with pytest.raises(UsageProblem, match="the folder that this is run in is gone"):
        open_root(Path("recordings")).check_writable()
    open_root(tmp_path).check_readable()


def test_a_session_id_is_the_time_in_utc_and_chance() -> None:
    at = datetime(2026, 2, 12, 9, 30, 55, tzinfo=timezone(timedelta(hours=1)))
    ids = {new_session_id(at) for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"20260212T083055-[0-9a-f]{8}", session_id) for session_id in ids)


def test_the_time_in_an_id_is_read_again() -> None:
    assert started_at_by("20260212T083055-4f3a9c12") == datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
    assert re.fullmatch(ID_PATTERN, session_id_at(datetime(2026, 2, 12, tzinfo=UTC), "4f3a9c12"))
    # An id out of somebody else's file may be anything.
    assert [started_at_by(text) for text in ("", "session", "20261312T083055-4f3a9c12", "../x")] == [None] * 4


def test_session_ids_sort_by_time() -> None:
    start = datetime(2025, 12, 31, 23, 59, 58, tzinfo=UTC)
    ids = [new_session_id(start + timedelta(seconds=second)) for second in range(5)]
    assert ids == sorted(ids)
    assert new_session_id() > ids[-1]


def test_a_command_that_is_told_names_its_root_unless_it_is_taken_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    assert open_root().command("wiretape replay run --resume r1") == "wiretape replay run --resume r1"
    elsewhere = Root(Path("/srv/calls of today"))
    assert elsewhere.command("wiretape analyze show last") == (
        "wiretape analyze show last --recordings '/srv/calls of today'"
    )
    monkeypatch.setenv(ROOT_VARIABLE, "/srv/others")
    assert Root(Path("recordings")).command("wiretape analyze show last").endswith(" --recordings recordings")


def test_a_root_that_cannot_be_written_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.check_writable()
    assert not root.path.exists()
    root.path.mkdir()
    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "access", lambda path, _: path != root.path)
    with pytest.raises(UsageProblem, match=f"{root.path} is not writable; give another root"):
        root.check_writable()
    root.path.rmdir()
    root.path.touch()
    with pytest.raises(UsageProblem, match=f"{root.path} is no folder; give another root"):
        root.check_writable()


def test_a_root_whose_name_is_too_long_is_told(root: Root) -> None:
    endless = Root(root.path / ("ö" * 128))
    for check in (endless.check_writable, endless.check_readable):
        with pytest.raises(UsageProblem, match="has a name of more than 255 bytes in it: give another root"):
            check()
    Root(root.path / ("x" * 255)).check_writable()


def test_a_root_on_a_volume_that_is_not_mounted_is_told(root: Root) -> None:
    root.path.symlink_to("/mnt/not mounted/recordings")
    with pytest.raises(UsageProblem, match=f"{root.path} is no folder; give another root"):
        root.check_writable()


def test_a_folder_that_cannot_be_read_does_not_look_empty(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.table("sessions").mkdir(parents=True)
    root.check_readable()
    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "access", lambda path, _: path != root.table("sessions"))
    with pytest.raises(UsageProblem, match="sessions cannot be read: check its permissions"):
        root.check_readable()


def test_an_empty_root_says_what_was_perhaps_meant(root: Root) -> None:
    assert root.why_empty() == ""
    root.date_folder("events", "2026-02-12").mkdir(parents=True)
    assert root.why_empty() == "; it has events and no sessions: was all of it copied?"
    # As a ZIP leaves it that was unpacked into a folder of its name.
    root.date_folder("sessions", "2026-02-12").mkdir(parents=True)
    assert Root(root.path.parent).why_empty() == f"; {root.path} looks like a root"


@pytest.mark.parametrize("table", TABLES)
def test_a_date_that_cannot_be_read_does_not_look_empty(
    table: str, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    date = root.date_folder(table, "2026-02-12")
    date.mkdir(parents=True)
    root.check_readable()
    monkeypatch.setattr(os, "access", lambda path, _: path != date)
    with pytest.raises(UsageProblem, match=f"{table}/date=2026-02-12 cannot be read: check its permissions"):
        root.check_readable()


def test_a_root_of_somebody_else_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.path.mkdir()
    of_system = os.stat

    def stat(path: str | Path, **how: bool) -> os.stat_result:
        if root.path in Path(path).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return of_system(path, **how)

    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "access", lambda path, _: path != root.path)
    with pytest.raises(UsageProblem, match=f"{root.path} cannot be read: check its permissions, or give another root"):
        root.check_readable()
    with pytest.raises(UsageProblem, match=f"{root.path} is not writable; give another root"):
        root.check_writable()
    below = Root(root.path / "recordings")
    with pytest.raises(UsageProblem, match=f"{below.path} cannot be read: check its permissions"):
        below.check_readable()


def test_a_root_that_is_a_file_does_not_look_empty(root: Root) -> None:
    root.path.touch()
    with pytest.raises(UsageProblem, match=f"{root.path} is a file: name the folder that holds recordings"):
        root.check_readable()


def test_a_root_below_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = Root(tmp_path / os.fsdecode(b"caf\xe9"))
    for check in (root.check_readable, root.check_writable):
        with pytest.raises(UsageProblem, match="is not UTF-8: rename it, or give another root"):
            check()
