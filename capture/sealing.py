"""Seal sessions that have ended: journal -> rows -> Parquet, in a process of its own; then the journal goes.

Importing this is cheap: the recorder of a call does, and only the sealer's process loads pyarrow and numpy.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from capture.errors import GuestLog, UsageProblem, WiretapeError
from capture.journal import (
    Direction,
    forget_counts,
    is_abandoned,
    read_journal,
    spooled_names,
    taken_bytes,
    with_losses,
    write_what_was_left,
)
from capture.keeping import Kept, Window, has_windows
from capture.own_program import end_first
from capture.private_files import make_private_folder
from capture.recording.facts import KeepRule, SessionFacts, decode_fact
from capture.recording.root import Root, date_of
from capture.regular_files import regular_files
from capture.sealing_limit import LEAST_CPU_S, limit_cpu

if TYPE_CHECKING:
    from capture.rows import Row, SessionRows

_log = GuestLog(__name__)
_ATTEMPTS = 2
_NICENESS = 10
SEALERS_URGENCY = 1000
"""Where memory is short: what a sealer has not done stays in the journal."""
_FIRST_RECORDS = 8
_LOOK_AT_POOL_S = 0.5
_DIES_WITHIN_S = 1.0
_NO_JOURNAL = (
    "none could be written, as on a full disk, it was moved, removed or unmounted, or another process sealed it and did"
    " not have to keep it"
)


@dataclass(frozen=True, slots=True)
class SealedSession:
    """A session that is now a recording, or was not kept: the columns of its row that say how it went."""

    session_id: str
    handshake_status: int | None
    outcome: str
    failure_keys: tuple[str, ...]
    trial_outcome: str | None
    """None where the session is no replay."""
    turns: int
    events_sent: int
    events_received: int
    audio_in_ms: float
    audio_out_ms: float
    duration_ms: float
    errors: int
    first_error: str | None
    complete: bool
    lost_bytes: int
    undecodable_bytes: int
    damages: int
    """Gaps of unknown size: where the journal itself was damaged."""
    end_reason: str | None
    kept: Kept = "whole"
    """`none`: by its keep rule nothing is left of it, and there is no recording."""
    relay_lag_p99_us: float | None = None
    """From bytes readable to handed on; None where nothing was relayed."""
    pacing_p50_us: float | None = None
    """Of a replay: median deviation of its sends from their due times."""

    @classmethod
    def from_row(cls, session_id: str, row: Mapping[str, Any]) -> Self:
        """Take the fields from a row of the sessions table."""
        columns: dict[str, Any] = {field.name: row.get(field.name) for field in fields(cls)}
        columns |= {"session_id": session_id, "failure_keys": tuple(row["failure_keys"])}
        columns["damages"] = sum(gap["bytes"] is None for gap in row.get("gaps") or ())
        return cls(**columns)

    @property
    def has_loss(self) -> bool:
        """Whether bytes are missing or useless; a session whose recorder died may be whole up to there."""
        return bool(self.lost_bytes or self.undecodable_bytes or self.damages)


class SealingFailed(WiretapeError):
    """A session's journal could not be made a recording; what was recorded is still in the journal."""

    def __init__(self, session_id: str, reason: str, kept_in: Path | None) -> None:
        super().__init__(session_id, reason, kept_in)
        self.session_id = session_id
        self.reason = reason
        self.kept_in = kept_in
        """Where the journal is now; None where there is none."""

    @property
    def is_quarantined(self) -> bool:
        """Whether its journal is where nobody tries again by themselves."""
        return self.kept_in is not None and self.kept_in.parent.name == "quarantine"

    def __str__(self) -> str:
        """Name the session, the reason, and where its journal is."""
        kept = f"; its journal is kept in {self.kept_in}" if self.kept_in else ""
        return f"session {self.session_id} could not be sealed: {self.reason}{kept}"


def seal(root_path: Path, session_id: str) -> SealedSession:
    """Write the recording of a session from its journal, if its rule keeps it; then remove the journal.

    May be called again after a crash at any point, and for a session that is sealed already. Waits while
    another process seals the same session. Raises `SealingFailed` where there is no journal.
    """
    root = Root(root_path)
    journal = root.journal_of(session_id)
    with _claimed(journal):
        sealed = _find_sealed(root, session_id)
        if sealed is None:
            if not journal.exists():
                raise SealingFailed(session_id, f"it has no journal in {journal.parent}: {_NO_JOURNAL}", None)
            sealed = _write_recording(root, session_id, journal)
        # The sessions row is on disk, or not wanted there: from here on the journal is only a copy.
        journal.unlink(missing_ok=True)
        forget_counts(journal)
    return sealed


def seal_within(root_path: Path, session_id: str, least_cpu_s: float = LEAST_CPU_S) -> SealedSession:
    """Seal a session in a process that does nothing else; one that takes for ever over it is killed by the system."""
    limit_cpu(Root(root_path).journal_of(session_id), least_cpu_s)
    return seal(root_path, session_id)


def leftover_journals(root: Root, hurry: threading.Event | None = None) -> list[str]:
    """List the sessions whose journals nobody writes or seals: what a crash left behind.

    Waits for processes that still write a dead recorder's journals, until `hurry` is set.
    """
    # First what a dead recorder had taken and its process had not written yet: sealed without it, it would be lost.
    write_what_was_left(root.journal, hurry)
    # A journal without a lock may be a living recorder's, while one process that writes it follows another.
    written = spooled_names(root.journal)
    found = (path for path in regular_files(root.journal, ".journal") if path.stem not in written)
    return [path.stem for path in found if is_abandoned(path)]


class Sealer:
    """Seals sessions one after another, in a process of its own that starts with the first of them.

    A session that takes the process down or too long, or fails otherwise, is tried once more in a fresh process; then
    its journal goes to quarantine and its future holds a `SealingFailed`.
    """

    def __init__(self, root: Root, *, in_process: bool = False, least_cpu_s: float = LEAST_CPU_S) -> None:
        """Take the root; `in_process` seals in a thread instead, for short runs, and limits nothing."""
        self._root = root
        self._in_process = in_process
        self._least_cpu_s = least_cpu_s
        # Waiting, retrying and starting processes is this thread's work: `submit` must not hold up a call.
        self._dispatcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sealer")
        self._pool: ProcessPoolExecutor | None = None
        self._workers: Sequence[BaseProcess] = ()
        self._is_abandoned = False
        self._is_closed = False
        self._waiting: set[Future[SealedSession]] = set()

    @property
    def waiting(self) -> int:
        """How many sessions are to be sealed still."""
        return len(self._waiting)

    def submit(self, session_id: str) -> Future[SealedSession]:
        """Have a session sealed whose journal is closed; returns at once."""
        try:
            sealed = self._dispatcher.submit(self._seal, session_id)
        except RuntimeError as error:
            reason = "it was interrupted" if self._is_closed else str(error)
            journal = self._root.journal_of(session_id)
            failed: Future[SealedSession] = Future()
            failed.set_exception(SealingFailed(session_id, reason, journal if journal.exists() else None))
            return failed
        self._waiting.add(sealed)
        sealed.add_done_callback(self._waiting.discard)
        return sealed

    def close(self) -> None:
        """Wait until everything submitted is sealed, and end the process.

        Interrupted (a second Ctrl-C), it ends at once: what is not sealed stays in the journal for `recover`.
        """
        self._is_closed = True
        try:
            self._dispatcher.shutdown(wait=True)
            self._drop_pool()
        except KeyboardInterrupt:
            self._abandon()
            raise

    def _seal(self, session_id: str) -> SealedSession:
        problem: Exception | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if not self._is_abandoned:
                    return self._attempt(session_id)
            except Exception as error:
                if isinstance(error, SealingFailed) and error.kept_in is None:
                    # There is nothing to seal, for another process neither; and this one has done nothing wrong.
                    raise
                if not self._is_abandoned:
                    # Not its repr: that of a UnicodeError holds the whole text, and with it what was said.
                    _log.warning("sealing %s failed (attempt %d): %s", session_id, attempt, _told(error))
                problem = error
                self._drop_pool()
                if self._took_too_long():
                    # An expression of its rule that never ends, say: it would take as long again.
                    break
        raise self._give_up(session_id, problem) from problem

    def _attempt(self, session_id: str) -> SealedSession:
        if self._in_process:
            return seal(self._root.path, session_id)
        pool = self._pool or self._start_pool()
        return pool.submit(seal_within, self._root.path, session_id, self._least_cpu_s).result()

    def _start_pool(self) -> ProcessPoolExecutor:
        self._workers = ()
        try:
            pool = ProcessPoolExecutor(
                max_workers=1,
                # A fork would copy the locks and sockets of a process that is busy with calls.
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_worker,
            )
        except OSError as error:
            # Its locks stand there. Who reads it would look at the disk.
            raise OSError(
                f"no sealer can be started, as shared memory has no room: {error.strerror or error}"
            ) from error
        try:
            _block_interrupts()
            has_started = pool.submit(os.getpid)
            self._workers = multiprocessing.active_children()
            for process in self._workers:
                end_first(process.pid, SEALERS_URGENCY)
            _wait_for_start(pool, has_started)
        # The process died, or the system has no room for it, or for one of the pool's threads.
        except (OSError, RuntimeError) as error:
            _kill_children()
            pool.shutdown(wait=False)
            # No fault of the session's: its journal must not go to quarantine for it.
            raise OSError(
                f"no sealer can be started: {sys.executable} is gone, or memory or room for processes is short"
            ) from error
        self._pool = pool
        return pool

    def _abandon(self) -> None:
        self._is_abandoned = True
        # Left alone it could outlive an exit that is interrupted once more, and the exit would wait for it.
        _kill_children()

    def _give_up(self, session_id: str, problem: Exception | None) -> SealingFailed:
        if isinstance(problem, SealingFailed):
            return problem
        journal = self._root.journal_of(session_id)
        if self._is_abandoned:
            return SealingFailed(session_id, "it was interrupted", journal)
        died = "the sealer died, twice" if isinstance(problem, BrokenProcessPool) else str(problem)
        if self._took_too_long():
            died = "it took too long"
        if isinstance(problem, OSError):
            # The disk's fault and not the journal's: it stays where the next start finds it.
            return SealingFailed(session_id, died, journal)
        kept_in = self._root.quarantined(session_id)
        make_private_folder(kept_in.parent)
        with suppress(FileNotFoundError):  # a second recorder on this root has put it there already
            journal.replace(kept_in)
        return SealingFailed(session_id, died, kept_in)

    def _took_too_long(self) -> bool:
        """Tell whether the limit on the processor ended the last sealer's process."""
        return any(process.exitcode == -signal.SIGXCPU for process in self._workers)

    def _drop_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


def _wait_for_start(pool: ProcessPoolExecutor, has_started: Future[int]) -> None:
    # Where its thread has died, because another one could not be started, nobody tells who waits.
    while not has_started.done() and pool._executor_manager_thread.is_alive():  # type: ignore[attr-defined]
        wait([has_started], _LOOK_AT_POOL_S)
    has_started.result(timeout=0)


def _kill_children() -> None:
    killed = multiprocessing.active_children()
    for process in killed:
        process.kill()
    for process in killed:
        # At once, unless its disk stalls: nobody is to find it running still.
        process.join(_DIES_WITHIN_S)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _write_recording(root: Root, session_id: str, journal: Path) -> SealedSession:
    from capture.recording.writer import SessionWriter
    from capture.rows import SessionRows

    rows = SessionRows(session_id, _windows(session_id, journal))
    # The journal's lock is ours.
    with SessionWriter(root, session_id, is_alone=True) as writer:
        session_row = _feed(rows, journal, writer.add)
        if session_row["kept"] != "none":
            writer.commit(session_row)
    return SealedSession.from_row(session_id, session_row)


def _windows(session_id: str, journal: Path) -> Sequence[Window] | None:
    """Find the windows to keep of a session; None keeps everything."""
    if not has_windows(_keep_rule(journal)):
        return None
    from capture.rows import SessionRows

    # Where the failures are shows at the end only. Reading the journal twice is what keeps the memory flat.
    survey = SessionRows(session_id, windows=())
    _feed(survey, journal, lambda _table, _row: None)
    return survey.decision.windows


def _feed(rows: SessionRows, journal: Path, take: Callable[[str, Row], None]) -> Row:
    """Feed a whole journal; give the session's row."""
    for record in with_losses(read_journal(journal), taken_bytes(journal)):
        for table, row in rows.feed(record):
            take(table, row)
    for table, row in rows.finish():
        take(table, row)
    return rows.session_row()


def _keep_rule(journal: Path) -> KeepRule | None:
    # The facts of a session begin its journal. Where they are damaged everything is kept.
    for record in islice(read_journal(journal), _FIRST_RECORDS):
        if record.direction is not Direction.FACT:
            continue
        try:
            fact = decode_fact(record.content)
        except msgspec.DecodeError:
            continue
        if isinstance(fact, SessionFacts):
            return fact.keep_rule
    return None


def _find_sealed(root: Root, session_id: str) -> SealedSession | None:
    from capture.recording.manifest import load_manifest

    # Its own file first: when compaction has deleted that, the manifest names the session.
    has_own = root.table_file("sessions", session_id).exists()
    manifest = load_manifest(root, date_of(session_id))
    is_compacted = manifest is not None and session_id in manifest.session_ids
    if not has_own and not is_compacted:
        return None
    from capture.recording.reader import open_recording

    try:
        return SealedSession.from_row(session_id, open_recording(root, session_id).session)
    except UsageProblem as problem:
        if is_compacted:
            # Readers would pass over a file of its own, and the journal would go.
            raise SealingFailed(session_id, str(problem), root.journal_of(session_id)) from problem
        # Damaged since: while its journal is there it can be written anew.
        return None


@contextmanager
def _claimed(journal: Path) -> Iterator[None]:
    """Hold the journal's lock, as its writer did: others then leave the session alone."""
    try:
        descriptor = os.open(journal, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _block_interrupts() -> None:
    # Ctrl-C and the end of a terminal go to its whole group, and a service manager's SIGTERM to every process of the
    # service. Processes inherit this thread's mask, so the sealer is deaf to them from its first instruction on: what
    # has ended is sealed before the command exits. The tracker that multiprocessing starts first unblocks two of the
    # signals again, hence the order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _begin_worker() -> None:
    # Calls go before recordings, on the CPU too.
    os.nice(_NICENESS)
    threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()
    # Where memory is too short even for the libraries, no session is to blame for it: a sealer that dies of them is one
    # that could not be started.
    load_libraries()


def load_libraries() -> None:
    """Load what sealing needs, in a process that is there for it alone."""
    # Before pyarrow is loaded: its own allocators keep what they once had, 40 MB more for an hour's session.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from capture.recording.writer import SessionWriter  # noqa: F401
    from capture.rows import SessionRows  # noqa: F401


def _follow_parent() -> None:
    """End with the process that started this one: killed, it could not tell its sealer to go."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # A recording half written is written again from its journal.
        os._exit(1)
