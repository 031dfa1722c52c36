"""How loud both sides were, on one time axis, with what happened between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from analyze.answers import TimelineRow, Turn
from analyze.tui.figures import failed_part, seconds
from analyze.tui.lines import Line, Run
from analyze.tui.tones import Tone
from analyze.tui.widgets.painted import Block

BINS = 480
"""Spans of time to ask the source for: more than a terminal has columns."""
_LABEL_CELLS = 8
_BARS = "▁▂▃▄▅▆▇█"
_FLOOR_DB = -48.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, or lasted, on the session's clock."""

    from_ms: float
    to_ms: float | None
    """None for a moment."""
    label: str
    tone: Tone


def bar(level: float) -> str:
    """Draw a peak level (0..1) on a decibel scale, as ears hear it."""
    if level <= 0:
        return _BARS[0]
    share = 1 - max(20 * math.log10(level), _FLOOR_DB) / _FLOOR_DB
    return _BARS[min(round(share * (len(_BARS) - 1)), len(_BARS) - 1)]


def pool(levels: Sequence[float], cells: int) -> list[float]:
    """Squeeze or stretch levels into cells: each cell shows the loudest it covers."""
    if not levels or cells <= 0:
        return [0.0] * max(cells, 0)
    count = len(levels)
    edges = [at * count // cells for at in range(cells + 1)]
    return [max(levels[from_bin : max(to_bin, from_bin + 1)]) for from_bin, to_bin in pairwise(edges)]


def marks_of(turns: Iterable[Turn], rows: Iterable[TimelineRow]) -> list[Mark]:
    """Collect failures, speech and commits, the most telling first."""
    marks = [
        Mark(row.offset_ms, None, f"✕ {failed_part(row.type)}", "failed")
        for row in rows
        if row.error and row.offset_ms is not None
    ]
    for turn in turns:
        if turn.speech_started_ms is not None and turn.speech_stopped_ms is not None:
            marks.append(Mark(turn.speech_started_ms, turn.speech_stopped_ms, "speech", "client"))
        if turn.committed_ms is not None:
            marks.append(Mark(turn.committed_ms, None, "┆commit", "muted"))
    return marks


class Levels(Block):
    """Two level strips and the line of marks between them."""

    def __init__(self) -> None:
        super().__init__()
        self._client: Sequence[float] = ()
        self._server: Sequence[float] = ()
        self._duration_ms = 0.0
        self._marks: Sequence[Mark] = ()

    def show_levels(self, client: Sequence[float], server: Sequence[float]) -> None:
        """Show the levels of both tracks."""
        self._client, self._server = client, server
        self.refresh(layout=True)

    def show_marks(self, marks: Sequence[Mark], duration_ms: float) -> None:
        """Show what happened, on an axis of so many milliseconds."""
        self._marks, self._duration_ms = marks, duration_ms
        self.refresh(layout=True)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Draw strip, marks, strip."""
        cells = max(width - _LABEL_CELLS - 1, 8)
        return (
            (Run(" client ", "client"), *_strip(self._client, cells, "client")),
            (Run("    0 s ", "muted"), *self._mark_line(cells)),
            (Run(" server ", "server"), *_strip(self._server, cells, "server")),
        )

    def _mark_line(self, cells: int) -> Line:
        painted: list[tuple[str, Tone]] = [(" ", "muted")] * cells
        if self._duration_ms <= 0:
            return ()
        _place(painted, cells - len(end := f"{seconds(self._duration_ms)} s"), end, "muted")
        for mark in self._marks:
            at = min(int(mark.from_ms / self._duration_ms * cells), cells - 1)
            until = at if mark.to_ms is None else min(int(mark.to_ms / self._duration_ms * cells), cells - 1)
            _ = any(_place(painted, at, form, mark.tone) for form in _forms(mark, until - at + 1))
        return _runs(painted)


def _forms(mark: Mark, cells: int) -> list[str]:
    # The longest form that fits free cells is taken; a moment shrinks to its sign, a span to its ends.
    if mark.to_ms is None:
        return [mark.label, mark.label[0]]
    if cells < 3:
        return ["─" * cells]
    named = f"├{mark.label:─^{cells - 2}}┤"
    return [named if len(named) == cells else "", f"├{'─' * (cells - 2)}┤", "├"]


def _place(painted: list[tuple[str, Tone]], at: int, label: str, tone: Tone) -> bool:
    if not label or at < 0 or at + len(label) > len(painted):
        return False
    if any(sign != " " for sign, _ in painted[at : at + len(label)]):
        return False
    painted[at : at + len(label)] = [(sign, tone) for sign in label]
    return True


def _strip(levels: Sequence[float], cells: int, tone: Tone) -> Line:
    bars = [bar(level) for level in pool(levels, cells)]
    return _runs([(sign, "pale" if sign == _BARS[0] else tone) for sign in bars])


def _runs(painted: Iterable[tuple[str, Tone]]) -> Line:
    return tuple(
        Run("".join(sign for sign, _ in stretch), tone) for tone, stretch in groupby(painted, key=lambda cell: cell[1])
    )
