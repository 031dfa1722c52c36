"""The process that writes the journals of a proxy: it empties the spool, whatever becomes of the proxy.

A disk that stalls holds up this process and nothing else, and the calls' process spends nothing on files. It ends when
its input does, and then leaves nothing in the spool. Killed, it is replaced, and the next one goes on where it was.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from capture.errors import describe_fault
from capture.journal.blocks import BEHIND_BYTES
from capture.journal.drain import Drain
from capture.journal.spool import Spool, left_spools, open_spool
from capture.journal.writer import JournalWriter
from capture.own_program import end_first, own_program

_log = logging.getLogger(__name__)

_NICENESS = 5
_URGENCY = 500
"""Where memory is short: behind a sealer, before the calls. What it has not written stands in shared memory."""
_SHORTEST_TICK_S, _LONGEST_TICK_S = 0.001, 0.025
_PORTION_BYTES = 128 << 10
"""What is moved in one tick: all that waits in one go would take a core, and maybe a disk, for milliseconds."""
_ROUND_S = 0.2
"""In which every journal that has something to write is written once: few large writes cost less than many small."""
_TICKS_TO_REST = 50
_REST_S = 1.0
_BLOCKS_AHEAD = 4
_REPLACE_AFTER_S = 1.0
_ATTEMPTS_TO_FINISH = 3
_WAIT_FOR_ANOTHER_S = 30.0


class Closed(msgspec.Struct, tag="closed"):
    """A journal is closed, and can be sealed."""

    slot: int
    name: str


class Lost(msgspec.Struct, tag="lost"):
    """Something of a session is not recorded."""

    slot: int
    name: str
    reason: str


class Said(msgspec.Struct, tag="said"):
    """A line for the log."""

    level: int
    line: str


Report = Closed | Lost | Said
_decoder: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


class WriterProcess:
    """The process, as the proxy has it: woken, replaced when it dies, and heard."""

    def __init__(
        self,
        spool: Spool,
        folder: Path,
        on_report: Callable[[Closed | Lost], None],
        on_replaced: Callable[[], None],
    ) -> None:
        """Start it; OSError where that cannot be.

        `on_replaced` is called when another has taken over.
        """
        self._arguments = (str(spool.path), str(folder))
        self._on_report = on_report
        self._on_replaced = on_replaced
        self._is_finishing = False
        self._process = self._start()
        self._thread = threading.Thread(target=self._listen, name="journal reports", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have it look into the spool now."""
        # It may be dead, or have a full pipe: it looks by itself soon enough.
        with suppress(OSError, ValueError):
            os.write(_input(self._process).fileno(), b"\n")

    def finish(self) -> None:
        """Have it write all that is there, and wait until it has ended."""
        self._is_finishing = True
        self.forget()
        self._thread.join()

    def forget(self) -> None:
        """Close its input; in a forked child, that copy of it: the input must end with the parent."""
        with suppress(OSError):
            _input(self._process).close()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *own_program(__name__, "work(*sys.argv[1:])"), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C goes to the whole terminal group; what was forwarded is to be written all the same.
            start_new_session=True,
        )
        end_first(process.pid, _URGENCY)
        os.set_blocking(_input(process).fileno(), False)
        return process

    def _listen(self) -> None:
        for attempt in range(sys.maxsize):
            started_s = time.monotonic()
            self._hear()
            status = self._process.wait()
            if self._is_finishing and (status == 0 or attempt >= _ATTEMPTS_TO_FINISH):
                return
            _log.error("the process that writes the journals died (%d): it is replaced", status)
            # One that cannot live is not to be started over and over.
            if not self._replace(started_s + _REPLACE_AFTER_S):
                return

    def _replace(self, not_before_s: float) -> bool:
        """Start another, as soon as the system lets it be; False where that is not worth waiting for any more."""
        died, is_told = self._process, False
        while True:
            time.sleep(max(0.0, not_before_s - time.monotonic()))
            not_before_s = time.monotonic() + _REPLACE_AFTER_S
            try:
                self._process = self._start()
            except OSError as problem:
                if self._is_finishing:
                    return False
                if not is_told:
                    _log.error(
                        "no process that writes the journals can be started: %s; it is tried every second, and what"
                        " has no room in memory meanwhile is not recorded",
                        problem,
                    )
                    is_told = True
            else:
                break
        _input(died).close()
        if is_told:
            _log.info("a process writes the journals again")
        self._on_replaced()
        if self._is_finishing:
            self.forget()
        return True

    def _hear(self) -> None:
        output = self._process.stdout
        if output is None:
            return
        while line := output.readline():
            try:
                report = _decoder.decode(line)
                if isinstance(report, Said):
                    _log.log(report.level, "%s", report.line)
                else:
                    self._on_report(report)
            except Exception as fault:  # noqa: BLE001 - the next report must be heard
                _log.error("a report on the journals was not understood: %s", describe_fault(fault))
        output.close()


def write_what_was_left(folder: Path, hurry: threading.Event | None = None) -> None:
    """Write what dead recorders have left in their spools, or wait until their processes have.

    Once `hurry` is set, no process is waited for: what one of them still has is left to it, and to who comes after.
    """
    for path in left_spools(folder):
        try:
            spool = open_spool(path)
        except (OSError, ValueError):
            continue
        try:
            if _claim(spool, hurry) and not spool.is_removed():
                journals = JournalWriter(folder, has_thread=False)
                _finish(Drain(spool, journals), spool, journals)
        except (OSError, ValueError) as problem:
            _log.warning("what a recorder left in %s could not be written: %s", path, problem)
        finally:
            spool.close()


def _claim(spool: Spool, hurry: threading.Event | None = None) -> bool:
    hurry = hurry or threading.Event()
    deadline_s = time.monotonic() + _WAIT_FOR_ANOTHER_S
    while not spool.claim_reading():
        if time.monotonic() > deadline_s or hurry.wait(0.02):
            return False
    return True


def write_in_its_place(spool: Spool, folder: Path, on_closed: Callable[[int, str], None]) -> None:
    """Write what a recorder that ends has in its spool, where no process does that for it any more.

    `on_closed` gets the slot and the name of each session whose journal is closed. Where it cannot be written, it is
    left for a recovery.
    """
    try:
        if spool.is_removed() or not spool.claim_reading():
            return
        journals = JournalWriter(folder, has_thread=False)
        _finish(Drain(spool, journals, on_closed), spool, journals)
    except Exception as problem:  # noqa: BLE001 - what kept killing the process may be in what it read
        _log.error("what was not written to the journals yet is left in %s: %s", spool.path, describe_fault(problem))


def _finish(drain: Drain, spool: Spool, journals: JournalWriter) -> None:
    # Where one of these fails, the others are left for a recovery: it has to know how much had been taken.
    drain.finish()
    spool.remove()
    journals.close()


def work(spool_path: str, folder: str) -> None:
    """Empty a spool into the journals of a folder until the input ends; the process's main."""
    reports = os.dup(1)
    # What else prints must not pass for a report.
    os.dup2(2, 1)
    for deaf_to in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(deaf_to, signal.SIG_IGN)
    # Calls go before recordings, on the CPU too.
    os.nice(_NICENESS)
    logging.basicConfig(handlers=[_Reporter(reports)], level=logging.INFO)
    spool = open_spool(Path(spool_path))
    if not _claim(spool):
        raise SystemExit("another process writes these journals")
    journals = JournalWriter(Path(folder), has_thread=False)
    drain = Drain(
        spool,
        journals,
        on_closed=lambda slot, name: _report(reports, Closed(slot, name)),
        on_loss=lambda slot, name, reason: _report(reports, Lost(slot, name, reason)),
    )
    _run(drain, spool, journals)
    _finish(drain, spool, journals)


def _run(drain: Drain, spool: Spool, journals: JournalWriter) -> None:
    """Move and write by small portions until the input ends."""
    empty_ticks, tick_s = 0, _LONGEST_TICK_S
    settled, now_s = spool.written, time.monotonic()
    while True:
        before_s, now_s = now_s, time.monotonic()
        most_bytes = _PORTION_BYTES if tick_s else sys.maxsize
        # What was told of a tick ago: some processors let another core see that a piece was put before they let it see
        # the piece.
        moved, settled = drain.move(settled, most_bytes), spool.written
        spool.allocate_ahead(_BLOCKS_AHEAD)
        drain.write(math.ceil(journals.busy_count * min((now_s - before_s) / _ROUND_S, 1)))
        empty_ticks = 0 if moved or not drain.is_idle else empty_ticks + 1
        tick_s = next_tick_s(tick_s, drain.unread_bytes)
        rests = empty_ticks >= _TICKS_TO_REST and _rests(spool, settled)
        if not _wait(_REST_S if rests else tick_s):
            return


def next_tick_s(tick_s: float, unread_bytes: int) -> float:
    """Tell how long to wait so that about one portion comes meanwhile; 0 where too much has come already."""
    if unread_bytes > BEHIND_BYTES:
        return 0
    if unread_bytes > _PORTION_BYTES:
        return max(tick_s / 2, _SHORTEST_TICK_S)
    return min(max(tick_s * 2, _SHORTEST_TICK_S), _LONGEST_TICK_S)


def _rests(spool: Spool, settled: int) -> bool:
    """Ask to be woken, unless something has come meanwhile."""
    spool.is_reader_resting = True
    spool.is_reader_resting = rests = spool.written == settled
    return rests


def _wait(wait_s: float) -> bool:
    """Wait, or until woken; False where the input has ended."""
    ready, _, _ = select.select([0], [], [], wait_s)
    return not ready or bool(os.read(0, 4096))


class _Reporter(logging.Handler):
    """Hands lines for the log to the proxy."""

    def __init__(self, reports: int) -> None:
        super().__init__()
        self._reports = reports

    def emit(self, record: logging.LogRecord) -> None:
        _report(self._reports, Said(record.levelno, record.getMessage()))


def _report(reports: int, report: Report) -> None:
    # The proxy may be gone; what it left is written all the same.
    with suppress(BrokenPipeError):
        os.write(reports, msgspec.json.encode(report) + b"\n")


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise OSError("the process that writes the journals takes nothing")
    return process.stdin
