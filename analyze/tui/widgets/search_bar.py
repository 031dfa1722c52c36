"""Search in the payloads of a session: what was typed, and where it was found."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from analyze.tui.lines import text
from analyze.tui.widgets.filter_bar import FilterBar
from capture.narration import counted


class SearchBar(FilterBar, inherit_bindings=False):
    """A text field that remembers the events which hold its text."""

    DEFAULT_CSS = """
    SearchBar { height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "find", show=True, priority=True),
        Binding("escape", "leave", "back to the events", show=True),
        Binding("tab,down", "leave", "Back to the events", show=False),
    ]

    def __init__(self) -> None:
        super().__init__("search", "text in payloads · enter finds, J goes to the next")
        self._matches: Sequence[int] = ()

    @property
    def needle(self) -> str:
        """What was searched for and found; empty where nothing was."""
        return self.content if self._matches else ""

    def show_matches(self, matches: Sequence[int]) -> None:
        """Take the sequence numbers of the events that hold the text."""
        self._matches = matches
        self.found = text(f" {counted(len(matches), 'event')} ", "muted" if matches else "failed")

    def clear(self) -> None:
        """Forget what was found."""
        self._matches = ()
        self.found = ()

    def next_after(self, seq: int) -> int | None:
        """Give the next match behind an event; after the last, the first."""
        if not self._matches:
            return None
        after = bisect_right(self._matches, seq)
        return self._matches[after % len(self._matches)]
