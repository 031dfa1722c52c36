"""How long each step of each turn of a session took."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from analyze.answers import SessionDetail
from analyze.tui.lines import text
from analyze.tui.waterfall_lines import waterfall_lines
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.line_view import LineView


class WaterfallScreen(Screen[None]):
    """The turns of one session, from the end of speech to the end of the answer."""

    CSS_PATH = "waterfall.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("q,escape,l", "dismiss", "back"),
    ]

    def __init__(self, detail: SessionDetail) -> None:
        super().__init__()
        self.detail = detail

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine([text(self.detail.summary.session_id), text("latencies of every turn", "muted")])
        yield LineView()
        yield KeyLine()

    def on_resize(self) -> None:
        """Draw to the new width; no line wraps, so that what is in sight stays."""
        view = self.query_one(LineView)
        top = view.scroll_offset.y
        view.show(waterfall_lines(self.detail.turns, max(self.size.width - 4, 40)))
        view.scroll_to(y=top, animate=False, immediate=True)
        view.focus()
