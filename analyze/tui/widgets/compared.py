"""Which sessions are compared: two over their columns, more of them one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from textual.reactive import reactive

from analyze.amounts import seconds
from analyze.answers import SessionSummary
from analyze.tui.aligned_lines import halves
from analyze.tui.figures import mark, who
from analyze.tui.lines import Line, Run, columns, text
from analyze.tui.tones import Tone
from analyze.tui.widgets.painted import Block


class Compared(Block):
    """Id, outcome and place of each session; the baseline first."""

    current: reactive[int] = reactive(1)
    """Position of the chosen session."""

    def __init__(self) -> None:
        super().__init__([(), ()])
        self._sessions: tuple[SessionSummary, ...] = ()

    def show(self, sessions: Sequence[SessionSummary]) -> None:
        """Name the sessions."""
        self._sessions = tuple(sessions)
        self.refresh(layout=True)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write two sessions beside each other, more of them in a line each."""
        if len(self._sessions) > 2:
            return [self._numbered(number, session) for number, session in enumerate(self._sessions)]
        cells = halves(width, 9)
        ids = [_identity(side) for side in self._sessions]
        places = [text(f"{who(side)} · {seconds(side.duration_ms)} s", "muted") for side in self._sessions]
        return [(Run("    "), *columns(list(zip(row, cells, strict=False)), " │ ")) for row in (ids, places)]

    def _numbered(self, number: int, session: SessionSummary) -> Line:
        sign = Run(" › " if number == self.current else "   ", "strong")
        tone: Tone = "strong" if number in (0, self.current) else "muted"
        name = (sign, Run(f"{number + 1} ", tone), mark(session.outcome), Run(" "), *text(session.session_id, "strong"))
        what = "baseline · " if number == 0 else ""
        place = text(f"{what}{who(session)} · {seconds(session.duration_ms)} s ", "muted")
        return (*name, Run("  "), *place)


def _identity(side: SessionSummary) -> Line:
    cell = f"  {side.cell}" if side.cell else ""
    return (mark(side.outcome), Run(" "), *text(side.session_id, "strong"), *text(cell, "muted"))
