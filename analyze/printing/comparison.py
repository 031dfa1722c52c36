"""Two sessions side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.amounts import milliseconds
from analyze.answers import DiffRow, LatencyDelta, PathChange, SessionDiff, SessionSummary, TimelineRow, TranscriptDiff
from analyze.printing.page import heading, mark
from analyze.printing.session import event_words
from capture.narration import counted
from capture.plain_text import shorten, visible
from replay.printing.page import cell, table

STYLES = {"=": "dim", "≠": "yellow", "-": "red", "+": "green"}
VALUE_LENGTH = 120
_WORDS_LENGTH = 10_000
CHANGES_SHOWN = 6


def diff_page(diff: SessionDiff, outcomes: Table | None = None, *, every: bool = False) -> Group:
    """Lay out a comparison: outcomes, configuration, latencies, words, then events; `every`: equal events too."""
    parts: list[RenderableType] = [
        session_title(Text(sign, style=STYLES[sign]), summary)
        for sign, summary in (("-", diff.left), ("+", diff.right))
    ]
    if outcomes is not None:
        parts += [heading("outcomes"), outcomes]
    for name, found in (("asked", diff.configuration_asked), ("echoed", diff.configuration_echoed)):
        if found:
            parts += [heading(f"configuration {name}"), _changes_table(found)]
    if diff.latencies:
        parts += [heading("latencies"), _latencies_table(diff.latencies)]
    if diff.transcripts:
        parts += [heading("words"), *map(words_line, diff.transcripts)]
    parts += [heading("events"), _events_table(diff.rows, every=every)]
    return Group(*parts)


def diff_json(diff: SessionDiff) -> dict[str, Any]:
    """Give a comparison as JSON."""
    return {
        "left": diff.left,
        "right": diff.right,
        "configuration_asked": diff.configuration_asked,
        "configuration_echoed": diff.configuration_echoed,
        "latencies": [
            {
                "name": each.name,
                "turn": each.turn,
                "left_ms": each.left_ms,
                "right_ms": each.right_ms,
                "delta_ms": each.delta_ms,
                "ratio": each.ratio,
            }
            for each in diff.latencies
        ],
        "transcripts": diff.transcripts,
        "rows": diff.rows,
    }


def delta_words(latency: LatencyDelta) -> str:
    """Write a difference as `+122 ms (1.2x)`."""
    if latency.delta_ms is None:
        return "only on one side"
    ratio = f" ({latency.ratio:.1f}x)" if latency.ratio is not None else ""
    return f"{latency.delta_ms:+,.0f} ms{ratio}"


def session_title(sign: Text, summary: SessionSummary) -> Text:
    """Name a session behind the sign that it has in a comparison."""
    title = sign.append(" ").append_text(mark(summary.outcome))
    title.append(f" {summary.session_id}", style="bold")
    parts = (summary.target, summary.region, summary.model, summary.transcription_model, summary.dialect)
    return title.append("  " + " · ".join(visible(part) for part in parts if part))


def _changes_table(found: Sequence[PathChange]) -> Table:
    made = table("path", "-", "+")
    for change in found:
        made.add_row(cell(change.path), _value(change.left, "red"), _value(change.right, "green"))
    return made


def _value(json_text: str | None, style: str) -> Text:
    return Text("absent", style="dim") if json_text is None else cell(shorten(json_text, VALUE_LENGTH), style)


def _latencies_table(latencies: Sequence[LatencyDelta]) -> Table:
    made = table("turn", "latency", "- ms", "+ ms", "difference", right=("turn", "- ms", "+ ms", "difference"))
    for each in latencies:
        sides = (milliseconds(each.left_ms), milliseconds(each.right_ms))
        made.add_row(str(each.turn), each.name, *sides, delta_words(each))
    return made


def words_line(diff: TranscriptDiff, *, of: str = "") -> Text:
    """Say word by word what a turn said on either side; `of` names the pair where there are several."""
    rate = "" if diff.word_error_rate is None else f" (WER {diff.word_error_rate:.0%})"
    line = Text(f"  {of}turn {diff.turn} {diff.who}{rate}: ", style="dim")
    for marker, whole in diff.words:
        words = shorten(whole, _WORDS_LENGTH)
        # Signs as well as colours: colours do not survive a pipe.
        shown = {"-": f"[-{visible(words)}-]", "+": f"{{+{visible(words)}+}}"}.get(marker, visible(words))
        line.append(f"{shown} ", style={"-": "red", "+": "green"}.get(marker, "default"))
    return line


def _events_table(rows: Sequence[DiffRow], *, every: bool) -> Table:
    made = table("", "turn", "- ms", "+ ms", "event", right=("turn", "- ms", "+ ms"))
    for is_equal, group in groupby(rows, key=lambda row: row.marker == "="):
        found = list(group)
        if is_equal and not every:
            made.add_row(Text("=", style="dim"), "", "", "", Text(_equal_words(found), style="dim"))
            continue
        for row in found:
            for cells in _changed_cells(row):
                made.add_row(*cells)
    return made


def _equal_words(rows: Sequence[DiffRow]) -> str:
    events = sum(row.left.count for row in rows if row.left)
    names = [row.left.type or row.left.kind for row in rows if row.left]
    ends = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
    return f"{counted(events, 'event')} alike: {visible(ends)}"


def _changed_cells(row: DiffRow) -> Iterator[tuple[Text | str, ...]]:
    shown = row.left or row.right
    if shown is None:
        return
    turn = str(row.turn) if row.turn else ""
    times = (_offset(row.left), _offset(row.right))
    said = event_words(shown)
    said.append(f"  {shown.error or shown.summary}" if not row.changes else "", style="dim")
    yield Text(row.marker, style=STYLES[row.marker]), turn, *times, said
    for change in row.changes[:CHANGES_SHOWN]:
        line = Text(f"  {visible(change.path)}: ", style="dim")
        line.append_text(_value(change.left, "red")).append(" → ", style="dim").append_text(
            _value(change.right, "green")
        )
        yield "", "", "", "", line
    if len(row.changes) > CHANGES_SHOWN:
        yield "", "", "", "", Text(f"  and {len(row.changes) - CHANGES_SHOWN} more", style="dim")


def _offset(row: TimelineRow | None) -> str:
    return "" if row is None else milliseconds(row.offset_ms)
