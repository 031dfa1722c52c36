"""A journal that hands over what it takes; who puts it into the spool is another's matter."""

from __future__ import annotations

import logging

import pytest

from capture.frames import FrameCursor
from capture.journal import Direction, Gap
from capture.journal.drain import CLOSE
from capture.journal.protocols import Taker
from capture.journal.spooled_journal import Piece, SpooledJournal, Stream

CLIENT, SERVER, FACT, GAP = Direction
NAME = "20260212T083055-4f3a9c12"


class Owner:
    """Keeps the pieces that it is handed."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.faltered = 0

    def take(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def make_taker(self, stream: Stream) -> Taker:
        return lambda chunk, arrived_ns: self.pieces.append((stream, arrived_ns, chunk, stream.advance(chunk)))

    def count_faltering(self) -> None:
        self.faltered += 1

    def told(self) -> list[tuple[int, int, bytes, int]]:
        return [(stream.kind, at_ns, content, frame_at) for stream, at_ns, content, frame_at in self.pieces]


def journal_of(owner: Owner, losses: list[str] | None = None) -> SpooledJournal:
    return SpooledJournal(owner, 3, NAME, 100, None if losses is None else losses.append)


def test_what_it_takes_is_handed_over_on_the_clock_of_its_stream() -> None:
    owner = Owner()
    journal = journal_of(owner)
    journal.append(FACT, 1, b"{}")
    journal.append(CLIENT, 2, b"hello", 4)
    frames = FrameCursor()
    journal.taker(SERVER, 1000, frames)(b"\x81\x00", 1500)
    journal.append(SERVER, 600, b"\x81\x00", 0)
    assert owner.told() == [
        (FACT, 1, b"{}", 0),
        (CLIENT, 2, b"hello", 4),
        (SERVER, 1500, b"\x81\x00", 0),
        (SERVER, 600, b"\x81\x00", 0),
    ]
    server = owner.pieces[-1][0]
    assert server.advance == frames.advance
    assert [server.taken_word, journal._streams[CLOSE].taken_word] == [101, 103]


def test_it_is_closed_once_and_asked_again_only_where_nothing_answered() -> None:
    owner = Owner()
    done: list[str] = []
    journal = journal_of(owner)
    journal.close(lambda: done.append("first"))
    journal.close(lambda: done.append("second"))
    closings = [(CLOSE, 0, NAME.encode(), 0)]
    assert (owner.told(), done) == (closings, [])
    assert journal.stream_of(Gap("client", 0, 0, 1, "")).takes_care
    journal.close_again()
    assert owner.told() == closings * 2
    journal.finished()
    journal.close_again()
    assert (owner.told(), done) == (closings * 2, ["first", "second"])


def test_a_loss_is_told_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    losses: list[str] = []
    journal = journal_of(Owner(), losses)
    journal.note_loss(0, "nothing")
    journal.note_loss(5, "the disk is full")
    journal.note_loss(7, "and stays so")
    assert (journal.lost_bytes, losses, journal.failure) == (12, ["the disk is full"], "and stays so")
    with caplog.at_level(logging.WARNING):
        journal.close()
        journal.append(CLIENT, 9, b"late")
        journal.finished()
    assert journal.lost_bytes == 16
    assert f"{NAME}.journal: 16 bytes were not recorded" in caplog.text


def test_a_fault_of_who_waited_for_it_is_logged_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    journal = journal_of(Owner())
    done: list[str] = []

    def fail() -> None:
        raise IndexError

    journal.close(fail)
    journal.close(lambda: done.append("told all the same"))
    journal.finished()
    assert done == ["told all the same"]
    assert "what waited for it failed: IndexError" in caplog.text
