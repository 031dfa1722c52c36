"""Two sessions side by side: aligned events, configuration, latencies, transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import ContentSwitcher

from analyze.answers import DiffRow, SessionDiff, SessionSummary
from analyze.tui.diff_lines import (
    PairLine,
    configuration_lines,
    halves,
    latency_lines,
    pair_heading,
    pair_line,
    pair_lines,
    transcript_lines,
)
from analyze.tui.figures import mark, seconds, who
from analyze.tui.lines import Line, Run, columns, text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.source import Source
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.row_list import RowList

VIEWS = ("events", "configuration", "latencies", "transcripts")


class PairRows(RowList):
    """The aligned events; stretches of equal ones fold."""

    def __init__(self) -> None:
        super().__init__(id="events")
        self.set_reactive(RowList.empty_text, "comparing …")
        self._rows: Sequence[DiffRow] = ()
        self._unfolded: frozenset[int] = frozenset()
        self.lines: Sequence[PairLine] = ()

    def show(self, rows: Sequence[DiffRow]) -> None:
        """Show other rows, all equal stretches folded."""
        self._rows, self._unfolded = rows, frozenset()
        self.empty_text = "no events on either side"
        self.lines = pair_lines(rows)
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """Lines as they are folded now."""
        return len(self.lines)

    def row_at(self, index: int, width: int) -> Line:
        """Draw one line, after the cursor's sign."""
        return (Run("› " if index == self.cursor else "  ", "strong"), *pair_line(self.lines[index], width - 2))

    def heading(self, width: int) -> Line:
        """Name the columns."""
        return (Run("  "), *pair_heading(width - 2))

    def toggle(self) -> None:
        """Unfold or fold the stretch under the cursor."""
        stretch = self.lines[self.cursor].stretch if self.lines else None
        if stretch is not None:
            self._unfolded ^= {stretch}
            self.lines = pair_lines(self._rows, self._unfolded)
            self.rows_changed(self.cursor)

    def go_to_difference(self, step: int) -> bool:
        """Move to the next (1) or last (-1) pair that differs; False where there is none that way."""
        ahead = range(self.cursor + step, len(self.lines) if step > 0 else -1, step)
        found = next((at for at in ahead if self.lines[at].differs), None)
        if found is not None:
            self.cursor = found
        return found is not None


class Sides(Block):
    """Which session stands left and which right."""

    def __init__(self) -> None:
        super().__init__([(), ()])
        self._sides: tuple[SessionSummary, ...] = ()

    def show(self, left: SessionSummary, right: SessionSummary) -> None:
        """Name both sides."""
        self._sides = (left, right)
        self.refresh()

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write id and outcome over where each went."""
        cells = halves(width, 9)
        ids = [_identity(side) for side in self._sides]
        places = [text(f"{who(side)} · {seconds(side.duration_ms)} s", "muted") for side in self._sides]
        return [(Run("    "), *columns(list(zip(row, cells, strict=False)), " │ ")) for row in (ids, places)]


def _identity(side: SessionSummary) -> Line:
    cell = f"  {side.cell}" if side.cell else ""
    return (mark(side.outcome), Run(" "), *text(side.session_id, "strong"), *text(cell, "muted"))


class Views(Block):
    """Names of the views; the current one lit, with how much differs in each."""

    current: reactive[str] = reactive(VIEWS[0], layout=True)

    def __init__(self) -> None:
        super().__init__([()])
        self._counts: dict[str, int] = {}

    def show(self, counts: dict[str, int]) -> None:
        """Say how many differences each view holds."""
        self._counts = counts
        self.refresh()

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write the names."""
        del width
        runs: list[Run] = [Run(" ")]
        for number, name in enumerate(VIEWS, 1):
            count = self._counts.get(name)
            differs = "" if count is None else f" ≠{count}" if count else " ="
            runs += [
                Run(f" {number} ", "muted"),
                Run(name, "link" if name == self.current else "muted"),
                Run(differs, "incomplete" if count else "muted"),
                Run("  "),
            ]
        return [tuple(runs)]


class DiffScreen(SourceScreen[None]):
    """The differences of two sessions, the baseline at the left."""

    CSS_PATH = "diff.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_difference(1)", "next difference"),
        Binding("N", "next_difference(-1)", "Difference before", show=False),
        Binding("enter", "unfold", "unfold"),
        Binding("tab", "turn(1)", "next view"),
        Binding("shift+tab", "turn(-1)", "View before", show=False),
        Binding("1", "view('events')", "Events", show=False),
        Binding("2", "view('configuration')", "Configuration", show=False),
        Binding("3", "view('latencies')", "Latencies", show=False),
        Binding("4", "view('transcripts')", "Transcripts", show=False),
        Binding("x", "swap", "swap sides"),
        Binding("question_mark", "app.help", "help"),
        Binding("q,escape", "app.pop_screen", "back"),
    ]

    def __init__(self, source: Source, left_id: str, right_id: str) -> None:
        super().__init__(source)
        self.left_id, self.right_id = left_id, right_id

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield Sides()
        yield Views()
        yield Block(id="notice")
        with ContentSwitcher(initial=VIEWS[0]):
            yield PairRows()
            for name in VIEWS[1:]:
                yield LineView(id=name)
        yield KeyLine()

    def on_mount(self) -> None:
        """Compare."""
        self.place(text("diff"))
        self.query_one(PairRows).focus()
        self._read()

    def _read(self) -> None:
        left_id, right_id = self.left_id, self.right_id
        self.ask(lambda: self.source.diff(left_id, right_id), self._show, kind="diff")

    def _show(self, diff: SessionDiff) -> None:
        self.query_one(Sides).show(diff.left, diff.right)
        self.query_one(Views).show(difference_counts(diff))
        self.query_one(PairRows).show(diff.rows)
        lines = {
            "configuration": configuration_lines(diff.configuration_asked, diff.configuration_echoed),
            "latencies": latency_lines(diff.latencies),
            "transcripts": transcript_lines(diff.transcripts),
        }
        for name, shown in lines.items():
            self.query_one(f"#{name}", LineView).show(shown)

    def action_view(self, name: str) -> None:
        """Show one of the views."""
        self.query_one(ContentSwitcher).current = name
        self.query_one(Views).current = name
        self.query_one(f"#{name}").focus()

    def action_turn(self, step: int) -> None:
        """Show the next view, or the one before."""
        at = VIEWS.index(self.query_one(Views).current)
        self.action_view(VIEWS[(at + step) % len(VIEWS)])

    def action_next_difference(self, step: int) -> None:
        """Go to the next pair of events that differs, or the one before."""
        self.action_view(VIEWS[0])
        way = "after" if step > 0 else "before"
        if not self.query_one(PairRows).go_to_difference(step):
            self.hint(f"no difference {way} this line")

    def action_unfold(self) -> None:
        """Unfold or fold a stretch of equal events."""
        self.query_one(PairRows).toggle()

    def on_row_list_opened(self) -> None:
        """Unfold or fold what was clicked."""
        self.action_unfold()

    def action_swap(self) -> None:
        """Put the left session at the right."""
        self.left_id, self.right_id = self.right_id, self.left_id
        self._read()


def difference_counts(diff: SessionDiff) -> dict[str, int]:
    """Count what differs in each view; latencies that differ by chance are not counted."""
    return {
        "events": sum(row.marker != "=" for row in diff.rows),
        "configuration": len({place.path for place in (*diff.configuration_asked, *diff.configuration_echoed)}),
        "transcripts": sum(said.left != said.right for said in diff.transcripts),
    }
