"""One journal on disk, as its writer sees it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from capture.journal.reader import JournalUnreadable, follow_journal
from capture.journal.records import (
    FILE_HEAD,
    RECORD_HEAD,
    SENDERS,
    UNKNOWN_BYTES,
    Direction,
    JournalRecord,
    Unwritten,
    decode_gap,
    encode_records,
)
from capture.private_files import make_private_folder

BUFFERS_A_WRITE = os.sysconf("SC_IOV_MAX")
"""What one `os.writev` takes; a record is two buffers."""
REMOVED = "the journal was removed"
_WRITES_A_CHECK = 50


class JournalFile:
    """A file 0600 in a folder 0700, locked while it is open. Errors are `OSError`."""

    def __init__(self, path: Path) -> None:
        self.content_bytes = 0
        """In all records so far."""
        self._path = path
        self._descriptor = -1
        self._position = 0
        self._writes = 0
        self._refusal: str | None = None

    def open(self) -> None:
        """Make the file, if that was not done yet."""
        if self._refusal is not None:
            raise OSError(self._refusal)
        if self._descriptor >= 0:
            return
        # The journal holds the secrets that stand inside messages, because nothing on the call's path parses
        # them: nobody else may read it. Sealing takes them out.
        make_private_folder(self._path.parent)
        if self._path.exists():
            raise FileExistsError(f"{self._path} exists already")
        # By the time it has its name it is locked: no sealer ever takes it for an abandoned one.
        unnamed = self._path.with_name(f".{self._path.name}.new")
        descriptor = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_whole(descriptor, [FILE_HEAD], len(FILE_HEAD))
            unnamed.rename(self._path)
        except OSError:
            os.close(descriptor)
            with suppress(OSError):
                unnamed.unlink()
            raise
        self._descriptor = descriptor
        self._position = len(FILE_HEAD)

    def resume(self) -> dict[Direction, int]:
        """Go on where a writer that was killed has left off; gives how many bytes of each direction are there.

        Gaps count as what they stand for; negative where damage leaves that unknown. OSError where another writes it.
        """
        written = dict.fromkeys((*SENDERS, Direction.FACT), 0)
        if not self._path.exists():
            return written
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end = len(FILE_HEAD)
            for record, position in follow_journal(self._path):
                _count(record, written)
                end = position
            # What was torn is in the spool still: it is written anew.
            os.ftruncate(descriptor, end)
        except (OSError, JournalUnreadable):
            os.close(descriptor)
            raise
        self._descriptor, self._position = descriptor, end
        self.content_bytes = sum(max(size, 0) for size in written.values())
        return written

    def append(self, records: Sequence[Unwritten]) -> int:
        """Write all of the records or, with an error, none; give the bytes of their content."""
        self._writes += 1
        if self._writes % _WRITES_A_CHECK == 0 and self.is_gone():
            raise FileNotFoundError(REMOVED)
        buffers, end = encode_records(records, self._position)
        try:
            _write_whole(self._descriptor, buffers, end - self._position)
        except OSError:
            self._cut_back()
            raise
        content_bytes = end - self._position - len(buffers) // 2 * RECORD_HEAD.size
        self.content_bytes += content_bytes
        self._position = end
        return content_bytes

    def refuse(self, reason: str) -> None:
        """Take nothing more."""
        self._refusal = reason

    def is_gone(self) -> bool:
        """Tell whether somebody removed the file; writing to it goes on then as if nothing were wrong."""
        try:
            return self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink == 0
        except OSError:
            return True

    def close(self) -> None:
        """Unlock and close. Power loss: no promise, so no fsync."""
        if self._descriptor >= 0:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.abandon()

    def abandon(self) -> None:
        """Close without unlocking: in a forked child the lock is the parent's."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def _cut_back(self) -> None:
        """Take away what a failed write left. Where even this fails, readers search for the next record."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._position)
        with suppress(OSError):
            self._position = os.fstat(self._descriptor).st_size


def is_locked(path: Path) -> bool:
    """Tell whether a living process still writes this journal."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def is_abandoned(path: Path) -> bool:
    """Tell whether who held this file's lock is gone; False where that is not for us to know."""
    try:
        return not is_locked(path)
    except OSError:
        return False


def _write_whole(descriptor: int, buffers: Sequence[bytes], size: int) -> None:
    few = buffers if len(buffers) <= BUFFERS_A_WRITE else [b"".join(buffers)]
    written = os.writev(descriptor, few)
    if written < size:
        rest = memoryview(b"".join(few))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _count(record: JournalRecord, written: dict[Direction, int]) -> None:
    direction, size = record.direction, len(record.content)
    if direction is Direction.GAP:
        gap = decode_gap(record.content)
        direction, size = gap.direction, gap.bytes
    is_known = size != UNKNOWN_BYTES and written[direction] != UNKNOWN_BYTES
    written[direction] = written[direction] + size if is_known else UNKNOWN_BYTES
