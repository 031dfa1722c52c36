"""Journals of a process that carries calls: what it takes goes to the spool, and another process writes the files.

Nothing but a list's append stands on the path of a message. Many are put into the spool at once: when enough have come,
after all that were ready with them have been forwarded, or a moment later.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from capture.errors import describe_fault
from capture.frames import FrameCursor
from capture.journal.drain import CLOSE, key_of, size_of
from capture.journal.protocols import JournalKeeper, Taker
from capture.journal.records import SENDERS, Direction, Gap, OpenGaps, Unwritten, decode_gap
from capture.journal.spool import PIECES_A_BATCH, RING_BYTES, SLOTS, SpoolWriter, make_spool
from capture.journal.writer import BUFFER_FULL, CLOSED, JournalWriter
from capture.journal.writer_process import Closed, Lost, WriterProcess

_log = logging.getLogger(__name__)

_TICK_S = 0.02
"""With the loop's own delay, far below the 100 ms after which nothing that was forwarded may be lost to a kill."""
_PIECES_A_TURN = 64
_LARGE_BYTES = 16 << 10
_RESERVE_BYTES = 1 << 20
"""Of the ring, for facts: they are few and small, and without them a session's bytes mean nothing."""
_LONGEST_PIECE_BYTES = 1 << 20
_RETRY_S = 0.1
_HELD_AT_MOST_S = 60.0
"""How long a closing recorder waits for room in the ring; beyond, the journals' process says what is missing."""
_GAP_BYTES = 512
"""More than a gap's record takes."""
_SENDERS = frozenset(int(direction) for direction in SENDERS)


class _Stream:
    """What comes of one sender of a session, or its facts."""

    __slots__ = ("advance", "at", "journal", "key", "kind", "started_ns", "taken_word")

    def __init__(self, journal: SpooledJournal, kind: int, first_word: int) -> None:
        self.journal = journal
        self.kind = kind
        self.key = key_of(journal.slot, kind)
        self.at = 0
        """How many bytes of it the spool was told of."""
        self.started_ns = 0
        self.advance = FrameCursor().advance
        self.taken_word = first_word + min(kind, Direction.GAP)
        """Index of the spool's word that counts its bytes; the last two kinds share one that nobody reads."""


_Piece = tuple[_Stream, int, bytes, int | None]
"""Its stream, when it came, its bytes, and where the first frame starts; None where the stream's cursor tells."""


def open_journals(folder: Path) -> JournalKeeper:
    """Give what writes the journals of a proxy: a process of their own, or a thread where no memory can be shared."""
    try:
        return SpooledJournals(folder)
    except OSError as problem:
        _log.info("journals are written by a thread of this process: %s", problem)
        return JournalWriter(folder)


class SpooledJournals:
    """All journals of this process. A process that forks keeps them to itself: in the child they are closed."""

    def __init__(self, folder: Path, *, ring_bytes: int = RING_BYTES) -> None:
        """Make the spool, and start the process that writes the files; OSError where either cannot be."""
        self.folder = folder
        self.high_water_bytes = 0
        """The most that ever waited to be written."""
        self._spool = make_spool(folder, ring_bytes)
        self._words = self._spool.words
        self._reserve_bytes = min(_RESERVE_BYTES, self._spool.ring_bytes // 4)
        self._writer = SpoolWriter(self._spool)
        self._lock = threading.RLock()
        self._pieces: list[_Piece] = []
        self._held: list[_Piece] = []
        """Facts and closings for which the ring had no room."""
        self._faltering: set[SpooledJournal] = set()
        """Journals of which something was dropped, and no gap tells of it yet."""
        self._journals: dict[int, SpooledJournal] = {}
        self._free = list(range(SLOTS - 1, -1, -1))
        self._is_closed = False
        self._is_retrying = False
        self._is_ticking = False
        try:
            self._process = WriterProcess(self._spool, folder, self._heard, self._replaced)
        except OSError:
            self._spool.remove()
            self._spool.close()
            raise
        atexit.register(self.close)
        _spooled.add(self)

    def open(self, name: str, *, on_loss: Callable[[str], None] | None = None) -> SpooledJournal:
        """Open `NAME.journal`: a file 0600 in a folder 0700, locked while it is open.

        `on_loss` gets the reason when something is not recorded, once, on any thread. Raises OSError where more
        sessions are live than there is room for.
        """
        with self._lock:
            if self._is_closed or not self._free:
                raise OSError("as many sessions are recorded as there is room for")
            slot = self._free.pop()
            journal = SpooledJournal(self, slot, name, self._spool.name(slot, name), on_loss)
            self._journals[slot] = journal
            return journal

    def catch_up(self) -> None:
        """Put what was taken into the spool."""
        try:
            with self._lock:
                pieces = self._pieces[:]
                del self._pieces[: len(pieces)]
                if not self._is_closed:
                    held, self._held = self._held, []
                    self._put_all(held + pieces if held else pieces)
                    self._retry_later()
        # The call comes first: a bug in the recorder must not reach who carries it.
        except Exception as bug:  # noqa: BLE001
            _log.error("pieces of some sessions were not recorded: %s", describe_fault(bug))

    def close(self) -> None:
        """Have everything written and all journals closed; wait until that is done. Closing again does nothing."""
        if self._is_closed:
            return
        for journal in list(self._journals.values()):
            journal.close()
        deadline_s = time.monotonic() + _HELD_AT_MOST_S
        self.catch_up()
        while self._held and time.monotonic() < deadline_s:
            time.sleep(_TICK_S)
            self.catch_up()
        self._process.finish()
        self._is_closed = True
        atexit.unregister(self.close)
        for journal in list(self._journals.values()):
            journal.finished()
        self._spool.close()

    def take(self, piece: _Piece) -> None:
        """Take a piece, and put it into the spool at once."""
        self._pieces.append(piece)
        self.catch_up()

    def take_open(self, piece: _Piece) -> None:
        """Take a piece, unless its journal is closed: then it is counted."""
        journal = piece[0].journal
        if journal.is_closed:
            journal.note_loss(len(piece[2]), CLOSED)
        else:
            self.take(piece)

    def make_taker(self, stream: _Stream) -> Taker:
        """Give what takes pieces of a stream."""
        pieces, catch_up, tick_later, journal = self._pieces, self.catch_up, self._tick_later, stream.journal
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return lambda chunk, arrived_ns: self.take_open((stream, arrived_ns, chunk, None))

        def take(chunk: bytes, arrived_ns: int) -> None:
            # A connection may go on for a moment after its session has ended.
            if journal.is_closed:
                journal.note_loss(len(chunk), CLOSED)
                return
            pieces.append((stream, arrived_ns, chunk, None))
            count = len(pieces)
            if count == 1:
                tick_later(loop)
            elif count == _PIECES_A_TURN or (len(chunk) > _LARGE_BYTES and count < _PIECES_A_TURN):
                # Not here: others that are ready now are forwarded first.
                loop.call_soon(catch_up)

        return take

    def _tick_later(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have what was taken put into the spool within a tick; one is under way at a time."""
        if not self._is_ticking:
            self._is_ticking = True
            loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        self.catch_up()

    def _retry_later(self) -> None:
        """Try again with what is held, though nothing else may come."""
        if self._held and not self._is_retrying:
            self._is_retrying = True
            timer = threading.Timer(_RETRY_S, self._retry)
            timer.daemon = True
            timer.start()

    def _retry(self) -> None:
        self._is_retrying = False
        self.catch_up()

    def _put_all(self, pieces: list[_Piece]) -> None:
        for start in range(0, len(pieces), PIECES_A_BATCH):
            batch = pieces[start : start + PIECES_A_BATCH]
            if self._held or self._faltering or not self._put_at_once(batch):
                self._put_with_care(batch)
        spool = self._spool
        self.high_water_bytes = max(self.high_water_bytes, spool.backlog_bytes)
        if pieces and spool.is_reader_resting:
            spool.is_reader_resting = False
            self._process.wake()

    def _put_at_once(self, pieces: Sequence[_Piece]) -> bool:
        """Put pieces as one batch; False, and nothing is changed, where the ring has too little room."""
        contents = [piece[2] for piece in pieces]
        content_bytes = sum(map(len, contents))
        if not self._writer.has_room(len(pieces), content_bytes, self._reserve_bytes):
            return False
        index: list[int] = []
        words = self._words
        for stream, arrived_ns, content, frame_at in pieces:
            size, at = len(content), stream.at
            if frame_at is None:
                frame_at = stream.advance(content)
            offset_ns = arrived_ns - stream.started_ns
            # As `size_of` has it; here each call counts. A clock that ran backwards must not cost the piece.
            since_ns = offset_ns if offset_ns > 0 else 0  # noqa: FURB136
            index += (since_ns, stream.key, frame_at + 1 << 32 | size, at)
            stream.at = words[stream.taken_word] = at + size
        try:
            self._writer.put(index, contents, content_bytes)
        except OSError as problem:
            for stream, arrived_ns, content, _ in pieces:
                stream.at -= len(content)
                self._lose(stream, arrived_ns - stream.started_ns, content, problem.strerror or str(problem))
        return True

    def _put_with_care(self, pieces: Sequence[_Piece]) -> None:
        """Put pieces one by one, and leave out what the ring has no room for."""
        for piece in pieces:
            stream, arrived_ns, content, frame_at = piece
            offset_ns = max(arrived_ns - stream.started_ns, 0)
            if stream.kind in _SENDERS:
                if frame_at is None:
                    frame_at = stream.advance(content)
                self._put_content(stream, offset_ns, content, frame_at)
            elif self._held or not self._put_fact(stream, offset_ns, content):
                self._held.append(piece)

    def _put_content(self, stream: _Stream, offset_ns: int, content: bytes, frame_at: int) -> None:
        journal = stream.journal
        self._words[stream.taken_word] += len(content)
        if not self._writer.has_room(2, len(content) + _GAP_BYTES, self._reserve_bytes):
            self._lose(stream, offset_ns, content, BUFFER_FULL)
            return
        records = journal.gaps.resume((Direction(stream.kind), offset_ns, content, frame_at))
        kept_bytes = sum(len(record[2]) for record in records if record[0] is not Direction.GAP)
        journal.note_loss(len(content) - kept_bytes, BUFFER_FULL)
        self._put_records(stream, records)
        if not journal.gaps:
            self._faltering.discard(journal)

    def _put_records(self, stream: _Stream, records: Sequence[Unwritten]) -> None:
        for direction, offset_ns, content, frame_at in records:
            key = key_of(stream.journal.slot, direction)
            self._writer.put((offset_ns, key, size_of(len(content), frame_at), stream.at), [content], len(content))
            stream.at += max(decode_gap(content).bytes, 0) if direction is Direction.GAP else len(content)

    def _put_fact(self, stream: _Stream, offset_ns: int, content: bytes) -> bool:
        """Put a fact, a gap or a closing; False where there is no room."""
        journal = stream.journal
        # Room first: gaps that are taken out of their book and not put would be told nowhere.
        if not self._writer.has_room(1 + len(SENDERS), len(content) + len(SENDERS) * _GAP_BYTES, 0):
            return False
        gaps = journal.gaps.close() if stream.kind == CLOSE else []
        try:
            for gap in gaps:
                self._put_records(journal.stream_of(decode_gap(gap[2])), [gap])
            if stream.kind == Direction.GAP:
                self._put_records(journal.stream_of(decode_gap(content)), [(Direction.GAP, offset_ns, content, 0)])
            else:
                self._writer.put((offset_ns, stream.key, size_of(len(content), 0), stream.at), [content], len(content))
                stream.at += len(content)
        except OSError:
            return False
        if stream.kind == CLOSE:
            self._faltering.discard(journal)
        return True

    def _lose(self, stream: _Stream, offset_ns: int, content: bytes, reason: str) -> None:
        """Give a piece up: a gap will stand for it. What is no sender's is held, and put later."""
        journal = stream.journal
        if stream.kind not in _SENDERS:
            self._held.append((stream, offset_ns + stream.started_ns, content, 0))
            return
        journal.gaps.drop(Direction(stream.kind), offset_ns, len(content), reason)
        self._faltering.add(journal)
        journal.note_loss(len(content), reason)

    def _heard(self, report: Closed | Lost) -> None:
        with self._lock:
            journal = self._journals.get(report.slot)
            if journal is None or journal.name != report.name:
                return
            if isinstance(report, Closed):
                del self._journals[report.slot]
                self._spool.free(report.slot)
                self._free.append(report.slot)
        if isinstance(report, Closed):
            journal.finished()
        else:
            journal.tell_loss(report.reason)

    def _replaced(self) -> None:
        """Have the process that took over close what the last one did not tell to be closed."""
        for journal in list(self._journals.values()):
            journal.close_again()

    def _abandon(self) -> None:
        self._lock = threading.RLock()  # the parent's may have been held when it forked
        self._is_closed = True
        self._process.forget()
        self._spool.close()


_spooled: weakref.WeakSet[SpooledJournals] = weakref.WeakSet()


def _abandon_in_child() -> None:
    for journals in _spooled:
        journals._abandon()


os.register_at_fork(after_in_child=_abandon_in_child)


class SpooledJournal:
    """One session's journal. Append from any thread: that never waits for the disk and never raises."""

    def __init__(
        self, owner: SpooledJournals, slot: int, name: str, first_word: int, on_loss: Callable[[str], None] | None
    ) -> None:
        self.name = name
        self.slot = slot
        self.gaps = OpenGaps()
        """Dropped since the last piece of that sender that the ring had room for."""
        self.lost_bytes = 0
        self.failure: str | None = None
        self._owner = owner
        self._on_loss = on_loss
        self._streams = {kind: _Stream(self, kind, first_word) for kind in (*Direction, CLOSE)}
        self.is_closed = False
        self._is_finished = False
        self._when_done: list[Callable[[], None]] = []

    def append(self, direction: Direction, offset_ns: int, content: bytes, frame_at: int = 0) -> None:
        """Take one record, to be on disk about a tick later.

        `frame_at` is the index in the content at which the first WebSocket frame starts; negative: none does.
        """
        if self.is_closed:
            self.note_loss(len(content), CLOSED)
            return
        stream = self._streams[direction]
        for at in range(0, max(len(content), 1), _LONGEST_PIECE_BYTES):
            piece = content[at : at + _LONGEST_PIECE_BYTES] if direction in SENDERS else content
            starts_at = frame_at - at if 0 <= frame_at - at < len(piece) else -1
            self._owner.take((stream, offset_ns + stream.started_ns, piece, starts_at if at or frame_at else frame_at))
            if piece is content:
                break

    def taker(self, direction: Direction, started_ns: int, frames: FrameCursor) -> Taker:
        """Give what takes one sender's bytes; it advances the cursor, by `SpooledJournals.catch_up` at the latest."""
        stream = self._streams[direction]
        stream.started_ns, stream.advance = started_ns, frames.advance
        return self._owner.make_taker(stream)

    def close(self, done: Callable[[], None] | None = None) -> None:
        """Let the file be closed after the last record; `done` is then called, on another thread.

        It is called even where the disk failed and there is no file.
        """
        if done is not None:
            self._when_done.append(done)
        if not self.is_closed:
            self.is_closed = True
            self._put_close()

    def close_again(self) -> None:
        """Ask once more for the file to be closed, where that was asked for and not answered."""
        if self.is_closed and not self._is_finished:
            self._put_close()

    def finished(self) -> None:
        """Note that the file is closed."""
        self._is_finished = True
        if self.lost_bytes:
            _log.warning("%s.journal: %d bytes were not recorded: %s", self.name, self.lost_bytes, self.failure)
        when_done, self._when_done = self._when_done, []
        for done in when_done:
            self._tell(done)

    def stream_of(self, gap: Gap) -> _Stream:
        """Give the stream that a gap is in."""
        return self._streams[gap.direction]

    def note_loss(self, lost_bytes: int, reason: str) -> None:
        """Count what is lost before it reached the spool."""
        if not lost_bytes:
            return
        is_news = self.failure is None
        self.lost_bytes += lost_bytes
        self.failure = reason
        if is_news and not self.is_closed:
            _log.warning("%s.journal: recording falters, the call goes on: %s", self.name, reason)
            self.tell_loss(reason)

    def tell_loss(self, reason: str) -> None:
        """Tell who wants to know that something is not recorded, once."""
        on_loss, self._on_loss = self._on_loss, None
        if on_loss is not None:
            self._tell(partial(on_loss, reason))

    def _put_close(self) -> None:
        # Its name, because a slot may have another owner by the time this is read once more.
        self._owner.take((self._streams[CLOSE], 0, self.name.encode(), 0))

    def _tell(self, done: Callable[[], None]) -> None:
        try:
            done()
        except Exception as bug:  # noqa: BLE001 - the thread must live on, for the other sessions
            _log.error("%s: what waited for it failed: %s", self.name, describe_fault(bug))
