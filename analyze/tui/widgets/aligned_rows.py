"""The aligned events of sessions beside each other; stretches of equal ones fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import reactive

from analyze.side_by_side import AlignedRow
from analyze.tui.aligned_lines import EventLines, event_heading, event_line
from analyze.tui.lines import Line, Run
from analyze.tui.widgets.row_list import RowList


class AlignedRows(RowList):
    """One line an event, a changed place, or a folded stretch."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Scrolling sideways, which these keys do elsewhere, has no use here: the columns in sight follow the choice.
        Binding("left", "screen.choose(-1)", "Session before", show=False),
        Binding("right", "screen.choose(1)", "Next session", show=False),
    ]

    column: reactive[int] = reactive(1)
    """Position of the session whose column must be in sight."""

    def __init__(self) -> None:
        super().__init__(id="events")
        self.set_reactive(RowList.empty_text, "comparing …")
        self._rows: Sequence[AlignedRow] = ()
        self._unfolded: frozenset[int] = frozenset()
        self.every = False
        """Whether equal events stand in lines of their own."""
        self.lines = EventLines(())

    def show(self, rows: Sequence[AlignedRow]) -> None:
        """Show other rows, all equal stretches folded."""
        self._rows, self._unfolded = rows, frozenset()
        self.empty_text = "no events in any session"
        self._lay_out(0)

    def show_every(self, every: bool) -> None:
        """Show all events, or fold those that are equal; the cursor stays on its event."""
        row = self.lines.row_at(self.cursor) if self.lines else None
        self.every = every
        self._lay_out(0)
        if row is not None:
            self.cursor = self.lines.line_of(row)

    def _lay_out(self, cursor: int) -> None:
        self.lines = EventLines(self._rows, self._unfolded, every=self.every)
        self.rows_changed(cursor)

    @property
    def row_count(self) -> int:
        """Lines as they are folded now."""
        return len(self.lines)

    def row_at(self, index: int, width: int) -> Line:
        """Draw one line, after the cursor's sign."""
        sign = Run("› " if index == self.cursor else "  ", "strong")
        return (sign, *event_line(self.lines[index], width - 2, self.column))

    def heading(self, width: int) -> Line:
        """Name the columns."""
        count = len(self._rows[0].rows) if self._rows else 2
        return (Run("  "), *event_heading(width - 2, count, self.column))

    def current_event(self) -> AlignedRow | None:
        """Give the event under the cursor, or above it where the cursor is on a place that differs."""
        return self._rows[self.lines.row_at(self.cursor)] if self.lines else None

    def toggle(self) -> bool:
        """Unfold or fold the stretch under the cursor; False where there is none."""
        stretch = self.lines[self.cursor].stretch if self.lines else None
        if stretch is None:
            return False
        self._unfolded ^= {stretch}
        self._lay_out(self.cursor)
        return True

    def go_to_difference(self, step: int) -> bool:
        """Move to the next (1) or last (-1) event that differs; False where there is none that way."""
        return self.step_to(self.lines.differing, step)
