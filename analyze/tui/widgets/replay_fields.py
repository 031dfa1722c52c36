"""What a replay form is filled in with: targets to choose from, changes, trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input

from analyze.tui.lines import Line, Run, text
from analyze.tui.replay_plan import ReplayForm, sort_changes
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.text_field import TextField
from analyze.tui.widgets.virtual_table import COMFORT, Column, VirtualTable
from capture.errors import UsageProblem
from capture.targets import Target, resolve_target

_TRIALS = 5


class ReplayFields(Vertical):
    """The left side of the form; says when something in it has changed."""

    DEFAULT_CSS = """
    ReplayFields { overflow-y: auto; scrollbar-size-vertical: 1; }
    ReplayFields Input { height: 1; border: none; padding: 0; background: $surface; width: 1fr; }
    ReplayFields Input:focus { border: none; background: $panel; }
    ReplayFields Input > .input--placeholder, ReplayFields Input > .input--suggestion { color: $foreground 60%; }
    ReplayFields Horizontal { height: 1; margin: 0 0 1 0; }
    ReplayFields .label { width: 9; }
    ReplayFields VirtualTable { height: auto; max-height: 10; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "choose", tooltip="Choose the target under the cursor, or leave it out"),
        Binding("x,delete", "remove", "remove", tooltip="Take back the change under the cursor"),
    ]

    class Changed(Message):
        """Something else is asked for."""

    class Refused(Message):
        """What was typed cannot be taken."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[str] = []
        """Names of the chosen targets, in the order of their choice."""
        self.changes: list[str] = []
        self._typed: dict[str, str] = {}
        """Name of a target -> its URL as it was typed: the name of one with a key in it does not hold the key."""

    def compose(self) -> ComposeResult:
        """Lay out the fields."""
        columns: tuple[Column[Target], ...] = (
            Column("target", self._target_line, least=14, most=60),
            Column("region", lambda target: text(target.region or ""), least=8, most=20, fold=2),
            Column("model", lambda target: text(target.model or ""), least=8, most=30, fold=COMFORT),
        )
        yield VirtualTable[Target](
            columns, key=lambda target: target.name, empty_text="no wiretape.toml here: type a URL", id="targets"
        )
        yield from _field("or URL", TextField(placeholder="wss://HOST/PATH · enter adds it", compact=True, id="url"))
        hint = "PATH=VALUE or PATH=A,B or -PATH · enter adds it"
        yield from _field("change", TextField(placeholder=hint, compact=True, select_on_focus=False, id="change"))
        # The end says most: what the setting becomes.
        changed: Column[str] = Column("changes", lambda change: text(change, "changed"), least=10, most=200, keep="end")
        yield VirtualTable[str]((changed,), key=lambda change: change, empty_text="as recorded", id="changes")
        yield from _field("trials", TextField(str(_TRIALS), type="integer", compact=True, id="trials"))

    @property
    def targets(self) -> VirtualTable[Target]:
        """The targets to choose from."""
        return self.query_one("#targets", VirtualTable)

    @property
    def form(self) -> ReplayForm:
        """What is filled in."""
        trials = self.query_one("#trials", Input).value
        names = tuple(self._typed.get(name, name) for name in self.chosen)
        return ReplayForm(names, tuple(self.changes), int(trials) if trials.isdecimal() else 0)

    @property
    def unfinished(self) -> str:
        """What stands in a field and was not added yet; empty where nothing does."""
        return next((typed for name in ("#url", "#change") if (typed := self.query_one(name, Input).value.strip())), "")

    def offer(self, targets: Sequence[Target], chosen: Sequence[str], suggestions: Sequence[str]) -> None:
        """Show the targets there are, some of them chosen, and what can be changed."""
        self.chosen = list(chosen)
        self.targets.show(list(targets))
        self.query_one("#change", Input).suggester = SuggestFromList(suggestions, case_sensitive=False)

    def _target_line(self, target: Target) -> Line:
        chosen = target.name in self.chosen
        return (Run("■ " if chosen else "□ ", "ok" if chosen else "muted"), *text(target.name))

    @on(RowList.Opened, "#targets")
    def action_choose(self) -> None:
        """Choose the target under the cursor, or leave it out."""
        target = self.targets.current
        if target is None:
            return
        if target.name in self.chosen:
            self.chosen.remove(target.name)
        else:
            self.chosen.append(target.name)
        self.targets.refresh()
        self.post_message(self.Changed())

    def action_remove(self) -> None:
        """Take back the change under the cursor."""
        table = self.query_one("#changes", VirtualTable)
        if table.has_focus and table.current is not None:
            self.changes.remove(table.current)
            self._show_changes()

    @on(Input.Submitted, "#url")
    def _add_url(self, event: Input.Submitted) -> None:
        typed = event.value.strip()
        if not typed:
            return
        try:
            target = resolve_target(typed)
        except UsageProblem as problem:
            self.post_message(self.Refused(str(problem)))
            return
        if "://" in typed:
            self._typed[target.name] = typed
        others = [other for other in self.targets.rows if other.name != target.name]
        if target.name not in self.chosen:
            self.chosen.append(target.name)
        self.targets.show([*others, target])
        event.input.clear()
        self.post_message(self.Changed())

    @on(Input.Submitted, "#change")
    def _add_change(self, event: Input.Submitted) -> None:
        change = event.value.strip()
        if not change:
            return
        try:
            sort_changes([*self.changes, change])
        except UsageProblem as problem:
            self.post_message(self.Refused(str(problem)))
            return
        self.changes.append(change)
        event.input.clear()
        self._show_changes()

    @on(Input.Changed, "#trials")
    def _take_trials(self) -> None:
        self.post_message(self.Changed())

    def _show_changes(self) -> None:
        self.query_one("#changes", VirtualTable).show(list(self.changes))
        self.post_message(self.Changed())


def _field(label: str, field: Input) -> ComposeResult:
    with Horizontal():
        yield Block([text(label, "muted")], classes="label")
        yield field
