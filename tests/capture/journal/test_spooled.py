"""Journals that another process writes: what is taken here stands in them, and nobody here waits."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.frames import FrameCursor
from capture.journal import (
    Direction,
    Gap,
    JournalWriter,
    decode_gap,
    is_locked,
    read_journal,
    spooled_names,
    write_what_was_left,
)
from capture.journal.shared_memory import SHARED_MEMORY, names_for
from capture.journal.spooled import SpooledJournals, open_journals
from capture.journal.spooled_journal import SpooledJournal
from capture.journal.writer import BUFFER_FULL
from capture.journal.writer_process import WriterProcess

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")
CLIENT, SERVER, FACT, GAP = Direction
NAME, OTHER = "20260212T083055-4f3a9c12", "20260212T083056-00000000"


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[SpooledJournals]:
    journals = SpooledJournals(tmp_path / "journal", spool_bytes=1 << 20)
    yield journals
    os.kill(process_of(journals), signal.SIGCONT)
    journals.close()
    assert names_for(tmp_path / "journal", "spool") == []


def process_of(journals: SpooledJournals) -> int:
    return journals._process._process.pid


def replace(journals: SpooledJournals) -> None:
    """Kill the process, and wait until there is another."""
    killed = process_of(journals)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: process_of(journals) != killed)


def close(journal: SpooledJournal) -> None:
    done = threading.Event()
    journal.close(done.set)
    assert done.wait(30)


def eventually(is_so: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def told(folder: Path, name: str = NAME) -> list[tuple[Direction, bytes | Gap]]:
    return [
        (record.direction, decode_gap(record.content) if record.direction is GAP else record.content)
        for record in read_journal(folder / "journal" / f"{name}.journal")
    ]


def content_of(folder: Path, direction: Direction, name: str = NAME) -> bytes:
    contents = (content for found, content in told(folder, name) if found is direction)
    return b"".join(content for content in contents if isinstance(content, bytes))


def frame(size: int) -> bytes:
    return bytes([0x82, 126]) + size.to_bytes(2, "big") + os.urandom(size)


def test_records_stand_in_the_journal_in_their_order(tmp_path: Path, journals: SpooledJournals) -> None:
    journal = journals.open(NAME)
    assert spooled_names(tmp_path / "journal") == {NAME}
    said: list[tuple[Direction, bytes]] = [(FACT, b"{}"), (CLIENT, b"one"), (SERVER, b"two"), (CLIENT, b"")]
    for number, (direction, content) in enumerate(said):
        journal.append(direction, number, content)
    close(journal)
    assert told(tmp_path) == said
    assert [record.offset_ns for record in read_journal(tmp_path / "journal" / f"{NAME}.journal")] == [0, 1, 2, 3]
    assert not is_locked(tmp_path / "journal" / f"{NAME}.journal")
    assert spooled_names(tmp_path / "journal") == set()


def test_what_ends_well_leaves_nothing_in_memory(tmp_path: Path) -> None:
    journals = SpooledJournals(tmp_path / "journal", spool_bytes=1 << 20)
    journal = journals.open(NAME)
    journal.append(CLIENT, 0, b"one")
    close(journal)
    assert [path.suffix for path in names_for(tmp_path / "journal", "counters")] == [".counters"]
    journals.close()
    assert names_for(tmp_path / "journal", "spool") == []
    eventually(lambda: not names_for(tmp_path / "journal", "counters"))


async def test_what_takers_take_is_there_soon_and_in_order_with_facts(
    tmp_path: Path, journals: SpooledJournals
) -> None:
    journal = journals.open(NAME)
    frames = FrameCursor()
    take = journal.taker(SERVER, 1000, frames)
    take(frame(200), 1500)
    await asyncio.to_thread(eventually, lambda: (tmp_path / "journal" / f"{NAME}.journal").exists())
    for number in range(500):
        take(b"\x82\x05hello"[: 7 if number % 2 else 3], 2000 + number)
        if not number % 2:
            take(b"\x82\x05hello"[3:], 2000 + number)
    journal.append(FACT, 5, b"{}")
    assert frames.is_between_frames
    await asyncio.to_thread(close, journal)
    records = list(read_journal(tmp_path / "journal" / f"{NAME}.journal"))
    assert records[0].offset_ns == 500
    assert records[-1].direction is FACT
    assert content_of(tmp_path, SERVER)[204:] == b"\x82\x05hello" * 500


def test_a_record_larger_than_a_piece_comes_whole(tmp_path: Path, journals: SpooledJournals) -> None:
    journal, body = journals.open(NAME), os.urandom(600_000)
    journal.append(SERVER, 0, body)
    close(journal)
    assert content_of(tmp_path, SERVER) == body


def test_while_nothing_is_written_frames_are_dropped_whole_and_nobody_waits(
    tmp_path: Path, journals: SpooledJournals, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[str] = []
    journal = journals.open(NAME, on_loss=lost.append)
    take = journal.taker(SERVER, 0, FrameCursor())
    os.kill(process_of(journals), signal.SIGSTOP)
    frames = [frame(30_000) for _ in range(60)]
    began_s = time.monotonic()
    for number, each in enumerate(frames):
        # In two pieces: one of them may find room where the other did not.
        take(each[:20_000], number)
        take(each[20_000:], number)
        journal.append(FACT, number, b'{"number": %d}' % number)
    assert time.monotonic() - began_s < 5
    assert lost == [BUFFER_FULL]
    assert "the call goes on" not in caplog.text, "who is told of a loss decides that"
    os.kill(process_of(journals), signal.SIGCONT)
    eventually(lambda: journals._spool.backlog_bytes == 0)
    frames.append(frame(10))
    take(frames[-1], 100)
    close(journal)
    records = told(tmp_path)
    assert [content for found, content in records if found is FACT] == [b'{"number": %d}' % n for n in range(60)]
    [gap] = [content for found, content in records if isinstance(content, Gap)]
    recorded = content_of_senders(records)
    whole = len(recorded[0]) // 30_004
    assert recorded[0][: whole * 30_004] == b"".join(frames[:whole])
    assert len(recorded[0]) + gap.bytes + len(frames[-1]) == sum(map(len, frames))
    assert (recorded[1], gap.ends_at_frame, gap.reason) == (frames[-1], True, BUFFER_FULL)
    assert f"{gap.bytes} bytes were not recorded: {BUFFER_FULL}" in caplog.text
    assert journals.high_water_bytes > 500_000


def content_of_senders(records: list[tuple[Direction, bytes | Gap]]) -> list[bytes]:
    """Join what stands before, between and behind the gaps."""
    runs = [b""]
    for direction, content in records:
        if isinstance(content, Gap):
            runs.append(b"")
        elif direction in (CLIENT, SERVER):
            runs[-1] += content
    return runs


def test_what_is_dropped_at_the_very_end_leaves_its_gap(tmp_path: Path, journals: SpooledJournals) -> None:
    journal = journals.open(NAME)
    take = journal.taker(CLIENT, 0, FrameCursor())
    os.kill(process_of(journals), signal.SIGSTOP)
    for _ in range(60):
        take(frame(30_000), 0)
    done = threading.Event()
    journal.close(done.set)
    os.kill(process_of(journals), signal.SIGCONT)
    assert done.wait(30)
    gap = told(tmp_path)[-1][1]
    assert isinstance(gap, Gap)
    assert len(content_of(tmp_path, CLIENT)) + gap.bytes == 60 * 30_004


def test_facts_and_closings_that_find_no_room_come_later_though_nothing_else_does(
    tmp_path: Path, journals: SpooledJournals
) -> None:
    journal, done = journals.open(NAME), threading.Event()
    os.kill(process_of(journals), signal.SIGSTOP)
    facts = [b'{"number": %d}' % number + bytes(30_000) for number in range(60)]
    for fact in facts:
        journal.append(FACT, 0, fact)
    journal.close(done.set)
    assert not done.wait(0.3)
    os.kill(process_of(journals), signal.SIGCONT)
    assert done.wait(30)
    assert told(tmp_path) == [(FACT, fact) for fact in facts]


@pytest.mark.slow
def test_a_writer_that_is_killed_is_replaced_and_nothing_is_lost_or_doubled(
    tmp_path: Path, journals: SpooledJournals, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"20260212T083055-{number:08x}" for number in range(5)]
    opened = [journals.open(name) for name in names]
    takers = [journal.taker(SERVER, 0, FrameCursor()) for journal in opened]
    said = dict.fromkeys(names, b"")
    for turn in range(300):
        for name, take in zip(names, takers, strict=True):
            said[name] += (piece := frame(300))
            take(piece, turn)
        if turn in (100, 200):
            replace(journals)
        time.sleep(0.001)
    for journal in opened:
        close(journal)
    assert {name: content_of(tmp_path, SERVER, name) for name in names} == said
    assert not any(isinstance(content, Gap) for name in names for _, content in told(tmp_path, name))
    assert "the process that writes the journals died (-9): it is replaced" in caplog.text


def test_a_journal_that_was_closed_while_the_writer_was_dead_is_closed_by_the_next(
    tmp_path: Path, journals: SpooledJournals
) -> None:
    journal = journals.open(NAME)
    journal.append(FACT, 0, b"{}")
    os.kill(process_of(journals), signal.SIGKILL)
    close(journal)
    assert told(tmp_path) == [(FACT, b"{}")]


def test_where_no_thread_can_be_started_nobody_waits_and_the_next_piece_brings_what_is_held(
    tmp_path: Path, journals: SpooledJournals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr("capture.journal.spooled.start_new_thread", refuse)
    journal, other = journals.open(NAME), journals.open("20260212T083055-00000001")
    os.kill(process_of(journals), signal.SIGSTOP)
    facts = [b'{"number": %d}' % number + bytes(30_000) for number in range(60)]
    for fact in facts:
        journal.append(FACT, 0, fact)
    os.kill(process_of(journals), signal.SIGCONT)

    def have_come() -> bool:
        other.append(FACT, 0, b"{}")
        return (tmp_path / "journal" / f"{NAME}.journal").exists() and told(tmp_path) == [(FACT, one) for one in facts]

    eventually(have_come)


def kill_for_good(journals: SpooledJournals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Kill the process where the system has no room for another."""

    def start(_: WriterProcess) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(WriterProcess, "_start", start)
    os.kill(process_of(journals), signal.SIGKILL)
    eventually(lambda: "no process that writes the journals can be started" in caplog.text)


def test_a_writer_that_cannot_be_replaced_yet_is_replaced_once_it_can(
    tmp_path: Path, journals: SpooledJournals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    journal, killed = journals.open(NAME), process_of(journals)
    journal.append(CLIENT, 0, b"before")
    with monkeypatch.context() as patched:
        kill_for_good(journals, patched, caplog)
        journal.append(CLIENT, 1, b", meanwhile")
    eventually(lambda: process_of(journals) != killed)
    journal.append(CLIENT, 2, b" and after")
    close(journal)
    assert content_of(tmp_path, CLIENT) == b"before, meanwhile and after"
    assert "a process writes the journals again" in caplog.text


def test_where_no_writer_can_be_had_any_more_closing_writes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journals = SpooledJournals(tmp_path / "journal")
    journal, ended, done = journals.open(NAME), journals.open("20260212T083055-00000001"), threading.Event()
    kill_for_good(journals, monkeypatch, caplog)
    journal.append(CLIENT, 0, b"hello")
    ended.append(FACT, 0, b"{}")
    ended.close(done.set)
    journals.close()
    assert done.is_set()
    assert told(tmp_path) == [(CLIENT, b"hello")]
    assert told(tmp_path, ended.name) == [(FACT, b"{}")]
    assert names_for(tmp_path / "journal", "spool") == []


def test_what_nobody_could_write_is_left_for_a_recovery_and_not_taken_for_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journals = SpooledJournals(tmp_path / "journal")
    journal, done = journals.open(NAME), threading.Event()
    kill_for_good(journals, monkeypatch, caplog)
    journal.append(CLIENT, 0, b"hello")
    journal.close(done.set)
    with monkeypatch.context() as patched:
        patched.setattr("capture.journal.writer_process.Drain.finish", lambda _: 1 // 0)
        journals.close()
    assert not done.is_set()
    assert "1 session left unsealed in the journal" in caplog.text
    write_what_was_left(tmp_path / "journal")
    assert told(tmp_path) == [(CLIENT, b"hello")]


def test_a_slot_that_was_given_back_is_given_away_again(tmp_path: Path, journals: SpooledJournals) -> None:
    first = journals.open(NAME)
    first.append(CLIENT, 0, b"first")
    close(first)
    second = journals.open("20260212T083055-00000000")
    assert second.slot == first.slot
    second.append(CLIENT, 0, b"second")
    close(second)
    assert content_of(tmp_path, CLIENT) == b"first"
    assert content_of(tmp_path, CLIENT, second.name) == b"second"


def test_what_comes_after_the_close_is_counted(journals: SpooledJournals) -> None:
    journal = journals.open(NAME)
    close(journal)
    journal.append(CLIENT, 0, b"late")
    assert (journal.lost_bytes, journal.failure) == (4, "the journal was closed")


async def test_what_a_taker_takes_after_the_close_is_counted_and_in_no_journal(
    tmp_path: Path, journals: SpooledJournals
) -> None:
    journal = journals.open(NAME)
    take = journal.taker(CLIENT, 0, FrameCursor())
    take(b"before", 1)
    close(journal)
    take(b"after", 2)
    other = journals.open("another")
    other.append(CLIENT, 3, b"of the other")
    close(other)
    assert journal.lost_bytes == len(b"after")
    assert content_of(tmp_path, CLIENT) == b"before"
    assert content_of(tmp_path, CLIENT, "another") == b"of the other"
    assert {path.name for path in (tmp_path / "journal").glob("*.journal")} == {f"{NAME}.journal", "another.journal"}


def test_closing_writes_and_closes_everything(tmp_path: Path) -> None:
    journals = SpooledJournals(tmp_path / "journal")
    journal = journals.open(NAME)
    journal.append(CLIENT, 0, b"hello")
    journals.close()
    journals.close()
    assert told(tmp_path) == [(CLIENT, b"hello")]
    assert not is_locked(tmp_path / "journal" / f"{NAME}.journal")
    with pytest.raises(OSError, match="as many sessions"):
        journals.open("20260212T083055-00000000")


def test_a_forked_child_has_no_part_in_them(tmp_path: Path, journals: SpooledJournals) -> None:
    journal = journals.open(NAME)
    journal.append(CLIENT, 0, b"parent")
    child = os.fork()
    if not child:
        journals.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    journal.append(CLIENT, 0, b" goes on")
    close(journal)
    assert content_of(tmp_path, CLIENT) == b"parent goes on"


def test_a_disk_that_fails_is_told_to_who_asked_and_else_to_the_log(
    tmp_path: Path, journals: SpooledJournals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "journal").write_text("a file stands where the folder should be")
    lost: list[str] = []
    journal = journals.open(NAME, on_loss=lost.append)
    journal.append(CLIENT, 0, b"hello")
    eventually(lambda: lost)
    assert "recording falters" not in caplog.text
    close(journal)
    unasked = journals.open(OTHER)
    unasked.append(CLIENT, 0, b"hello")
    eventually(lambda: f"{OTHER}.journal: recording falters, the call goes on: " in caplog.text)
    close(unasked)
    assert journals.faltered == 2


def test_where_no_memory_can_be_shared_a_thread_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("capture.journal.spool.SHARED_MEMORY", tmp_path / "nowhere")
    journals = open_journals(tmp_path / "journal")
    assert isinstance(journals, JournalWriter)
    journals.close()
    assert "journals are written by a thread of this process" in caplog.text


def test_gaps_that_find_no_room_with_their_closing_are_told_later(tmp_path: Path, journals: SpooledJournals) -> None:
    journal, other = journals.open(NAME), journals.open("20260212T083055-00000001")
    os.kill(process_of(journals), signal.SIGSTOP)
    take = journal.taker(CLIENT, 0, FrameCursor())
    # Nothing is read, so the ring fills up, and the last frames are dropped.
    while not journal.lost_bytes:
        take(frame(60_000), 1)
    # Facts have room of their own; once that is taken too, not even a closing fits.
    for size in (50_000, 1_000, 1):
        while journals._feed._writer.make_room(size + 1_024, 3, is_fact=True):
            other.append(FACT, 2, bytes(size))
    assert not journals._feed.is_holding
    journal.close()
    assert journals._feed.is_holding
    os.kill(process_of(journals), signal.SIGCONT)
    close(journal)
    close(other)
    gaps = [content for _, content in told(tmp_path) if isinstance(content, Gap)]
    assert sum(gap.bytes for gap in gaps) == journal.lost_bytes
