"""One line to type into, with what it found at its right: the session filter, and the search in payloads."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import Input

from analyze.tui.lines import Line, text
from analyze.tui.widgets.painted import Block

PAUSE_S = 0.2


class FilterBar(Horizontal):
    """A label, a text field, and a count; says what was typed after a pause, on enter at once."""

    DEFAULT_CSS = """
    FilterBar { height: 1; width: 1fr; }
    FilterBar Input { width: 1fr; height: 1; padding: 0; border: none; background: transparent; }
    FilterBar Input:focus { background: $surface; border: none; }
    FilterBar Input > .input--placeholder { color: $foreground 60%; }
    FilterBar .label { width: auto; }
    FilterBar .found { width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "apply", show=True, priority=True),
        Binding("escape", "leave", "back to the list", show=True),
        Binding("down,tab", "leave", "Back to the list", show=False),
    ]

    found: reactive[Line] = reactive(())
    """What the text found; stands at the right."""

    class Typed(Message):
        """Another text stands in the field."""

        def __init__(self, bar: FilterBar, content: str, *, accepted: bool) -> None:
            super().__init__()
            self.bar = bar
            self.content = content
            self.accepted = accepted
            """Enter was pressed, rather than a pause made."""

        @property
        def control(self) -> FilterBar:
            """The bar, for selectors."""
            return self.bar

    class Left(Message):
        """The field gives the focus back."""

        def __init__(self, bar: FilterBar) -> None:
            super().__init__()
            self.bar = bar

        @property
        def control(self) -> FilterBar:
            """The bar, for selectors."""
            return self.bar

    def __init__(self, label: str, placeholder: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._label = label
        self._placeholder = placeholder
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out label, field and count."""
        yield Block([text(f" {self._label} ▏", "muted")], classes="label")
        yield Input(placeholder=self._placeholder, compact=True, select_on_focus=False)
        yield Block(classes="found")

    @property
    def content(self) -> str:
        """What stands in the field."""
        return self.query_one(Input).value

    def fill(self, content: str) -> None:
        """Put a text into the field without saying so."""
        field = self.query_one(Input)
        with field.prevent(Input.Changed):
            field.value = content

    def enter(self) -> None:
        """Take the focus."""
        self.query_one(Input).focus()

    def watch_found(self, found: Line) -> None:
        """Show the count."""
        if self.is_mounted:
            self.query_one(".found", Block).lines = (found,)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wait for a pause before the text counts: a query per key would lag behind the typing."""
        event.stop()
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_S, lambda: self._say(accepted=False))

    def action_accept(self) -> None:
        """Let the text count now."""
        self._say(accepted=True)

    def action_leave(self) -> None:
        """Give the focus back."""
        self.post_message(self.Left(self))

    def _say(self, *, accepted: bool) -> None:
        if self._pause is not None:
            self._pause.stop()
        self.post_message(self.Typed(self, self.content, accepted=accepted))
