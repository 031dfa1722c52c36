"""One event in full: its facts, then its message, whose objects and lists fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from analyze.tui.folding import fold_ends, folds_around, lines_in_sight
from analyze.tui.lines import Line, Run, plain, wrap
from analyze.tui.widgets.row_list import RowList
from capture.narration import counted

_INDENT = 4
_GUTTER = 2


class EventView(RowList):
    """Lines with a cursor; where a line opens an object or a list, `enter` folds it."""

    DEFAULT_CSS = """
    EventView { padding: 0 1; }
    """
    HEADING_LINES = 0
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "fold", "fold", tooltip="Fold or unfold the object or list at the cursor"),
        Binding("z", "fold_all", "fold all", tooltip="Fold all nested objects and lists, or unfold them"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._ends: dict[int, int] = {}
        self._folded: set[int] = set()
        self._rows: list[tuple[int, Line]] = []
        """Number of the line that a row shows, or a part of."""
        self._drawn_at = 0
        self._due = 0
        """The line that the cursor goes to once there is a width."""

    @property
    def lines(self) -> Sequence[Line]:
        """The lines as given, before they fold and wrap."""
        return self._lines

    def show(self, lines: Sequence[Line], found: int | None = None) -> None:
        """Show other lines, all unfolded; the cursor goes to line `found`, else to the first."""
        self._lines, self._folded = lines, set()
        self._ends = fold_ends([plain(line) for line in lines])
        self._draw(found or 0)

    def on_resize(self) -> None:
        """Wrap to the new width."""
        if self.scrollable_size.width != self._drawn_at:
            self._draw(self._line_at_cursor() if self._rows else self._due)
        super().on_resize()

    def _draw(self, line: int) -> None:
        """Fold and wrap, with the cursor on a line."""
        self._drawn_at = self.scrollable_size.width
        # Hidden: it is wrapped once it has a width, and not to a few cells for nobody.
        if not self._drawn_at:
            self._rows, self._due = [], line
            return
        width = max(self._drawn_at - _GUTTER, 8)
        shown = lines_in_sight(len(self._lines), self._ends, self._folded)
        self._rows = [(at, part) for at in shown for part in wrap(self._shown_line(at), width, _INDENT)]
        self.rows_changed(next((row for row, (at, _) in enumerate(self._rows) if at >= line), 0))

    def _shown_line(self, at: int) -> Line:
        line = self._lines[at]
        if at not in self._folded:
            return line
        closing = plain(self._lines[self._ends[at]]).strip()
        inside = self._ends[at] - at - 1
        return (*line, Run(f" … {closing} ", "muted"), Run(counted(inside, "line"), "pale"))

    @property
    def row_count(self) -> int:
        """Lines as they fold and wrap now."""
        return len(self._rows)

    def row_at(self, index: int, width: int) -> Line:
        """Give one line, behind the sign of what folds."""
        del width
        at, part = self._rows[index]
        first = index == 0 or self._rows[index - 1][0] != at
        sign = ("▹" if at in self._folded else "▾") if at in self._ends and first else " "
        return (Run(sign, "muted"), Run(" "), *part)

    def _line_at_cursor(self) -> int:
        return self._rows[self.cursor][0] if self._rows else 0

    def action_fold(self) -> None:
        """Fold or unfold what opens at the cursor, or else what the cursor is in."""
        line = self._line_at_cursor()
        first = line if line in self._ends else max(folds_around(line, self._ends), default=None)
        if first is not None:
            self._folded ^= {first}
            self._draw(first)

    def action_fold_all(self) -> None:
        """Fold everything inside the message, or unfold all."""
        inside = {first for first in self._ends if folds_around(first, self._ends)}
        self._folded = set() if self._folded else inside
        self._draw(self._line_at_cursor())
