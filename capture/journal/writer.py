"""The writer of a process's journals: appending fills a buffer, one thread empties it into the files."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from capture.errors import GuestLog, describe_fault
from capture.frames import FrameCursor
from capture.journal.counters import CounterPage, Counts, sweep_counts
from capture.journal.file import BUFFERS_A_WRITE, REMOVED, JournalFile
from capture.journal.protocols import Taker
from capture.journal.reader import JournalUnreadable
from capture.journal.records import SENDERS, UNKNOWN_BYTES, Direction, OpenGaps, Unwritten

_log = GuestLog(__name__)

_BATCH_RECORDS = BUFFERS_A_WRITE // 2
# What a waiting record weighs besides its content: a flood of tiny chunks must not fill the memory either.
_RECORD_WEIGHT = 200
_TICKS_TO_REST = 25
_RETRY_S = 1.0
BUFFER_FULL = "the buffer was full: the disk was too slow"
CLOSED = "the journal was closed"


class JournalWriter:
    """Writes the journals of this process: one thread, which wakes once a tick while there is work.

    A process that forks keeps its journals to itself: in the child the writer is closed.
    """

    def __init__(
        self, folder: Path, *, tick_s: float = 0.05, buffer_limit_bytes: int = 64 << 20, has_thread: bool = True
    ) -> None:
        """Write into a folder; without a thread whoever has the writer calls `write`."""
        self.folder = folder
        self._has_thread = has_thread
        self.high_water_bytes = 0
        """The most that ever waited to be written."""
        self.faltered = 0
        self._tick_s = tick_s
        self._limit_bytes = buffer_limit_bytes
        self._calm_bytes = buffer_limit_bytes // 4
        self._buffered_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_resting = False
        self._empty_ticks = 0
        self._is_closed = False
        self._open: set[Journal] = set()
        self._busy: list[Journal] = []
        """Journals with something to write, or to be made or closed."""
        self._failing: list[Journal] = []
        """Journals with something that could not be written yet; the thread's own."""
        self._thread: threading.Thread | None = None
        self._counters: CounterPage | None = None
        if not has_thread:
            sweep_counts(folder)
        _writers.add(self)

    def open(self, name: str, *, on_loss: Callable[[str], None] | None = None) -> Journal:
        """Open `NAME.journal`: a file 0600 in a folder 0700, locked while it is open.

        `on_loss` gets the reason when something is not recorded, once, on any thread, maybe with the writer's lock
        held: it must return at once, and leave the journal alone.

        The call comes first: this never touches the disk, which may be slow or full. The thread makes the
        file within a tick, and where it cannot, tries again with every write. Raises RuntimeError where there is no
        room for the thread.
        """
        journal = Journal(self, self.folder / f"{name}.journal", on_loss)
        with self._lock:
            if self._is_closed:
                journal._abandon()
                return journal
            self._start_thread()
            if not self._has_thread:
                self._counters = self._counters or CounterPage(self.folder)
            journal._count_in(self._counters)
            self._open.add(journal)
            self._look_after(journal)
        return journal

    def reopen(
        self, name: str, *, on_loss: Callable[[str], None] | None = None
    ) -> tuple[Journal, dict[Direction, int]]:
        """Open a journal that may be there already; gives with it how many bytes of each direction it holds.

        Gaps count as what they stand for; negative where damage leaves that unknown.
        """
        journal = self.open(name, on_loss=on_loss)
        try:
            return journal, journal._file.resume()
        except (OSError, JournalUnreadable) as problem:
            # What comes is counted as lost; what is there stays as it is.
            journal._file.refuse(str(problem))
            return journal, dict.fromkeys((*SENDERS, Direction.FACT), UNKNOWN_BYTES)

    def has(self, name: str) -> bool:
        """Tell whether `NAME.journal` is there."""
        return (self.folder / f"{name}.journal").exists()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_closed

    @property
    def busy_count(self) -> int:
        """How many journals have something to write."""
        return len(self._busy)

    def write(self, most: int) -> int:
        """Write some of the journals, those first that have waited longest; gives how many."""
        with self._lock:
            busy, self._busy = self._busy[:most], self._busy[most:]
        self._write_each(busy)
        return len(busy)

    def close(self, within_s: float | None = None) -> None:
        """Write everything, close all journals, stop the thread. Closing again does nothing.

        Who gives a time goes on after it though the disk has stalled, and the thread with it; or though this is a
        signal's handler that has interrupted an append: then nothing is closed yet (`is_closed`).
        """
        # What was interrupted holds the lock until the handler returns.
        if not self._lock.acquire(timeout=-1 if within_s is None else within_s):
            _log.warning("%s: not closed by a signal's handler in the middle of recording", self.folder)
            return
        try:
            is_first = not self._is_closed
            self._is_closed = True
            thread, self._thread = self._thread, None
        finally:
            self._lock.release()
        if thread is not None:
            self._wake.set()
            thread.join(within_s)
            if thread.is_alive():
                _log.warning(
                    "%s: the disk has stalled; what it did not take is lost when the process ends", self.folder
                )
                # The counts stay, for sealing to tell how much that was.
                return
        elif is_first:
            self._close_all()
        with self._lock:
            # Once: closed again, it would take away the counts that it left for sealing.
            counters, self._counters = self._counters, None
            if counters is not None:
                counters.close()

    def _start_thread(self) -> None:
        if self._thread is None and self._has_thread:
            thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
            thread.start()
            # Not before: where there was no room for it, the next session starts one.
            self._thread = thread

    def _begin_counting(self) -> None:
        # Both look at the folder, whose disk may have stalled: on this thread. Without counts recording goes on; a
        # path that leads round in a circle is told with the first write.
        with suppress(OSError, RuntimeError):
            sweep_counts(self.folder)
            page = CounterPage(self.folder)
            with self._lock:
                self._counters = page
                for journal in self._open:
                    journal._count_in(page)

    def _run(self) -> None:
        self._begin_counting()
        while not self._is_closed:
            self._wait_for_work()
            self._write_all()
        self._close_all()

    def _close_all(self) -> None:
        with self._lock:
            left_open = list(self._open)
        for journal in left_open:
            journal.close()
        self._write_all()

    def _wait_for_work(self) -> None:
        with self._lock:
            self._wake.clear()
            # Waking the thread costs the caller more than appending does: between the chunks of a call it
            # ticks on by itself, and rests only when nothing has come for a while.
            rests = self._empty_ticks >= _TICKS_TO_REST and not self._busy and not self._is_closed
            self._is_resting = rests
        if rests:
            self._wake.wait(_RETRY_S if self._failing else None)
            self._wake.clear()
        # Nothing that was forwarded more than 100 ms before a kill -9 is lost: a record waits one tick, and
        # for the writes before its own. A write a tick costs a fraction of a write a record.
        if not self._is_closed:
            self._wake.wait(self._tick_s)

    def _write_all(self) -> None:
        with self._lock:
            busy, self._busy = self._busy, []
        self._empty_ticks = 0 if busy else self._empty_ticks + 1
        self._write_each(busy)

    def _write_each(self, busy: list[Journal]) -> None:
        journals = dict.fromkeys(self._failing + busy)
        self._failing = [journal for journal in journals if not journal._write()]

    def _look_after(self, journal: Journal) -> None:
        """Have the thread see to this journal, at once where the buffer fills up; the lock is held."""
        self._busy.append(journal)
        if self._is_resting or self._buffered_bytes > self._calm_bytes:
            self._is_resting = False
            self._wake.set()

    def _account(self, weight: int) -> None:
        with self._lock:
            self.high_water_bytes = max(self.high_water_bytes, self._buffered_bytes)
            self._buffered_bytes += weight

    def _abandon(self) -> None:
        self._lock = threading.Lock()  # the parent's may have been held when it forked
        self._is_closed = True
        self._thread = None
        for journal in self._open:
            journal._abandon()
        if self._counters is not None:
            self._counters.abandon()
            self._counters = None


_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()


def _abandon_in_child() -> None:
    for writer in _writers:
        writer._abandon()


def _close_at_exit() -> None:
    for writer in list(_writers):
        if writer._thread is not None:
            writer.close()


# Here and not with the first journal: what a program does at its exit, to end its calls well, is to be recorded still.
atexit.register(_close_at_exit)
os.register_at_fork(after_in_child=_abandon_in_child)


class Journal:
    """One session's journal. Append from any thread: that never waits for the disk and never raises."""

    def __init__(self, writer: JournalWriter, path: Path, on_loss: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.lost_bytes = 0
        """Bytes that were appended and are not in the file."""
        self.failure: str | None = None
        """Why something was lost; None while nothing was."""
        self._news: str | None = None
        """Why something was lost, until the log is told."""
        self._writer = writer
        self._on_loss = on_loss
        self._waiting: list[Unwritten] = []
        self._dropped = OpenGaps()
        """Dropped since the last record that was accepted."""
        self._takes_care = False
        """The next record is to be dropped, or may have a gap before it."""
        self._is_closed = False
        self._is_finished = False
        self._when_done: list[Callable[[], None]] = []
        self._file = JournalFile(path)
        self._to_retry: list[Unwritten] = []
        """Facts that could not be written; the thread's own."""
        self._unwritten = OpenGaps()
        """What could not be written; the thread's own."""
        self._slot = -1
        self._counts: Counts = _uncounted()

    def append(self, direction: Direction, offset_ns: int, content: bytes, frame_at: int = 0) -> None:
        """Take one record, to be on disk about a tick later.

        `frame_at` is the index in the content at which the first WebSocket frame starts; negative: none does.
        """
        writer = self._writer
        weight = len(content) + _RECORD_WEIGHT
        with writer._lock:
            self._counts[direction] += len(content)
            if not self._takes_care and writer._buffered_bytes + weight <= writer._calm_bytes:
                writer._buffered_bytes += weight
                if not self._waiting:
                    writer._busy.append(self)
                    if writer._is_resting:
                        writer._is_resting = False
                        writer._wake.set()
                self._waiting.append((direction, offset_ns, content, frame_at))
                return
            self._append_with_care((direction, offset_ns, content, frame_at))
        self._say_news()

    def taker(self, direction: Direction, started_ns: int, frames: FrameCursor) -> Taker:
        """Give what takes one sender's bytes; it advances the cursor."""
        append, advance = self.append, frames.advance

        def take(chunk: bytes, arrived_ns: int) -> None:
            append(direction, arrived_ns - started_ns, chunk, advance(chunk))

        return take

    def close(self, done: Callable[[], None] | None = None) -> None:
        """Let the file be closed after the last record; `done` is then called, on the writer's thread.

        It is called even where the disk failed and there is no file: `lost_bytes` and `failure` tell.
        """
        with self._writer._lock:
            if not self._is_closed:
                self._push(self._dropped.close())
                self._is_closed = self._takes_care = True
                self._writer._look_after(self)
            if not self._is_finished:
                self._when_done += [done] if done else []
                return
        if done:
            done()

    def _append_with_care(self, record: Unwritten) -> None:
        writer = self._writer
        direction, offset_ns, content, _ = record
        is_full = writer._buffered_bytes + len(content) + _RECORD_WEIGHT > writer._limit_bytes
        # The call comes first: when the buffer is full, because the disk is slow or gone, nobody waits for
        # it. The content is dropped and counted, up to the start of a frame, and a gap will stand in its place.
        # Facts get in even then: they are few and small, and without them a session's bytes mean nothing.
        if self._is_closed:
            self._note_loss(len(content), CLOSED)
        elif is_full and direction in SENDERS:
            self._dropped.drop(direction, offset_ns, len(content), BUFFER_FULL)
            self._takes_care = True
            self._note_loss(len(content), BUFFER_FULL)
        else:
            accepted = self._dropped.resume(record)
            self._takes_care = bool(self._dropped)
            self._push(accepted)
            self._note_loss(_content_bytes([record]) - _content_bytes(accepted), BUFFER_FULL)
            writer._look_after(self)

    def _push(self, records: list[Unwritten]) -> None:
        self._waiting += records
        self._writer._buffered_bytes += _weigh(records)

    def _write(self) -> bool:
        """Write what waits, on the writer's thread; False while something has to be tried again."""
        if self._is_finished:
            # It may be on the thread's list once more, from an append just before its closing. Its file may be
            # sealed and gone by now, and must not be made anew.
            return True
        with self._writer._lock:
            records, self._waiting = self._waiting, []
            is_closed = self._is_closed
        if self._unwritten or self._to_retry:
            records = self._take_up(records, is_last=is_closed)
        try:
            self._store(records)
        except OSError as problem:
            self._lose(records, problem.strerror or str(problem))
        # A bug in the recorder must neither break a call nor stop the recording of the others: what this
        # journal holds so far is sound, and nothing more goes into it.
        except Exception as bug:  # noqa: BLE001
            fault = f"the recorder failed: {describe_fault(bug)}"
            _log.error("%s: %s", self.path.name, fault)
            self._file.refuse(fault)
            self._lose(records, fault)
        if is_closed:
            self._finish()
        return is_closed or not (self._to_retry or self._unwritten)

    def _take_up(self, records: list[Unwritten], *, is_last: bool) -> list[Unwritten]:
        """Put facts that could not be written before the records, and gaps where the records go on."""
        resumed = [piece for record in records for piece in self._unwritten.resume(record)]
        resumed += self._unwritten.close() if is_last else []
        with self._writer._lock:
            self._writer._buffered_bytes += _weigh(resumed) - _weigh(records)
            self._note_loss(_content_bytes(records) - _content_bytes(resumed), self.failure or "")
        self._say_news()
        taken_up, self._to_retry = self._to_retry + resumed, []
        return taken_up

    def _store(self, records: list[Unwritten]) -> None:
        """Write the records and take them off the list, batch by batch: room in the buffer comes back."""
        self._file.open()
        while records:
            batch = records if len(records) <= _BATCH_RECORDS else records[:_BATCH_RECORDS]
            content_bytes = self._file.append(batch)
            self._writer._account(-content_bytes - len(batch) * _RECORD_WEIGHT)
            del records[: len(batch)]

    def _lose(self, records: Sequence[Unwritten], reason: str) -> None:
        """Give up the records' content; facts are tried again, and a gap will stand where content was."""
        lost_bytes = 0
        for record in records:
            if record[0] is Direction.FACT:
                self._to_retry.append(record)
            else:
                lost_bytes += self._unwritten.lose(record, reason)
        self._writer._account(_weigh(self._to_retry) - _weigh(records))
        with self._writer._lock:
            self._note_loss(lost_bytes, reason, even_if_nothing=True)
        self._say_news()

    def _note_loss(self, lost_bytes: int, reason: str, *, even_if_nothing: bool = False) -> None:
        """Count what is lost; the lock is held."""
        if not lost_bytes and not even_if_nothing:
            return
        is_news = self.failure is None
        self.lost_bytes += lost_bytes
        self.failure = reason
        if is_news and not self._is_closed:
            self._writer.faltered += 1
            if self._on_loss is None:
                self._news = reason
            else:
                # Who is told says what becomes of the call.
                self._tell(partial(self._on_loss, reason))

    def _say_news(self) -> None:
        """Say that something is lost, once, and without the lock: a log that stalls must not hold up every call."""
        news, self._news = self._news, None
        if news is not None:
            _log.warning("%s: recording falters, the call goes on: %s", self.path.name, news)

    def _finish(self) -> None:
        is_told = not self._unwritten
        self._writer._account(-_weigh(self._to_retry))
        self._to_retry = []
        is_gone = self._file.is_gone()
        self._file.close()
        with self._writer._lock:
            if is_gone:
                self._note_loss(self._file.content_bytes, REMOVED)
            self._is_finished = True
            self._release_counts(is_told=is_told)
            self._writer._open.discard(self)
            when_done, self._when_done = self._when_done, []
        # What could not be recorded is counted, and a line says so.
        if self.lost_bytes:
            _log.warning("%s: %d bytes were not recorded: %s", self.path.name, self.lost_bytes, self.failure)
        for done in when_done:
            self._tell(done)

    def _count_in(self, page: CounterPage | None) -> None:
        """Take a slot of the page, with what was counted until there was one; the writer's lock is held."""
        if page is None:
            return
        counted = self._counts
        self._slot, self._counts = page.take_slot(self.path.stem)
        for direction in Direction:
            self._counts[direction] = counted[direction]

    def _release_counts(self, *, is_told: bool) -> None:
        self._counts = _uncounted()
        page = self._writer._counters
        if page is not None and is_told:
            page.free_slot(self._slot)
        elif page is not None:
            page.keep_slot(self._slot)

    def _tell(self, done: Callable[[], None]) -> None:
        try:
            done()
        except Exception as bug:  # noqa: BLE001 - the thread must live on, for the other sessions
            _log.error("%s: what waited for it failed: %s", self.path.name, describe_fault(bug))

    def _abandon(self) -> None:
        self._is_closed = self._is_finished = self._takes_care = True
        self._waiting, self._to_retry, self._when_done = [], [], []
        self._counts = _uncounted()
        self._file.abandon()


def _uncounted() -> Counts:
    return array("Q", bytes(8 * len(Direction)))


def _content_bytes(records: Sequence[Unwritten]) -> int:
    return sum(len(content) for direction, _, content, _ in records if direction in SENDERS)


def _weigh(records: Sequence[Unwritten]) -> int:
    return sum([len(record[2]) for record in records]) + len(records) * _RECORD_WEIGHT
