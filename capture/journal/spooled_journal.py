"""One session's journal, as the process has it that carries the call: all it does is hand over pieces.

Its owner puts them into the spool; what there is no room for is counted here, and told once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from capture.errors import describe_fault
from capture.frames import FrameCursor
from capture.journal.drain import CLOSE, key_of
from capture.journal.protocols import Taker
from capture.journal.records import Direction, Gap, OpenGaps
from capture.journal.writer import CLOSED

_log = logging.getLogger(__name__)


class Stream:
    """What comes of one sender of a session, or its facts."""

    __slots__ = ("advance", "at", "journal", "key", "kind", "started_ns", "taken_word", "takes_care")
    advance: Callable[[bytes], int]
    """Of the taker's cursor; there is none without a taker."""

    def __init__(self, journal: SpooledJournal, kind: int, first_word: int) -> None:
        self.journal = journal
        self.kind = kind
        self.key = key_of(journal.slot, kind)
        self.at = 0
        """How many bytes of it the spool was told of."""
        self.started_ns = 0
        self.takes_care = False
        """A taker's next piece cannot simply be put: it follows a gap, or the closing."""
        self.taken_word = first_word + min(kind, Direction.GAP)
        """Index of the spool's word that counts its bytes; the last two kinds share one that nobody reads."""


Piece = tuple[Stream, int, bytes, int]
"""Its stream, when it came, its bytes, and where the first frame in it starts; negative where none does."""


class Owner(Protocol):
    """Who takes the pieces of all journals."""

    def take(self, piece: Piece) -> None:
        """Take a piece; never waits for the disk and never raises."""

    def make_taker(self, stream: Stream) -> Taker:
        """Give what takes a sender's bytes."""

    def count_faltering(self) -> None:
        """Count a journal of which something is lost; on any thread."""


class SpooledJournal:
    """One session's journal. Append from any thread: that never waits for the disk and never raises."""

    def __init__(
        self, owner: Owner, slot: int, name: str, first_word: int, on_loss: Callable[[str], None] | None
    ) -> None:
        self.name = name
        self.slot = slot
        self.gaps = OpenGaps()
        """Dropped since the last piece of that sender that there was room for."""
        self.lost_bytes = 0
        self.failure: str | None = None
        self._owner = owner
        self._on_loss = on_loss
        self._is_loss_told = False
        self._streams = {kind: Stream(self, kind, first_word) for kind in (*Direction, CLOSE)}
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
        self._owner.take((self._streams[direction], offset_ns, content, frame_at))

    def taker(self, direction: Direction, started_ns: int, frames: FrameCursor) -> Taker:
        """Give what takes one sender's bytes; it advances the cursor."""
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
            self.take_care()
            self._put_close()

    def take_care(self) -> None:
        """Have takers put nothing more by themselves."""
        for stream in self._streams.values():
            stream.takes_care = True

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

    def stream_of(self, gap: Gap) -> Stream:
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
            self.tell_loss(reason)

    def tell_loss(self, reason: str) -> None:
        """Tell who wants to know that something is not recorded, else the log; once."""
        if self._is_loss_told:
            return
        self._is_loss_told = True
        self._owner.count_faltering()
        if self._on_loss is None:
            _log.warning("%s.journal: recording falters, the call goes on: %s", self.name, reason)
        else:
            self._tell(partial(self._on_loss, reason))

    def _put_close(self) -> None:
        # Its name, because a slot may have another owner by the time this is read once more.
        self._owner.take((self._streams[CLOSE], 0, self.name.encode(), 0))

    def _tell(self, done: Callable[[], None]) -> None:
        try:
            done()
        except Exception as bug:  # noqa: BLE001 - the thread must live on, for the other sessions
            _log.error("%s: what waited for it failed: %s", self.name, describe_fault(bug))
