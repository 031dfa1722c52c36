"""From the spool into the journals: every piece once, whoever was killed in between."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from functools import partial

from capture.journal.blocks import BlockReader
from capture.journal.counters import KILLED
from capture.journal.records import SENDERS, Direction, Gap, decode_gap
from capture.journal.spool import Spool
from capture.journal.writer import Journal, JournalWriter

CLOSE = 4
"""In a direction's place: the journal is to be closed."""
_DIRECTIONS = tuple(Direction)
"""By their values: to look one up is quicker than to make it."""
_KIND_SHIFT = 32
_LENGTH_MASK = (1 << 32) - 1
_LOST_BEFORE = "the process that writes the journals was killed before it had written this"


def key_of(slot: int, kind: int) -> int:
    """Encode a session's slot and what a piece is of it."""
    return kind << _KIND_SHIFT | slot


def size_of(length: int, frame_at: int) -> int:
    """Encode a piece's length and where the first frame in it starts."""
    return (frame_at + 1) << 32 | length


class _Session:
    """A session whose journal is being written."""

    def __init__(self, name: str, journal: Journal, written: dict[Direction, int]) -> None:
        self.name = name
        self.journal = journal
        self.at = [written[Direction.CLIENT], written[Direction.SERVER], written[Direction.FACT]]
        """Up to where each stream is in the journal, gaps included; negative where nobody knows."""
        self.last_ns = 0


class Drain:
    """Moves what stands in a spool into journals, and gives its room back once they are written."""

    def __init__(
        self,
        spool: Spool,
        journals: JournalWriter,
        on_closed: Callable[[int, str], None] = lambda _slot, _name: None,
        on_loss: Callable[[int, str, str], None] = lambda _slot, _name, _reason: None,
    ) -> None:
        self._spool = spool
        self._reader = BlockReader(spool)
        self._journals = journals
        self._on_closed = on_closed
        self._on_loss = on_loss
        self._sessions: dict[int, _Session] = {}
        self._closed_last: dict[int, str] = {}
        """The session of each slot that was closed last."""
        self._to_tell: deque[tuple[int, int, str]] = deque()
        """Who is closed, told once the room below a position is given back: a slot has a new owner then."""
        self._released = self._reader.mark
        self._marks: deque[tuple[int, int]] = deque()
        """Positions up to which was read, each with the number of the write by which all below is in the journals."""
        self._writes = 0

    @property
    def unread_bytes(self) -> int:
        """How much waits in the spool to be moved."""
        return self._reader.unread_bytes

    def move(self, until: int | None = None, most_bytes: int = sys.maxsize) -> int:
        """Hand pieces of one block to their journals, so many bytes or one piece; gives how many there were.

        Of those before a position: all that were put before now, where none is given.
        """
        pieces = self._reader.read(self._spool.written if until is None else until, most_bytes)
        for offset_ns, key, size, stream_at, content in pieces:
            self._take(key, offset_ns, content, (size >> 32) - 1, stream_at)
        if self._reader.mark != (self._marks[-1][0] if self._marks else self._released):
            # Journals are written in the order in which they came to have something to write: once all that have
            # something now are written, so is all that was read until now.
            self._marks.append((self._reader.mark, self._writes + self._journals.busy_count))
        return len(pieces)

    def write(self, most: int) -> None:
        """Write some journals, those first that have waited longest."""
        self._writes += self._journals.write(most)
        self._release()
        self._tell()

    @property
    def is_idle(self) -> bool:
        """Whether all that was read is written, and told."""
        return not self._to_tell and not self._journals.busy_count and self._released == self._reader.mark

    def empty(self) -> None:
        """Move and write all that is there."""
        while self.move() or not self.is_idle:
            self.write(self._journals.busy_count)

    def finish(self) -> None:
        """Write all that a recorder has left, say what is missing of it, and close its journals."""
        self.empty()
        for slot in self._spool.named_slots():
            self._end(slot)
        self.empty()

    def _release(self) -> None:
        mark = self._released
        while self._marks and self._marks[0][1] <= self._writes:
            mark, _ = self._marks.popleft()
        if mark != self._released:
            self._reader.release(mark)
            self._released = mark

    def _tell(self) -> None:
        while self._to_tell and self._to_tell[0][0] <= self._released:
            _, slot, name = self._to_tell.popleft()
            self._on_closed(slot, name)

    def _take(self, key: int, offset_ns: int, content: bytes, frame_at: int, stream_at: int) -> None:
        slot, kind = key & _LENGTH_MASK, key >> _KIND_SHIFT
        if kind == CLOSE:
            self._close(slot, content.decode())
            return
        session = self._sessions.get(slot) or self._reopen(slot)
        if session is None:
            return
        direction = _DIRECTIONS[kind]
        if direction is Direction.GAP:
            self._take_gap(session, decode_gap(content), stream_at)
            return
        known = session.at[kind]
        if stream_at < known:
            # The last writer was killed after it had written this and before it had given the room back.
            return
        session.last_ns = offset_ns
        if stream_at > known >= 0 and direction in SENDERS:
            gap = Gap(SENDERS[direction], offset_ns, offset_ns, stream_at - known, _LOST_BEFORE, frame_at == 0)
            session.journal.append(Direction.GAP, offset_ns, gap.record().content)
        session.at[kind] = stream_at + len(content)
        session.journal.append(direction, offset_ns, content, frame_at)

    def _take_gap(self, session: _Session, gap: Gap, stream_at: int) -> None:
        if 0 <= stream_at < session.at[gap.direction]:
            return
        session.at[gap.direction] = stream_at + max(gap.bytes, 0)
        session.journal.append(Direction.GAP, gap.to_ns, gap.record().content)

    def _reopen(self, slot: int) -> _Session | None:
        """Open a session's journal; None for what comes after its closing: its slot may be another's next."""
        name = self._spool.name_of(slot)
        return None if not name or name == self._closed_last.get(slot) else self._open(slot, name)

    def _open(self, slot: int, name: str) -> _Session:
        journal, written = self._journals.reopen(name, on_loss=partial(self._on_loss, slot, name))
        session = self._sessions[slot] = _Session(name, journal, written)
        return session

    def _close(self, slot: int, name: str) -> None:
        self._closed_last[slot] = name
        session = self._sessions.get(slot)
        if session is None or session.name != name:
            # An earlier writer has closed it, and was killed before it could tell.
            self._note_closed(slot, name)
            return
        del self._sessions[slot]
        session.journal.close(partial(self._note_closed, slot, name))

    def _note_closed(self, slot: int, name: str) -> None:
        self._to_tell.append((self._reader.mark, slot, name))

    def _end(self, slot: int) -> None:
        """Close the journal of a session whose recorder is dead."""
        # Read once: a recorder that lives still gives slots back meanwhile.
        name = self._spool.name_of(slot)
        if not name or name == self._closed_last.get(slot):
            return
        if slot not in self._sessions and not self._journals.has(name):
            # Nothing of it came as far as here, or it is sealed already.
            self._spool.free(slot)
            return
        session = self._sessions.get(slot) or self._open(slot, name)
        for (direction, sender), taken in zip(SENDERS.items(), self._spool.taken_bytes(slot), strict=True):
            missing_bytes = taken - session.at[direction]
            if session.at[direction] >= 0 and missing_bytes > 0:
                gap = Gap(sender, session.last_ns, session.last_ns, missing_bytes, KILLED)
                session.journal.append(Direction.GAP, gap.to_ns, gap.record().content)
        self._close(slot, name)
        self._spool.free(slot)
