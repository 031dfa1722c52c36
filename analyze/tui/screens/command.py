"""A command that is ready to be run in a shell: shown, and put on the clipboard."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from analyze.tui.lines import Run, text
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.painted import Block


class CommandScreen(ModalScreen[None]):
    """Shows one command; it is on the clipboard when this opens."""

    CSS_PATH = "command.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "close"),
        Binding("y", "copy", "copy again"),
    ]

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical():
            yield Block([(Run("Run this in a shell", "strong"),)])
            yield LineView(indent=2)
            yield Block(
                [
                    text("More: --to OTHER-TARGET, --vary PATH=A,B, --set PATH=VALUE", "muted"),
                    text("It is on the clipboard, where the terminal allows it.", "muted"),
                    (Run("y", "strong"), Run(" copy again · ", "muted"), Run("esc", "strong"), Run(" close", "muted")),
                ]
            )

    def on_mount(self) -> None:
        """Show and copy the command."""
        self.query_one(LineView).show([text(self.command, "live")])
        self.action_copy()

    def action_copy(self) -> None:
        """Put the command on the clipboard."""
        self.app.copy_to_clipboard(self.command)
