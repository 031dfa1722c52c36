"""The failure matrix: k of n for each pair of values, with a cursor that moves both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from analyze.answers import FailureMatrix, MatrixCell
from analyze.tui.figures import percent
from analyze.tui.lines import Line, Run, pad, text
from analyze.tui.tones import Tone, cursor_style
from analyze.tui.widgets.painted import Painted
from analyze.tui.widgets.row_list import READING

PALE_BELOW = 5
"""A cell with fewer trials says little, and looks it."""
HEAT: tuple[tuple[float, Tone], ...] = ((0.6, "heat3"), (0.3, "heat2"), (0.1, "heat1"))
"""From which low end of the interval on a cell is how hot."""
ALL = "all"
_MARGIN = 2
_BETWEEN = 3
"""Cells of a separator and the cursor's sign."""
_HEAD_LINES = 2
_MORE = " ›"
"""Behind the heading where there are columns to the right."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How wide things are drawn, so that as many columns fit as can."""

    name: int
    share: int
    interval: int
    left_out: int
    """Cells for what was not counted; 0 leaves it out."""

    @property
    def cell(self) -> int:
        """Cells of one column: sign, share, interval, and what was not counted."""
        return 2 + self.share + 1 + self.interval + self.left_out


def cell_line(cell: MatrixCell | None, fit: Fit) -> Line:
    """Write a cell: sign, k/n, Wilson interval, and what was not counted."""
    if cell is None:
        return (Run("·", "pale"),)
    enough = cell.trials >= PALE_BELOW
    sign = "◐" if not cell.trials else "▲" if cell.failed else "●"
    return (
        Run(f"{sign} {_share(cell):>{fit.share}} ", _heat(cell) if enough else "pale"),
        Run(f"{_interval(cell):>{fit.interval}}", "muted" if enough else "pale"),
        Run(_left_out(cell) if fit.left_out else "", "pale"),
    )


def _heat(cell: MatrixCell) -> Tone:
    """Colour a cell by the low end of its interval: what it fails at least, not what few trials happened to show."""
    if not cell.failed:
        return "ok"
    return next((tone for least, tone in HEAT if cell.low >= least), "failed")


def _share(cell: MatrixCell) -> str:
    return f"{cell.failed:,}/{cell.trials:,}"


def _interval(cell: MatrixCell) -> str:
    return percent(cell.low, cell.high) if cell.trials else ""


def _left_out(cell: MatrixCell) -> str:
    return f" +{cell.not_counted:,}" if cell.not_counted else ""


def fit_cells(names: Sequence[str], corner: str, columns: int, cells: Sequence[MatrixCell], width: int) -> Fit:
    """Choose widths: roomy where all columns fit, else without what was not counted and with shorter names."""
    share = max((len(_share(cell)) for cell in cells), default=3)
    interval = max((len(_interval(cell)) for cell in cells), default=8)
    left_out = max((len(_left_out(cell)) for cell in cells), default=0)
    name = max((cell_len(name) for name in names), default=8)
    roomy = Fit(max(name, len(corner)), max(share, 7), max(interval, 10), left_out)
    if roomy.name + columns * (roomy.cell + _BETWEEN) <= width - _MARGIN:
        return roomy
    return Fit(min(max(name, 8), max(width // 3, 12)), share, interval, 0)


class Matrix(ScrollView, Painted, can_focus=True):
    """Rows and columns of cells, totals at the edges."""

    DEFAULT_CSS = """
    Matrix {
        height: 1fr; width: 1fr;
        overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", "Up", show=False),
        Binding("down", "move(1, 0)", "Down", show=False),
        Binding("left", "move(0, -1)", "Left", show=False),
        Binding("right", "move(0, 1)", "Right", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(-1)", "Last", show=False),
    ]

    at: reactive[tuple[int, int]] = reactive((0, 0))
    """Row and column under the cursor; the last of each is the total."""

    class Moved(Message):
        """The cursor stands on another cell."""

    class CellChosen(Message):
        """A cell was clicked while the cursor stood on it."""

    empty_text = reactive(READING)
    """Shown where there are no rows."""

    def __init__(self, *, empty_text: str = READING) -> None:
        super().__init__()
        self.set_reactive(Matrix.empty_text, empty_text)
        self._matrix: FailureMatrix | None = None
        self._rows: Sequence[str] = ()
        self._columns: Sequence[str] = ()

    def show(self, matrix: FailureMatrix, *, empty_text: str = "no sessions that failed or passed") -> None:
        """Show another matrix; the cursor goes to its first failure."""
        self._matrix, self.empty_text = matrix, empty_text
        self._rows = (*matrix.rows, ALL) if matrix.rows else ()
        self._columns = matrix.columns if matrix.columns == (ALL,) else (*matrix.columns, ALL)
        self.virtual_size = Size(1, len(self._rows) + 1 + _HEAD_LINES)
        self.at = self._worst()
        self.refresh()
        self.post_message(self.Moved())

    def _worst(self) -> tuple[int, int]:
        cells = self._matrix.cells if self._matrix else {}
        rank = {key: cell.failed / cell.trials if cell.trials else 0.0 for key, cell in cells.items()}
        if not rank:
            return 0, 0
        row, column = max(rank, key=lambda key: rank[key])
        return self._rows.index(row), self._columns.index(column)

    def cell_at(self, row: str, column: str) -> MatrixCell | None:
        """Give a cell, or a total at the edges."""
        matrix = self._matrix
        if matrix is None:
            return None
        if row == ALL:
            return matrix.total if column == ALL else matrix.column_totals.get(column)
        return matrix.row_totals.get(row) if column == ALL else matrix.cells.get((row, column))

    @property
    def current(self) -> MatrixCell | None:
        """The cell under the cursor."""
        row, column = self.at
        if row >= len(self._rows) or column >= len(self._columns):
            return None
        return self.cell_at(self._rows[row], self._columns[column])

    def validate_at(self, at: tuple[int, int]) -> tuple[int, int]:
        """Keep the cursor on a cell."""
        row, column = at
        return max(0, min(row, len(self._rows) - 1)), max(0, min(column, len(self._columns) - 1))

    def watch_at(self) -> None:
        """Bring the cursor into sight, and say where it stands."""
        self.post_message(self.Moved())
        y = _HEAD_LINES + self._line_of(self.at[0])
        height = self.size.height
        if y < self.scroll_offset.y + _HEAD_LINES:
            self.scroll_to(y=y - _HEAD_LINES, animate=False, immediate=True)
        elif y >= self.scroll_offset.y + height:
            self.scroll_to(y=y - height + 1, animate=False, immediate=True)

    def action_move(self, rows: int, columns: int) -> None:
        """Move the cursor."""
        row, column = self.at
        self.at = (row + rows, column + columns)

    def action_page(self, pages: int) -> None:
        """Move the cursor by as many rows as are in sight, but one."""
        self.action_move(pages * max(1, self.size.height - _HEAD_LINES - 1), 0)

    def action_edge(self, row: int) -> None:
        """Move the cursor to the first row, or to the last one."""
        self.at = (row % max(len(self._rows), 1), self.at[1])

    def _fit(self) -> Fit:
        matrix = self._matrix
        cells = [*matrix.cells.values(), *matrix.row_totals.values(), matrix.total] if matrix else []
        return fit_cells(self._rows, self._corner(), len(self._columns), cells, self.scrollable_size.width)

    def _corner(self) -> str:
        by = self._matrix.by if self._matrix else ()
        return " \\ ".join(name.replace("_", " ") for name in by)

    def _shown_columns(self, fit: Fit) -> Iterator[tuple[int, str]]:
        # The columns that fit, so that the one under the cursor is among them.
        fits = max(1, (self.scrollable_size.width - _MARGIN - fit.name) // (fit.cell + _BETWEEN))
        first = max(0, min(self.at[1] - fits + 1, len(self._columns) - fits))
        yield from list(enumerate(self._columns))[first : first + fits]

    def _line_of(self, row: int) -> int:
        # The totals stand below a separator of their own.
        return row + (row == len(self._rows) - 1)

    def render_line(self, y: int) -> Strip:
        """Draw the heading, a separator, or a row."""
        width = self.scrollable_size.width
        if not self._rows:
            return self.strip_of(text(f"  {self.empty_text}", "muted") if y == 0 else (), width)
        line = self.scroll_offset.y + y - _HEAD_LINES
        rows = {self._line_of(row): row for row in range(len(self._rows))}
        if y == 0:
            return self.strip_of(self._heading(), width)
        if y >= _HEAD_LINES and line in rows:
            return self._row_strip(rows[line], width)
        return self.strip_of(self._separator() if y == 1 or line == len(self._rows) - 1 else (), width)

    def _heading(self) -> Line:
        fit = self._fit()
        shown = list(self._shown_columns(fit))
        left, right = (shown[0][0] > 0, shown[-1][0] < len(self._columns) - 1) if shown else (False, False)
        margin = Run("‹ ", "strong") if left else Run(" " * _MARGIN)
        runs: list[Run] = [margin, *pad(text(self._corner(), "muted"), fit.name)]
        for _, name in shown:
            runs += [Run(" │ ", "pale"), *pad(text(name, "strong"), fit.cell)]
        # Of a full line the last name gives way.
        width = self.scrollable_size.width
        return (*pad(tuple(runs), width - len(_MORE)), Run(_MORE, "strong")) if right else tuple(runs)

    def _separator(self) -> Line:
        fit = self._fit()
        columns = sum(1 for _ in self._shown_columns(fit))
        crossed = "─" * fit.name + ("─┼─" + "─" * fit.cell) * columns
        return (Run(" " * _MARGIN), Run(crossed, "pale"))

    def _row_strip(self, index: int, width: int) -> Strip:
        fit, dark, name = self._fit(), self.app.current_theme.dark, self._rows[index]
        head: Line = (Run(" " * _MARGIN), *pad(text(name, "strong"), fit.name))
        strips = [self.strip_of(head, _MARGIN + fit.name)]
        for position, column in self._shown_columns(fit):
            on_cursor = (index, position) == self.at
            ground = cursor_style(dark, self.has_focus) if on_cursor else None
            cell = (Run("›" if on_cursor else " ", "strong"), *cell_line(self.cell_at(name, column), fit))
            strips += [self.strip_of((Run(" │", "pale"),), 2), self.strip_of(cell, fit.cell + 1, ground)]
        return Strip.join(strips).adjust_cell_length(width, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the click was; on the cell under the cursor it opens."""
        line = self.scroll_offset.y + event.y - _HEAD_LINES
        row = next((row for row in range(len(self._rows)) if self._line_of(row) == line), None)
        fit = self._fit()
        column = (event.x - _MARGIN - fit.name) // (fit.cell + _BETWEEN)
        shown = [position for position, _ in self._shown_columns(fit)]
        if event.y < _HEAD_LINES or row is None or not 0 <= column < len(shown):
            return
        if (row, shown[column]) == self.at:
            self.post_message(self.CellChosen())
        self.at = (row, shown[column])

    def on_focus(self) -> None:
        """Draw the cursor as the one that keys move."""
        self.refresh()

    def on_blur(self) -> None:
        """Draw the cursor paler."""
        self.refresh()
