"""A question before something happens that cannot be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from analyze.tui.lines import Line, Run
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.painted import Block


class ConfirmScreen(ModalScreen[bool]):
    """Says what will happen; only `y` lets it."""

    CSS_PATH = "confirm.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "yes"),
        Binding("escape,n,q", "dismiss(False)", "back"),
    ]

    def __init__(self, lines: Sequence[Line], yes: str) -> None:
        super().__init__()
        self.lines, self.yes = lines, yes

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical():
            yield LineView(indent=2)
            keys = (Run("y", "strong"), Run(f" {self.yes} · ", "muted"), Run("esc", "strong"), Run(" back", "muted"))
            yield Block([keys])

    def on_mount(self) -> None:
        """Write what will happen."""
        self.query_one(LineView).show(self.lines)
