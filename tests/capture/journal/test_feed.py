"""What there is room for goes into the spool at once; else frames are dropped whole, and facts wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.frames import FrameCursor
from capture.journal import Direction, Gap, JournalWriter, decode_gap, read_journal
from capture.journal.blocks import BlockReader
from capture.journal.drain import Drain
from capture.journal.feed import Feed
from capture.journal.protocols import Taker
from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import Spool, left_spools, make_spool
from capture.journal.spooled_journal import Piece, SpooledJournal, Stream

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory")
CLIENT, SERVER, FACT, GAP = Direction
NAME = "20260212T083055-4f3a9c12"


@pytest.fixture
def spool_bytes() -> int:
    return 1 << 20


class Session:
    """One session, each piece of which is put at once, and what empties the spool when a test lets it."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.woken = 0
        self.feed = Feed(spool, self._wake)
        self.journal = SpooledJournal(self, 0, NAME, spool.name(0, NAME), None)
        self._path = folder / "journal" / f"{NAME}.journal"
        self._journals = JournalWriter(self._path.parent, has_thread=False)
        self._drain = Drain(spool, self._journals)
        self.reader = BlockReader(spool)

    def _wake(self) -> None:
        self.woken += 1

    def take(self, piece: Piece) -> None:
        self.feed.put(piece)

    def count_faltering(self) -> None:
        """It is the losses that are looked at."""

    def make_taker(self, stream: Stream) -> Taker:
        return self.feed.taker(stream)

    def read(self) -> None:
        """Empty the spool, and put what was held."""
        for _ in range(3):
            self._drain.empty()
            self.feed.retry()

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
    take = session.journal.taker(CLIENT, 0, FrameCursor())
    spool.is_reader_resting = True
    assert session.woken == 0
    session.journal.append(FACT, 0, b"{}")
    take(b"hello", 1)
    assert (session.woken, spool.is_reader_resting) == (1, False)
    spool.is_reader_resting = True
    take(b"again", 2)
    assert (session.woken, spool.is_reader_resting) == (2, False)
    assert session.feed.high_water_bytes == spool.backlog_bytes > 7
    assert session.told() == [(FACT, b"{}"), (CLIENT, b"hello"), (CLIENT, b"again")]


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


def test_where_memory_runs_out_that_is_the_reason(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: int) -> None:
        raise OSError(28, "No space left on device")

    take, sent = session.journal.taker(CLIENT, 0, FrameCursor()), [frame(30_000) for _ in range(10)]
    with monkeypatch.context() as full:
        # Of a container whose share of memory is used up by others.
        full.setattr(os, "posix_fallocate", no_space)
        for number, each in enumerate(sent):
            take(each, number)
        session.journal.append(FACT, 20, b"{}")
    session.journal.append(CLIENT, 30, b"\x81\x00", 0)
    told = session.told()
    [gap] = [content for _, content in told if isinstance(content, Gap)]
    assert gap.reason == f"{SHARED_MEMORY}: No space left on device"
    assert gap.bytes == session.journal.lost_bytes > 0
    assert sum(len(content) for kind, content in told if kind is CLIENT and isinstance(content, bytes)) == (
        10 * 30_004 + 2 - gap.bytes
    )
    assert (FACT, b"{}") in told


@pytest.mark.parametrize("frame_at", [0, 5, 70_000])
def test_what_is_longer_than_a_piece_is_put_in_several_with_the_frame_in_its_own(
    session: Session, spool: Spool, frame_at: int
) -> None:
    content = os.urandom(300_000)
    session.journal.append(CLIENT, 2, content, frame_at)
    pieces = [piece for portion in iter(lambda: session.reader.read(spool.written), []) for piece in portion]
    assert b"".join(piece[4] for piece in pieces) == content
    assert 9 < len(pieces) < 12
    starts = [piece[3] + (piece[2] >> 32) - 1 for piece in pieces if piece[2] >> 32]
    assert starts == [frame_at]
    assert session.told() == [(CLIENT, piece[4]) for piece in pieces]


def test_a_clock_that_runs_backwards_costs_no_piece(session: Session) -> None:
    take = session.journal.taker(CLIENT, 1000, FrameCursor())
    take(b"hello", 10)
    take(b" world", 1010)
    assert session.told() == [(CLIENT, b"hello"), (CLIENT, b" world")]


def test_what_a_taker_dropped_is_counted_for_whoever_finds_the_spool_after_a_kill(
    session: Session, spool: Spool
) -> None:
    take = session.journal.taker(SERVER, 0, FrameCursor())
    take(frame(100), 0)
    assert spool.taken_bytes(0) == (0, 0), "what stands in the spool counts itself"
    for number in range(50):
        take(frame(30_000), number)
    assert spool.taken_bytes(0) == (0, 104 + 50 * 30_004)


def test_once_it_is_closed_it_takes_nothing(session: Session, spool: Spool) -> None:
    take = session.journal.taker(CLIENT, 0, FrameCursor())
    take(b"before", 0)
    written = spool.written
    session.journal.take_care()
    session.feed.close()
    take(b"after", 1)
    session.journal.append(FACT, 2, b"{}")
    assert spool.written == written


def test_once_it_is_closed_nothing_of_it_holds_the_lock_of_the_spool(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "journal", 1 << 20)
    session = Session(spool, tmp_path)
    take = session.journal.taker(CLIENT, 0, FrameCursor())
    take(b"hello", 0)
    session.journal.take_care()
    session.feed.close()
    spool.close()
    take(b"after", 1)
    assert left_spools(tmp_path / "journal") == [spool.path]
    spool.remove()


def test_a_fact_that_no_block_can_hold_is_counted_and_holds_nothing_up(session: Session, spool: Spool) -> None:
    session.journal.append(FACT, 0, bytes(spool.block_bytes))
    session.journal.append(FACT, 1, b"{}")
    assert session.journal.lost_bytes == spool.block_bytes
    assert not session.feed.is_holding
    assert session.told() == [(FACT, b"{}")]
