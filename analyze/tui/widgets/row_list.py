"""A list of any length with a cursor; only the rows in sight are ever drawn."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from analyze.tui.lines import Line, text
from analyze.tui.tones import cursor_style
from analyze.tui.widgets.painted import Painted

READING = "reading …"
"""What stands in place of rows until there is an answer."""
UNREAD = "nothing could be read"
"""What stands there when there is none."""


class RowList(ScrollView, Painted, can_focus=True):
    """Rows drawn one line each, on demand; subclasses say how many there are and what each shows."""

    DEFAULT_CSS = """
    RowList {
        height: 1fr; width: 1fr;
        overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
    ]

    HEADING_LINES: ClassVar[int] = 1
    """1 with a heading, 0 without."""

    cursor = reactive(0, repaint=False)
    """Index of the row under the cursor."""
    empty_text = reactive("")
    """Shown where there are no rows."""
    is_pointing = reactive(True)
    """Whether the cursor is drawn: of lists that stand as one, one has it."""

    class _Told(Message):
        """Something that a list tells of itself."""

        def __init__(self, row_list: RowList) -> None:
            super().__init__()
            self.row_list = row_list

        @property
        def control(self) -> RowList:
            """The list, for selectors."""
            return self.row_list

    class Moved(_Told):
        """The cursor stands on another row."""

        def can_replace(self, message: Message) -> bool:
            """Let a flood of moves become one."""
            return isinstance(message, RowList.Moved) and message.row_list is self.row_list

    class Opened(_Told):
        """A row was clicked while the cursor stood on it."""

    class Beyond(_Told):
        """The cursor stood at the first or the last row and was to go on."""

        def __init__(self, row_list: RowList, way: int) -> None:
            super().__init__(row_list)
            self.way = way
            """-1 past the first row, 1 past the last."""

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def is_at_cursor(self, index: int) -> bool:
        """Tell whether a row is drawn as the one under the cursor."""
        return self.is_pointing and index == self.cursor

    def row_at(self, index: int, width: int) -> Line:
        """Give the line of one row."""
        raise NotImplementedError

    def heading(self, width: int) -> Line:
        """Give the line that stays above the rows."""
        raise NotImplementedError

    def rows_changed(self, cursor: int = 0) -> None:
        """Take note that rows came, went or changed, and put the cursor on one of them."""
        # What stands in place of rows takes a line, too.
        self.virtual_size = Size(1, max(1, self.row_count) + self.HEADING_LINES)
        self.cursor = cursor
        self.refresh()
        self.show_cursor()
        self.post_message(self.Moved(self))

    def step_to(self, places: Sequence[int], step: int) -> bool:
        """Move to the next (1) or the last (-1) of some rows, given in order; False where there is none that way."""
        at = bisect_right(places, self.cursor) if step > 0 else bisect_left(places, self.cursor) - 1
        if not 0 <= at < len(places):
            return False
        self.cursor = places[at]
        return True

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(cursor, self.row_count - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Draw the two rows anew and bring the cursor into sight."""
        self._refresh_row(before)
        self._refresh_row(now)
        self.show_cursor()
        self.post_message(self.Moved(self))

    def _refresh_row(self, index: int) -> None:
        y = index + self.HEADING_LINES - self.scroll_offset.y
        self.refresh(Region(0, y, self.scrollable_size.width, 1))

    def show_cursor(self) -> None:
        """Scroll as little as brings the cursor into sight."""
        height = self.size.height - self.HEADING_LINES
        top = self.scroll_offset.y
        if height <= 0:
            return
        # Forced, for the scroll bar of rows that came a moment ago is drawn later.
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        """Keep the cursor in sight when the height changes."""
        self.show_cursor()

    def on_focus(self) -> None:
        """Draw the cursor as the one that keys move."""
        self.refresh()

    def on_blur(self) -> None:
        """Draw the cursor paler."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the heading or the row that stands at line `y` of the widget."""
        width = self.scrollable_size.width
        if not self.row_count and y == self.HEADING_LINES:
            return self.strip_of(text(f"  {self.empty_text}", "muted"), width)
        if y < self.HEADING_LINES:
            return self.strip_of(self.heading(width), width)
        index = self.scroll_offset.y + y - self.HEADING_LINES
        if index >= self.row_count:
            return self.strip_of((), width)
        on_cursor = self.is_at_cursor(index)
        ground = cursor_style(self.app.current_theme.dark, self.has_focus) if on_cursor else None
        return self.strip_of(self.row_at(index, width), width, ground)

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._go(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what is in sight."""
        self._go(self.cursor + pages * max(1, self.size.height - self.HEADING_LINES - 1))

    def action_edge(self, side: int) -> None:
        """Move the cursor to the first or the last row."""
        self._go(0 if side < 0 else self.row_count)

    def _go(self, index: int) -> None:
        before, way = self.cursor, -1 if index <= self.cursor else 1
        self.cursor = index
        if self.cursor == before:
            self.post_message(self.Beyond(self, way))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the click was; on the row under the cursor it opens."""
        index = self.scroll_offset.y + event.y - self.HEADING_LINES
        if event.y < self.HEADING_LINES or not 0 <= index < self.row_count:
            return
        if index == self.cursor:
            self.post_message(self.Opened(self))
        self.cursor = index
