"""Put what is taken of all sessions into the spool as it comes: at once where there is room, else with care.

A sender's bytes for which there is no room are dropped by whole frames, and a gap tells of them. Facts, gaps and
closings are held until there is room.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from capture.errors import describe_fault
from capture.journal.blocks import PIECE_HEAD, PIECE_HEAD_BYTES, BlockWriter
from capture.journal.drain import CLOSE, key_of, size_of
from capture.journal.protocols import Taker
from capture.journal.records import SENDERS, Direction, Unwritten, decode_gap
from capture.journal.spool import RESTING_WORD, WRITTEN_WORD, Spool
from capture.journal.spooled_journal import Piece, Stream
from capture.journal.writer import BUFFER_FULL, CLOSED

_log = logging.getLogger(__name__)

_GAP_BYTES = 512
"""More than a gap's record takes."""
_LONGEST_PIECES_A_BLOCK = 4
"""So that little of a block is left empty at its end."""
_TOO_LONG = "it is longer than a record can be"
_SENDERS = frozenset(int(direction) for direction in SENDERS)


class Feed:
    """What goes into one spool, from any thread. Nothing here waits for the disk, and nothing raises."""

    def __init__(self, spool: Spool, wake: Callable[[], None]) -> None:
        """Begin with an empty spool; `wake` is called where its reader rests and there is something to read."""
        self._spool = spool
        self._wake = wake
        self._writer = BlockWriter(spool)
        self._longest_bytes = spool.block_bytes // _LONGEST_PIECES_A_BLOCK - 2 * PIECE_HEAD_BYTES - _GAP_BYTES
        # With the gaps that may go before it, and some to spare.
        self._longest_fact_bytes = spool.block_bytes - 4 * (PIECE_HEAD_BYTES + _GAP_BYTES)
        self._lock = threading.RLock()
        self._held: list[Piece] = []
        """Facts and closings for which there was no room."""
        self._is_closed = False
        self._high_water_bytes = 0
        self._make_taker = self._taker_factory()

    @property
    def high_water_bytes(self) -> int:
        """The most that ever waited to be written, of what was seen now and as each block was full."""
        self._note_backlog()
        return self._high_water_bytes

    @property
    def is_holding(self) -> bool:
        """Whether something waits for room."""
        return bool(self._held)

    def taker(self, stream: Stream) -> Taker:
        """Give what takes a sender's bytes: `put` for those to whom each microsecond counts."""
        return self._make_taker(stream)

    def put(self, piece: Piece) -> None:
        """Put what is held, then this piece."""
        try:
            with self._lock:
                self._put_held()
                self._put_piece(piece)
                self._note_backlog()
            self._wake_reader()
        # The call comes first: a bug in the recorder must not reach who carries it.
        except Exception as bug:  # noqa: BLE001
            _log.error("pieces of some sessions were not recorded: %s", describe_fault(bug))

    def retry(self) -> None:
        """Put what is held, as far as there is room."""
        with self._lock:
            self._put_held()
        self._wake_reader()

    def close(self) -> None:
        """Take nothing any more, once all takers take care; in a forked child too, whatever lock its parent held."""
        self._lock = threading.RLock()
        self._is_closed = True
        self._held = []
        self._writer.close()

    def _taker_factory(self) -> Callable[[Stream], Taker]:
        # What all takers have in common they share: with hundreds of sessions it counts how much memory each piece
        # touches.
        writer, words, take_with_care = self._writer, self._spool.words, self._take_with_care
        # Called by name: `with` takes twice as long.
        acquire, release = self._lock.acquire, self._lock.release
        memory, put_head, wake_reader = writer.memory, PIECE_HEAD.pack_into, self._wake_reader

        def make_taker(stream: Stream) -> Taker:
            def take(chunk: bytes, arrived_ns: int) -> None:
                offset_ns = arrived_ns - stream.started_ns
                if stream.takes_care or offset_ns < 0:
                    take_with_care(stream, offset_ns, chunk)
                    return
                size = len(chunk)
                acquire()
                try:
                    at = writer.at
                    content_at = at + PIECE_HEAD_BYTES
                    end = content_at + size
                    if end > writer.limit:
                        take_with_care(stream, offset_ns, chunk)
                        return
                    # As `size_of` and `BlockWriter.put` have it; here each call counts.
                    stream_at, advance = stream.at, stream.advance
                    put_head(memory, at, offset_ns, stream.key, advance(chunk) + 1 << 32 | size, stream_at)
                    memory[content_at:end] = chunk
                    stream.at = stream_at + size
                    writer.at = end
                    words[WRITTEN_WORD] = writer.base + end
                finally:
                    release()
                if words[RESTING_WORD]:
                    wake_reader()

            return take

        return make_taker

    def _take_with_care(self, stream: Stream, offset_ns: int, chunk: bytes) -> None:
        if stream.journal.is_closed:
            # A connection may go on for a moment after its session has ended.
            stream.journal.note_loss(len(chunk), CLOSED)
        else:
            # A clock that ran backwards must not cost the piece.
            self.put((stream, max(offset_ns, 0), chunk, stream.advance(chunk)))

    def _put_held(self) -> None:
        held, self._held = self._held, []
        for piece in held:
            self._put_piece(piece)

    def _put_piece(self, piece: Piece) -> None:
        if self._is_closed:
            return
        stream, offset_ns, content, frame_at = piece
        if stream.kind in _SENDERS:
            self._put_content(stream, offset_ns, content, frame_at)
        elif self._held or not self._put_fact(stream, offset_ns, content):
            self._held.append(piece)

    def _put_content(self, stream: Stream, offset_ns: int, content: bytes, frame_at: int) -> None:
        longest_bytes = self._longest_bytes
        for at in range(0, max(len(content), 1), longest_bytes):
            piece = content[at : at + longest_bytes]
            self._put_portion(stream, offset_ns, piece, frame_at - at if 0 <= frame_at - at < len(piece) else -1)

    def _put_portion(self, stream: Stream, offset_ns: int, content: bytes, frame_at: int) -> None:
        journal, direction = stream.journal, Direction(stream.kind)
        if not self._writer.make_room(len(content) + _GAP_BYTES, pieces=2):
            reason = self._writer.lack or BUFFER_FULL
            journal.gaps.drop(direction, offset_ns, len(content), reason)
            stream.takes_care = True
            # Absolute, for what goes at once is not counted here: it stands in the spool.
            self._spool.words[stream.taken_word] = stream.at + journal.gaps.bytes_of(direction)
            journal.note_loss(len(content), reason)
            return
        records = journal.gaps.resume((direction, offset_ns, content, frame_at))
        kept_bytes = sum(len(record[2]) for record in records if record[0] is not Direction.GAP)
        journal.note_loss(len(content) - kept_bytes, BUFFER_FULL)
        self._put_records(stream, records)
        stream.takes_care = journal.gaps.bytes_of(direction) > 0 or journal.is_closed

    def _put_records(self, stream: Stream, records: Sequence[Unwritten]) -> None:
        for direction, offset_ns, content, frame_at in records:
            key = key_of(stream.journal.slot, direction)
            self._writer.put(offset_ns, key, size_of(len(content), frame_at), stream.at, content)
            stream.at += max(decode_gap(content).bytes, 0) if direction is Direction.GAP else len(content)

    def _put_fact(self, stream: Stream, offset_ns: int, content: bytes) -> bool:
        """Put a fact, a gap or a closing; False where there is no room."""
        journal = stream.journal
        if len(content) > self._longest_fact_bytes:
            journal.note_loss(len(content), _TOO_LONG)
            return True
        # Room first: gaps that are taken out of their book and not put would be told nowhere.
        content_bytes = len(content) + len(SENDERS) * _GAP_BYTES
        if not self._writer.make_room(content_bytes, 1 + len(SENDERS), is_fact=True):
            return False
        for gap in journal.gaps.close() if stream.kind == CLOSE else []:
            self._put_records(journal.stream_of(decode_gap(gap[2])), [gap])
        if stream.kind == Direction.GAP:
            self._put_records(journal.stream_of(decode_gap(content)), [(Direction.GAP, offset_ns, content, 0)])
        else:
            self._writer.put(offset_ns, stream.key, size_of(len(content), 0), stream.at, content)
            stream.at += len(content)
        return True

    def _note_backlog(self) -> None:
        self._high_water_bytes = max(self._high_water_bytes, self._spool.backlog_bytes)

    def _wake_reader(self) -> None:
        if self._spool.is_reader_resting:
            self._spool.is_reader_resting = False
            self._wake()
