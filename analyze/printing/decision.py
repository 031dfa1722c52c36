"""A run's verdict: the sentence, the counts behind it, what is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.audio_health import AudioHealth
from analyze.printing.page import heading
from analyze.printing.session import audio_health_json
from capture.plain_text import visible
from replay.comparison import AxisDecision, CellResult
from replay.printing.page import cell, first_and_more, shares, table
from replay.statistics import exact_upper_bound
from replay.verdict import NotTested, Verdict

_DECISIONS = {"implicated": "red", "ruled_out": "green", "open": "yellow"}


_WIDE = 100
"""Columns of a terminal from which on the cells' sessions have room."""


def verdict_page(verdict: Verdict, width: int, audio: AudioHealth | None = None) -> Group:
    """Lay out a verdict for so many columns: one sentence for the ticket, then what it rests on.

    `audio` is the judgement on the audio that was replayed.
    """
    parts: list[RenderableType] = [
        Text(f"run {verdict.run_id} · replay of {verdict.session_id}", style="dim"),
        Text(visible(verdict.sentence), style="bold"),
        *_audio(audio, "sent" if verdict.is_of_recorded_audio else "recorded"),
        heading("cells (Wilson's 95 % interval)"),
        _cells(verdict.cells, with_sessions=width >= _WIDE),
    ]
    if verdict.axes:
        invalid = "" if verdict.tests_hold else "; of a fixed plan: they do not hold here"
        parts += [heading(f"axes (exact tests, one-sided{_level(verdict.axes)}{_bounds(verdict.axes)}{invalid})")]
        parts += [_axes(verdict.axes)]
    if verdict.not_tested:
        parts.append(heading("not tested"))
        for topic in verdict.not_tested:
            parts += _not_tested(topic)
    return Group(*parts)


def verdict_json(verdict: Verdict, audio: AudioHealth | None) -> dict[str, Any]:
    """Give a verdict as JSON; `audio_health` is null where the replayed recording is gone."""
    return asdict(verdict) | {"audio_health": audio and audio_health_json(audio)}


def _audio(audio: AudioHealth | None, name: str) -> list[Text]:
    if audio is None or audio.sent_ms <= 0:
        return []
    return [Text(f"{name} audio: {visible(audio.sentence)}", style="yellow" if audio.is_wrong else "dim")]


def _cells(cells: Sequence[CellResult], *, with_sessions: bool) -> Table:
    columns = ("", "cell", "failed", "interval", *(("sessions",) if with_sessions else ()))
    made = table(*columns, right=("failed", "interval"))
    for each in cells:
        sign, style = ("◐", "yellow") if not each.trials else ("▲", "red") if each.failed else ("●", "green")
        name = cell(each.cell)
        name.append(" (baseline)" if each.baseline else "", style="dim")
        counted = Text(each.ratio, style=style)
        counted.append(f" +{each.not_counted} not counted" if each.not_counted else "", style="yellow")
        interval = shares(each.low, each.high) if each.trials else ""
        sessions = (first_and_more(each.session_ids),) if with_sessions else ()
        made.add_row(Text(sign, style=style), name, counted, interval, *sessions)
        if each.open_reason:
            made.add_row("", Text(f"  open: {visible(each.open_reason)}", style="yellow"))
    return made


def _axes(axes: Sequence[AxisDecision]) -> Table:
    # Of an adaptive run each cell has baseline trials of its own, and what it excludes is part of its design.
    adaptive = any(each.against for axis in axes for each in axis.comparisons)
    columns = ("baseline", "at most") if adaptive else ()
    made = table("axis", "instead", "failed", *columns, "p implicated", "p ruled out", "decision")
    for column in made.columns:
        # Narrow, the heads of the tests break between their words, and no name breaks at all.
        column.no_wrap = column.header in ("axis", "instead")
        column.min_width = max(map(len, str(column.header).split()))
    made.columns[-1].min_width = len("implicated")
    for axis in axes:
        for each in axis.comparisons:
            decision = Text(each.decision.replace("_", " "), style=_DECISIONS[each.decision])
            decision.append(f": {visible(each.reason)}" if each.reason else "", style="dim")
            tests = (_chance(each.p_implicated), _chance(each.p_ruled_out))
            more = (each.against, _at_most(each.cell)) if adaptive else ()
            made.add_row(cell(axis.label), cell(each.value), each.cell.ratio, *more, *tests, decision)
    return made


def _bounds(axes: Sequence[AxisDecision]) -> str:
    # A rate above it is excluded by the cell's own trials.
    return "; at most: 95 %" if any(each.against for axis in axes for each in axis.comparisons) else ""


def _level(axes: Sequence[AxisDecision]) -> str:
    # All comparisons of a run share one level; of an adaptive run, those of one stage.
    levels = {_chance(each.level) for axis in axes for each in axis.comparisons}
    return f", level {', '.join(sorted(levels))}" if levels else ""


def _at_most(result: CellResult) -> str:
    return f"{exact_upper_bound(result.failed, result.trials):.0%}" if result.trials else ""


def _chance(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _not_tested(topic: NotTested) -> list[Text]:
    what = Text(f"  {visible(topic.what)}")
    if not topic.command:
        return [what.append("  (no command does that yet)", style="dim")]
    # One line however narrow the terminal: it is there to be copied.
    return [what, Text(f"    {visible(topic.command)}", style="dim", no_wrap=True, overflow="ignore")]
