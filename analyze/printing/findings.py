"""What the signatures found, and the failures that none of them knows, as lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analyze.findings import Finding, UnknownFailure
from analyze.plain_text import visible
from analyze.printing.page import cell, heading, table, title
from analyze.signatures import CONFIDENCES, load_signatures

_UNITS = {"ms": "ms", "us": "µs", "s": "s", "dbfs": "dBFS", "hz": "Hz", "percent": "%"}


def findings_parts(findings: Sequence[Finding], unknown: Sequence[UnknownFailure]) -> list[RenderableType]:
    """Lay out what was found over many sessions: what nobody knows first, then one line a finding."""
    parts: list[RenderableType] = []
    if unknown:
        parts += [title("unknown failures (no signature accounts for them)"), _unknown_table(unknown)]
    if findings:
        parts += [heading("findings") if unknown else title("findings"), _findings_table(findings)]
    return parts


def session_findings_lines(findings: Sequence[Finding], unknown: Sequence[str]) -> list[Text]:
    """Lay out what was found in one session; `unknown` are failure keys that no finding accounts for."""
    lines = []
    for key in unknown:
        line = Text("? ", style="red").append(" · ".join(part for part in visible(key).split("|") if part))
        lines.append(line.append("  known to no signature", style="yellow"))
    happened = {signature.name: signature.happened for signature in load_signatures()}
    for finding in findings:
        line = Text("▲ ", style="red").append(finding.name, style="bold")
        line.append(f"  {finding.confidence}", style="yellow")
        lines += [line, Text(f"  {happened[finding.name]}")]
    return lines


def findings_json(findings: Sequence[Finding], unknown: Sequence[UnknownFailure]) -> dict[str, Any]:
    """Give both lists as JSON."""
    return {
        "unknown_failures": [asdict(each) for each in unknown],
        "findings": [_totals_json(name, having) for name, having in by_name(findings)],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """Give a finding with what its signature knows as JSON."""
    signature = next(signature for signature in load_signatures() if signature.name == finding.name)
    return asdict(finding) | {
        "group": signature.group,
        "happened": signature.happened,
        "causes": signature.causes,
        "refuted_by": signature.refuted_by,
        "sources": signature.sources,
    }


def by_name(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Group findings by name: the surest and then the most frequent first."""
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.name, []).append(finding)
    return sorted(
        grouped.items(), key=lambda entry: (CONFIDENCES.index(surest(entry[1])), -len(_sessions(entry[1])), entry[0])
    )


def surest(findings: Iterable[Finding]) -> str:
    """Give the highest confidence among findings."""
    return min((finding.confidence for finding in findings), key=CONFIDENCES.index)


def first_seen(findings: Iterable[Finding]) -> datetime | None:
    """Give the first time of any of them, UTC."""
    return min((finding.first_at for finding in findings if finding.first_at is not None), default=None)


def last_seen(findings: Iterable[Finding]) -> datetime | None:
    """Give the last time of any of them, UTC."""
    return max((finding.last_at for finding in findings if finding.last_at is not None), default=None)


def span(findings: Sequence[Finding]) -> str:
    """Write from when to when they were seen, UTC."""
    return _from_to(first_seen(findings), last_seen(findings))


def number_words(name: str, value: float) -> str:
    """Write a number with its unit, which its name ends with: `longest gap 2,200 ms`."""
    words = name.split("_")
    written = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.2f}"
    if words[-1] == "share":
        return f"{' '.join(words)} {value * 100:.0f} %"
    unit = _UNITS.get(words[-1])
    return f"{' '.join(words)} {written}" if unit is None else f"{' '.join(words[:-1])} {written} {unit}"


def _sessions(findings: Iterable[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.session_id for finding in findings))


def _unknown_table(unknown: Sequence[UnknownFailure]) -> Table:
    made = table("sessions", "failure key", "seen UTC", right=("sessions",))
    for each in unknown:
        made.add_row(f"{each.count:,}", cell(each.failure_key, "red"), _from_to(each.first_at, each.last_at))
    return made


def _findings_table(findings: Sequence[Finding]) -> Table:
    made = table("sessions", "finding", "confidence", "seen UTC", right=("sessions",))
    made.columns[1].no_wrap = True
    for name, having in by_name(findings):
        made.add_row(f"{len(_sessions(having)):,}", Text(name, style="red"), surest(having), span(having))
    return made


def _from_to(first: datetime | None, last: datetime | None) -> str:
    """Write two UTC times; the later without its day where that is the same."""
    if first is None or last is None:
        return ""
    begin, end = f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%Y-%m-%d %H:%M:%S}"
    if begin == end:
        return begin
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end}"


def _totals_json(name: str, having: Sequence[Finding]) -> dict[str, Any]:
    sessions = _sessions(having)
    return {
        "name": name,
        "confidence": surest(having),
        "count": len(sessions),
        "sessions": sessions,
        "first_at": first_seen(having),
        "last_at": last_seen(having),
    }
