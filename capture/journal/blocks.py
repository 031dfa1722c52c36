"""The blocks of a spool: pieces are put into one after the other, and read in that order; a stop of either costs none.

A piece is a head of four words (its time, its key, its size, its place in its stream) and its bytes; none runs over
the end of a block. Pieces are copied into mapped memory as they come, and stand there once the words tell of them: a
kill of who puts them loses none. A block is free again when all that stood in it is in the journals. The lowest one
that is free is begun next: under a light load a few stay in use, which caches hold, and behind a stalled disk all.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress

from capture.journal.spool import CONTROL_BYTES, READ_WORD, SEQUENCE_SHIFT, WRITTEN_WORD, Spool, place_in

PIECE_HEAD = struct.Struct("<QQQQ")
PIECE_HEAD_BYTES = PIECE_HEAD.size
_RESERVED_BLOCKS = 2
"""Left to facts: they are few and small, and without them a session's bytes mean nothing."""
_MAPPED_BLOCKS = 4
"""That stay in this process's memory when they are full."""
_MADV_POPULATE_WRITE = 23
"""Of Linux 5.14: maps all pages at once; one by one, as they are touched, they cost 2 µs a message."""
_LENGTH_MASK = (1 << 32) - 1

SpooledPiece = tuple[int, int, int, int, bytes]
"""The four words of its head, and its bytes."""


class BlockWriter:
    """Puts pieces into the blocks; one to a spool.

    Who counts nanoseconds copies a piece to `at` in `memory` by itself, as `put` does, where it ends before `limit`.
    """

    __slots__ = (
        "_block",
        "_end",
        "_reserved",
        "_sequence",
        "_spool",
        "_words",
        "at",
        "base",
        "lack",
        "limit",
        "memory",
    )

    def __init__(self, spool: Spool) -> None:
        self.memory = mmap.mmap(spool.descriptor, spool.block_count * spool.block_bytes, offset=CONTROL_BYTES)
        self.lack: str | None = None
        """Why there was no memory for another block; None where all were taken."""
        self._spool = spool
        self._words = spool.words
        self._reserved = min(_RESERVED_BLOCKS, spool.block_count // 4)
        self._block, self._sequence, self.at, self._end, self.base, self.limit = 0, 1, 0, 0, 0, 0
        self._begin(0, 1)

    def make_room(self, content_bytes: int, pieces: int = 1, *, is_fact: bool = False) -> bool:
        """Have room for pieces of so many bytes, one behind the other, in another block if need be; False without."""
        size = content_bytes + pieces * PIECE_HEAD_BYTES
        if is_fact:
            return self.at + size <= self._end or self._begin_next(size, spare=0)
        if not self.limit and self._free_blocks() >= self._reserved:
            self.limit = self._end
        return self.at + size <= self.limit or self._begin_next(size, spare=self._reserved)

    def put(self, offset_ns: int, key: int, size: int, stream_at: int, content: bytes) -> None:
        """Put a piece for which there is room."""
        content_at = self.at + PIECE_HEAD_BYTES
        end = content_at + len(content)
        PIECE_HEAD.pack_into(self.memory, self.at, offset_ns, key, size, stream_at)
        self.memory[content_at:end] = content
        self.at = end
        # Only now: a reader believes what stands below this.
        self._words[WRITTEN_WORD] = self.base + end

    def close(self) -> None:
        """Let go of the memory, and with it of a descriptor on which the owner's lock would stay."""
        self.memory.close()

    def _free_blocks(self) -> int:
        return self._spool.sequences().count(0)

    def _begin_next(self, size: int, spare: int) -> bool:
        """Begin another block, unless no more than `spare` are free."""
        sequences = self._spool.sequences()
        if size > self._spool.block_bytes or sequences.count(0) <= spare:
            self.lack = None
            return False
        block = sequences.index(0)
        try:
            self._spool.allocate(block)
        except OSError as problem:
            self.lack = problem.strerror or str(problem)
            return False
        self._spool.set_end(self._block, self.at - self._block * self._spool.block_bytes)
        # It stands in shared memory until it is read; here it would only add to what the process takes.
        self._advise(self._block, mmap.MADV_DONTNEED)
        self._advise(block, _MADV_POPULATE_WRITE)
        self._begin(block, self._sequence + 1)
        return True

    def _advise(self, block: int, advice: int) -> None:
        if block >= _MAPPED_BLOCKS:
            # What an older kernel does not know it does page by page.
            with suppress(OSError):
                self.memory.madvise(advice, block * self._spool.block_bytes, self._spool.block_bytes)

    def _begin(self, block: int, sequence: int) -> None:
        block_bytes = self._spool.block_bytes
        self._block, self._sequence = block, sequence
        self.at, self._end = block * block_bytes, (block + 1) * block_bytes
        # With it a place in the memory becomes a position.
        self.base = (sequence << SEQUENCE_SHIFT) - self.at
        self._spool.set_sequence(block, sequence)
        self._words[WRITTEN_WORD] = self.base + self.at
        self.limit = self._end if self._free_blocks() >= self._reserved else 0


class BlockReader:
    """Takes pieces out of the blocks, in their order; one to a spool at a time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.mark = spool.words[READ_WORD]
        """The position up to which it has read; for `release`."""
        # The last reader may have been killed between the two.
        self._free_below(self.mark)

    def read(self, until: int) -> list[SpooledPiece]:
        """Give the pieces that stand next in one block; none where none stands before this position."""
        while True:
            sequence, at = self.mark >> SEQUENCE_SHIFT, place_in(self.mark)
            block = self._spool.sequences().index(sequence)
            is_last = sequence >= until >> SEQUENCE_SHIFT
            end = place_in(until) if is_last else self._spool.end_of(block)
            if at < end:
                return self._read(block, at, end)
            if is_last:
                return []
            self.mark = sequence + 1 << SEQUENCE_SHIFT

    def release(self, mark: int) -> None:
        """Give the room below a mark back: all that stood there is in the journals."""
        self._spool.words[READ_WORD] = mark
        self._free_below(mark)

    def _free_below(self, mark: int) -> None:
        for block, sequence in enumerate(self._spool.sequences()):
            if 0 < sequence < mark >> SEQUENCE_SHIFT:
                self._spool.set_sequence(block, 0)

    def _read(self, block: int, at: int, end: int) -> list[SpooledPiece]:
        start = CONTROL_BYTES + block * self._spool.block_bytes
        portion = os.pread(self._spool.descriptor, end - at, start + at)
        pieces, read_bytes = _pieces_in(portion)
        if read_bytes < end - at:
            raise ValueError(f"{self._spool.path} is damaged")
        self.mark += read_bytes
        return pieces


def _pieces_in(portion: bytes) -> tuple[list[SpooledPiece], int]:
    """Give the whole pieces of a portion, and where they end."""
    pieces: list[SpooledPiece] = []
    at, whole = 0, len(portion)
    while at + PIECE_HEAD_BYTES <= whole:
        offset_ns, key, size, stream_at = PIECE_HEAD.unpack_from(portion, at)
        content_at = at + PIECE_HEAD_BYTES
        end = content_at + (size & _LENGTH_MASK)
        if end > whole:
            break
        pieces.append((offset_ns, key, size, stream_at, portion[content_at:end]))
        at = end
    return pieces, at
