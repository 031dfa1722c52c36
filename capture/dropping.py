"""Delete recordings, wherever they lie: what `wiretape capture prune` does with those that are to go.

It takes the lock that compaction takes, so that neither undoes the other's work: a session that goes is in no file
that a compaction is about to write. A crash at any point leaves a session whole, or gone for readers; what is left of
its files then goes with the next deletion that names it, or the next pruning.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from capture.errors import UsageProblem, WiretapeError
from capture.journal import forget_counts
from capture.recording.annotations import annotation_files, drop_annotations
from capture.recording.claim import claimed_at_once
from capture.recording.compacted import CompactedWriter, SourceUnusable, check_source, sessions_in, shared_rows
from capture.recording.listing import list_files
from capture.recording.manifest import (
    EMPTY,
    Manifest,
    compacted_dates,
    load_manifest,
    manifests_locked,
    may_hold,
    place_of,
    save_manifest,
)
from capture.recording.root import ID_PATTERN, Root, date_of
from capture.recording.schema import TABLES
from capture.recording.sweeping import exchanged, swept, unlink_all, unnamed_files

_log = logging.getLogger(__name__)
_SESSION_ID = re.compile(ID_PATTERN)
# Readers pass over rows of a session that has no sessions row: it goes first.
_IN_THIS_ORDER = ("sessions", *(table for table in TABLES if table != "sessions"))


def drop_sessions(root: Root, date: str, session_ids: Collection[str]) -> set[str]:
    """Delete sessions of a date, wherever they lie, and give the ids of those that were there.

    Compacted files that hold some of them are written anew without them, or go where none is left. Readers see a
    session whole or not at all. Waits for the lock of the manifests, which a caller must not hold. Raises
    `UsageProblem` where a compacted file that is to be written anew, or the manifest, cannot be read.
    """
    wanted = {session_id for session_id in session_ids if _may_be_of(session_id, date)}
    with manifests_locked(root):
        # No grace: a file that waits may hold them too, and what is dropped is to be gone.
        manifest = swept(root, date, 0)
        shared = wanted & manifest.session_ids
        # Files without a sessions row may be an import's, which is writing it: they are `drop_leftovers`'.
        own = {session_id for session_id in wanted - shared if root.table_file("sessions", session_id).exists()}
        for session_id in sorted(own):
            _drop_with_annotations(root, session_id)
        if shared:
            _drop_shared(root, date, manifest, shared)
            for session_id in sorted(shared):
                drop_annotations(root, session_id)
        _remove_empty_folders(root, date)
    return own | shared


def drop_leftovers(root: Root, date: str, session_ids: Collection[str] = (), *, grace_s: float | None = None) -> None:
    """Delete what interrupted work left of a date: unnamed compacted files, and own files of these sessions.

    Only of sessions that nobody can see any more or will, whatever became of them since they were listed. With a
    grace replaced files go too that have waited so long. Waits and raises as `drop_sessions` does.
    """
    wanted = [session_id for session_id in session_ids if _may_be_of(session_id, date)]
    with manifests_locked(root):
        manifest = swept(root, date, grace_s)
        for session_id in wanted:
            if session_id not in manifest.session_ids:
                _drop_uncommitted(root, session_id)
        _remove_empty_folders(root, date)


def drop_whole(root: Root, date: str, session_ids: Collection[str]) -> None:
    """Delete all there is of sessions of a date: recordings, what is left of them, and journals in quarantine.

    What somebody is writing stays. Waits and raises as `drop_sessions` does.
    """
    ours = [session_id for session_id in session_ids if _may_be_of(session_id, date)]
    if ours:
        drop_sessions(root, date, ours)
        drop_leftovers(root, date, ours)
    for session_id in ours:
        remove_journal(root.quarantined(session_id))


def sessions_on_disk(root: Root) -> set[str]:
    """Name the sessions of which there are files of their own, or compacted ones that no manifest names.

    Beside recordings these are sessions that are being written, or were left by a crash; those in quarantine; and those
    whose deletion was interrupted.
    """
    folders = [folder for table in TABLES for folder in root.table(table).glob("date=*")]
    paths = [path for folder in (*folders, root.quarantine) for path in folder.glob("*")]
    paths += [*annotation_files(root), *root.journal.glob("*.journal")]
    # A table's file in the making begins with a dot.
    ids = {path.name.removeprefix(".").partition(".")[0] for path in paths}
    for date in compacted_dates(root):
        # One that cannot be understood is told where the day's files are listed.
        with suppress(UsageProblem):
            for path in unnamed_files(root, date, load_manifest(root, date) or EMPTY):
                ids |= _sessions_if_readable(path)
    return set(filter(_SESSION_ID.fullmatch, ids))


def sessions_of_others(root: Root) -> set[str]:
    """Name the sessions of which rows of any table stand in files that neither sealing nor compaction wrote."""
    foreign = (path for files in list_files(root, list(TABLES)).tables.values() for path in files.foreign)
    return {found for path in foreign if place_of(path.name) == "foreign" for found in _sessions_if_readable(path)}


def remove_journal(path: Path) -> None:
    """Delete a journal that nobody writes or seals, and what was counted of it. Raises `WiretapeError`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        # Held while it goes: a sealer that came in between keeps it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
        forget_counts(path)
    except BlockingIOError:
        _log.info("%s is in use again, and stays", path)
    finally:
        os.close(descriptor)


def why_not_dropped(date: str, error: OSError) -> str:
    """Say why sessions of a date could not be deleted."""
    # Of a compacted day files are written, too: where the disk is full the error names none.
    why = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    return f"what is to go of {date} cannot be removed: {why}"


def is_uncommitted(root: Root, session_id: str) -> bool:
    """Tell whether a session has neither a journal nor a sessions row in a file of its own."""
    # In this order: a sealer removes the journal only when the sessions row is there.
    return not root.journal_of(session_id).exists() and not root.table_file("sessions", session_id).exists()


def _drop_uncommitted(root: Root, session_id: str) -> None:
    # Held while its files go: an import of it that begins meanwhile waits, and one that goes on keeps them.
    with claimed_at_once(root, session_id) as is_ours:
        if is_ours and is_uncommitted(root, session_id):
            _drop_with_annotations(root, session_id)
            unlink_all(_half_written(root, session_id))


def _half_written(root: Root, session_id: str) -> Iterator[Path]:
    for table in TABLES:
        own = root.table_file(table, session_id)
        yield from own.parent.glob(f".{own.name}*.tmp")


def _may_be_of(session_id: str, date: str) -> bool:
    # An id out of a file of others may be anything, a path too.
    return place_of(f"{session_id}.parquet") == "own" and date_of(session_id) == date


def _drop_with_annotations(root: Root, session_id: str) -> None:
    unlink_all([root.table_file("sessions", session_id)])
    # Before the last of its files: what is said of it goes with these, also where a crash lies between.
    drop_annotations(root, session_id)
    _drop_own(root, session_id)


def _drop_own(root: Root, session_id: str) -> None:
    unlink_all(root.table_file(table, session_id) for table in _IN_THIS_ORDER)


def _drop_shared(root: Root, date: str, manifest: Manifest, dropped: set[str]) -> None:
    made, emptied = _rewrite_without(root, date, manifest, dropped)
    # While the manifest still names them: afterwards a file of its own would bring a session back.
    for session_id in sorted(dropped):
        _drop_own(root, session_id)
    kept = exchanged(root, manifest, made, emptied)
    save_manifest(root, date, replace(manifest, tables=kept, session_ids=manifest.session_ids - dropped))
    unlink_all(emptied)


def _rewrite_without(
    root: Root, date: str, manifest: Manifest, dropped: set[str]
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Write the compacted files that hold these sessions anew; gives the new files and those they replace."""
    made: dict[str, list[Path]] = {}
    emptied: list[Path] = []
    is_all = dropped == manifest.session_ids
    try:
        for table, names in manifest.tables.items():
            paths = [root.path / name for name in names]
            # A day that goes as a whole is not read: it may be damaged, and the disk full.
            affected = [path for path in paths if is_all or _holds_any(path, dropped)]
            emptied += affected
            if not is_all:
                made[table] = [new for path in affected for new in _copy_without(root, date, table, path, dropped)]
    except BaseException as error:
        unlink_all(path for paths in made.values() for path in paths)
        if isinstance(error, SourceUnusable):
            raise UsageProblem(f"the sessions of {date} cannot be dropped: {error}") from error
        raise
    return made, emptied


def _holds_any(path: Path, session_ids: set[str]) -> bool:
    return any(may_hold(path.name, session_id) for session_id in session_ids) and bool(sessions_in(path) & session_ids)


def _sessions_if_readable(path: Path) -> set[str]:
    try:
        return sessions_in(path)
    except SourceUnusable:
        return set()


def _copy_without(root: Root, date: str, table: str, path: Path, dropped: set[str]) -> list[Path]:
    if sessions_in(path) <= dropped:
        return []
    check_source(path, TABLES[table])
    with CompactedWriter(root.date_folder(table, date), TABLES[table]) as writer:
        for session_id, rows in shared_rows(path, TABLES[table]):
            if session_id not in dropped:
                writer.add(session_id, rows)
        return writer.finish()


def _remove_empty_folders(root: Root, date: str) -> None:
    for table in TABLES:
        # Not empty, or taken up again by a sealer: it stays.
        with suppress(OSError):
            root.date_folder(table, date).rmdir()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WiretapeError(f"{path} cannot be removed: {error.strerror or error}") from error
