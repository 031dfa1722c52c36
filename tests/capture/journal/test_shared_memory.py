from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capture.journal import shared_memory, sweep_orphans
from capture.journal.shared_memory import SHARED_MEMORY, name_for, names_for
from capture.journal.spool import make_spool


def test_files_are_found_by_the_folder_they_belong_to(tmp_path: Path) -> None:
    ours, other = tmp_path / "journal", tmp_path / "other"
    path = name_for(ours, "test")
    assert path.parent == SHARED_MEMORY
    assert str(tmp_path) not in path.name
    path.touch()
    try:
        assert names_for(ours, "test") == [path]
        assert names_for(other, "test") == names_for(ours, "spool") == []
        linked = tmp_path / "linked"
        linked.symlink_to(ours)
        assert names_for(linked, "test") == [path], "one folder has one name, however it is reached"
    finally:
        path.unlink()


def test_what_another_user_put_there_is_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", tmp_path)
    ours, theirs = name_for(tmp_path / "journal", "spool"), name_for(tmp_path / "journal", "spool")
    link, pipe = name_for(tmp_path / "journal", "spool"), name_for(tmp_path / "journal", "spool")
    ours.touch(mode=0o600)
    link.symlink_to(ours)
    os.mkfifo(pipe)
    assert names_for(tmp_path / "journal", "spool") == [ours]
    ours.rename(theirs)
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    assert names_for(tmp_path / "journal", "spool") == []
    (tmp_path / "journal").mkdir()
    assert names_for(tmp_path / "journal", "spool") == [theirs], "who may write journals there anyway, as root recovers"


def test_names_are_not_to_be_guessed(tmp_path: Path) -> None:
    names = {name_for(tmp_path, "test").name for _ in range(100)}
    assert len(names) == 100
    assert all(f"-{os.getpid()}-" in name for name in names)


KILLED = """
import os, signal, sys
from pathlib import Path
from capture.journal import shared_memory
from capture.journal.counters import CounterPage
from capture.journal.spool import make_spool
folder, shared_memory.SHARED_MEMORY = map(Path, sys.argv[1:])
page, spool = CounterPage(folder), make_spool(folder)
page.take_slot("session")
os.kill(os.getpid(), signal.SIGKILL)
"""
HOUR_S = 3600


def left_for(folder: Path) -> list[Path]:
    return names_for(folder, "counters") + names_for(folder, "spool")


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of journals for which a recorder left a page and a spool when it was killed, hours ago."""
    # Apart from the files of other tests, whose recorders sweep as these do.
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", memory)
    folder = tmp_path / "root" / "journal"
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED, str(folder), str(memory)], check=False)
    paths = left_for(folder)
    assert [path.suffix for path in paths] == [".counters", ".spool"]
    for path in paths:
        os.utime(path, (time.time() - 2 * HOUR_S, time.time() - 2 * HOUR_S))
    return folder


def test_what_was_left_for_a_root_that_is_gone_is_removed_by_the_recorder_of_another(
    left: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "journal"
    kept = left_for(left)
    sweep_orphans(other)
    assert left_for(left) == kept, "the root is there: its next recorder counts what was lost"
    shutil.rmtree(left)
    sweep_orphans(other)
    assert left_for(left) == kept, "and may lack its journals"
    shutil.rmtree(left.parent)
    sweep_orphans(left)
    assert left_for(left) == kept, "a recorder has it begun anew"
    assert sorted(sweep_orphans(other)) == sorted(kept)
    assert left_for(left) == []


def test_what_a_living_recorder_has_stays_and_what_may_have_been_moved_away(left: Path, tmp_path: Path) -> None:
    shutil.rmtree(left.parent)
    other = tmp_path / "other"
    lives = make_spool(left)
    os.utime(lives.path, (0, 0))
    for path in left_for(left):
        if path != lives.path:
            os.utime(path)
    assert sweep_orphans(other) == []
    lives.close()
    assert sweep_orphans(other) == [lives.path], "now it is dead too"


def test_a_folder_that_is_not_seen_here_is_not_taken_for_gone(
    left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(left.parent)
    kept, other = left_for(left), tmp_path / "other"
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(shared_memory, "_view", lambda: 0)
        assert sweep_orphans(other) == [], "another container's"
    with monkeypatch.context() as unmounted:
        unmounted.setattr(shared_memory, "_device_of", lambda _: 0)
        assert sweep_orphans(other) == [], "on a disk that is not mounted now"
    with monkeypatch.context() as not_ours:
        not_ours.setattr(os, "geteuid", lambda: 12345)
        assert sweep_orphans(other) == []
    # Of a version that did not say whose it is; or anything.
    for path in kept:
        path.write_bytes(bytes(70_000))
        os.utime(path, (0, 0))
    assert sweep_orphans(other) == []
