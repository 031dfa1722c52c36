"""One row of an answer, all of its columns in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from analyze.tui.lines import Line, Run, text
from analyze.tui.payload import SHOWN_CHARACTERS, payload_lines
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.result_table import cell_text

_NAME_CELLS = 28


class RecordScreen(ModalScreen[None]):
    """Column names and what the row holds in them; JSON is laid out."""

    CSS_PATH = "record.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "close")]

    def __init__(self, columns: Sequence[str], row: Sequence[Any]) -> None:
        super().__init__()
        self.columns, self.row = columns, row

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical():
            yield LineView(indent=4)
            yield Block(
                [(Run("↑ ↓", "strong"), Run(" scroll · ", "muted"), Run("esc", "strong"), Run(" close", "muted"))]
            )

    def on_mount(self) -> None:
        """Write the row."""
        at = min(_NAME_CELLS, max(map(len, self.columns), default=0))
        lines = [
            line for name, value in zip(self.columns, self.row, strict=True) for line in value_lines(name, value, at)
        ]
        self.query_one(LineView).show(lines)
        self.query_one(LineView).focus()


def value_lines(name: str, value: Any, at: int = 0) -> list[Line]:
    """Write a column and its value beside it, at least `at` cells from the left; JSON below it."""
    title = Run(f"{text(name)[0].text:<{at}}  ", "muted")
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            return [(title,), *((Run("  "), *line) for line in payload_lines(value))]
        rest = len(value) - SHOWN_CHARACTERS
        cut = text(f"… {rest:,} more characters", "muted") if rest > 0 else ()
        return [(title, *text(value[:SHOWN_CHARACTERS]), *cut)]
    if isinstance(value, (list, dict, tuple)):
        return [(title, *text(str(value)[:SHOWN_CHARACTERS]))]
    return [(title, *text(cell_text(value), "pale" if value is None else "plain"))]
