"""Merge a date's files of one session each into few: `wiretape capture compact`.

New files are written beside the old ones; the moment in which the date's manifest is replaced moves the sessions
over for our readers. The old files stay for a grace period, for readers that know no manifests. A crash at any point
leaves the old manifest or the new one, and files that neither names: the next compaction removes those.
"""

from __future__ import annotations

import heapq
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
from msgspec.structs import replace

from capture.errors import UsageProblem
from capture.recording.compacted import (
    FILE_BYTES,
    CompactedWriter,
    SourceUnusable,
    check_source,
    own_rows,
    shared_rows,
)
from capture.recording.manifest import (
    EMPTY,
    Manifest,
    Replaced,
    load_manifest,
    manifests_locked,
    own_session,
    save_manifest,
)
from capture.recording.root import Root, date_of
from capture.recording.schema import TABLES
from capture.recording.sweeping import exchanged, relative_name, swept, unlink_all

GRACE_S = 600.0
LONGEST_GRACE_S = 10 * 365 * 86_400.0
"""Longer, and the day when it is over may lie beyond the calendar."""
_log = logging.getLogger(__name__)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
OnProgress = Callable[[int, int], None]
"""Told how many steps of how many are done: each session is checked, and then merged once for each table."""
_STEPS = 1 + len(TABLES)
Rows = Iterator[tuple[str, pa.Table]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DateCompacted:
    """What became of one date."""

    date: str
    sessions: int = 0
    """Moved from files of their own to compacted ones."""
    files_before: int = 0
    """Files that were merged."""
    files_after: int = 0
    """Files that they became."""
    bytes_before: int = 0
    bytes_after: int = 0
    left_alone: dict[str, str] = field(default_factory=dict)
    """File -> why it was not merged."""
    waits: str | None = None
    """Why nothing could be merged yet; None where it could."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be merged."""

    sessions: dict[str, dict[str, Path]]
    """Session -> table -> its own file."""
    compacted: dict[str, list[Path]]
    """Table -> small compacted files."""

    def sources(self) -> list[Path]:
        return [path for own in self.sessions.values() for path in own.values()] + [
            path for paths in self.compacted.values() for path in paths
        ]


def dates_to_compact(root: Root, dates: Collection[str] = (), *, everything: bool = False) -> list[str]:
    """List dates: those named, else all before today (UTC), and today too where `everything` is asked for."""
    for date in dates:
        if not _DATE.fullmatch(date):
            raise UsageProblem(f"--date takes a UTC day such as 2026-02-12, not {date!r}")
    if dates:
        return sorted(set(dates))
    root.check_readable()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    found = {path.name.removeprefix("date=") for path in root.table("sessions").glob("date=*")}
    return sorted(date for date in found if _DATE.fullmatch(date) and (everything or date < today))


def compact_date(
    root: Root,
    date: str,
    *,
    at_least: int = 2,
    grace_s: float = GRACE_S,
    file_bytes: int = FILE_BYTES,
    on_progress: OnProgress = lambda _done, _total: None,
) -> DateCompacted:
    """Merge the committed sessions of a date that lie in files of their own, where there are `at_least` so many.

    Sealing may go on meanwhile, and reading. Files of an earlier compaction whose grace has passed are deleted;
    with a grace of 0 this one's too. Raises `UsageProblem` where the date's manifest cannot be understood.
    """
    if not root.table("sessions").is_dir():
        return DateCompacted(date=date)
    with manifests_locked(root):
        manifest = swept(root, date, grace_s)
        left_alone: dict[str, str] = {}
        plan = _plan(root, date, manifest, left_alone, file_bytes, on_progress)
        if len(plan.sessions) < at_least:
            return DateCompacted(date=date, left_alone=left_alone)
        if manifest.replaced is not None:
            return DateCompacted(date=date, left_alone=left_alone, waits=_waiting(manifest.replaced, grace_s))
        merged, made = _merge_what_can_be(root, date, plan, left_alone, file_bytes, on_progress)
        if not merged.sessions:
            return DateCompacted(date=date, left_alone=left_alone)
        sources = merged.sources()
        result = DateCompacted(
            date=date,
            sessions=len(merged.sessions),
            files_before=len(sources),
            files_after=sum(map(len, made.values())),
            bytes_before=_size(sources),
            bytes_after=_size(path for paths in made.values() for path in paths),
            left_alone=left_alone,
        )
        _commit(root, date, manifest, made, sources, set(merged.sessions))
        if grace_s <= 0:
            swept(root, date, grace_s)
    return result


# --- what is to be merged -------------------------------------------------------------------------------------


def _plan(
    root: Root,
    date: str,
    manifest: Manifest,
    left_alone: dict[str, str],
    file_bytes: int,
    on_progress: OnProgress,
) -> _Plan:
    plan = _Plan({}, {})
    session_ids = _uncompacted(root, date, manifest)
    for done, session_id in enumerate(session_ids):
        on_progress(done, len(session_ids) * _STEPS)
        # The sessions row comes last: all other files of the session are there.
        files = {table: root.table_file(table, session_id) for table in TABLES}
        files = {table: own for table, own in files.items() if own.exists()}
        if _are_usable(files, left_alone):
            plan.sessions[session_id] = files
    for table, names in manifest.tables.items():
        paths = [root.path / name for name in names]
        small = [path for path in paths if path.exists() and path.stat().st_size < file_bytes / 2]
        plan.compacted[table] = [path for path in small if _are_usable({table: path}, left_alone)]
    return plan


def _uncompacted(root: Root, date: str, manifest: Manifest) -> list[str]:
    superseded = manifest.superseded()
    names = (path.name for path in root.date_folder("sessions", date).glob("*.parquet"))
    found = (session_id for name in names if (session_id := own_session(name)) is not None)
    return sorted(each for each in found if each not in superseded and date_of(each) == date)


def _are_usable(files: dict[str, Path], left_alone: dict[str, str]) -> bool:
    try:
        for table, path in files.items():
            check_source(path, TABLES[table])
    except FileNotFoundError:
        # Deleted by hand since it was listed.
        return False
    except SourceUnusable as problem:
        left_alone[str(problem.path)] = problem.reason
        return False
    return True


def _without(plan: _Plan, path: Path) -> _Plan:
    return _Plan(
        {session_id: own for session_id, own in plan.sessions.items() if path not in own.values()},
        {table: [each for each in paths if each != path] for table, paths in plan.compacted.items()},
    )


# --- merging --------------------------------------------------------------------------------------------------


def _merge_what_can_be(
    root: Root, date: str, plan: _Plan, left_alone: dict[str, str], file_bytes: int, on_progress: OnProgress
) -> tuple[_Plan, dict[str, list[Path]]]:
    """Merge; where a file turns out to be damaged inside, begin again without it."""
    if load_manifest(root, date) is None:
        # Compacted files that no manifest names are then known for what a crash left.
        save_manifest(root, date, EMPTY)
    while True:
        made: dict[str, list[Path]] = {}
        try:
            for place, table in enumerate(TABLES):
                made[table] = _merge_table(root, date, table, plan, file_bytes, _from_step(1 + place, on_progress))
        except SourceUnusable as problem:
            _log.warning("%s is left as it is: %s", problem.path, problem.reason)
            left_alone[str(problem.path)] = problem.reason
            unlink_all(path for paths in made.values() for path in paths)
            plan = _without(plan, problem.path)
        except BaseException:
            unlink_all(path for paths in made.values() for path in paths)
            raise
        else:
            return plan, made


def _from_step(step: int, on_progress: OnProgress) -> OnProgress:
    """Tell how many sessions of how many are through this step, as part of all steps."""
    return lambda done, sessions: on_progress(step * sessions + done, _STEPS * sessions)


def _merge_table(
    root: Root, date: str, table: str, plan: _Plan, file_bytes: int, on_progress: OnProgress
) -> list[Path]:
    schema = TABLES[table]
    shared = [shared_rows(path, schema) for path in plan.compacted.get(table, ())]
    own = _own_rows(plan, table, on_progress)
    with CompactedWriter(root.date_folder(table, date), schema, file_bytes=file_bytes) as writer:
        # Each source is ordered by session already, so one row group of each is all that is held.
        for session_id, rows in heapq.merge(own, *shared, key=itemgetter(0)):
            writer.add(session_id, rows)
        return writer.finish()


def _own_rows(plan: _Plan, table: str, on_progress: OnProgress) -> Rows:
    for done, (session_id, files) in enumerate(sorted(plan.sessions.items()), start=1):
        if table in files:
            yield from ((session_id, rows) for rows in own_rows(files[table], TABLES[table], session_id))
        on_progress(done, len(plan.sessions))


# --- the manifest ---------------------------------------------------------------------------------------------


def _commit(
    root: Root,
    date: str,
    manifest: Manifest,
    made: dict[str, list[Path]],
    sources: Sequence[Path],
    session_ids: set[str],
) -> None:
    """Move the sessions over."""
    waiting = Replaced(at=datetime.now(UTC), files=tuple(relative_name(root, path) for path in sources))
    tables = exchanged(root, manifest, made, sources)
    save_manifest(
        root,
        date,
        replace(manifest, tables=tables, session_ids=manifest.session_ids | session_ids, replaced=waiting),
    )


def _waiting(replaced: Replaced, grace_s: float) -> str:
    until = replaced.at + timedelta(seconds=grace_s)
    return f"the files replaced at {replaced.at:%H:%M:%S} UTC stay until {until:%H:%M:%S} UTC (--grace)"


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
