"""Three to eight sessions beside each other: what differs from the baseline, and in which of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.amounts import milliseconds
from analyze.answers import TimelineRow
from analyze.printing.comparison import CHANGES_SHOWN, STYLES, VALUE_LENGTH, diff_json, session_title, words_line
from analyze.printing.page import heading
from analyze.printing.session import event_words
from analyze.side_by_side import (
    AlignedRow,
    SideBySide,
    TurnLatencies,
    Values,
    configuration_places,
    outcomes,
    turn_latencies,
)
from capture.narration import counted
from capture.plain_text import shorten, visible
from replay.printing.page import cell, table

_COLUMN_LENGTH = 40


def side_by_side_page(shown: SideBySide, *, every: bool = False) -> Group:
    """Lay out a comparison: outcomes, configuration, latencies, words, then events; `every`: equal events too."""
    parts: list[RenderableType] = [
        session_title(Text(str(number), style="bold"), detail.summary) for number, detail in enumerate(shown.details, 1)
    ]
    parts += [heading("outcomes"), outcomes_table(shown)]
    for name, places in zip(("asked", "echoed"), configuration_places(shown), strict=True):
        if places:
            parts += [heading(f"configuration {name}"), *(_place_lines(places))]
    if latencies := turn_latencies(shown):
        parts += [heading("latencies in ms; in brackets the baseline's share"), _latencies_table(latencies)]
    if words := list(_words_lines(shown)):
        parts += [heading("words"), *words]
    parts += [heading("events"), _events_table(shown.rows, every=every)]
    return Group(*parts)


def side_by_side_json(shown: SideBySide) -> dict[str, Any]:
    """Give a comparison as JSON: the baseline with each of the others, and the events that all share."""
    return {
        "sessions": [detail.summary for detail in shown.details],
        "outcomes": outcomes_json(shown),
        "comparisons": [diff_json(diff) for diff in shown.diffs],
        "rows": shown.rows,
    }


def outcomes_json(shown: SideBySide) -> dict[str, list[str | None]]:
    """Give what each session came to, the baseline's values first."""
    return {each.name.replace(" ", "_"): list(each.values) for each in outcomes(shown)}


def outcomes_table(shown: SideBySide) -> Table:
    """Lay out what each session came to, a column each; two are named as in a comparison of two."""
    count = len(shown.details)
    sides = ["-", "+"] if count == 2 else [str(number) for number in range(1, count + 1)]
    made = table("", "", *sides)
    for each in outcomes(shown):
        style = STYLES["≠"] if each.differs else ""
        sign = Text("≠" if each.differs else "=", style=STYLES["≠" if each.differs else "="])
        values = [cell(shorten(value or "–", _COLUMN_LENGTH), style) for value in each.values]
        made.add_row(sign, Text(each.name, style="dim"), *values)
    return made


def _place_lines(places: Sequence[Values]) -> Iterator[Text]:
    for place in places:
        line = Text(f"  {visible(place.name)}: ", style="dim")
        for position, (numbers, value) in enumerate(place.by_value()):
            line.append("  " if position else "", style="dim")
            line.append(f"[{' '.join(str(number + 1) for number in numbers)}] ", style="bold")
            style = "" if 0 in numbers else STYLES["≠"]
            line.append("absent" if value is None else visible(shorten(value, VALUE_LENGTH)), style=style)
        yield line


def _latencies_table(latencies: Sequence[TurnLatencies]) -> Table:
    sessions = [str(number) for number in range(1, len(latencies[0].values_ms) + 1)]
    made = table("turn", "latency", *sessions, right=("turn", *sessions))
    for each in latencies:
        first, *others = each.values_ms
        made.add_row(str(each.turn), each.name, milliseconds(first), *(_against(first, other) for other in others))
    return made


def _against(baseline_ms: float | None, value_ms: float | None) -> str:
    if value_ms is None or not baseline_ms:
        return milliseconds(value_ms)
    return f"{milliseconds(value_ms)} ({value_ms / baseline_ms:.1f}x)"


def _words_lines(shown: SideBySide) -> Iterator[Text]:
    for number, diff in enumerate(shown.diffs, 2):
        for said in diff.transcripts:
            yield words_line(said, of=f"[{number}] ")


def _events_table(rows: Sequence[AlignedRow], *, every: bool) -> Table:
    sessions = [str(number) for number in range(1, len(rows[0].rows) + 1)] if rows else []
    made = table("turn", *sessions, "event", right=("turn", *sessions))
    for differs, group in groupby(rows, key=lambda row: row.differs):
        found = list(group)
        if not differs and not every:
            blank = [""] * (len(sessions) + 1)
            count = sum(_events(row) for row in found)
            made.add_row(*blank, Text(f"= {counted(count, 'event')} alike", style="dim"))
            continue
        for row in found:
            _add_event(made, row)
    return made


def _add_event(made: Table, row: AlignedRow) -> None:
    cells = [_time(event, marker) for event, marker in zip(row.rows, row.markers, strict=True)]
    said = next(event for event in row.rows if event is not None)
    words = event_words(said)
    words.append(f"  {said.error or said.summary}" if not any(row.changes) else "", style="dim")
    made.add_row(str(row.turn or ""), *cells, words)
    places = row.places
    for line in _place_lines(places[:CHANGES_SHOWN]):
        made.add_row(*[""] * (len(cells) + 1), line)
    if len(places) > CHANGES_SHOWN:
        made.add_row(*[""] * (len(cells) + 1), Text(f"  and {len(places) - CHANGES_SHOWN} more", style="dim"))


def _time(event: TimelineRow | None, marker: str) -> Text:
    if event is None:
        return Text("-" if marker == "-" else "", style=STYLES["-"])
    return Text(f"{marker if marker != '=' else ''} {milliseconds(event.offset_ms)}".strip(), style=STYLES[marker])


def _events(row: AlignedRow) -> int:
    return next(event.count for event in row.rows if event is not None)
