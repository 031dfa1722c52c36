"""The events of a session in flight, the newest at the bottom, in sight until somebody scrolls up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size

from analyze.live_timeline import LiveRow
from analyze.tui.lines import Line, Run, text
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.timeline import event_name, event_words, sender_sign
from analyze.tui.widgets.virtual_table import Column, VirtualTable
from capture.narration import size

_MEASURED_ROWS = 200


def _sign(entry: LiveRow) -> Line:
    if entry.row.error:
        return (Run("▲", "failed"),)
    return (Run("▹", "muted"),) if entry.row.count > 1 else ()


COLUMNS: tuple[Column[LiveRow], ...] = (
    Column("", _sign, 1, 1),
    Column("+ms", lambda entry: text(f"{entry.row.offset_ms or 0.0:,.1f}", "muted"), 9, 12, align="right"),
    Column("", lambda entry: sender_sign(entry.row), 1, 1),
    Column("event", lambda entry: event_name(entry.row), 16, 35, keep="end"),
    Column("size", lambda entry: text(size(entry.wire_bytes), "muted"), 6, 8, align="right"),
    Column("", lambda entry: event_words(entry.row), 10, 200, elastic=True),
)


class FollowedEvents(VirtualTable[LiveRow], inherit_bindings=False):
    """Rows that grow and come; while the cursor stands on the last one, it stays there."""

    # `end` is left to the screen, which lists it among its keys.
    BINDINGS: ClassVar[list[BindingType]] = [
        binding for binding in RowList.BINDINGS if isinstance(binding, Binding) and binding.key != "end,G"
    ]

    def __init__(self) -> None:
        super().__init__(COLUMNS, key=lambda entry: entry.row.first_seq, empty_text="no event yet")
        self._passed = 0

    @property
    def follows(self) -> bool:
        """Whether the newest row is in sight, with the cursor on it."""
        return self.cursor >= self.row_count - 1 and self.scroll_offset.y >= self.max_scroll_y

    def grow(self, rows: Sequence[LiveRow], passed: int) -> None:
        """Show the rows as they are now; `passed` is how many there were before them."""
        follows, gone = self.follows, passed - self._passed
        self._take(rows, passed)
        if follows:
            self.action_edge(1)
            return
        # What was being read stays where it is, while the oldest rows make room.
        self.set_reactive(RowList.cursor, max(0, self.cursor - gone))
        if gone:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True)

    def exchange(self, rows: Sequence[LiveRow], passed: int) -> None:
        """Show other rows of the same session, near the event under the cursor."""
        follows, seq = self.follows, -1 if self.current is None else self.current.row.first_seq
        self._take(rows, passed)
        if follows:
            self.action_edge(1)
        else:
            self.cursor = bisect_right(rows, seq, key=lambda entry: entry.row.first_seq) - 1
            self.show_cursor()

    def _take(self, rows: Sequence[LiveRow], passed: int) -> None:
        self.rows, self._passed = rows, passed
        self._measure(rows[-_MEASURED_ROWS:])
        self.virtual_size = Size(1, max(1, self.row_count + self.HEADING_LINES))
        self.refresh()
        self.post_message(self.Moved(self))

    def action_edge(self, side: int) -> None:
        """Move the cursor to the first or the last row, and bring it into sight wherever the wheel went."""
        super().action_edge(side)
        self.show_cursor()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Note that the wheel may have left the newest row, or come back to it."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved(self))

    def go_to_error(self, step: int) -> bool:
        """Move to the next (1) or the last (-1) row that failed; False where there is none that way."""
        ahead = range(self.cursor + step, self.row_count if step > 0 else -1, step)
        at = next((at for at in ahead if self.rows[at].row.error), None)
        if at is not None:
            self.cursor = at
        return at is not None
