"""A run's verdict: the sentence, the counts behind it, what is open."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.plain_text import visible
from analyze.printing.page import cell, heading, shares, table
from replay.comparison import AxisDecision, CellResult
from replay.verdict import NotTested, Verdict

_DECISIONS = {"implicated": "red", "ruled_out": "green", "open": "yellow"}


def verdict_page(verdict: Verdict) -> Group:
    """Lay out a verdict: one sentence for the ticket, then what it rests on."""
    parts: list[RenderableType] = [
        Text(f"run {verdict.run_id} · replay of {verdict.session_id}", style="dim"),
        Text(visible(verdict.sentence), style="bold"),
        heading("cells (Wilson's 95 % interval)"),
        _cells(verdict.cells),
    ]
    if verdict.axes:
        parts += [heading("axes (exact tests, one-sided)"), _axes(verdict.axes)]
    if verdict.not_tested:
        parts += [heading("not tested"), *map(_not_tested, verdict.not_tested)]
    return Group(*parts)


def _cells(cells: Sequence[CellResult]) -> Table:
    made = table("", "cell", "failed", "interval", "sessions", right=("failed", "interval"))
    for each in cells:
        sign, style = ("◐", "yellow") if not each.trials else ("▲", "red") if each.failed else ("●", "green")
        name = cell(each.cell)
        name.append(" (baseline)" if each.baseline else "", style="dim")
        counted = Text(each.ratio, style=style)
        counted.append(f" +{each.not_counted} not counted" if each.not_counted else "", style="yellow")
        interval = shares(each.low, each.high) if each.trials else ""
        made.add_row(Text(sign, style=style), name, counted, interval, _first_and_more(each.session_ids))
        if each.open_reason:
            made.add_row("", Text(f"  open: {visible(each.open_reason)}", style="yellow"))
    return made


def _first_and_more(session_ids: Sequence[str]) -> str:
    more = f" +{len(session_ids) - 1}" if len(session_ids) > 1 else ""
    return f"{session_ids[0]}{more}" if session_ids else ""


def _axes(axes: Sequence[AxisDecision]) -> Table:
    made = table("axis", "instead", "failed", "p implicated", "p ruled out", "level", "decision")
    for axis in axes:
        for each in axis.comparisons:
            decision = Text(each.decision.replace("_", " "), style=_DECISIONS[each.decision])
            decision.append(f": {visible(each.reason)}" if each.reason else "", style="dim")
            tests = (_chance(each.p_implicated), _chance(each.p_ruled_out), _chance(each.level))
            made.add_row(cell(axis.label), cell(each.value), each.cell.ratio, *tests, decision)
    return made


def _chance(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _not_tested(topic: NotTested) -> Text:
    line = Text(f"  {visible(topic.what)}")
    line.append(f"\n    {visible(topic.command)}" if topic.command else "  (no command does that yet)", style="dim")
    return line
