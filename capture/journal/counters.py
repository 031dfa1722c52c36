"""How many bytes were taken of each session, in memory that outlives a kill -9: what a stalled disk cost is counted.

A page a process, a slot a session. The page lies in `/dev/shm`: a store to memory that a disk backs can wait for
that disk, and the count is taken on the path of the call. Where there is no such folder nothing is counted, and a
recovery can only say that the end of the session is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from capture.journal.records import SENDERS, UNKNOWN_BYTES, Direction, Gap, JournalRecord, decode_gap
from capture.journal.shared_memory import mark, name_for, names_for

KILLED = "the recorder was killed before it had written this"

_SLOTS = 1024
_SLOT_WORDS = 8
"""Two of the name's digest, one for each direction, one flag, one spare: a slot is one cache line."""
_NAME_WORDS = 2
_IS_FINAL = 6
"""Index of the flag: nobody counts here any more, and the journal lacks what it could not be told."""
_PAGE_BYTES = _SLOTS * _SLOT_WORDS * 8

Counts: TypeAlias = "memoryview[int] | array[int]"
"""Bytes taken so far, by direction."""


class CounterPage:
    """The counters of one process."""

    def __init__(self, folder: Path) -> None:
        """Make the page for the journals of this folder; counts go nowhere where that is impossible."""
        self._path = name_for(folder, "counters")
        self._descriptor = -1
        self._words: memoryview | None = None
        self._free: list[int] = list(range(_SLOTS))
        with suppress(OSError):
            self._descriptor, self._words = _make(self._path, folder)

    def take_slot(self, name: str) -> tuple[int, Counts]:
        """Give a session a slot, and its counters."""
        if self._words is None or not self._free:
            return -1, array("Q", bytes(8 * len(Direction)))
        slot = self._free.pop()
        start = slot * _SLOT_WORDS
        self._words[start : start + _SLOT_WORDS] = memoryview(_digest(name) + bytes(48)).cast("Q")
        counts = start + _NAME_WORDS
        return slot, self._words[counts : counts + len(Direction)]

    def free_slot(self, slot: int) -> None:
        """Forget a session: all that was taken of it is in its journal, or told there as a gap."""
        if self._words is not None and slot >= 0:
            _clear(self._words, slot)
            self._free.append(slot)

    def keep_slot(self, slot: int) -> None:
        """Leave a session's counts to sealing: the journal could not even be told what it lacks."""
        if self._words is not None and slot >= 0:
            self._words[slot * _SLOT_WORDS + _IS_FINAL] = 1

    def close(self) -> None:
        """Remove the page, unless counts are left in it."""
        is_needed = self._words is not None and any(self._words[_IS_FINAL::_SLOT_WORDS])
        self.abandon()
        if not is_needed:
            self._path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Let go of the page without removing it: in a forked child it is the parent's."""
        # The mapping goes with the last view of it.
        self._words = None
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def taken_bytes(journal: Path) -> dict[Direction, int]:
    """Tell how many bytes a recorder had taken of a session that it counts no further.

    Empty where that is not known, and where the journal tells all.
    """
    for _, words, slot in _left_slots(journal):
        start = slot * _SLOT_WORDS + _NAME_WORDS
        return {direction: words[start + direction] for direction in SENDERS}
    return {}


def forget_counts(journal: Path) -> None:
    """Clear out what recorders left of a session; the page of a dead one goes with the last."""
    for path, words, slot in _left_slots(journal):
        _clear(words, slot)
        if not any(words) and _open_page(path)[1]:
            path.unlink(missing_ok=True)


def sweep_counts(folder: Path) -> None:
    """Remove the pages of dead recorders whose journals are all gone from this folder, recovered or removed."""
    names = [path.stem for path in folder.glob("*.journal")]
    known = {tuple(memoryview(_digest(name)).cast("Q").tolist()) for name in names}
    for path in names_for(folder, "counters"):
        # One that is being made, or that was cut off by a kill, is left alone: it must not keep others from recording.
        with suppress(OSError, ValueError):
            words, is_dead = _open_page(path)
            if is_dead and not any(_name_of(words, slot) in known for slot in range(_SLOTS)):
                path.unlink()


def with_losses(records: Iterable[JournalRecord], taken: dict[Direction, int]) -> Iterator[JournalRecord]:
    """Give the records, and after them a gap for what was taken and is not among them."""
    missing, last_ns = dict(taken), 0
    is_known = bool(taken)
    for record in records:
        last_ns = max(last_ns, record.offset_ns)
        if record.direction in missing:
            missing[record.direction] -= len(record.content)
        elif record.direction is Direction.GAP and is_known:
            gap = decode_gap(record.content)
            # Where records are damaged, their bytes are counted as damage already.
            is_known = gap.bytes != UNKNOWN_BYTES
            missing[gap.direction] -= gap.bytes
        yield record
    for direction, size in missing.items():
        if is_known and size > 0:
            yield Gap(SENDERS[direction], last_ns, last_ns, size, KILLED).record()


def _make(path: Path, folder: Path) -> tuple[int, memoryview]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Held for life: whoever gets the lock knows that the owner is dead.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # All of it now: a store to a page that memory has no room for would be a SIGBUS in the middle of a call.
        os.posix_fallocate(descriptor, 0, _PAGE_BYTES)
        mark(descriptor, folder)
        return descriptor, memoryview(mmap.mmap(descriptor, _PAGE_BYTES)).cast("Q")
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise


def _left_slots(journal: Path) -> Iterator[tuple[Path, memoryview, int]]:
    """Find what is left of a session: in the pages of recorders that are dead, or given up by a living one."""
    wanted = tuple(memoryview(_digest(journal.stem)).cast("Q").tolist())
    for path in names_for(journal.parent, "counters"):
        with suppress(OSError, ValueError):
            words, is_dead = _open_page(path)
            for slot in range(_SLOTS):
                if _name_of(words, slot) == wanted and (is_dead or words[slot * _SLOT_WORDS + _IS_FINAL]):
                    yield path, words, slot


def _open_page(path: Path) -> tuple[memoryview, bool]:
    """Map a page, and tell whether its recorder is dead; ValueError where it is none of this version."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        is_dead = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            is_dead = False
        return memoryview(mmap.mmap(descriptor, _PAGE_BYTES)).cast("Q"), is_dead
    finally:
        os.close(descriptor)


def _name_of(words: memoryview, slot: int) -> tuple[int, ...]:
    start = slot * _SLOT_WORDS
    return tuple(words[start : start + _NAME_WORDS].tolist())


def _clear(words: memoryview, slot: int) -> None:
    start = slot * _SLOT_WORDS
    words[start : start + _SLOT_WORDS] = memoryview(bytes(_SLOT_WORDS * 8)).cast("Q")


def _digest(name: str) -> bytes:
    return hashlib.blake2b(os.fsencode(name), digest_size=16).digest()
