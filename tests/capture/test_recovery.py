"""What a crash left behind is mended: all of it, and nothing that somebody still works on."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import make_spool
from capture.live import LiveJournals
from capture.private_files import replacing
from capture.recording.claim import claimed
from capture.recording.facts import SessionEnd
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.recovery import journals_in_use, quarantined, recover, remove_half_written

SESSION_ID = "20260212T083055-4f3a9c12"
OTHER_ID = "20260212T083056-00000002"
SAID = [("server", '{"type":"session.created"}'), ("client", '{"type":"response.create"}'), ("server", '{"type":"x"}')]
Write = Callable[..., str]


def cut_off_end(root: Root, cut_bytes: int = 10) -> None:
    """Take away the journal's last record: what a recorder leaves that is killed."""
    journal = root.journal_of(SESSION_ID)
    os.truncate(journal, journal.stat().st_size - cut_bytes)


def test_nothing_left_is_all_recovered(root: Root) -> None:
    recovery = recover(root)
    assert (recovery.exit_status, recovery.sealed, recovery.failed) == (0, [], [])


def test_nobody_waits_for_pipes_that_are_called_as_journals_are(root: Root) -> None:
    root.quarantine.mkdir(parents=True)
    unborn, claim = root.journal / f".{SESSION_ID}.journal.new", root.journal / f".{SESSION_ID}.claim"
    for pipe in (root.journal_of(SESSION_ID), root.quarantined(OTHER_ID), unborn, claim):
        os.mkfifo(pipe)
        os.utime(pipe, (0, 0))
    recovery = recover(root)
    assert (recovery.exit_status, recovery.sealed, recovery.failed) == (0, [], [])
    assert (journals_in_use(root), quarantined(root), LiveJournals(root).refresh()) == ([], [], [])
    assert not unborn.exists()
    assert not claim.exists()


def test_a_session_that_is_whole_up_to_the_kill_is_recovered_without_loss(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    cut_off_end(root)
    recovery = recover(root)
    assert recovery.exit_status == 0
    [sealed] = recovery.sealed
    assert (sealed.outcome, sealed.complete, sealed.has_loss) == ("incomplete", False, False)
    assert sealed.end_reason is not None
    assert sealed.end_reason.startswith("the recorder died")


def test_a_message_that_the_kill_cut_in_two_is_no_loss(root: Root, write_journal: Write) -> None:
    write_journal([*SAID, ("server", b"\x81\x7e\x10\x00half of it")])
    cut_off_end(root)
    assert recover(root).exit_status == 0
    *events, half = open_recording(root, SESSION_ID).messages()
    assert [event.content for event in events] == [text for _, text in SAID]
    assert (half.kind, half.content) == ("raw", b"\x81\x7e\x10\x00half of it")


def test_the_same_in_a_session_that_has_its_end_is_undecodable(root: Root, write_journal: Write) -> None:
    write_journal([*SAID, ("server", b"\x81\x7e\x10\x00half of it")], end=SessionEnd(offset_ns=1, closed_by="network"))
    recovery = recover(root)
    assert (recovery.exit_status, recovery.sealed[0].undecodable_bytes) == (3, 14)


def test_damage_is_loss_though_nobody_knows_how_much(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    journal = root.journal_of(SESSION_ID)
    content = journal.read_bytes()
    # A flipped bit in a message of which the session's summary says nothing.
    journal.write_bytes(content.replace(b'{"type":"x"}', b'{"type":"y"}'))
    recovery = recover(root)
    assert recovery.exit_status == 3
    assert (recovery.sealed[0].damages, recovery.sealed[0].complete) == (2, False)


def test_what_cannot_be_read_beside_what_can_is_loss(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    root.journal_of(OTHER_ID).write_bytes(b"this is no journal of ours")
    recovery = recover(root)
    assert recovery.exit_status == 3
    assert [one.session_id for one in recovery.failed] == [OTHER_ID]
    assert list_session_ids(root) == [SESSION_ID]
    assert quarantined(root) == [root.quarantine / f"{OTHER_ID}.journal"]


def test_nothing_but_what_cannot_be_read_is_nothing_recovered(root: Root) -> None:
    root.journal.mkdir(parents=True)
    root.journal_of(OTHER_ID).write_bytes(b"this is no journal of ours")
    assert recover(root).exit_status == 1
    assert recover(root).exit_status == 0, "what is in quarantine is not tried again by itself"


def test_journals_in_use_are_left_alone(root: Root, write_journal: Write) -> None:
    with root.journal_of(write_journal(SAID)).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert journals_in_use(root) == [SESSION_ID]
        assert recover(root).sealed == []
    assert journals_in_use(root) == []
    assert [one.session_id for one in recover(root).sealed] == [SESSION_ID]


# --- half written ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory that tells of a living recorder")
def test_what_ended_just_now_beside_a_living_recorder_waits_for_its_sealer(root: Root, write_journal: Write) -> None:
    write_journal(SAID, session_id=SESSION_ID)
    write_journal(SAID, session_id=OTHER_ID)
    grow_old(root.journal_of(OTHER_ID))
    living = make_spool(root.journal)
    try:
        assert [each.session_id for each in recover(root).sealed] == [OTHER_ID]
        assert journals_in_use(root) == [SESSION_ID]
    finally:
        living.close()
        living.remove()
    assert [each.session_id for each in recover(root).sealed] == [SESSION_ID]


def half_table(root: Root, session_id: str = SESSION_ID, ending: str = ".0a1b2c3d.tmp") -> Path:
    table = root.table_file("audio", session_id)
    table.parent.mkdir(parents=True, exist_ok=True)
    half = table.with_name(f".{table.name}{ending}")
    half.write_bytes(b"PAR1 and then the sealer died")
    return half


def grow_old(path: Path) -> None:
    os.utime(path, (time.time() - 3600, time.time() - 3600))


def test_a_table_half_written_goes_when_nobody_seals_its_session(root: Root, write_journal: Write) -> None:
    half = half_table(root, write_journal(SAID))
    with root.journal_of(SESSION_ID).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_half_written(root) == []
        assert half.exists()
    assert remove_half_written(root) == [half]
    assert not half.exists()


@pytest.mark.parametrize("ending", [".0a1b2c3d.tmp", ".tmp"])
def test_a_table_half_written_without_a_journal_goes_when_it_is_old(root: Root, ending: str) -> None:
    half = half_table(root, ending=ending)
    assert remove_half_written(root) == []
    grow_old(half)
    recover(root)
    assert not half.exists()


def test_a_table_that_an_import_writes_stays_however_long_it_takes(root: Root) -> None:
    half = half_table(root)
    grow_old(half)
    with claimed(root, SESSION_ID, "imports it"):
        recover(root)
        assert half.exists()
    recover(root)
    assert not half.exists()


def test_a_journal_that_was_never_named_goes_when_it_is_old_and_nobody_holds_it(root: Root) -> None:
    root.journal.mkdir(parents=True)
    unborn = root.journal / f".{SESSION_ID}.journal.new"
    unborn.touch()
    assert remove_half_written(root) == [], "it may be locked the next instant"
    grow_old(unborn)
    with unborn.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_half_written(root) == []
    assert remove_half_written(root) == [unborn]


def test_a_file_beside_the_tables_goes_when_whoever_replaced_it_died_over_it(root: Root) -> None:
    left = []
    for path in (
        root.annotations / f"{SESSION_ID}.0a1b2c3d.parquet",
        root.manifest_file("2026-02-12"),
        root.runs / "r1.json",
    ):
        path.parent.mkdir(parents=True)
        path.touch()
        with pytest.raises(KeyError), replacing(path) as file:
            (unfinished,) = set(path.parent.iterdir()) - {path}
            file.write(b"half of it")
            raise KeyError
        unfinished.write_bytes(b"half of it, and then it was killed")
        left.append(unfinished)
    assert remove_half_written(root) == [], "it may be written right now"
    for unfinished in left:
        grow_old(unfinished)
    assert remove_half_written(root) == left
    assert len(list(root.path.rglob("*.*"))) == 3


@pytest.mark.parametrize("name", [".notes.parquet.tmp", ".20260212T083055-4f3a9c12.parquet.swp", "a.parquet.tmp"])
def test_files_of_others_are_left_alone(root: Root, name: str) -> None:
    foreign = half_table(root).with_name(name)
    foreign.touch()
    grow_old(foreign)
    remove_half_written(root)
    assert foreign.exists()
