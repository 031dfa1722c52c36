"""The blocks of a spool: pieces are put into one after the other, and read in that order; a stop of either costs none.

A piece is a head of four words (its time, its key, its size, its place in its stream) and its bytes; none runs over
the end of a block. Pieces are copied into mapped memory as they come, and stand there once the words tell of them: a
kill of who puts them loses none. The lowest block that is free is begun next. What was read is set aside until it is in
the journals: its block is free at once, and so a few stay in use, which caches hold. Behind a stalled disk all are.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from contextlib import suppress

from capture.journal.shared_memory import SHARED_MEMORY
from capture.journal.spool import CONTROL_BYTES, READ_WORD, SEQUENCE_SHIFT, WRITTEN_WORD, Spool, place_in

PIECE_HEAD = struct.Struct("<QQQQ")
PIECE_HEAD_BYTES = PIECE_HEAD.size
_RESERVED_BLOCKS = 2
"""Left to facts: they are few and small, and without them a session's bytes mean nothing."""
_MAPPED_BLOCKS = 4
"""That stay in this process's memory when they are full."""
_MADV_POPULATE_WRITE = 23
"""Of Linux 5.14: maps all pages at once; one by one, as they are touched, they cost 2 µs a message."""
BEHIND_BYTES = 1 << 20
"""Where so much waits to be read, a reader has no time for anything else."""
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
        self.memory = mmap.mmap(spool.descriptor, spool.first_aside * spool.block_bytes, offset=CONTROL_BYTES)
        self.lack: str | None = None
        """Why there was no memory for another block; None where all were taken."""
        self._spool = spool
        self._words = spool.words
        self._reserved = min(_RESERVED_BLOCKS, spool.first_aside // 4)
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
        return self._sequences().count(0)

    def _sequences(self) -> list[int]:
        return self._spool.sequences()[: self._spool.first_aside]

    def _begin_next(self, size: int, spare: int) -> bool:
        """Begin another block, unless no more than `spare` are free."""
        sequences = self._sequences()
        if size > self._spool.block_bytes or sequences.count(0) <= spare:
            self.lack = None
            return False
        block = sequences.index(0)
        try:
            self._spool.allocate(block)
        except OSError as problem:
            # Named, for who reads it would look at the disk.
            self.lack = f"{SHARED_MEMORY}: {problem.strerror or problem}"
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
        self._aside: int | None = None
        """The block to which is copied what is read."""
        # The last reader may have been killed between the two.
        self._free_below(self.mark)

    @property
    def unread_bytes(self) -> int:
        """How much was put and not read yet; ends of blocks that were left empty count too."""
        written = self._spool.written
        blocks = (written >> SEQUENCE_SHIFT) - (self.mark >> SEQUENCE_SHIFT)
        return blocks * self._spool.block_bytes + place_in(written) - place_in(self.mark)

    def read(self, until: int, most_bytes: int = sys.maxsize) -> list[SpooledPiece]:
        """Give pieces that stand next in one block, so many bytes or one; none where all were read up to `until`."""
        while True:
            sequence, at = self.mark >> SEQUENCE_SHIFT, place_in(self.mark)
            block = self._spool.sequences().index(sequence)
            is_last = sequence >= until >> SEQUENCE_SHIFT
            end = place_in(until) if is_last else self._spool.end_of(block)
            if at < end:
                pieces = self._read(block, at, min(end, at + most_bytes)) or self._read(block, at, end)
                if not pieces:
                    raise ValueError(f"{self._spool.path} is damaged")
                return pieces
            if is_last:
                return []
            self._set_aside(block, sequence, end)
            self.mark = sequence + 1 << SEQUENCE_SHIFT

    def release(self, mark: int) -> None:
        """Give the room below a mark back: all that stood there is in the journals."""
        is_in_same_block = mark >> SEQUENCE_SHIFT == self._spool.words[READ_WORD] >> SEQUENCE_SHIFT
        self._spool.words[READ_WORD] = mark
        if not is_in_same_block:
            self._free_below(mark)

    def _free_below(self, mark: int) -> None:
        for block, sequence in enumerate(self._spool.sequences()):
            if 0 < sequence < mark >> SEQUENCE_SHIFT:
                self._spool.set_sequence(block, 0)

    def _read(self, block: int, at: int, end: int) -> list[SpooledPiece]:
        start = CONTROL_BYTES + block * self._spool.block_bytes
        portion = os.pread(self._spool.descriptor, end - at, start + at)
        pieces, read_bytes = _pieces_in(portion)
        self._copy(at, portion)
        self.mark += read_bytes
        return pieces

    def _copy(self, at: int, portion: bytes) -> None:
        """Copy what is read of a block to where it will be set aside; an end that is no whole piece comes once more."""
        if at == 0:
            self._aside = self._free_aside() if self.unread_bytes <= BEHIND_BYTES else None
        if self._aside is not None:
            start = CONTROL_BYTES + self._aside * self._spool.block_bytes
            # Where there is no memory for it the block stays where it is.
            with suppress(OSError):
                if os.pwrite(self._spool.descriptor, portion, start + at) == len(portion):
                    return
            self._aside = None

    def _free_aside(self) -> int | None:
        try:
            return self._spool.sequences().index(0, self._spool.first_aside)
        except ValueError:
            return None

    def _set_aside(self, block: int, sequence: int, end: int) -> None:
        """Let the copy of a block that was read stand for it."""
        if self._aside is not None:
            self._spool.set_end(self._aside, end)
            self._spool.set_sequence(self._aside, sequence)
            # In this order: who follows a kill in between finds the block twice, and not never.
            self._spool.set_sequence(block, 0)
            self._aside = None


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
