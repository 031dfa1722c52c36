"""What there is room for goes into the spool at once; else frames are dropped whole, and facts wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.frames import FrameCursor
from capture.journal import Direction, Gap, JournalWriter, decode_gap, read_journal
from capture.journal.drain import Drain
from capture.journal.feed import Feed
from capture.journal.protocols import Taker
from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import Spool, make_spool
from capture.journal.spooled_journal import Piece, SpooledJournal, Stream

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")
CLIENT, SERVER, FACT, GAP = Direction
NAME = "20260212T083055-4f3a9c12"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = make_spool(tmp_path / "journal", 1 << 20)
    yield spool
    spool.remove()
    spool.close()


class Session:
    """One session, each piece of which is put at once, and what empties the spool when a test lets it."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.woken = 0
        self.feed = Feed(spool, self._wake)
        self.journal = SpooledJournal(self, 0, NAME, spool.name(0, NAME), None)
        self._path = folder / "journal" / f"{NAME}.journal"
        self._journals = JournalWriter(self._path.parent, has_thread=False)
        self._drain = Drain(spool, self._journals)

    def _wake(self) -> None:
        self.woken += 1

    def take(self, piece: Piece) -> None:
        self.feed.put([piece])

    def make_taker(self, stream: Stream) -> Taker:
        return lambda chunk, arrived_ns: self.feed.put([(stream, arrived_ns, chunk, None)])

    def read(self) -> None:
        """Empty the spool, and put what was held."""
        for _ in range(3):
            self._drain.empty()
            self.feed.put([])

    def told(self) -> list[tuple[Direction, bytes | Gap]]:
        """Close the journal; gives what is in it."""
        self.journal.close()
        self.read()
        self._journals.close()
        return [
            (record.direction, decode_gap(record.content) if record.direction is GAP else record.content)
            for record in read_journal(self._path)
        ]


@pytest.fixture
def session(spool: Spool, tmp_path: Path) -> Session:
    return Session(spool, tmp_path)


def frame(size: int) -> bytes:
    return bytes([0x82, 126]) + size.to_bytes(2, "big") + os.urandom(size)


def test_a_reader_that_rests_is_woken_by_what_there_is_to_read(spool: Spool, session: Session) -> None:
    session.feed.put([])
    spool.is_reader_resting = True
    session.feed.put([])
    assert session.woken == 0
    session.journal.append(FACT, 0, b"{}")
    session.journal.append(CLIENT, 0, b"hello")
    assert (session.woken, spool.is_reader_resting) == (1, False)
    assert session.feed.high_water_bytes == spool.backlog_bytes > 7
    assert session.told() == [(FACT, b"{}"), (CLIENT, b"hello")]


def test_frames_for_which_there_is_no_room_are_dropped_whole_and_a_gap_tells_of_them(
    spool: Spool, session: Session
) -> None:
    take, sent = session.journal.taker(CLIENT, 0, FrameCursor()), [frame(30_000) for _ in range(60)]
    for number, each in enumerate(sent[:50]):
        take(each, number)
    lost_bytes = session.journal.lost_bytes
    assert lost_bytes % 30_004 == 0
    assert lost_bytes > 0
    session.read()
    for number, each in enumerate(sent[50:], 50):
        take(each, number)
        session.read()
    kept = 50 - lost_bytes // 30_004
    told = session.told()
    assert [content for kind, content in told if kind is CLIENT] == [*sent[:kept], *sent[50:]]
    [(place, gap)] = [(place, content) for place, (_, content) in enumerate(told) if isinstance(content, Gap)]
    assert (place, gap.bytes, gap.direction) == (kept, lost_bytes, CLIENT)
    assert spool.backlog_bytes == 0


def test_facts_are_held_in_their_order_until_there_is_room(session: Session) -> None:
    facts = [b'{"number": %d}' % number + bytes(30_000) for number in range(60)]
    for fact in facts:
        session.journal.append(FACT, 0, fact)
    assert session.feed.is_holding
    assert session.told() == [(FACT, fact) for fact in facts]
    assert not session.feed.is_holding


def test_what_the_ring_cannot_take_in_spite_of_its_room_is_told_too(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.journal.append(CLIENT, 0, b"one")
    with monkeypatch.context() as full:
        # Of a container whose share of memory is used up by others: the ring is a file with holes.
        full.setattr(os, "pwritev", lambda *_: 0)
        session.journal.append(CLIENT, 1, b"two")
        session.journal.append(FACT, 2, b"{}")
    session.journal.append(CLIENT, 3, b"\x81\x00", 0)
    told = session.told()
    assert told[0] == (CLIENT, b"one")
    assert sorted(kind for kind, _ in told) == [CLIENT, CLIENT, FACT, GAP]
    [gap] = [content for _, content in told if isinstance(content, Gap)]
    assert (gap.bytes, gap.reason) == (3, "No space left on device")
