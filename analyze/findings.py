"""Names the failures of a root: all signatures over all sessions in one pass.

The pass first gathers the tables of `sql/evidence` with a scan or two of the events; the signatures then read those
and the sessions, and no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING, Any

from analyze.answers import SessionSummary
from analyze.audio_health import limits_as_sql
from analyze.signatures import CONFIDENCES, load_signatures

if TYPE_CHECKING:
    from analyze.store import Store
    from analyze.store.gathering import Script

EVIDENCE = (
    "_macros",
    "sessions",
    "tracks",
    "marks",
    "closes",
    "bodies",
    "commits",
    "heard",
    "repeated",
    "answer_audio",
    "answers",
    "transcribers",
    "capacity",
    "errors",
    "refusals",
    "spoken",
    "sent_audio",
)
"""Files of sql/evidence, each after those it reads."""
_READ_FROM_FILES = {"tracks": "audio", "marks": "events", "answer_audio": "events"}
"""Those that read a large table, and which; all others read what these gathered, and the sessions."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A signature that matched a session."""

    session_id: str
    name: str
    """The signature's."""
    confidence: str
    """`certain`, `likely` or `possible`."""
    evidence: tuple[int, ...]
    """seqs of the rows it rests on, 20 at most; none where the handshake is the evidence."""
    first_at: datetime | None
    """UTC."""
    last_at: datetime | None
    """UTC."""
    numbers: dict[str, float]
    """What was counted or measured; units stand in the names."""
    explains: tuple[str, ...]
    """Failure keys of the session that this accounts for."""


@dataclass(frozen=True, slots=True)
class UnknownFailure:
    """A failure key that no finding accounts for, with the sessions it was seen in."""

    failure_key: str
    sessions: tuple[str, ...]
    """Their ids, in the order of time."""
    count: int
    """How many sessions."""
    first_at: datetime | None
    """Start of the first of them, UTC; None where none has a time."""
    last_at: datetime | None
    """Start of the last of them, UTC."""


class NamedFailures:
    """All findings of a root: the first question makes the pass, and the first after the root was taken in anew."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        # One thread makes the pass; the others wait for what it finds.
        self._lock = Lock()
        self._found: tuple[int, tuple[Finding, ...]] | None = None
        """All findings, and of which refresh of the store they are."""

    def all(self) -> tuple[Finding, ...]:
        """Give all findings, session by session, the surest first in each."""
        with self._lock:
            store = self._store()
            if self._found is None or self._found[0] != store.refreshes:
                findings = find_all(store)
                # Files that turned out damaged refresh the store: what was found is of after that.
                self._found = (store.refreshes, findings)
            return self._found[1]

    def by_session(self) -> dict[str, tuple[Finding, ...]]:
        """Give the findings of each session that has any, the surest first."""
        found: defaultdict[str, list[Finding]] = defaultdict(list)
        for finding in self.all():
            found[finding.session_id].append(finding)
        return {session_id: tuple(findings) for session_id, findings in found.items()}

    def known_by_session(self) -> dict[str, tuple[str, ...]]:
        """Give the names found in each session if the pass was made already; nothing where it was not."""
        known = self._found
        return {} if known is None else names_by_session(known[1])

    def sessions_by_name(self) -> dict[str, list[str]]:
        """Give for each name that was found the sessions that it was found in."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for finding in self.all():
            found[finding.name].append(finding.session_id)
        return dict(found)


def names_by_session(findings: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    """Give the names that were found in each session, the surest first."""
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for finding in findings:
        names[finding.session_id][finding.name] = None
    return {session_id: tuple(having) for session_id, having in names.items()}


def with_findings(sessions: Iterable[SessionSummary], names: Mapping[str, tuple[str, ...]]) -> list[SessionSummary]:
    """Note with each session the names of its findings."""
    return [replace(session, findings=names.get(session.session_id, ())) for session in sessions]


def find_all(store: Store) -> tuple[Finding, ...]:
    """Name the failures of all sessions, in the order of sessions, the surest first in each."""
    rows = store.pass_over(_evidence(), {signature.name: signature.sql for signature in load_signatures()})
    findings = [_finding(name, row) for name, found in rows.items() for row in found]
    return tuple(sorted(findings, key=lambda f: (f.session_id, CONFIDENCES.index(f.confidence), f.name)))


def find_unknown(sessions: Iterable[Mapping[str, Any]], findings: Iterable[Finding]) -> list[UnknownFailure]:
    """Give the failure keys of these sessions that no finding accounts for, the most frequent first.

    A session is a row with session_id, started_at and failure_keys, in the order of time.
    """
    explained: defaultdict[str, set[str]] = defaultdict(set)
    for finding in findings:
        explained[finding.session_id].update(finding.explains)
    seen: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for session in sessions:
        for key in session["failure_keys"] or ():
            if key not in explained[session["session_id"]]:
                seen[key].append(session)
    unknown = [_unknown(key, having) for key, having in seen.items()]
    return sorted(unknown, key=lambda failure: (-failure.count, failure.failure_key))


def _unknown(key: str, sessions: list[Mapping[str, Any]]) -> UnknownFailure:
    # Imported sessions may have no times.
    starts = [session["started_at"] for session in sessions if session["started_at"]]
    return UnknownFailure(
        failure_key=key,
        sessions=tuple(session["session_id"] for session in sessions),
        count=len(sessions),
        first_at=_utc(min(starts)) if starts else None,
        last_at=_utc(max(starts)) if starts else None,
    )


@cache
def _evidence() -> tuple[Script, ...]:
    # With the engine, which the first screen does without.
    from analyze.store.gathering import Script

    folder = files("analyze") / "sql" / "evidence"
    texts = {name: (folder / f"{name}.sql").read_text(encoding="utf-8") for name in EVIDENCE}
    return (Script(limits_as_sql()), *(Script(sql, _READ_FROM_FILES.get(name)) for name, sql in texts.items()))


def _finding(name: str, row: Mapping[str, Any]) -> Finding:
    return Finding(
        session_id=row["session_id"],
        name=name,
        confidence=row["confidence"],
        evidence=tuple(row["evidence"] or ()),
        first_at=_utc(row["first_at"]) if row["first_at"] else None,
        last_at=_utc(row["last_at"]) if row["last_at"] else None,
        numbers={key: float(value) for key, value in (row["numbers"] or {}).items() if value is not None},
        explains=tuple(row["explains"] or ()),
    )


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
