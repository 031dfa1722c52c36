"""One line to type into, with what it found at its right and how it can go on below: the filter, and the search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import Input

from analyze.tui.filter_completion import Way
from analyze.tui.lines import Line, Run, join, text
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.text_field import TextField

PAUSE_S = 0.2


class FilterBar(Vertical):
    """A label, a text field, and a count; says what was typed after a pause, on enter at once."""

    DEFAULT_CSS = """
    FilterBar { height: auto; width: 1fr; }
    FilterBar Horizontal { height: 1; }
    FilterBar .ways { display: none; }
    FilterBar.-typing .ways { display: block; }
    FilterBar Input { width: 1fr; height: 1; padding: 0; border: none; background: transparent; }
    FilterBar Input:focus { background: $surface; border: none; }
    FilterBar Input > .input--placeholder { color: $foreground 60%; }
    FilterBar .label { width: auto; }
    FilterBar .found { width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "apply", show=True, priority=True),
        Binding("escape", "leave", "back to the list", show=True),
        Binding("tab", "complete", "complete", tooltip="Go on with the first way that is offered"),
        Binding("down", "leave", "Back to the list", show=False),
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
        self.complete: Callable[[str], Sequence[Way]] = lambda _: ()
        """Gives the ways in which a text can go on."""

    def compose(self) -> ComposeResult:
        """Lay out label, field and count, and the ways to go on."""
        with Horizontal():
            yield Block([text(f" {self._label} ▏", "muted")], classes="label")
            yield TextField(placeholder=self._placeholder, compact=True, select_on_focus=False)
            yield Block(classes="found")
        yield Block(classes="ways")

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
        self.offer()

    def on_descendant_focus(self) -> None:
        """Show the ways to go on."""
        # A class, not `:focus-within`: Textual 8.2.8 styles anew what is below a widget only where a rule of the widget
        # itself ends in it, and after another screen the ways would stay out of sight.
        self.add_class("-typing")

    def on_descendant_blur(self) -> None:
        """Take them away."""
        self.remove_class("-typing")

    def watch_found(self, found: Line) -> None:
        """Show the count."""
        if self.is_mounted:
            self.query_one(".found", Block).lines = (found,)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wait for a pause before the text counts: a query per key would lag behind the typing."""
        event.stop()
        self.offer()
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_S, lambda: self._say(accepted=False))

    def action_accept(self) -> None:
        """Let the text count now."""
        self._say(accepted=True)

    def action_complete(self) -> None:
        """Go on with the first way that is offered; where there is none, give the focus back."""
        offered = self.complete(self.content)
        if not offered:
            self.action_leave()
            return
        field = self.query_one(Input)
        # A value ends its term; behind a field's colon its value follows.
        field.value = offered[0].text + ("" if offered[0].label.endswith(":") else " ")
        field.cursor_position = len(field.value)

    def offer(self) -> None:
        """Show the ways in which what stands in the field can go on."""
        offered = self.complete(self.content)
        first, *others = [text(way.label, "plain") for way in offered] or [()]
        line = join([(Run("tab ", "strong"), *first) if first else (), *others], " · ")
        self.query_one(".ways", Block).lines = ((Run(" " * (len(self._label) + 3)), *line),) if line else ()

    def action_leave(self) -> None:
        """Give the focus back."""
        self.post_message(self.Left(self))

    def _say(self, *, accepted: bool) -> None:
        if self._pause is not None:
            self._pause.stop()
        self.post_message(self.Typed(self, self.content, accepted=accepted))
