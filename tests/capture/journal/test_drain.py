"""From the spool into the journals: every piece once, and what is missing is told, whoever was killed in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from capture.journal import Direction, Gap, JournalWriter, decode_gap, is_locked, read_journal
from capture.journal.blocks import PIECE_HEAD_BYTES, BlockWriter
from capture.journal.counters import KILLED
from capture.journal.drain import CLOSE, Drain, key_of, size_of
from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import Spool

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")
CLIENT, SERVER, FACT, GAP = Direction
NAME = "20260212T083055-4f3a9c12"


@pytest.fixture
def spool_bytes() -> int:
    return 1 << 20


@pytest.fixture
def spool(spool: Spool) -> Spool:
    spool.name(0, NAME)
    return spool


class Recorder:
    """Puts the pieces of sessions into a spool, as a proxy does."""

    def __init__(self, spool: Spool) -> None:
        self._writer = BlockWriter(spool)
        self._spool = spool
        self._at: defaultdict[tuple[int, int], int] = defaultdict(int)

    def put(self, kind: int, content: bytes, frame_at: int = 0, *, slot: int = 0) -> None:
        at = self._at[slot, kind]
        self._writer.put(at, key_of(slot, kind), size_of(len(content), frame_at), at, content)
        self.takes(kind, at + len(content), slot=slot)

    def takes(self, kind: int, total_bytes: int, *, slot: int = 0) -> None:
        """Count what was taken of a sender so far, put or not."""
        self._at[slot, kind] = total_bytes
        if kind in (CLIENT, SERVER):
            self._spool.words[self._spool.taken_word(slot) + kind] = total_bytes


class Process:
    """What empties the spool; a new one stands for one that follows a kill."""

    born: ClassVar[list[Process]] = []

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.closed: list[tuple[int, str]] = []
        self.journals = JournalWriter(folder / "journal", has_thread=False)
        self.drain = Drain(spool, self.journals, on_closed=lambda *told: self.closed.append(told))
        self.born.append(self)

    def die(self) -> None:
        """Let go of the files, with nothing more written."""
        self.journals._abandon()


@pytest.fixture(autouse=True)
def _all_end() -> Iterator[None]:
    yield
    while Process.born:
        # Its counters lie in shared memory, beyond the test's folder.
        Process.born.pop().journals.close()


def told(folder: Path) -> list[tuple[Direction, bytes | Gap]]:
    return [
        (record.direction, decode_gap(record.content) if record.direction is GAP else record.content)
        for record in read_journal(folder / "journal" / f"{NAME}.journal")
    ]


def test_what_stands_in_the_spool_comes_into_the_journal(tmp_path: Path, spool: Spool) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    recorder.put(FACT, b"{}")
    recorder.put(CLIENT, b"hello")
    recorder.put(SERVER, b"world")
    process.drain.empty()
    assert told(tmp_path) == [(FACT, b"{}"), (CLIENT, b"hello"), (SERVER, b"world")]
    assert spool.backlog_bytes == 0
    assert is_locked(tmp_path / "journal" / f"{NAME}.journal")
    recorder.put(CLOSE, NAME.encode())
    process.drain.empty()
    assert process.closed == [(0, NAME)]
    assert not is_locked(tmp_path / "journal" / f"{NAME}.journal")


def test_what_is_put_behind_a_position_waits_for_the_next_look(tmp_path: Path, spool: Spool) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"seen")
    looked_at = spool.written
    recorder.put(CLIENT, b"not yet")
    assert process.drain.move(looked_at) > 0
    assert process.drain.move(looked_at) == 0
    assert process.drain.move() > 0
    process.drain.empty()
    assert told(tmp_path) == [(CLIENT, b"seen"), (CLIENT, b"not yet")]


def test_a_closing_is_told_only_when_its_room_was_given_back(tmp_path: Path, spool: Spool) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"hello")
    recorder.put(CLOSE, NAME.encode())
    process.drain.move()
    for _ in range(5):
        # Who follows a kill reads from there: a slot that has a new owner must not stand in it any more.
        assert not process.closed or spool.backlog_bytes == 0
        process.drain.write(1)
    assert process.closed == [(0, NAME)]


def test_room_is_given_back_once_what_stood_there_is_written_whatever_came_since(tmp_path: Path, spool: Spool) -> None:
    spool.name(1, "20260212T083055-ffffffff")
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    for slot in (0, 1):
        recorder.put(FACT, b"{}", slot=slot)
    process.drain.empty()
    for slot, said in ((0, b"one"), (1, b"another's"), (0, b"two")):
        recorder.put(CLIENT, said, slot=slot)
        process.drain.move()
    process.drain.write(1)
    assert told(tmp_path) == [(FACT, b"{}"), (CLIENT, b"one"), (CLIENT, b"two")]
    assert spool.backlog_bytes == len(b"another'stwo") + 2 * PIECE_HEAD_BYTES
    assert not process.drain.is_idle
    process.drain.write(1)
    assert spool.backlog_bytes == 0
    assert process.drain.is_idle


@pytest.mark.parametrize("is_released", [False, True])
def test_who_follows_a_kill_goes_on_where_the_last_one_was(tmp_path: Path, spool: Spool, is_released: bool) -> None:
    recorder, killed = Recorder(spool), Process(spool, tmp_path)
    recorder.put(FACT, b"{}")
    recorder.put(CLIENT, b"one")
    if is_released:
        killed.drain.empty()
    else:
        killed.drain.move()
        killed.journals.write(1)
    recorder.put(CLIENT, b"two")
    killed.die()
    with (tmp_path / "journal" / f"{NAME}.journal").open("ab") as torn:
        torn.write(b"half a rec")
    follower = Process(spool, tmp_path)
    recorder.put(CLIENT, b"three")
    follower.drain.empty()
    assert told(tmp_path) == [(FACT, b"{}"), (CLIENT, b"one"), (CLIENT, b"two"), (CLIENT, b"three")]


def test_what_the_killed_one_had_taken_and_lost_becomes_a_gap(tmp_path: Path, spool: Spool) -> None:
    recorder, killed = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"one")
    killed.drain.empty()
    killed.die()
    recorder.takes(CLIENT, 3 + 10)
    follower = Process(spool, tmp_path)
    recorder.put(CLIENT, b"later")
    follower.drain.empty()
    (_, one), (_, gap), (_, later) = told(tmp_path)
    assert (one, later) == (b"one", b"later")
    assert isinstance(gap, Gap)
    assert (gap.sender, gap.bytes, gap.ends_at_frame) == ("client", 10, True)


def test_a_gap_of_the_recorders_own_is_told_once(tmp_path: Path, spool: Spool) -> None:
    recorder, killed = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"one")
    gap = Gap("client", 3, 3, 7, "the buffer was full", ends_at_frame=True)
    content = gap.record().content
    recorder._writer.put(3, key_of(0, GAP), size_of(len(content), 0), 3, content)
    recorder.takes(CLIENT, 10)
    recorder.put(CLIENT, b"two")
    killed.drain.move()
    killed.journals.write(1)
    killed.die()
    Process(spool, tmp_path).drain.empty()
    assert told(tmp_path) == [(CLIENT, b"one"), (GAP, gap), (CLIENT, b"two")]


def test_of_a_dead_recorder_all_is_written_and_what_it_took_besides_is_counted(tmp_path: Path, spool: Spool) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"one")
    recorder.put(SERVER, b"two")
    recorder.takes(SERVER, 3 + 40)
    spool.name(1, "20260212T083055-00000000")
    process.drain.finish()
    *_, (_, gap) = told(tmp_path)
    assert gap == Gap("server", 0, 0, 40, KILLED)
    assert not is_locked(tmp_path / "journal" / f"{NAME}.journal")
    assert list(spool.named_slots()) == []
    assert len(list((tmp_path / "journal").iterdir())) == 1, "of the other session nothing was taken"


def test_a_closing_that_is_asked_for_again_makes_no_journal_anew(tmp_path: Path, spool: Spool) -> None:
    recorder, killed = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"one")
    recorder.put(CLOSE, NAME.encode())
    killed.drain.empty()
    killed.die()
    (tmp_path / "journal" / f"{NAME}.journal").unlink()  # sealed
    follower = Process(spool, tmp_path)
    recorder.put(CLOSE, NAME.encode())
    follower.drain.empty()
    assert follower.closed == [(0, NAME)]
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_journal_that_cannot_be_taken_up_costs_this_session_only(tmp_path: Path, spool: Spool) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"{NAME}.journal").write_bytes(b"something else entirely")
    recorder.put(CLIENT, b"one")
    process.drain.empty()
    assert (tmp_path / "journal" / f"{NAME}.journal").read_bytes() == b"something else entirely"
    assert spool.backlog_bytes == 0


@pytest.mark.parametrize("is_freed", [False, True], ids=["slot still named", "slot given back"])
def test_what_comes_behind_a_closing_is_in_no_journal(tmp_path: Path, spool: Spool, is_freed: bool) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"hello")
    recorder.put(CLOSE, NAME.encode())
    process.drain.empty()
    if is_freed:
        spool.free(0)
    recorder.put(CLIENT, b"too late")
    process.drain.empty()
    assert told(tmp_path) == [(CLIENT, b"hello")]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == [f"{NAME}.journal"]
    assert not is_locked(tmp_path / "journal" / f"{NAME}.journal")


def test_who_ends_takes_no_journal_up_again_that_was_closed_and_is_given_back_meanwhile(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, process = Recorder(spool), Process(spool, tmp_path)
    recorder.put(CLIENT, b"hello")
    recorder.put(CLOSE, NAME.encode())
    process.drain.empty()
    named = spool.name_of

    def given_back_behind_it(slot: int) -> str:
        name = named(slot)
        spool.free(slot)
        return name

    monkeypatch.setattr(spool, "name_of", given_back_behind_it)
    process.drain.finish()
    assert [path.name for path in (tmp_path / "journal").iterdir()] == [f"{NAME}.journal"]
    assert process.closed == [(0, NAME)]
