"""What only its owner reads, and what takes the place of another whole or not at all."""

from __future__ import annotations

import errno
import os
import pwd
import threading
from pathlib import Path

import pytest

from capture.errors import UsageProblem
from capture.private_files import (
    create_private,
    is_unfinished,
    make_private_folder,
    replacing,
    state_folder,
    unfinished,
)


def test_a_file_takes_the_place_of_another_when_it_is_whole_and_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.json"
    done: list[Path] = []
    path.write_text("before")
    path.chmod(0o644)
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(of: int) -> None:
        done.append(Path(f"/proc/self/fd/{of}").readlink())
        fsync(of)

    def noting_replace(old: Path, new: Path) -> Path:
        done.append(new)
        return replace(old, new)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    with replacing(path) as file:
        file.write(b"after")
        (temporary,) = (found for found in tmp_path.iterdir() if found != path)
        assert is_unfinished(temporary)
        assert (unfinished(path), unfinished(tmp_path / "other.json")) == ([temporary], [])
        assert temporary.stat().st_mode & 0o777 == 0o600
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert done == [temporary, path, tmp_path], "first what is in it, then its name"
    assert list(tmp_path.iterdir()) == [path]
    assert unfinished(path) == []


@pytest.mark.parametrize(
    "fault", [ValueError("of the writer"), OSError(errno.ENOSPC, "of the disk"), KeyboardInterrupt()]
)
def test_what_was_there_stays_where_the_writer_fails(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "kept.json"
    path.write_text("before")
    with pytest.raises(type(fault)), replacing(path) as file:
        file.write(b"half of what")
        raise fault
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_where_the_disk_is_full_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "kept.json"
    path.write_text("before")
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"), replacing(path) as file:
            file.write(b"after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_many_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"

    def write(letter: str) -> None:
        for _ in range(5):
            with replacing(path) as file:
                file.write(letter.encode() * 50_000)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text() in {letter * 50_000 for letter in "abcd"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_cannot_sync_folders_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse_folders(of: int) -> None:
        if Path(f"/proc/self/fd/{of}").readlink().is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(of)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with replacing(tmp_path / "kept.json") as file:
        file.write(b"content")
    assert (tmp_path / "kept.json").read_text() == "content"


def test_another_mode_is_had_where_it_is_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with replacing(tmp_path / "public.pem", 0o644):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "public.pem").stat().st_mode & 0o777 == 0o644


def test_a_link_is_not_followed_to_a_file_of_somebody_else(tmp_path: Path) -> None:
    keys = tmp_path / "authorized_keys"
    keys.write_text("ssh-ed25519 …")
    (tmp_path / "run.lock").symlink_to(keys)
    with pytest.raises(OSError, match="symbolic links"):
        create_private(tmp_path / "run.lock")
    assert keys.read_text() == "ssh-ed25519 …"


def test_folders_are_private_whatever_the_umask_and_those_that_stand_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    before = os.umask(0)
    try:
        for _ in range(2):
            make_private_folder(tmp_path / "shared" / "root" / "events" / "date=2026-02-12")
    finally:
        os.umask(before)
    made = [path for path in sorted(tmp_path.rglob("*")) if path.is_dir()]
    assert [path.name for path in made] == ["shared", "root", "events", "date=2026-02-12"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o755, 0o700, 0o700, 0o700]


def test_the_state_folder_is_that_of_the_desktop_else_below_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for state, folder in [
        (str(tmp_path / "state"), tmp_path / "state" / "wiretape"),
        ("relative/paths/are/ignored", tmp_path / "home" / ".local" / "state" / "wiretape"),
        ("", tmp_path / "home" / ".local" / "state" / "wiretape"),
    ]:
        monkeypatch.setenv("XDG_STATE_HOME", state)
        assert state_folder() == folder


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_user(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    # As for the user that OpenShift makes up for each container.
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    with pytest.raises(UsageProblem, match=r"no home folder: .* XDG_STATE_HOME"):
        state_folder()
