"""A spool: pieces on their way from the process that carries calls to the one that writes journals, in shared memory.

One file in `/dev/shm` a recorder, which outlives a kill -9 of either: words that both processes map, a slot for every
session, and blocks (`capture.journal.blocks`). Blocks are filled one after the other, whichever is free; the number of
its turn is a block's sequence, which goes with it when it is set aside. A position is a sequence and a place in that
block.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from capture.journal.file import is_abandoned
from capture.journal.shared_memory import SHARED_MEMORY, mark, name_for, names_for

SPOOL_BYTES = 80 << 20
_LEAST_SPOOL_BYTES = 4 << 20
_LONGEST_BLOCK_BYTES = 256 << 10
_LEAST_BLOCKS = 8
_ASIDE_SHARE = 5
"""One block in so many is for what was read and is not written yet: of 500 calls that is 200 ms."""

_MAGIC = int.from_bytes(b"spool\0\0\2", "big")
_MAGIC_WORD, _BLOCK_BYTES_WORD, _BLOCKS_WORD = range(3)
WRITTEN_WORD, READ_WORD, RESTING_WORD, _ALLOCATED_WORD, _ASIDE_WORD = range(3, 8)
"""Two positions: up to where pieces were put, and up to where they are in the journals. Whether the reader rests. How
many blocks have their memory. How many are for what is set aside: none in the spool of a recorder of an older version,
which would begin those too."""
_SEQUENCES_WORD, _ENDS_WORD = 1 << 10, 2 << 10
"""Of each block: its sequence, 0 while it is free; and where it ended, once the next one was begun."""
_HEAD_BYTES = 64 << 10
SLOTS = 4096
_SLOT_WORDS = 8
_NAME_BYTES = 32
_TAKEN_WORD = 4
"""Of a slot: how many bytes were taken of the client when some were dropped last; the next one of the server."""
CONTROL_BYTES = _HEAD_BYTES + SLOTS * _SLOT_WORDS * 8
SEQUENCE_SHIFT = 32


class Spool:
    """The file, as both processes have it: its words, its slots and its locks."""

    def __init__(self, path: Path, descriptor: int, control: mmap.mmap) -> None:
        self.path = path
        self.descriptor = descriptor
        self.words = memoryview(control).cast("Q")
        self.block_bytes, self.block_count = self.words[_BLOCK_BYTES_WORD], self.words[_BLOCKS_WORD]
        self.first_aside = self.block_count - self.words[_ASIDE_WORD]
        """The first of the blocks that are set aside; those before it are for what comes."""

    @property
    def written(self) -> int:
        """The position up to which pieces were put."""
        return self.words[WRITTEN_WORD]

    @property
    def backlog_bytes(self) -> int:
        """How much is not in the journals yet."""
        read, written = self.words[READ_WORD], self.words[WRITTEN_WORD]
        waiting = range(read >> SEQUENCE_SHIFT, written >> SEQUENCE_SHIFT)
        whole = sum(self.end_of(block) for block, sequence in enumerate(self.sequences()) if sequence in waiting)
        # The reader may give blocks back meanwhile.
        return max(whole + place_in(written) - place_in(read), 0)

    def sequences(self) -> list[int]:
        """Give the sequence of each block; 0 for one that is free."""
        return self.words[_SEQUENCES_WORD : _SEQUENCES_WORD + self.block_count].tolist()

    def set_sequence(self, block: int, sequence: int) -> None:
        """Give a block its turn, or free it with 0."""
        self.words[_SEQUENCES_WORD + block] = sequence

    def end_of(self, block: int) -> int:
        """Tell where a block ended that is not the one being filled."""
        return self.words[_ENDS_WORD + block]

    def set_end(self, block: int, end: int) -> None:
        """Say where a block ends, before the next one is begun."""
        self.words[_ENDS_WORD + block] = end

    def allocate(self, block: int) -> None:
        """Give memory to a block, where it has none yet; OSError where there is none to be had.

        A store to a page that memory has no room for would be a SIGBUS in the middle of a call.
        """
        if block >= self.words[_ALLOCATED_WORD]:
            os.posix_fallocate(self.descriptor, CONTROL_BYTES + block * self.block_bytes, self.block_bytes)
            # Both processes allocate: what is told here may be less than there is, and never more.
            self.words[_ALLOCATED_WORD] = block + 1

    def allocate_ahead(self, blocks: int) -> None:
        """Have so many free blocks that have their memory, as far as there is any; the reader's, who has the time."""
        allocated = self.words[_ALLOCATED_WORD]
        free = self.sequences()[:allocated].count(0)
        with suppress(OSError):
            for block in range(allocated, min(allocated + blocks - free, self.first_aside)):
                self.allocate(block)

    @property
    def is_reader_resting(self) -> bool:
        """Whether the reader waits to be woken."""
        return bool(self.words[RESTING_WORD])

    @is_reader_resting.setter
    def is_reader_resting(self, rests: bool) -> None:
        self.words[RESTING_WORD] = rests

    def name(self, slot: int, name: str) -> int:
        """Give a slot to a session; returns the index of the word that counts the client's bytes taken."""
        encoded = name.encode()
        if len(encoded) > _NAME_BYTES:
            raise ValueError(f"{name} is too long for a session's name")
        start = _word_of(slot)
        self.words[start : start + _SLOT_WORDS] = memoryview(encoded.ljust(_SLOT_WORDS * 8, b"\0")).cast("Q")
        return self.taken_word(slot)

    def name_of(self, slot: int) -> str:
        """Tell whose slot it is; empty for nobody's. Raises ValueError where that can be no name of a journal."""
        start = _word_of(slot)
        name = self.words[start : start + _TAKEN_WORD].tobytes().rstrip(b"\0").decode()
        # Another user's spool is taken up where the folder is theirs; what they write is to stay in it.
        if "/" in name:
            raise ValueError(f"{name!r} is no session's name")
        return name

    def taken_word(self, slot: int) -> int:
        """Give the index of the word that counts the client's bytes taken; the server's is the next."""
        return _word_of(slot) + _TAKEN_WORD

    def taken_bytes(self, slot: int) -> tuple[int, int]:
        """Tell how many bytes were taken of a session, of the client and of the server."""
        word = self.taken_word(slot)
        return self.words[word], self.words[word + 1]

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
            # The mapping goes with the last view of it, and with the mapping a descriptor on which the lock would stay.
            self.words.release()
            self.words = memoryview(bytes(CONTROL_BYTES)).cast("Q")
            os.close(descriptor)


def make_spool(folder: Path, spool_bytes: int = SPOOL_BYTES) -> Spool:
    """Make the spool for journals of this folder, owned by this process for life; OSError where that cannot be."""
    space = os.statvfs(SHARED_MEMORY)
    # Of a container's small share of memory half is left to others.
    share_bytes = space.f_bavail * space.f_frsize // 2
    if share_bytes < min(spool_bytes, _LEAST_SPOOL_BYTES):
        raise OSError(f"{SHARED_MEMORY} has too little room")
    spool_bytes = min(spool_bytes, share_bytes)
    block_bytes = min(_LONGEST_BLOCK_BYTES, spool_bytes // _LEAST_BLOCKS // mmap.PAGESIZE * mmap.PAGESIZE)
    path = name_for(folder, "spool")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Held for life: whoever gets this lock knows that the owner is dead.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The words and the first block: see `Spool.allocate`.
        os.posix_fallocate(descriptor, 0, CONTROL_BYTES + block_bytes)
        os.ftruncate(descriptor, CONTROL_BYTES + spool_bytes // block_bytes * block_bytes)
        mark(descriptor, folder)
        control = mmap.mmap(descriptor, CONTROL_BYTES)
        words = memoryview(control).cast("Q")
        words[_BLOCK_BYTES_WORD], words[_BLOCKS_WORD] = block_bytes, spool_bytes // block_bytes
        words[_ASIDE_WORD] = words[_BLOCKS_WORD] // _ASIDE_SHARE
        words[_SEQUENCES_WORD], words[_ALLOCATED_WORD] = 1, 1
        words[WRITTEN_WORD] = 1 << SEQUENCE_SHIFT
        words[READ_WORD], words[_MAGIC_WORD] = words[WRITTEN_WORD], _MAGIC
        return Spool(path, descriptor, control)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise


def open_spool(path: Path) -> Spool:
    """Open a spool that another process made; OSError or ValueError where it is none of this version."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        control = mmap.mmap(descriptor, CONTROL_BYTES)
        if memoryview(control).cast("Q")[_MAGIC_WORD] != _MAGIC:
            raise ValueError(f"{path} is no spool of this version")
        return Spool(path, descriptor, control)
    except (OSError, ValueError):
        os.close(descriptor)
        raise


def left_spools(folder: Path) -> list[Path]:
    """List the spools for journals of this folder whose recorders are dead."""
    return [path for path in names_for(folder, "spool") if is_abandoned(path)]


def has_living_recorder(folder: Path) -> bool:
    """Tell whether a proxy records into this folder now; one without shared memory is not seen."""
    return any(not is_abandoned(path) for path in names_for(folder, "spool"))


def spooled_names(folder: Path) -> set[str]:
    """Name the sessions of this folder that living recorders still write."""
    names: set[str] = set()
    for path in names_for(folder, "spool"):
        with suppress(OSError, ValueError):
            spool = open_spool(path)
            names.update(map(spool.name_of, spool.named_slots()))
            spool.close()
    return names


def place_in(position: int) -> int:
    """Tell the place in its block that a position is."""
    return position & (1 << SEQUENCE_SHIFT) - 1


def _word_of(slot: int) -> int:
    return _HEAD_BYTES // 8 + slot * _SLOT_WORDS
