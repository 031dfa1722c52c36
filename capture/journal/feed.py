"""Put the pieces of all sessions into the spool: many at once where there is room, else with care.

A sender's bytes for which the ring has no room are dropped by whole frames, and a gap tells of them. Facts, gaps and
closings are held until there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from capture.journal.drain import CLOSE, key_of, size_of
from capture.journal.records import SENDERS, Direction, Unwritten, decode_gap
from capture.journal.spool import PIECES_A_BATCH, Spool, SpoolWriter
from capture.journal.spooled_journal import Piece, SpooledJournal, Stream
from capture.journal.writer import BUFFER_FULL

_RESERVE_BYTES = 1 << 20
"""Of the ring, for facts: they are few and small, and without them a session's bytes mean nothing."""
_GAP_BYTES = 512
"""More than a gap's record takes."""
_SENDERS = frozenset(int(direction) for direction in SENDERS)


class Feed:
    """What goes into one spool; its caller sees to it that one thread at a time puts."""

    def __init__(self, spool: Spool, wake: Callable[[], None]) -> None:
        """Begin with an empty spool; `wake` is called where its reader rests and there is something to read."""
        self.high_water_bytes = 0
        """The most that ever waited to be written."""
        self._spool = spool
        self._wake = wake
        self._words = spool.words
        self._reserve_bytes = min(_RESERVE_BYTES, spool.ring_bytes // 4)
        self._writer = SpoolWriter(spool)
        self._held: list[Piece] = []
        """Facts and closings for which the ring had no room."""
        self._faltering: set[SpooledJournal] = set()
        """Journals of which something was dropped, and no gap tells of it yet."""

    @property
    def is_holding(self) -> bool:
        """Whether something waits for room."""
        return bool(self._held)

    def put(self, pieces: Sequence[Piece]) -> None:
        """Put what is held and these pieces, in this order."""
        held, self._held = self._held, []
        pieces = [*held, *pieces] if held else pieces
        for start in range(0, len(pieces), PIECES_A_BATCH):
            batch = pieces[start : start + PIECES_A_BATCH]
            if self._held or self._faltering or not self._put_at_once(batch):
                self._put_with_care(batch)
        spool = self._spool
        self.high_water_bytes = max(self.high_water_bytes, spool.backlog_bytes)
        if pieces and spool.is_reader_resting:
            spool.is_reader_resting = False
            self._wake()

    def _put_at_once(self, pieces: Sequence[Piece]) -> bool:
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

    def _put_with_care(self, pieces: Sequence[Piece]) -> None:
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

    def _put_content(self, stream: Stream, offset_ns: int, content: bytes, frame_at: int) -> None:
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

    def _put_records(self, stream: Stream, records: Sequence[Unwritten]) -> None:
        for direction, offset_ns, content, frame_at in records:
            key = key_of(stream.journal.slot, direction)
            self._writer.put((offset_ns, key, size_of(len(content), frame_at), stream.at), [content], len(content))
            stream.at += max(decode_gap(content).bytes, 0) if direction is Direction.GAP else len(content)

    def _put_fact(self, stream: Stream, offset_ns: int, content: bytes) -> bool:
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

    def _lose(self, stream: Stream, offset_ns: int, content: bytes, reason: str) -> None:
        """Give a piece up: a gap will stand for it. What is no sender's is held, and put later."""
        journal = stream.journal
        if stream.kind not in _SENDERS:
            self._held.append((stream, offset_ns + stream.started_ns, content, 0))
            return
        journal.gaps.drop(Direction(stream.kind), offset_ns, len(content), reason)
        self._faltering.add(journal)
        journal.note_loss(len(content), reason)
