"""Journals of a process that carries calls: what it takes goes to the spool, and another process writes the files.

What stands on the path of a message is a copy into mapped memory, once the message is forwarded.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from _thread import start_new_thread
from collections.abc import Callable
from pathlib import Path

from capture.journal.feed import Feed
from capture.journal.protocols import JournalKeeper, Taker
from capture.journal.spool import SLOTS, SPOOL_BYTES, make_spool
from capture.journal.spooled_journal import Piece, SpooledJournal, Stream
from capture.journal.writer import JournalWriter
from capture.journal.writer_process import Closed, Lost, WriterProcess, write_in_its_place
from capture.narration import counted

_log = logging.getLogger(__name__)

_RETRY_S = 0.1
_POLL_S = 0.02
_HELD_AT_MOST_S = 60.0
"""How long a closing recorder waits for room in the spool; beyond, the journals' process says what is missing."""


def open_journals(folder: Path) -> JournalKeeper:
    """Give what writes the journals of a proxy: a process of their own, or a thread where no memory can be shared."""
    try:
        return SpooledJournals(folder)
    except OSError as problem:
        _log.info("journals are written by a thread of this process: %s", problem)
        return JournalWriter(folder)


class SpooledJournals:
    """All journals of this process. A process that forks keeps them to itself: in the child they are closed."""

    def __init__(self, folder: Path, *, spool_bytes: int = SPOOL_BYTES) -> None:
        """Make the spool, and start the process that writes the files; OSError where either cannot be."""
        self.folder = folder
        self._spool = make_spool(folder, spool_bytes)
        self._lock = threading.RLock()
        self._journals: dict[int, SpooledJournal] = {}
        self._free = list(range(SLOTS - 1, -1, -1))
        self._is_closed = False
        self._is_retrying = False
        self.faltered = 0
        try:
            self._feed = Feed(self._spool, lambda: self._process.wake())
            self._process = WriterProcess(self._spool, folder, self._heard, self._replaced)
        except OSError:
            self._spool.remove()
            self._spool.close()
            raise
        atexit.register(self.close)
        _spooled.add(self)

    @property
    def high_water_bytes(self) -> int:
        """The most that ever waited to be written."""
        return self._feed.high_water_bytes

    def open(self, name: str, *, on_loss: Callable[[str], None] | None = None) -> SpooledJournal:
        """Open `NAME.journal`: a file 0600 in a folder 0700, locked while it is open.

        `on_loss` gets the reason when something is not recorded, once, on any thread. Raises OSError where more
        sessions are live than there is room for.
        """
        with self._lock:
            if self._is_closed or not self._free:
                raise OSError("as many sessions are recorded as there is room for")
            slot = self._free.pop()
            journal = SpooledJournal(self, slot, name, self._spool.name(slot, name), on_loss)
            self._journals[slot] = journal
            return journal

    def close(self) -> None:
        """Have everything written and all journals closed; wait until that is done. Closing again does nothing."""
        if self._is_closed:
            return
        for journal in list(self._journals.values()):
            journal.close()
        deadline_s = time.monotonic() + _HELD_AT_MOST_S
        while self._feed.is_holding and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            self._feed.retry()
        self._process.finish()
        write_in_its_place(self._spool, self.folder, lambda slot, name: self._heard(Closed(slot, name)))
        self._is_closed = True
        atexit.unregister(self.close)
        if self._spool.is_removed():
            for journal in list(self._journals.values()):
                journal.finished()
        elif self._journals:
            # Sealed now they would be cut short, and what is left of them in memory would have nowhere to go.
            _log.error(
                "%s left unsealed in the journal: the next start, or `wiretape capture recover`, seals what is there",
                counted(len(self._journals), "session"),
            )
        self._feed.close()
        self._spool.close()

    def take(self, piece: Piece) -> None:
        """Put a piece into the spool."""
        self._feed.put(piece)
        self._retry_later()

    def make_taker(self, stream: Stream) -> Taker:
        """Give what takes a sender's bytes."""
        return self._feed.taker(stream)

    def count_faltering(self) -> None:
        """Count a journal of which something is lost; on any thread."""
        with self._lock:
            self.faltered += 1

    def _retry_later(self) -> None:
        """Try again with what is held, though nothing else may come."""
        if self._feed.is_holding and not self._is_retrying:
            self._is_retrying = True
            try:
                # No `Timer`: its `start` waits until it runs. Where memory is short it never does, and all calls stop.
                start_new_thread(self._retry, ())
            except RuntimeError:
                # Who takes the next piece tries again.
                self._is_retrying = False

    def _retry(self) -> None:
        while self._feed.is_holding:
            time.sleep(_RETRY_S)
            self._feed.retry()
        self._is_retrying = False
        # What came to be held just before found this still at work.
        self._retry_later()

    def _heard(self, report: Closed | Lost) -> None:
        with self._lock:
            journal = self._journals.get(report.slot)
            if journal is None or journal.name != report.name:
                return
            if isinstance(report, Closed):
                del self._journals[report.slot]
                self._spool.free(report.slot)
                self._free.append(report.slot)
        if isinstance(report, Closed):
            journal.finished()
        else:
            journal.tell_loss(report.reason)

    def _replaced(self) -> None:
        """Have the process that took over close what the last one did not tell to be closed."""
        for journal in list(self._journals.values()):
            journal.close_again()

    def _abandon(self) -> None:
        self._lock = threading.RLock()  # the parent's may have been held when it forked
        self._is_closed = True
        self._process.forget()
        for journal in self._journals.values():
            journal.take_care()
        self._feed.close()
        self._spool.close()


_spooled: weakref.WeakSet[SpooledJournals] = weakref.WeakSet()


def _abandon_in_child() -> None:
    for journals in _spooled:
        journals._abandon()


os.register_at_fork(after_in_child=_abandon_in_child)
