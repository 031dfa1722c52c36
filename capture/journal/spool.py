"""A spool: pieces on their way from the process that carries calls to the one that writes journals, in shared memory.

One file in `/dev/shm` a recorder: a page of words that both processes map, a slot for every session, and a ring of
batches. It outlives a kill -9 of either. A batch is a head (its position, its size, how many pieces), four words a
piece, and the pieces' bytes; it never runs over the end of the ring. Positions count the bytes of all batches.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from capture.journal.file import is_abandoned
from capture.journal.shared_memory import SHARED_MEMORY, mark, name_for, names_for

RING_BYTES = 64 << 20
_LEAST_RING_BYTES = 4 << 20
PIECES_A_BATCH = 1000
"""One `os.pwritev` takes no more buffers than 1024."""

_MAGIC = int.from_bytes(b"spool\0\0\1", "big")
_MAGIC_WORD, _RING_WORD, _WRITTEN_WORD, _READ_WORD, _READ_AT_WORD, _RESTING_WORD, _WRITTEN_AT_WORD = range(7)
"""Positions, and beside each the lap and the place in the ring."""
_HEAD_BYTES = 4096
SLOTS = 4096
_SLOT_WORDS = 8
_NAME_BYTES = 32
_TAKEN_WORD = 4
"""Of a slot: how many bytes were taken of the client; the next one of the server."""
_CONTROL_BYTES = _HEAD_BYTES + SLOTS * _SLOT_WORDS * 8
_BATCH_HEAD = struct.Struct("<QQQ")
_PIECE_WORDS = 4
_LAP_SHIFT = 40
_NO_BATCH = (1 << 64) - 1
"""In place of a batch's position: the next batch stands at the start of the ring."""
_EARLY_LAP_BYTES = 8 << 20


class Spool:
    """The file, as both processes have it: its words, its slots and its locks."""

    def __init__(self, path: Path, descriptor: int, control: mmap.mmap) -> None:
        self.path = path
        self.descriptor = descriptor
        self.words = memoryview(control).cast("Q")
        self.ring_bytes = self.words[_RING_WORD]

    @property
    def backlog_bytes(self) -> int:
        """How much is not in the journals yet."""
        return self.words[_WRITTEN_WORD] - self.words[_READ_WORD]

    @property
    def is_reader_resting(self) -> bool:
        """Whether the reader waits to be woken."""
        return bool(self.words[_RESTING_WORD])

    @is_reader_resting.setter
    def is_reader_resting(self, rests: bool) -> None:
        self.words[_RESTING_WORD] = rests

    def name(self, slot: int, name: str) -> int:
        """Give a slot to a session; returns the index of the word that counts the client's bytes taken."""
        encoded = name.encode()
        if len(encoded) > _NAME_BYTES:
            raise ValueError(f"{name} is too long for a session's name")
        start = _word_of(slot)
        self.words[start : start + _SLOT_WORDS] = memoryview(encoded.ljust(_SLOT_WORDS * 8, b"\0")).cast("Q")
        return start + _TAKEN_WORD

    def name_of(self, slot: int) -> str:
        """Tell whose slot it is; empty for nobody's."""
        start = _word_of(slot)
        return self.words[start : start + _TAKEN_WORD].tobytes().rstrip(b"\0").decode()

    def taken_bytes(self, slot: int) -> tuple[int, int]:
        """Tell how many bytes were taken of a session, of the client and of the server."""
        start = _word_of(slot) + _TAKEN_WORD
        return self.words[start], self.words[start + 1]

    def free(self, slot: int) -> None:
        """Take a slot back."""
        start = _word_of(slot)
        self.words[start : start + _SLOT_WORDS] = memoryview(bytes(_SLOT_WORDS * 8)).cast("Q")

    def named_slots(self) -> Iterator[int]:
        """Give the slots of sessions that are not finished."""
        return (slot for slot in range(SLOTS) if self.words[_word_of(slot)])

    def claim_reading(self) -> bool:
        """Become the one who empties it, for life; False where another process is."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def is_removed(self) -> bool:
        """Tell whether it was emptied and removed by another."""
        return os.fstat(self.descriptor).st_nlink == 0

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file, and of its locks."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            # The mapping goes with the last view of it.
            self.words = memoryview(bytes(_CONTROL_BYTES)).cast("Q")
            os.close(descriptor)


def make_spool(folder: Path, ring_bytes: int = RING_BYTES) -> Spool:
    """Make the spool for journals of this folder, owned by this process for life; OSError where that cannot be."""
    space = os.statvfs(SHARED_MEMORY)
    # Of a container's small share of memory half is left to others.
    share_bytes = space.f_bavail * space.f_frsize // 2
    if share_bytes < min(ring_bytes, _LEAST_RING_BYTES):
        raise OSError(f"{SHARED_MEMORY} has too little room")
    ring_bytes = min(ring_bytes, share_bytes)
    path = name_for(folder, "spool")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Held for life: whoever gets this lock knows that the owner is dead.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # All of the words now: a store to a page that memory has no room for would be a SIGBUS in the middle of a
        # call. The ring is written by system calls, which fail with an error.
        os.posix_fallocate(descriptor, 0, _CONTROL_BYTES)
        os.ftruncate(descriptor, _CONTROL_BYTES + ring_bytes)
        mark(descriptor, folder)
        control = mmap.mmap(descriptor, _CONTROL_BYTES)
        words = memoryview(control).cast("Q")
        words[_RING_WORD], words[_MAGIC_WORD] = ring_bytes, _MAGIC
        return Spool(path, descriptor, control)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise


def open_spool(path: Path) -> Spool:
    """Open a spool that another process made; OSError or ValueError where it is none of this version."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        control = mmap.mmap(descriptor, _CONTROL_BYTES)
        if memoryview(control).cast("Q")[_MAGIC_WORD] != _MAGIC:
            raise ValueError(f"{path} is no spool of this version")
        return Spool(path, descriptor, control)
    except (OSError, ValueError):
        os.close(descriptor)
        raise


def left_spools(folder: Path) -> list[Path]:
    """List the spools for journals of this folder whose recorders are dead."""
    return [path for path in names_for(folder, "spool") if is_abandoned(path)]


def spooled_names(folder: Path) -> set[str]:
    """Name the sessions of this folder that living recorders still write."""
    names: set[str] = set()
    for path in names_for(folder, "spool"):
        with suppress(OSError, ValueError):
            spool = open_spool(path)
            names.update(map(spool.name_of, spool.named_slots()))
            spool.close()
    return names


class SpoolWriter:
    """Puts batches into the ring; one to a spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._descriptor = spool.descriptor
        self._words = spool.words
        self._ring_bytes = spool.ring_bytes
        self._written = 0
        self._at = 0
        self._lap = 0

    def has_room(self, pieces: int, content_bytes: int, reserve_bytes: int) -> bool:
        """Tell whether so many pieces of so many bytes can be put, and leave room for more."""
        return self._place(_BATCH_HEAD.size + 8 * _PIECE_WORDS * pieces + content_bytes + reserve_bytes) >= 0

    def put(self, index: Sequence[int], contents: Sequence[bytes], content_bytes: int) -> None:
        """Put a batch, of four words a piece and its bytes; OSError where there is no room for it."""
        size = _BATCH_HEAD.size + 8 * len(index) + content_bytes
        at = self._place(size)
        if at < 0:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        if at < self._at:
            self._mark_lap()
        head = _BATCH_HEAD.pack(self._written, size, len(index) // _PIECE_WORDS)
        written = os.pwritev(self._descriptor, [head, array("Q", index), *contents], _CONTROL_BYTES + at)
        if written < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._lap += at < self._at
        self._at = at + size
        self._written += size
        self._words[_WRITTEN_AT_WORD] = self._lap << _LAP_SHIFT | self._at
        # Only now: a reader believes what stands below this.
        self._words[_WRITTEN_WORD] = self._written

    def _place(self, size: int) -> int:
        """Find where a batch of this size goes; negative where there is no room."""
        read_at = self._words[_READ_AT_WORD]
        read_lap, read_at = read_at >> _LAP_SHIFT, read_at & ((1 << _LAP_SHIFT) - 1)
        if read_lap < self._lap:
            return self._at if self._at + size < read_at else -1
        fits = self._at + size <= self._ring_bytes
        # Under a light load only the first megabytes of the ring are ever touched. Where the reader is behind it keeps
        # its whole length: what a stalled disk takes must not depend on the place where it stalls.
        is_early = self._at > _EARLY_LAP_BYTES and read_at == self._at
        if size < read_at and (is_early or not fits):
            return 0
        return self._at if fits else -1

    def _mark_lap(self) -> None:
        if self._at + _BATCH_HEAD.size <= self._ring_bytes:
            os.pwrite(self._descriptor, _BATCH_HEAD.pack(_NO_BATCH, 0, 0), _CONTROL_BYTES + self._at)


def index_of(batch: bytes) -> tuple[list[int], int]:
    """Give the words of a batch, four a piece, and where the bytes of its first piece begin."""
    _, _, pieces = _BATCH_HEAD.unpack_from(batch)
    content_at = _BATCH_HEAD.size + pieces * _PIECE_WORDS * 8
    return memoryview(batch)[_BATCH_HEAD.size : content_at].cast("Q").tolist(), content_at


class SpoolReader:
    """Takes batches out of the ring, in their order; one to a spool at a time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._words = spool.words
        self._descriptor = spool.descriptor
        read_at = self._words[_READ_AT_WORD]
        self._lap, self._at = read_at >> _LAP_SHIFT, read_at & ((1 << _LAP_SHIFT) - 1)
        self.position = self._find_position()
        """How far it has read."""

    def read(self) -> bytes | None:
        """Give the next batch, for `index_of`; None where there is none yet."""
        if self.position >= self._words[_WRITTEN_WORD]:
            return None
        position, size = self._head_at(self._at)
        if position != self.position:
            self._lap, self._at = self._lap + 1, 0
            position, size = self._head_at(self._at)
            if position != self.position:
                raise ValueError(f"{self._spool.path} is damaged")
        batch = os.pread(self._descriptor, size, _CONTROL_BYTES + self._at)
        self._at += size
        self.position += size
        return batch

    @property
    def mark(self) -> tuple[int, int]:
        """Where it stands; for `release`."""
        return self.position, self._lap << _LAP_SHIFT | self._at

    def release(self, mark: tuple[int, int]) -> None:
        """Give the room below a mark back: all that stood there is in the journals."""
        position, read_at = mark
        # In this order: see _find_position.
        self._words[_READ_AT_WORD] = read_at
        self._words[_READ_WORD] = position

    def _head_at(self, at: int) -> tuple[int, int]:
        if at + _BATCH_HEAD.size > self._spool.ring_bytes:
            return _NO_BATCH, 0
        head = os.pread(self._descriptor, _BATCH_HEAD.size, _CONTROL_BYTES + at)
        # A ring that was never written so far is a file with a hole.
        position, size, _ = _BATCH_HEAD.unpack(head)
        return (position, size) if size else (_NO_BATCH, 0)

    def _find_position(self) -> int:
        """Tell the position of the batch that stands where the last reader left off.

        A reader that was killed between the two words of `release` has left the old position beside the new place.
        A batch of an earlier lap that may stand there has a position below either.
        """
        read, written = self._words[_READ_WORD], self._words[_WRITTEN_WORD]
        written_at = self._words[_WRITTEN_AT_WORD]
        if self._words[_READ_AT_WORD] == written_at:
            return written
        places = [(self._lap, self._at)]
        if written_at >> _LAP_SHIFT > self._lap:
            places.append((self._lap + 1, 0))
        for lap, at in places:
            position, _ = self._head_at(at)
            if read <= position < written:
                self._lap, self._at = lap, at
                return position
        return written


def _word_of(slot: int) -> int:
    return _HEAD_BYTES // 8 + slot * _SLOT_WORDS
