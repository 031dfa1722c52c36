"""Names the failures of a root: all signatures over all sessions in one pass.

The pass first gathers the tables of `sql/evidence` with a scan or two of the events; the signatures then read those
and the sessions, and no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from analyze.audio_health import limits_as_sql
from analyze.signatures import CONFIDENCES, load_signatures
from analyze.store import Store

EVIDENCE = (
    "_macros",
    "marks",
    "bodies",
    "commits",
    "heard",
    "repeated",
    "answers",
    "transcribers",
    "capacity",
    "sent_audio",
)
"""Files of sql/evidence, each after those it reads."""


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
def _evidence() -> tuple[str, ...]:
    folder = files("analyze") / "sql" / "evidence"
    scripts = ((folder / f"{name}.sql").read_text(encoding="utf-8") for name in EVIDENCE)
    return (limits_as_sql(), *scripts)


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
