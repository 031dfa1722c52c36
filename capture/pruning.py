"""Remove what is not to be kept for ever: recordings by age and by size, and journals that nobody sealed."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from capture.dropping import drop_leftovers, drop_sessions, remove_journal, why_not_dropped
from capture.errors import UsageProblem, WiretapeError
from capture.journal import is_locked
from capture.narration import counted
from capture.recording.all_sessions import OnProgress, read_all_sessions
from capture.recording.claim import is_claimed
from capture.recording.manifest import compacted_dates, load_manifest
from capture.recording.reader import list_session_ids
from capture.recording.root import ID_PATTERN, Root, date_of, started_at_by
from capture.recording.schema import TABLES
from capture.recording.sweeping import unnamed_files
from capture.recording.tables import TableDamaged
from capture.regular_files import check_regular, regular_files

_log = logging.getLogger(__name__)

JOURNALS_OLDER_THAN = timedelta(days=7)
"""Maximum age of journals in quarantine and of abandoned ones: secrets inside messages still stand in them."""

_SESSION_ID = re.compile(ID_PATTERN)
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_AGE_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_OLDEST = timedelta(days=100 * 365)
"""What began so long ago no clock of ours has seen, and the calendar goes back that far."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SHOWN_IDS = 3
_SIZE_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class PruneRule:
    """What is to go."""

    older_than: timedelta | None = None
    """Recordings that began longer ago; None: no recording is too old."""
    max_bytes: int | None = None
    """Of all recordings together: above it the oldest go; None: there may be any amount."""
    keep_failed: bool = False
    """Spare recordings whose outcome is failed or incomplete."""
    include_runs: bool = False
    """Take recordings too that a run of replay names."""
    journals_older_than: timedelta = JOURNALS_OLDER_THAN


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes of one session."""

    name: str
    """Session's id."""
    bytes: int
    """Of a session in compacted files: its share of its day's."""
    journal: Path | None = None
    """The file, where a journal goes."""


@dataclass(slots=True)
class PrunePlan:
    """What a rule comes to in a root."""

    root: Root
    recordings: list[Removal] = field(default_factory=list)
    """Oldest first."""
    journals: list[Removal] = field(default_factory=list)
    """In quarantine, or abandoned."""
    leftovers: list[Removal] = field(default_factory=list)
    """Rows whose session is gone: a removal was interrupted."""
    spared_failed: list[str] = field(default_factory=list)
    spared_by_runs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Sessions that would go, but lie in files that neither sealing nor compaction wrote."""
    not_copied: list[str] = field(default_factory=list)
    """Sessions of which rows are there, in a root without a single session: it looks like half of a copy."""
    bytes_left: int = 0
    """Of all recordings, once the plan is carried out."""

    @property
    def removals(self) -> list[Removal]:
        """Everything that goes."""
        return [*self.recordings, *self.journals, *self.leftovers]

    @property
    def bytes(self) -> int:
        """How many bytes go."""
        return sum(removal.bytes for removal in self.removals)


def parse_age(text: str) -> timedelta:
    """Read `30d`, `12h`, `45m`, `90s` or `2w`; raises `UsageProblem`."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise UsageProblem(f"an age is a number with its unit, such as 30d, 12h or 2w, not {text!r}")
    seconds = float(found[1]) * _AGE_SECONDS[found[2]]
    if seconds > _OLDEST.total_seconds():
        raise UsageProblem(f"an age is {_OLDEST.days // 365} years at most, and {text[:40]!r} is more")
    return timedelta(seconds=seconds)


def parse_size(text: str) -> int:
    """Read `50G`, `500M`, `1.5T` or plain bytes, units of 1024; raises `UsageProblem`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageProblem(f"a size is a number of bytes or with its unit, such as 50G or 500M, not {text!r}")
    size = float(found[1]) * _SIZE_BYTES[found[2].upper()]
    if size == math.inf:
        raise UsageProblem(f"a size is less than the {len(found[1])} digits of {text[:10]}…")
    return int(size)


def plan_pruning(
    root: Root, rule: PruneRule, now: datetime | None = None, *, on_progress: OnProgress = lambda _done, _files: None
) -> PrunePlan:
    """Find out what a rule removes from a root; changes nothing. `on_progress` is told while outcomes are read."""
    at = now or datetime.now(UTC)
    plan = PrunePlan(root, bytes_left=_bytes_of(root))
    ids = list_session_ids(root)
    in_runs = set() if rule.include_runs else _ids_in_runs(root)
    compacted = _compacted_bytes(root, ids)
    went_well = _ids_that_went_well(root, on_progress) if rule.keep_failed else set()
    for session_id in ids:
        started_at = started_at_by(session_id)
        is_too_old = rule.older_than is not None and started_at is not None and started_at < at - rule.older_than
        if not is_too_old and (rule.max_bytes is None or plan.bytes_left <= rule.max_bytes):
            continue
        if root.journal_of(session_id).exists():
            # It is being sealed, or a crash left the journal: recovery would bring the session back.
            continue
        if session_id not in compacted and not _has_own_file(root, session_id):
            plan.foreign.append(session_id)
        elif session_id in in_runs:
            plan.spared_by_runs.append(session_id)
        elif rule.keep_failed and session_id not in went_well:
            plan.spared_failed.append(session_id)
        else:
            removal = Removal(session_id, compacted.get(session_id) or _own_bytes(root, session_id))
            plan.recordings.append(removal)
            plan.bytes_left -= removal.bytes
    plan.journals += _journals(root, at - rule.journals_older_than)
    leftovers = list(_leftovers(root, set(ids)))
    # An interrupted removal leaves the rows of one session.
    if ids or len(leftovers) < 2:
        plan.leftovers += leftovers
    else:
        plan.not_copied += [removal.name for removal in leftovers]
    plan.bytes_left -= sum(removal.bytes for removal in plan.leftovers)
    return plan


def prune(plan: PrunePlan) -> None:
    """Carry out a plan; raises `WiretapeError` where a file cannot be removed, after all else.

    The plan then names only what has gone. Interrupted, it leaves sessions whole or gone; the next prune removes the
    rest of them.
    """
    problems: list[str] = []
    work: list[tuple[Callable[[Root, str, list[str]], object], str, list[str]]]
    work = [(drop_leftovers, date, ids) for date, ids in _by_date(plan.leftovers)]
    # Files that compaction replaced are of no use to our readers, and go before any recording does.
    work += [(partial(drop_leftovers, grace_s=0), date, []) for date in compacted_dates(plan.root)]
    work += [(drop_sessions, date, ids) for date, ids in _by_date(plan.recordings)]
    for drop, date, session_ids in work:
        try:
            drop(plan.root, date, session_ids)
        except UsageProblem as problem:
            problems.append(str(problem))
        except OSError as error:
            problems.append(why_not_dropped(date, error))
    for removal in plan.journals:
        if removal.journal is not None:
            try:
                remove_journal(removal.journal)
            except WiretapeError as problem:
                problems.append(str(problem))
    if problems:
        there = set(list_session_ids(plan.root))
        plan.recordings = [removal for removal in plan.recordings if removal.name not in there]
        plan.journals = [removal for removal in plan.journals if removal.journal and not removal.journal.exists()]
        raise WiretapeError("; ".join(dict.fromkeys(problems)))


def prune_by(rule: PruneRule, plan: PrunePlan) -> None:
    """Carry out a rule's plan, and go on while the root is over the rule's size.

    What a compacted session takes is known for sure only when its day's files have been written anew.
    """
    try:
        prune(plan)
        gone = {removal.name for removal in plan.recordings}
        while rule.max_bytes is not None:
            more = plan_pruning(plan.root, rule)
            if not {removal.name for removal in more.recordings} - gone:
                break
            try:
                prune(more)
            finally:
                plan.recordings += more.recordings
            gone |= {removal.name for removal in more.recordings}
    finally:
        # Of compacted days the plan could only guess.
        plan.bytes_left = _bytes_of(plan.root)


def _by_date(removals: list[Removal]) -> Iterator[tuple[str, list[str]]]:
    # Oldest first, as the ids sort.
    names = [removal.name for removal in removals]
    return ((date, list(ids)) for date, ids in groupby(names, key=date_of))


def summary(plan: PrunePlan) -> dict[str, Any]:
    """Give a plan as programs read it."""
    told: dict[str, Any] = {
        kind: [{"session_id": removal.name, "bytes": removal.bytes} for removal in getattr(plan, kind)]
        for kind in ("recordings", "journals", "leftovers")
    }
    kept = {
        kind: getattr(plan, kind) for kind in ("spared_failed", "spared_by_runs", "foreign", "not_copied", "bytes_left")
    }
    return {"bytes": plan.bytes} | told | kept


def sum_up(plan: PrunePlan, *, dry_run: bool) -> list[str]:
    """Say in sentences what went, or would go, and what was spared."""
    did, left = ("would remove", "would be") if dry_run else ("removed", "are")
    counts = [counted(len(plan.recordings), "recording"), counted(len(plan.journals), "journal")]
    counts += [counted(len(plan.leftovers), "leftover")] if plan.leftovers else []
    lines = [f"{did} {', '.join(counts)}: {_scaled(plan.bytes)}; {_scaled(plan.bytes_left)} of recordings {left} left"]
    for why, spared in (
        ("failed or incomplete (--keep-failed)", plan.spared_failed),
        ("named by a run (--include-runs takes them too)", plan.spared_by_runs),
        ("in files that wiretape did not write", plan.foreign),
        ("whose sessions are missing, was all of the root copied?", plan.not_copied),
    ):
        if spared:
            named = ", ".join(spared[:_SHOWN_IDS]) + (" …" if len(spared) > _SHOWN_IDS else "")
            lines.append(f"kept {counted(len(spared), 'recording')}, {why}: {named}")
    return lines


def _scaled(size: int) -> str:
    power = min(max(size.bit_length() - 1, 0) // 10, len(_SIZE_BYTES) - 1)
    unit, scale = list(_SIZE_BYTES.items())[power]
    return f"{size / scale:.1f} {unit}iB" if power else f"{size} bytes"


def _own_bytes(root: Root, session_id: str) -> int:
    return sum(_size(root.table_file(name, session_id)) for name in TABLES)


def _journals(root: Root, before: datetime) -> Iterator[Removal]:
    # In a root from elsewhere either folder may be a link to any folder of this machine.
    for path in (*regular_files(root.quarantine, ".journal"), *regular_files(root.journal, ".journal")):
        with suppress(FileNotFoundError):
            # A journal of a living process is written to, or about to be sealed.
            if path.stat().st_mtime < before.timestamp() and not is_locked(path):
                yield Removal(path.stem, _size(path), path)


def _leftovers(root: Root, known: set[str]) -> Iterator[Removal]:
    orphans: dict[str, list[Path]] = {}
    for name in TABLES:
        for path in _parquet_files(root, name):
            if name != "sessions" and _SESSION_ID.fullmatch(path.stem) and path.stem not in known:
                orphans.setdefault(path.stem, []).append(path)
    for session_id, paths in sorted(orphans.items()):
        # In this order: a sealer removes the journal, and an import its claim, only when the sessions row is there.
        is_in_use = root.journal_of(session_id).exists() or is_claimed(root, session_id)
        if is_in_use or _has_own_file(root, session_id):
            continue
        yield Removal(session_id, sum(map(_size, paths)))


def _ids_that_went_well(root: Root, on_progress: OnProgress) -> set[str]:
    """Give the sessions of outcome ok. What cannot be read is none of them: it may be the very incident."""

    def keep(damage: TableDamaged) -> None:
        _log.warning("%s cannot be read, and what it holds is kept: %s", damage.path, damage.reason)

    sessions = read_all_sessions(root, ["outcome"], keep, on_progress)
    return {session_id for session_id, session in sessions.items() if session["outcome"] == "ok"}


class _Named(msgspec.Struct):
    session_id: str = ""


class _Cell(msgspec.Struct):
    trials: list[_Named] = []


class _Run(msgspec.Struct):
    recordings: list[_Named] = []
    cells: list[_Cell] = []


def _ids_in_runs(root: Root) -> set[str]:
    """Give the recordings that were replayed and those of their trials."""
    ids: set[str] = set()
    for path in sorted(root.runs.glob("r*.json")):
        try:
            check_regular(path)
            run = msgspec.json.decode(path.read_bytes(), type=_Run)
        except (OSError, msgspec.DecodeError) as error:
            # It may name what is about to be removed.
            raise UsageProblem(
                f"{path} cannot be read ({error}), so what it names cannot be spared: remove it, or give --include-runs"
            ) from error
        ids.update(named.session_id for named in (*run.recordings, *(t for cell in run.cells for t in cell.trials)))
    return ids


def _bytes_of(root: Root) -> int:
    """Sum up all recordings."""
    whole = sum(_size(path) for name in TABLES for path in _parquet_files(root, name))
    return whole - sum(map(_size, _superfluous(root)))


def _superfluous(root: Root) -> Iterator[Path]:
    """List the files that compaction replaced, and those that a crash of it left: none holds a recording."""
    for date in compacted_dates(root):
        manifest = load_manifest(root, date)
        if manifest is not None:
            replaced = manifest.replaced.files if manifest.replaced else ()
            yield from {*(root.path / name for name in replaced), *unnamed_files(root, date, manifest)}


def _compacted_bytes(root: Root, ids: list[str]) -> dict[str, int]:
    """Give the sessions that lie in compacted files, each with its share of its day's."""
    shares: dict[str, int] = {}
    for date in {date_of(session_id) for session_id in ids if _SESSION_ID.fullmatch(session_id)}:
        manifest = load_manifest(root, date)
        if manifest is not None and manifest.session_ids:
            whole = sum(_size(root.path / name) for names in manifest.tables.values() for name in names)
            shares |= dict.fromkeys(manifest.session_ids, max(whole // len(manifest.session_ids), 1))
    return shares


def _has_own_file(root: Root, session_id: str) -> bool:
    # An id out of a file that several share may be anything, a path too.
    return bool(_SESSION_ID.fullmatch(session_id)) and root.table_file("sessions", session_id).exists()


def _parquet_files(root: Root, table: str) -> Iterator[Path]:
    return root.table(table).glob("date=*/*.parquet")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
