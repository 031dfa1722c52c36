"""Mend what a crash left behind: seal the journals that nobody writes, remove what was left half written."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from capture.journal import has_living_recorder, is_locked, sweep_orphans
from capture.private_files import is_unfinished
from capture.recording.claim import claimed_at_once, remove_dead_claims
from capture.recording.root import ID_PATTERN, Root
from capture.regular_files import regular_files
from capture.sealing import SealedSession, Sealer, SealingFailed, leftover_journals

RECOVERED, NOTHING_RECOVERED, RECOVERED_WITH_LOSS = 0, 1, 3

_log = logging.getLogger(__name__)
# Without the random part it is a sealer's.
_HALF_TABLE = re.compile(rf"\.({ID_PATTERN})\.parquet(?:\.[0-9a-f]{{8}})?\.tmp")
# A file that is being made has its lock, or its journal, within an instant of its birth.
_ABANDONED_AFTER_S = 60


@dataclass
class Recovery:
    """What became of the sessions that were left behind."""

    sealed: list[SealedSession] = field(default_factory=list)
    failed: list[SealingFailed] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0: all recovered, or nothing was left; 3: with loss; 1: none could be recovered."""
        if self.failed and not self.sealed:
            return NOTHING_RECOVERED
        if self.failed or any(session.has_loss for session in self.sealed):
            return RECOVERED_WITH_LOSS
        return RECOVERED


def recover(root: Root) -> Recovery:
    """Seal the sessions that a crash left in the journal, and remove what it left half written."""
    remove_half_written(root)
    remove_orphans(root)
    recovery, sealer = Recovery(), Sealer(root)
    try:
        for session_id, future in [(found, sealer.submit(found)) for found in _left_behind(root)]:
            try:
                recovery.sealed.append(future.result())
            except Exception as error:  # noqa: BLE001 - the other journals are to be recovered all the same
                _note_failure(recovery, root, session_id, error)
    finally:
        sealer.close()
    return recovery


def _left_behind(root: Root) -> list[str]:
    waiting = _waiting_for_their_sealer(root)
    return [found for found in leftover_journals(root) if root.journal_of(found) not in waiting]


def _waiting_for_their_sealer(root: Root) -> set[Path]:
    """Find the journals that were written just now, where a recorder lives.

    Sealed here, and dropped by its rule, such a session would be one that the recorder cannot find any more.
    """
    if not has_living_recorder(root.journal):
        return set()
    return {path for path in regular_files(root.journal, ".journal") if not _is_old(path)}


def _note_failure(recovery: Recovery, root: Root, session_id: str, error: Exception) -> None:
    journal = root.journal_of(session_id)
    failure = error if isinstance(error, SealingFailed) else SealingFailed(session_id, str(error), journal)
    # Without a journal there is nothing to recover: another recorder has sealed it in the meantime.
    if failure.kept_in is not None:
        recovery.failed.append(failure)


def journals_in_use(root: Root) -> list[str]:
    """List the sessions whose journals are being written or sealed, or wait for a living recorder's sealer."""
    waiting = _waiting_for_their_sealer(root)
    return [path.stem for path in regular_files(root.journal, ".journal") if path in waiting or is_locked(path)]


def quarantined(root: Root) -> list[Path]:
    """List the journals that could not be sealed twice."""
    return regular_files(root.quarantine, ".journal")


def remove_half_written(root: Root) -> list[Path]:
    """Remove the hidden files of recorders and sealers that died in the middle; give what was removed."""
    removed = [path for path in root.journal.glob(".*.journal.new") if _remove_unborn(path)]
    removed += [path for path in root.path.glob("*/date=*/.*.tmp") if _remove_half_table(root, path)]
    beside = (path for folder in (root.annotations, root.manifests, root.runs) for path in folder.glob(".*.tmp"))
    removed += [path for path in beside if is_unfinished(path) and _is_old(path) and _remove(path)]
    removed += remove_dead_claims(root)
    for path in removed:
        _log.info("removed %s, left half written by a process that died", path)
    return removed


def remove_orphans(root: Root) -> list[Path]:
    """Remove what recorders that died left in shared memory for roots that were deleted; give what was removed."""
    removed = sweep_orphans(root.journal)
    for path in removed:
        _log.info("removed %s, left by a recorder whose root is gone", path)
    return removed


def _remove_unborn(path: Path) -> bool:
    with _claimed(path) as is_ours:
        return is_ours and _is_old(path) and _remove(path)


def _remove_half_table(root: Root, path: Path) -> bool:
    named = _HALF_TABLE.fullmatch(path.name)
    if named is None:
        return False
    journal = root.journal_of(named[1])
    if not journal.exists():
        # Sealed or quarantined, or an import's: that claims the session while it writes it.
        with claimed_at_once(root, named[1]) as is_ours:
            return is_ours and _is_old(path) and _remove(path)
    with _claimed(journal) as is_ours:
        return is_ours and _remove(path)


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Hold a file's lock, as writers and sealers do; False where one of them holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _is_old(path: Path) -> bool:
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S
    return False


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
