"""A table of any length: columns fold by width, only the rows in sight are drawn, and read where they come in pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from rich.cells import cell_len
from textual import events
from textual.message import Message

from analyze.tui.lines import Line, Run, fit_end, fit_ends, pad, width_of
from analyze.tui.pages import PAGE_ROWS, Pages
from analyze.tui.widgets.row_list import RowList

RowT = TypeVar("RowT")

GAP = 2
COMFORT = 3
_MEASURED_ROWS = 200
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """One column: what it shows, how wide, and how long it stays when the width runs out."""

    name: str
    cell: Callable[[RowT], Line]
    least: int
    """Narrowest useful width, in cells."""
    most: int
    """Widest useful width; it takes no more than its contents need."""
    fold: int = 0
    """The highest goes first when the width runs out; 0 stays. From `COMFORT` on it goes as soon as others are cut."""
    align: Literal["left", "right"] = "left"
    order: str | None = None
    """What to sort by, in the words of whoever sorts; None for a column that is not sorted by."""
    keep: Literal["start", "end", "ends"] = "start"
    """What of its contents stays when they are cut."""
    elastic: bool = False
    """Sentences: it takes what is left, and nothing folds to show it whole."""


def lay_out(columns: Sequence[Column[RowT]], wanted: Sequence[int], width: int) -> list[tuple[Column[RowT], int]]:
    """Choose the columns that fit a width and share out what is left of it.

    `wanted` is how wide each column's contents are; a column that can fold and has none is left out.
    """
    kept = [
        (column, min(max(want, column.least), column.most))
        for column, want in zip(columns, wanted, strict=True)
        if want or not column.fold
    ]
    while foldable := [entry for entry in kept if entry[0].fold]:
        last = max(foldable, key=lambda entry: entry[0].fold)
        if _needed(kept, comfortable=last[0].fold >= COMFORT) <= width:
            break
        kept.remove(last)
    widths = [column.least for column, _ in kept]
    spare = width - _needed(kept, comfortable=False)
    # Short contents are shown whole before long ones get anything: a name that is cut is worth less than a sentence.
    for position in sorted(range(len(kept)), key=lambda at: kept[at][1]):
        more = min(kept[position][1] - widths[position], max(spare, 0))
        widths[position] += more
        spare -= more
    return [(column, have) for (column, _), have in zip(kept, widths, strict=True)]


def _needed(entries: Sequence[tuple[Column[Any], int]], *, comfortable: bool) -> int:
    cells = sum(want if comfortable and not column.elastic else column.least for column, want in entries)
    return cells + GAP * (len(entries) - 1)


def _cut(column: Column[RowT], row: RowT, cells: int) -> Line:
    line = column.cell(row)
    if column.keep == "start":
        return line
    return fit_end(line, cells) if column.keep == "end" else fit_ends(line, cells)


def _beside(cells: Sequence[tuple[Line, int, Literal["left", "right"]]]) -> Line:
    runs: list[Run] = []
    for position, (line, width, align) in enumerate(cells):
        runs += [Run(" " * GAP)] * (position > 0)
        runs += pad(line, width, align)
    return tuple(runs)


class VirtualTable(RowList, Generic[RowT]):
    """Rows of one type under columns; it knows which rows are marked and which column sorts them."""

    class HeadingClicked(Message):
        """The name of a column that can be sorted by was clicked."""

        def __init__(self, order: str) -> None:
            super().__init__()
            self.order = order
            """What the column is sorted by."""

    def __init__(
        self,
        columns: Sequence[Column[RowT]],
        *,
        key: Callable[[RowT], Hashable],
        empty_text: str = "",
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self.set_reactive(RowList.empty_text, empty_text)
        self._columns = tuple(columns)
        self._key = key
        self._needed = [column.least for column in columns]
        self._layouts: dict[int, list[tuple[Column[RowT], int]]] = {}
        self.rows: Sequence[RowT] = ()
        self._due: int | None = None
        """A row that came into sight and is not loaded."""
        self._is_loading = False
        self.marked: tuple[Hashable, ...] = ()
        self.sorted_by: tuple[str, bool] | None = None
        """Name of the column and whether it descends; shown in the heading."""

    def show(self, rows: Sequence[RowT], *, keep_cursor: bool = True, stay_near: bool = False) -> None:
        """Show other rows; the cursor stays on the row with its key where that is still there.

        With `stay_near` it goes to the next one below that still is, or above, else to the first row.
        """
        before, at = self.rows, self.cursor
        self.rows = rows
        self._needed = [0] * len(self._columns)
        # Some rows stand for all: measuring 100,000 would cost more than drawing them.
        self._measure([] if isinstance(rows, Pages) else rows[:: len(rows) // _MEASURED_ROWS + 1])
        if isinstance(rows, Pages) and rows.is_loaded(0):
            self._measure(rows[:PAGE_ROWS])
        place = self._place_of(self._key_in(before, at)) if keep_cursor and at < len(before) else None
        if place is None and keep_cursor and stay_near:
            place = self._nearest(before, at)
        self.rows_changed(place or 0)

    def mark(self, keys: Sequence[Hashable]) -> None:
        """Show which rows are marked, numbered in the order given."""
        self.marked = tuple(keys)
        self.refresh()

    @property
    def current(self) -> RowT | None:
        """The row under the cursor; None where there is none, or none yet."""
        return self._row(self.cursor) if self.cursor < len(self.rows) else None

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def shown_columns(self, width: int | None = None) -> list[tuple[Column[RowT], int]]:
        """Give the columns that fit, with their widths."""
        width = self.scrollable_size.width if width is None else width
        if width not in self._layouts:
            self._layouts[width] = lay_out(self._columns, self._needed, width - GAP)
        return self._layouts[width]

    def heading(self, width: int) -> Line:
        """Name the columns, with units, and the order of the rows."""
        shown = [(self._title(column), cells, column.align) for column, cells in self.shown_columns(width)]
        return (Run(" " * GAP), *_beside(shown))

    def go_to(self, key: Hashable) -> bool:
        """Put the cursor on the row with a key; False where there is none."""
        place = self._place_of(key)
        if place is not None:
            self.cursor = place
        return place is not None

    def on_click(self, event: events.Click) -> None:
        """Say which column's name was clicked; the rows take the other clicks."""
        if event.y >= self.HEADING_LINES:
            return
        left = GAP
        for column, cells in self.shown_columns():
            if left <= event.x < left + cells and column.order is not None:
                self.post_message(self.HeadingClicked(column.order))
            left += cells + GAP

    def _title(self, column: Column[RowT]) -> Line:
        if self.sorted_by is None or self.sorted_by[0] != column.name:
            return (Run(column.name, "muted"),)
        return (Run(column.name + ("▾" if self.sorted_by[1] else "▴"), "strong"),)

    def row_at(self, index: int, width: int) -> Line:
        """Set one row in its columns, after the cursor's sign and the mark's number."""
        row = self._row(index)
        if row is None:
            return (Run("›" if self.is_at_cursor(index) else " ", "strong"), Run(" …", "pale"))
        shown = [(_cut(column, row, cells), cells, column.align) for column, cells in self.shown_columns(width)]
        return (Run("›" if self.is_at_cursor(index) else " ", "strong"), self._mark_of(row), *_beside(shown))

    def _place_of(self, key: Hashable) -> int | None:
        return next((at for at, each in enumerate(self._keys_of(self.rows)) if each == key), None)

    def _nearest(self, before: Sequence[RowT], at: int) -> int | None:
        places = {key: place for place, key in enumerate(self._keys_of(self.rows))}
        keys = list(self._keys_of(before))
        return next((places[key] for key in (*keys[at:], *keys[:at][::-1]) if key in places), None)

    def _keys_of(self, rows: Sequence[RowT]) -> Iterable[Hashable]:
        return rows.keys if isinstance(rows, Pages) else map(self._key, rows)

    def _key_in(self, rows: Sequence[RowT], at: int) -> Hashable:
        # Of a page that is not loaded the rows are not known yet, but which they are.
        return rows.keys[at] if isinstance(rows, Pages) else self._key(rows[at])

    def _mark_of(self, row: RowT) -> Run:
        if not self.marked or (key := self._key(row)) not in self.marked:
            return Run(" ")
        return Run(str(self.marked.index(key) + 1)[-1], "changed")

    def _row(self, index: int) -> RowT | None:
        """Give a row; one of a page that is not loaded yet is read meanwhile, and drawn when it is there."""
        if not isinstance(self.rows, Pages):
            return self.rows[index]
        if not self.rows.is_loaded(index):
            self._due = index
            if not self._is_loading:
                self._is_loading = True
                self.run_worker(self._load_due(), group="pages")
        return self.rows.at(index)

    async def _load_due(self) -> None:
        try:
            while self._due is not None and isinstance(self.rows, Pages):
                # What came into sight last, and not what was scrolled past.
                rows, index, self._due = self.rows, self._due, None
                loaded = await asyncio.to_thread(rows.load, index)
                if rows is self.rows:
                    self._measure(loaded)
                    self.refresh()
                    self.post_message(self.Moved(self))
        # Whatever it is, the list itself will say so when it is read again.
        except Exception:
            log.debug("a page could not be read", exc_info=True)
        finally:
            self._is_loading = False

    def _measure(self, rows: Sequence[RowT]) -> None:
        """Let columns take what these rows need; they never grow narrower while the list stays."""
        for position, column in enumerate(self._columns):
            cells = max((width_of(column.cell(row)) for row in rows), default=0 if len(self.rows) else 1)
            cells = max(cells, cell_len(column.name) + 1) if cells else 0
            self._needed[position] = max(self._needed[position], cells)
        self._layouts.clear()
