"""One event of two sessions, side by side: both messages in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from analyze.answers import TimelineRow
from analyze.tui.lines import Line, Run, columns, text
from analyze.tui.payload_pair import PayloadPair, pair_payloads, pair_rows
from analyze.tui.screens.base import SourceScreen
from analyze.tui.source import Source
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.row_list import READING, RowList
from capture.narration import counted

EventSide = tuple[str, TimelineRow | None]
"""A session's id, and the row of the event there; None where it has none."""


class PayloadRows(RowList):
    """The aligned lines of both messages."""

    HEADING_LINES = 0

    def __init__(self) -> None:
        super().__init__()
        self.set_reactive(RowList.empty_text, READING)
        self._pairs: Sequence[PayloadPair] = ()
        self._drawn: list[tuple[Line, bool]] = []
        self._drawn_at = 0

    def show(self, pairs: Sequence[PayloadPair]) -> None:
        """Show other messages."""
        self._pairs, self._drawn_at = pairs, 0
        self._draw()
        self.rows_changed()

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self._draw()
        super().on_resize()

    def _draw(self) -> None:
        width = self.scrollable_size.width
        if width and width != self._drawn_at:
            self._drawn_at = width
            self._drawn = [(line, pair.differs) for pair in self._pairs for line in pair_rows(pair, width - 2)]
            self.rows_changed(self.cursor)

    @property
    def row_count(self) -> int:
        """Lines as they are wrapped now."""
        return len(self._drawn)

    def row_at(self, index: int, width: int) -> Line:
        """Give one line, after the cursor's sign."""
        del width
        return (Run("› " if index == self.cursor else "  ", "strong"), *self._drawn[index][0])

    def go_to_difference(self, step: int) -> bool:
        """Move to the next (1) or last (-1) stretch of lines that differ; False where there is none that way."""
        differs = [False, *(each for _, each in self._drawn), False]
        # Of a stretch the line that is come to first: its beginning going down, its end going up.
        edges = [at for at in range(len(self._drawn)) if differs[at + 1] and not differs[at + 1 - step]]
        return self.step_to(edges, step)


class EventPairScreen(SourceScreen[None]):
    """The messages of one aligned row, the baseline's left."""

    CSS_PATH = "event_pair.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_difference(1)", "next difference"),
        Binding("N", "next_difference(-1)", "Difference before", show=False),
        Binding("question_mark", "app.help", "help"),
        Binding("q,escape,enter", "app.pop_screen", "back"),
    ]

    def __init__(self, source: Source, left: EventSide, right: EventSide) -> None:
        super().__init__(source)
        self.sides = (left, right)

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield Sides(self.sides)
        yield Notice(id="notice")
        yield PayloadRows()
        yield KeyLine()

    def on_mount(self) -> None:
        """Ask for both messages."""
        told = next(row for _, row in self.sides if row is not None)
        self.place(text("diff"), text(told.type or f"({told.kind})", "strong"))
        self.query_one(PayloadRows).focus()
        self.ask(self._read, self._show, kind="event")

    def _read(self) -> list[PayloadPair]:
        left, right = [
            None if row is None else self.source.events(session_id, row.first_seq, row.first_seq)[0]
            for session_id, row in self.sides
        ]
        return pair_payloads(left, right)

    def _show(self, pairs: Sequence[PayloadPair]) -> None:
        self.query_one(PayloadRows).show(pairs)

    def action_next_difference(self, step: int) -> None:
        """Go to the next lines that differ, or those before."""
        way = "after" if step > 0 else "before"
        if not self.query_one(PayloadRows).go_to_difference(step):
            self.hint(f"no difference {way} this line")


class Sides(Block):
    """Which message stands left and which right."""

    def __init__(self, sides: Sequence[EventSide]) -> None:
        super().__init__([(), ()])
        self._sides = tuple(sides)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write each session over when its event came."""
        cells = max((width - 9) // 2, 8)
        ids = [(text(session_id, "strong"), cells) for session_id, _ in self._sides]
        facts = [(text(_facts(row), "muted"), cells) for _, row in self._sides]
        return [(Run("    "), *columns(line, " │ ")) for line in (ids, facts)]


def _facts(row: TimelineRow | None) -> str:
    if row is None:
        return "no such event"
    after = "" if row.offset_ms is None else f" · +{row.offset_ms:,.1f} ms"
    many = "" if row.count == 1 else f" · the first of {counted(row.count, 'event')}"
    return f"seq {row.first_seq}{after}{many}"
