"""What the signatures found, and the failures that none of them knows, as lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analyze.findings import Finding, UnknownFailure
from analyze.printing.page import heading, title
from analyze.signatures import load_signatures
from analyze.totals import numbers_words, span_words, total_by_name
from capture.plain_text import visible
from replay.printing.page import cell, table


def findings_parts(findings: Sequence[Finding], unknown: Sequence[UnknownFailure]) -> list[RenderableType]:
    """Lay out what was found over many sessions: what nobody knows first, then one line a finding."""
    parts: list[RenderableType] = []
    if unknown:
        parts += [title("unknown failures (no signature accounts for them)"), _unknown_table(unknown)]
    if findings:
        parts += [heading("findings") if unknown else title("findings"), _findings_table(findings)]
    return parts


def session_findings_lines(findings: Sequence[Finding], unknown: Sequence[str]) -> list[RenderableType]:
    """Lay out what was found in one session; `unknown` are failure keys that no finding accounts for."""
    lines: list[RenderableType] = []
    for key in unknown:
        line = Text("? ", style="red").append(" · ".join(part for part in visible(key).split("|") if part))
        lines.append(line.append("  known to no signature", style="yellow"))
    happened = {signature.name: signature.happened for signature in load_signatures()}
    for finding in findings:
        line = Text("▲ ", style="red").append(finding.name, style="bold")
        line.append(f"  {finding.confidence}", style="yellow")
        lines += [line, Padding(Text(happened[finding.name]), (0, 0, 0, 2))]
        if finding.numbers:
            lines.append(Padding(Text(numbers_words(finding.numbers), style="dim"), (0, 0, 0, 2)))
    return lines


def findings_json(findings: Sequence[Finding], unknown: Sequence[UnknownFailure]) -> dict[str, Any]:
    """Give both lists as JSON."""
    return {
        "unknown_failures": [asdict(each) for each in unknown],
        "findings": [asdict(total) for total in total_by_name(findings)],
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


def _unknown_table(unknown: Sequence[UnknownFailure]) -> Table:
    made = table("sessions", "failure key", "seen UTC", right=("sessions",))
    for each in unknown:
        made.add_row(f"{each.count:,}", cell(each.failure_key, "red"), span_words(each.first_at, each.last_at))
    return made


def _findings_table(findings: Sequence[Finding]) -> Table:
    made = table("sessions", "finding", "confidence", "seen UTC", right=("sessions",))
    made.columns[1].no_wrap = True
    for total in total_by_name(findings):
        seen = span_words(total.first_at, total.last_at)
        made.add_row(f"{total.count:,}", Text(total.name, style="red"), total.confidence, seen)
    return made
