"""Lines to read, wrapped to the width, scrolled by keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from analyze.tui.lines import Line, wrap
from analyze.tui.widgets.painted import Painted

_SCROLLBAR = 1


class LineView(ScrollView, Painted, can_focus=True):
    """A text of any length; long lines go on below, indented."""

    DEFAULT_CSS = """
    LineView {
        height: 1fr; width: 1fr; padding: 0 1;
        overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home,g", "scroll_home", "First", show=False),
        Binding("end,G", "scroll_end", "Last", show=False),
    ]

    def __init__(self, *, indent: int = 4, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._indent = indent
        self._lines: Sequence[Line] = ()
        self._wrapped: list[Line] = []
        self._wrapped_at = 0

    @property
    def lines(self) -> Sequence[Line]:
        """The lines as given, before wrapping."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines, from the top."""
        self._lines = lines
        self._wrap(self.scrollable_size.width)
        self.refresh(layout=True)
        self.scroll_to(y=0, animate=False, immediate=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Count the lines as they wrap at a width."""
        del container, viewport
        return sum(len(wrap(line, max(width - _SCROLLBAR, 8), self._indent)) for line in self._lines)

    def on_resize(self) -> None:
        """Wrap to the new width."""
        if self.scrollable_size.width != self._wrapped_at:
            self._wrap(self.scrollable_size.width)

    def _wrap(self, width: int) -> None:
        self._wrapped_at = width
        # Hidden: it is wrapped once it has a width, and not to a few cells for nobody.
        if not width:
            self._wrapped = []
            return
        self._wrapped = [part for line in self._lines for part in wrap(line, max(width, 8), self._indent)]
        self.virtual_size = Size(1, max(1, len(self._wrapped)))

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.scrollable_size.width
        at = self.scroll_offset.y + y
        return self.strip_of(self._wrapped[at] if at < len(self._wrapped) else (), width)
