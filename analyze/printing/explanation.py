"""The page about one session for whoever is on call: what happened, on which rows it rests, what to try next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.commands import command_lines
from analyze.explanation import Evidence, ExplainedFailure, ExplainedFinding, Explanation
from analyze.printing.findings import finding_json
from analyze.printing.page import heading
from analyze.printing.session import arrow, audio_health_json, event_words, session_title
from analyze.totals import numbers_words, span_words
from capture.plain_text import visible

_LABEL = 13
_MARGIN = 2
_INDENT = _LABEL + 2 * _MARGIN
"""Where the words stand."""
_PLACE = re.compile(r"\b[A-Z][A-Z_]{3,}\b")
"""What a person has to fill in."""
_HINT = "add --to OTHER-TARGET to hold another endpoint against it"


def explanation_page(explanation: Explanation, width: int) -> list[RenderableType]:
    """Lay out the page for so many columns: one sentence, then what it rests on."""
    parts: list[RenderableType] = [session_title(explanation.detail), Text("")]
    parts.append(Text(visible(explanation.sentence), style="bold"))
    for failure in explanation.unknown:
        parts.append(_headline("?", visible(failure.failure_key), "known to no signature"))
        parts += [_grid(_failure_lines(failure)), Group(*_command_lines(failure.commands, width))]
    for each in explanation.findings:
        parts.append(_headline("▲", each.finding.name, each.finding.confidence))
        parts += [_grid(_finding_lines(each)), Group(*_command_lines(each.commands, width))]
    parts += [heading("for support"), _grid((name, Text(words)) for name, words in explanation.support)]
    parts += [heading("what to rule out"), _grid(_ruled_out(explanation))]
    return parts


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Give the page as JSON."""
    return {
        "session_id": explanation.detail.summary.session_id,
        "outcome": explanation.detail.summary.outcome,
        "sentence": explanation.sentence,
        "unknown_failures": [
            {"failure_key": each.failure_key, "commands": each.commands} | _evidence_json(each.evidence)
            for each in explanation.unknown
        ],
        "findings": [
            finding_json(each.finding) | {"commands": each.commands} | _evidence_json(each.evidence)
            for each in explanation.findings
        ],
        "support": [{"name": name, "value": words} for name, words in explanation.support],
        "recorder": explanation.recorder,
        "audio_health": audio_health_json(explanation.detail.audio_health),
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    return {"evidence": evidence.seqs, "rows": [asdict(row) for row in evidence.rows]}


def _headline(sign: str, name: str, said: str) -> Text:
    line = Text(f"\n{sign} ", style="red")
    line.append(name, style="bold")
    return line.append(f"  {said}", style="yellow")


def _grid(lines: Iterable[tuple[str, RenderableType]]) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True, min_width=_LABEL + _MARGIN)
    made.add_column(overflow="fold")
    said = ""
    for label, content in lines:
        made.add_row(f"{' ' * _MARGIN}{label if label != said else ''}", content)
        said = label
    return made


def _failure_lines(failure: ExplainedFailure) -> Iterator[tuple[str, RenderableType]]:
    if not failure.evidence.seqs:
        yield "evidence", Text(_without_rows(failure.failure_key))
    yield from _evidence_lines(failure.evidence)


def _without_rows(failure_key: str) -> str:
    if failure_key.startswith("absent:"):
        return "what should have come and did not; `wiretape analyze show` has the timeline"
    if failure_key.startswith("handshake|"):
        return "the handshake (below)"
    # Any other key begins with the type of the event that told it.
    return "no row that can be read" if "." in failure_key.split("|")[0] else "how the connection ended (below)"


def _finding_lines(each: ExplainedFinding) -> Iterator[tuple[str, RenderableType]]:
    if not each.evidence.seqs:
        yield "evidence", Text("the handshake (below)")
    yield from _evidence_lines(each.evidence)
    if each.finding.numbers:
        yield "numbers", Text(numbers_words(each.finding.numbers))
    if each.finding.first_at is not None:
        yield "seen", Text(f"{span_words(each.finding.first_at, each.finding.last_at)} UTC")
    for cause in each.signature.causes:
        yield "usual causes", Text(visible(cause))
    yield "refuted if", Text(visible(each.signature.refuted_by))


def _evidence_lines(evidence: Evidence) -> Iterator[tuple[str, RenderableType]]:
    said: str | None = None
    offsets = ["" if row.offset_ms is None else f"{row.offset_ms:,.1f}" for row in evidence.rows]
    widest = max(map(len, offsets), default=0)
    for row, offset in zip(evidence.rows, offsets, strict=True):
        line = Text(f"{offset:>{widest}} ms ").append_text(arrow(row.sender)).append(" ")
        yield "evidence", line.append_text(event_words(row))
        words = row.error or row.summary
        if words and words != said:
            yield "evidence", Text(words, style="red" if row.error else "dim")
        said = words
    if evidence.more:
        yield "evidence", Text(f"and {evidence.more} more", style="dim")


def _command_lines(commands: Sequence[str], width: int) -> Iterator[Text]:
    said = "try next"
    for command in commands:
        for line in command_lines(visible(command), width - _INDENT):
            # Never cut, however narrow the page: it is there to be copied.
            yield _next(said, line, "cyan")
            said = ""
    if any(_PLACE.search(command) for command in commands):
        yield _next("", "fill in what stands in CAPITALS", "dim")
    if any(command.startswith("wiretape replay run ") for command in commands):
        yield _next("", _HINT, "dim")


def _next(label: str, words: str, style: str) -> Text:
    line = Text(f"{' ' * _MARGIN}{label}".ljust(_INDENT), style="dim", no_wrap=True, overflow="ignore")
    return line.append(words, style=style)


def _ruled_out(explanation: Explanation) -> Iterator[tuple[str, RenderableType]]:
    recorder = explanation.recorder
    yield "recorder", _verdict(recorder.words, clean=recorder.clean)
    audio = explanation.detail.audio_health
    yield "sent audio", _verdict(audio.sentence, clean=not audio.is_wrong)


def _verdict(words: str, *, clean: bool) -> Text:
    sign, style = ("●", "green") if clean else ("▲", "yellow")
    return Text(f"{sign} ", style=style).append(visible(words), style="default")
