"""The file in shared memory that two processes have: whose slots they are, and whose the file is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.journal import spooled_names
from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import SLOTS, Spool, left_spools, make_spool, open_spool

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")

SPOOL_BYTES = 64 << 10


def test_a_slot_tells_whose_it_is_and_what_was_taken(spool: Spool) -> None:
    word = spool.name(5, "20260212T083055-4f3a9c12")
    spool.words[word], spool.words[word + 1] = 12, 34
    assert (spool.name_of(5), spool.taken_bytes(5)) == ("20260212T083055-4f3a9c12", (12, 34))
    spool.name(SLOTS - 1, "last")
    assert list(spool.named_slots()) == [5, SLOTS - 1]
    other = open_spool(spool.path)
    assert other.name_of(5) == spool.name_of(5)
    spool.name(5, "next")
    assert (other.name_of(5), other.taken_bytes(5)) == ("next", (0, 0))
    other.close()
    spool.free(5)
    assert list(spool.named_slots()) == [SLOTS - 1]
    with pytest.raises(ValueError, match="too long"):
        spool.name(5, "x" * 33)


def test_a_spool_is_left_once_its_owner_is_dead(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, SPOOL_BYTES)
    spool.name(0, "session")
    assert left_spools(tmp_path) == []
    assert spooled_names(tmp_path) == {"session"}
    spool.close()
    assert left_spools(tmp_path) == [spool.path]
    spool.remove()
    assert left_spools(tmp_path) == []
    assert spooled_names(tmp_path) == set()


def test_it_is_private(spool: Spool) -> None:
    assert spool.path.stat().st_mode & 0o777 == 0o600


def test_a_session_whose_name_is_a_path_has_no_journal(spool: Spool) -> None:
    spool.name(3, "../../planted")
    with pytest.raises(ValueError, match="no session's name"):
        spool.name_of(3)


def test_a_file_of_another_kind_is_no_spool(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.spool"
    foreign.write_bytes(bytes(1 << 20))
    with pytest.raises(ValueError, match="no spool"):
        open_spool(foreign)
    foreign.write_bytes(b"")
    with pytest.raises(ValueError, match="greater than file size"):
        open_spool(foreign)


def test_where_memory_has_too_little_room_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.journal.spool.SHARED_MEMORY", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        make_spool(tmp_path)

    class Space:
        f_bavail, f_frsize = 1000, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Space)
    with pytest.raises(OSError, match="too little room"):
        make_spool(tmp_path)
