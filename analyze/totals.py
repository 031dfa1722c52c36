"""Findings over many sessions, name by name; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from analyze.findings import Finding
from analyze.signatures import CONFIDENCES

_UNITS = {"ms": "ms", "us": "µs", "s": "s", "dbfs": "dBFS", "hz": "Hz", "percent": "%"}
"""What the name of a number ends with, and how that unit is written."""


@dataclass(frozen=True, slots=True)
class FindingTotal:
    """How often a name was found, and when."""

    name: str
    confidence: str
    """The highest of them."""
    count: int
    """How many sessions."""
    sessions: tuple[str, ...]
    first_at: datetime | None
    """UTC, of the first evidence."""
    last_at: datetime | None


def total_by_name(findings: Iterable[Finding]) -> list[FindingTotal]:
    """Sum up findings by name: the surest first, and of these the most frequent."""
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.name, []).append(finding)
    totals = [_total(name, having) for name, having in grouped.items()]
    return sorted(totals, key=lambda total: (CONFIDENCES.index(total.confidence), -total.count, total.name))


def unexplained(failure_keys: Iterable[str], findings: Iterable[Finding]) -> list[str]:
    """Give the failure keys of a session that none of its findings accounts for."""
    explained = {key for finding in findings for key in finding.explains}
    return [key for key in failure_keys if key not in explained]


def span_words(first: datetime | None, last: datetime | None) -> str:
    """Write from when to when, UTC; the later time without its day where that is the same."""
    if first is None or last is None:
        return ""
    begin, end = f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%Y-%m-%d %H:%M:%S}"
    if begin == end:
        return begin
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end}"


def numbers_words(numbers: Mapping[str, float]) -> str:
    """Write what was counted or measured: `sent by client 1 · longest gap 2,200 ms · close code 1006`."""
    return " · ".join(_number_words(name, value) for name, value in numbers.items())


def _number_words(name: str, value: float) -> str:
    words = name.split("_")
    written = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.2f}"
    if words[-1] == "share":
        return f"{' '.join(words)} {value * 100:.0f} %"
    # They count nothing: their digits are not set apart by thousands, and are searched for as they came.
    if words[-1] in ("code", "status"):
        return f"{' '.join(words)} {value:.0f}"
    unit = _UNITS.get(words[-1])
    return f"{' '.join(words)} {written}" if unit is None else f"{' '.join(words[:-1])} {written} {unit}"


def _total(name: str, having: list[Finding]) -> FindingTotal:
    sessions = tuple(dict.fromkeys(finding.session_id for finding in having))
    return FindingTotal(
        name=name,
        confidence=min((finding.confidence for finding in having), key=CONFIDENCES.index),
        count=len(sessions),
        sessions=sessions,
        first_at=min((finding.first_at for finding in having if finding.first_at is not None), default=None),
        last_at=max((finding.last_at for finding in having if finding.last_at is not None), default=None),
    )
