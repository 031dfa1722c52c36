"""Choose one of many by typing a part of it: values to narrow by, saved filters, dimensions, columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from analyze.tui.lines import Line, Run, fit, text
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.text_field import TextField


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen."""

    value: str
    """What comes back when it is."""
    words: str
    """What is typed to find it."""
    line: Line


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was done with which value."""

    value: str
    action: Literal["pick", "create", "remove"] = "pick"


class ChoiceList(RowList):
    """The choices that are left, a line each."""

    HEADING_LINES: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.choices: Sequence[Choice] = ()
        self.can_focus = False

    def show(self, choices: Sequence[Choice]) -> None:
        """Show other choices."""
        self.choices = choices
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """How many are left."""
        return len(self.choices)

    def row_at(self, index: int, width: int) -> Line:
        """Write one of them."""
        return fit((Run("› " if index == self.cursor else "  ", "strong"), *self.choices[index].line), width)

    def heading(self, width: int) -> Line:
        """Leave the heading to the box around."""
        del width
        return ()


class ChooseScreen(ModalScreen[Chosen | None]):
    """A field to type into above the choices that have it; gives back the one under the cursor."""

    CSS_PATH = "choose.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", priority=True),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("ctrl+r", "remove", "remove", priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        *,
        create: str | None = None,
        removable: bool = False,
        empty_text: str = "nothing to choose from",
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = choices
        self._create = create
        """What a name that is not there yet does; None: it does nothing."""
        self._removable = removable
        self._empty_text = empty_text

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        keys: list[Run] = [Run("enter", "strong"), Run(" choose · ", "muted")]
        if self._removable:
            keys += [Run("ctrl+r", "strong"), Run(" remove · ", "muted")]
        with Vertical():
            yield Block([(Run(self._title, "strong"),)])
            yield TextField(placeholder="type a part of it", compact=True)
            yield ChoiceList()
            yield Block([(*keys, Run("esc", "strong"), Run(" back", "muted"))])

    def on_mount(self) -> None:
        """Show all choices."""
        self.query_one(ChoiceList).empty_text = self._empty_text
        self._show("")
        self.query_one(Input).focus()

    def _show(self, typed: str) -> None:
        wanted = typed.casefold().split()
        left = [each for each in self._choices if all(part in each.words.casefold() for part in wanted)]
        name = typed.strip()
        if self._create is not None and name and all(each.value != name for each in self._choices):
            left.append(Choice(name, name, (Run("+ ", "added"), *text(f"{self._create} {name}"))))
        self.query_one(ChoiceList).show(left)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.query_one(ChoiceList).action_move(rows)

    @on(Input.Submitted)
    @on(RowList.Opened)
    def _pick(self) -> None:
        current = self._current()
        if current is not None:
            is_new = all(current is not choice for choice in self._choices)
            self.dismiss(Chosen(current.value, "create" if is_new else "pick"))

    def action_remove(self) -> None:
        """Give back the choice under the cursor to be taken away."""
        current = self._current()
        if self._removable and current is not None and current in self._choices:
            self.dismiss(Chosen(current.value, "remove"))

    def _current(self) -> Choice | None:
        shown = self.query_one(ChoiceList)
        return shown.choices[shown.cursor] if shown.cursor < len(shown.choices) else None
