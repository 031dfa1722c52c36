"""From lines to the strips of Textual's line API, and blocks of lines that stand still."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from analyze.tui.lines import Line, pad, width_of, wrap_short
from analyze.tui.tones import style_of

NOTICE_LINES = 4
"""Lines that a sentence about what went wrong takes at most."""
NOTICE_INDENT = 3
"""Cells in front of them, as wide as the sign before the first."""


class Painted(Widget):
    """A widget that draws lines with the tones of the current theme."""

    def strip_of(self, line: Line, width: int, ground: Style | None = None) -> Strip:
        """Draw a line exactly `width` cells wide; `ground` lies under the tones."""
        dark = self.app.current_theme.dark
        base = self.rich_style if ground is None else self.rich_style + ground
        segments = [Segment(run.text, base + style_of(run.tone, dark)) for run in pad(line, width)]
        return Strip(segments, width)


class Block(Painted):
    """A few lines that do not scroll; as high as it has lines."""

    DEFAULT_CSS = """
    Block { height: auto; width: 1fr; }
    """

    lines: reactive[tuple[Line, ...]] = reactive((), layout=True)

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, classes=classes)
        self.set_reactive(Block.lines, tuple(lines))

    def lines_at(self, width: int) -> Sequence[Line]:
        """Give the lines for a width; what depends on the width is laid out here."""
        del width
        return self.lines

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Measure the longest line."""
        del viewport
        return max((width_of(line) for line in self.lines_at(container.width)), default=0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Count the lines."""
        del container, viewport
        return len(self.lines_at(width))

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.size.width
        lines = self.lines_at(width)
        return self.strip_of(lines[y] if y < len(lines) else (), width)


class Notice(Block):
    """What went wrong; sentences go on below where the width runs out."""

    def lines_at(self, width: int) -> Sequence[Line]:
        """Wrap each sentence."""
        return [part for line in self.lines for part in wrap_short(line, max(width, 20), NOTICE_INDENT, NOTICE_LINES)]
