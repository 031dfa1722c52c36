"""How loud both sides were, on one time axis, with what happened between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import TypeAlias

from textual.reactive import reactive

from analyze.amounts import seconds
from analyze.tui.figures import BARS, bar
from analyze.tui.lines import Line, Run, pad
from analyze.tui.marks import Lane, Mark
from analyze.tui.time_axis import TimeAxis
from analyze.tui.tones import Tone
from analyze.tui.widgets.painted import Block

LEAST_BINS = 480
"""More than a terminal has columns."""
MOST_BINS = 60_000
_LABEL_CELLS = 8
_Painted: TypeAlias = list[tuple[str, Tone]]
"""One sign and its tone a cell."""


def pool(levels: Sequence[float], cells: int) -> list[float]:
    """Squeeze or stretch levels into cells: each cell shows the loudest it covers."""
    if not levels or cells <= 0:
        return [0.0] * max(cells, 0)
    count = len(levels)
    edges = [at * count // cells for at in range(cells + 1)]
    return [max(levels[from_bin : max(to_bin, from_bin + 1)]) for from_bin, to_bin in pairwise(edges)]


def bins_for(duration_ms: float) -> int:
    """Give the spans of time to measure levels over: 10 ms each, or fewer and longer ones in a long session."""
    return min(max(round(duration_ms / 10), LEAST_BINS), MOST_BINS)


class Levels(Block):
    """Two level strips and two lanes of marks between them, on the stretch of time that is in sight."""

    axis: reactive[TimeAxis] = reactive(TimeAxis.whole(0.0))
    moment_ms: reactive[float | None] = reactive(None)
    """Where the timeline's cursor is; lit on both strips."""

    def __init__(self) -> None:
        super().__init__()
        self._client: Sequence[float] = ()
        self._server: Sequence[float] = ()
        self._marks: Sequence[Mark] = ()
        self._drawn: tuple[tuple[int, TimeAxis], tuple[_Painted, _Painted, _Painted, _Painted]] | None = None

    def show_levels(self, client: Sequence[float], server: Sequence[float]) -> None:
        """Show the levels of both tracks, measured over the whole session."""
        self._client, self._server = client, server
        self._drawn = None
        self.refresh(layout=True)

    def show_marks(self, marks: Sequence[Mark], duration_ms: float) -> None:
        """Show what happened, on an axis of so many milliseconds."""
        self._marks = marks
        self._drawn = None
        self.axis = TimeAxis.whole(duration_ms)
        self.refresh(layout=True)

    def watch_axis(self) -> None:
        """Draw the stretch that is in sight now."""
        self.refresh()

    def zoom(self, factor: float) -> None:
        """Show less (more than 1) or more of the session, around the moment."""
        middle_ms = (self.axis.from_ms + self.axis.to_ms) / 2
        self.axis = self.axis.zoomed(factor, middle_ms if self.moment_ms is None else self.moment_ms)

    def follow(self, at_ms: float | None) -> None:
        """Light a moment and bring it into sight."""
        self.moment_ms = at_ms
        if at_ms is not None:
            self.axis = self.axis.showing(at_ms)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Draw strip, marks of the user's side, marks of the assistant's, strip."""
        cells = max(width - _LABEL_CELLS - 1, 8)
        # Asked for once a line, and whenever the cursor moves: an hour's levels and marks are gone through but once.
        if self._drawn is None or self._drawn[0] != (cells, self.axis):
            self._drawn = ((cells, self.axis), self._draw(cells))
        client, client_lane, server_lane, server = self._drawn[1]
        begin, _ = self._edges()
        return (
            (Run(" client ", "client"), *_runs(self._lit(client))),
            (*pad((Run(begin, "muted"),), _LABEL_CELLS - 1, "right"), Run(" "), *_runs(client_lane)),
            (Run(" " * _LABEL_CELLS), *_runs(server_lane)),
            (Run(" server ", "server"), *_runs(self._lit(server))),
        )

    def _draw(self, cells: int) -> tuple[_Painted, _Painted, _Painted, _Painted]:
        _, end = self._edges()
        return (
            self._strip(self._client, cells, "client"),
            self._lane(cells, "client", end),
            self._lane(cells, "server", ""),
            self._strip(self._server, cells, "server"),
        )

    def _lit(self, strip: _Painted) -> _Painted:
        """Light the moment of the cursor."""
        at = -1 if self.moment_ms is None else self.axis.cell_of(self.moment_ms, len(strip))
        if self.axis.duration_ms <= 0 or not 0 <= at < len(strip):
            return strip
        return [*strip[:at], (strip[at][0], "found"), *strip[at + 1 :]]

    def _edges(self) -> tuple[str, str]:
        """Write where the stretch begins and ends."""
        if self.axis.duration_ms <= 0:
            return "", ""
        if self.axis.is_whole:
            return "0 s", f"{seconds(self.axis.duration_ms)} s"
        return f"{self.axis.from_ms / 1000:,.2f}", f"{self.axis.to_ms / 1000:,.2f} s"

    def _lane(self, cells: int, lane: Lane, end: str) -> _Painted:
        painted: _Painted = [(" ", "muted")] * cells
        if self.axis.duration_ms <= 0:
            return []
        _place(painted, cells - len(end), end, "muted")
        for mark in self._marks:
            if mark.lane != lane:
                continue
            at = self.axis.cell_of(mark.from_ms, cells)
            until = at if mark.to_ms is None else self.axis.cell_of(mark.to_ms, cells)
            if until < 0 or at >= cells:
                continue
            # Of what lasts, the part in sight is drawn.
            at, until = max(at, 0), min(until, cells - 1)
            _ = any(_place(painted, at, form, mark.tone) for form in _forms(mark, until - at + 1))
        return painted

    def _strip(self, levels: Sequence[float], cells: int, tone: Tone) -> _Painted:
        count, duration_ms = len(levels), self.axis.duration_ms
        first, last = 0, count
        if duration_ms > 0 and not self.axis.is_whole:
            first = int(self.axis.from_ms / duration_ms * count)
            last = max(first + 1, round(self.axis.to_ms / duration_ms * count))
        bars = [bar(level) for level in pool(levels[first:last], cells)]
        return [(sign, "pale" if sign == BARS[0] else tone) for sign in bars]


def _forms(mark: Mark, cells: int) -> list[str]:
    # The longest form that fits free cells is taken; a moment shrinks to its sign, a span to its ends.
    if mark.to_ms is None:
        return [mark.label, mark.label[0]]
    if cells < 3:
        return ["─" * cells]
    named = f"├{mark.label:─^{cells - 2}}┤"
    return [named if len(named) == cells else "", f"├{'─' * (cells - 2)}┤", "├"]


def _place(painted: _Painted, at: int, label: str, tone: Tone) -> bool:
    if not label or at < 0 or at + len(label) > len(painted):
        return False
    if any(sign != " " for sign, _ in painted[at : at + len(label)]):
        return False
    painted[at : at + len(label)] = [(sign, tone) for sign in label]
    return True


def _runs(painted: Iterable[tuple[str, Tone]]) -> Line:
    return tuple(
        Run("".join(sign for sign, _ in stretch), tone) for tone, stretch in groupby(painted, key=lambda cell: cell[1])
    )
