"""The saved questions: pick one for the editor."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from analyze.investigations import Investigation, load_investigations
from analyze.tui.lines import Run, text
from analyze.tui.widgets.line_view import LineView
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.virtual_table import COMFORT, Column, VirtualTable

_COLUMNS: tuple[Column[Investigation], ...] = (
    Column("question", lambda each: text(each.title), least=20, most=120),
    Column("name", lambda each: text(each.name, "muted"), least=12, most=40, fold=COMFORT),
)


class InvestigationsScreen(ModalScreen[Investigation | None]):
    """Titles of all saved questions, and what to know of the one under the cursor."""

    CSS_PATH = "investigations.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pick", "open"),
        Binding("escape,q", "dismiss(None)", "back"),
    ]

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical():
            yield Block([text("Saved questions", "strong")])
            yield VirtualTable(_COLUMNS, key=lambda each: each.name)
            yield LineView(indent=0)
            keys = (Run("enter", "strong"), Run(" open in the editor · ", "muted"), Run("esc", "strong"))
            yield Block([(*keys, Run(" back", "muted"))])

    @property
    def table(self) -> VirtualTable[Investigation]:
        """The list."""
        return self.query_one(VirtualTable)

    def on_mount(self) -> None:
        """List them."""
        self.table.show(load_investigations())
        self.table.focus()

    @on(RowList.Moved)
    def _describe(self) -> None:
        if self.table.current is not None:
            self.query_one(LineView).show([text(self.table.current.note, "muted")])

    @on(RowList.Opened)
    def action_pick(self) -> None:
        """Give back the one under the cursor."""
        self.dismiss(self.table.current)
