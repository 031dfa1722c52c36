"""The rows of an answer whose columns nobody knew before: any number of rows, columns scrolled sideways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType

from analyze.tui.lines import Line, Run, fit, pad
from analyze.tui.widgets.row_list import RowList
from capture.plain_text import visible

WIDEST = 48
"""Cells that a column takes at most; a row that is opened shows all of its contents."""
_GAP = 2
_MEASURED_ROWS = 200
_MORE = Run(" ›", "strong")


class ResultTable(RowList):
    """A table over tuples."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Columns to the left", show=False),
        Binding("right", "turn(1)", "Columns to the right", show=False),
    ]

    def __init__(self, *, empty_text: str) -> None:
        super().__init__()
        self.set_reactive(RowList.empty_text, empty_text)
        self.columns: tuple[str, ...] = ()
        self.rows: Sequence[tuple[Any, ...]] = ()
        self.first_column = 0
        """The column at the left edge: others were scrolled out of sight."""
        self._widths: list[int] = []
        self._numeric: list[bool] = []

    def show(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Show another answer."""
        self.columns, self.rows, self.first_column = tuple(columns), rows, 0
        # Some rows stand for all: measuring 100,000 would cost more than drawing them.
        sample = rows[:: len(rows) // _MEASURED_ROWS + 1]
        self._numeric = [all(_is_number(row[at]) for row in sample) for at in range(len(columns))]
        self._widths = [
            min(WIDEST, max([cell_len(visible(name)), *(cell_len(cell_text(row[at])) for row in sample)]))
            for at, name in enumerate(columns)
        ]
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    @property
    def current(self) -> tuple[Any, ...] | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def heading(self, width: int) -> Line:
        """Name the columns, and say where more are out of sight."""
        left = Run("‹ " if self.first_column else "  ", "strong")
        cells = [Run(visible(name), "muted") for name in self.columns]
        return (left, *self._beside([(cell,) for cell in cells], width - _GAP))

    def row_at(self, index: int, width: int) -> Line:
        """Set one row in its columns."""
        sign = Run("› " if index == self.cursor else "  ", "strong")
        cells: list[Line] = [
            (Run(cell_text(value), "pale" if value is None else "plain"),) for value in self.rows[index]
        ]
        return (sign, *self._beside(cells, width - _GAP))

    def _beside(self, cells: Sequence[Line], width: int) -> Line:
        shown = range(self.first_column, len(cells))
        is_whole = sum(self._widths[at] + _GAP for at in shown) - _GAP <= width
        left = width if is_whole else width - len(_MORE.text)
        runs: list[Run] = []
        for at in shown:
            room = min(self._widths[at], left)
            if room <= 0:
                break
            runs += pad(fit(cells[at], room), room, "right" if self._numeric[at] else "left")
            gap = min(_GAP, left - room)
            runs.append(Run(" " * gap))
            left -= room + gap
        return tuple(runs) if is_whole else (*runs, _MORE)

    def action_turn(self, columns: int) -> None:
        """Scroll by columns."""
        self.first_column = max(0, min(self.first_column + columns, len(self.columns) - 1))
        self.refresh()


def cell_text(value: Any) -> str:
    """Write a value in a cell: what nobody could read in one is cut, and what would act is escaped."""
    if value is None:
        return "NULL"
    if isinstance(value, (bytes, bytearray)):
        return f"«{len(value):,} bytes»"
    if isinstance(value, datetime):
        return value.isoformat(" ", "milliseconds" if value.microsecond else "seconds").removesuffix("+00:00")
    return visible((value if isinstance(value, str) else str(value))[: 4 * WIDEST])


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
