"""All sessions of the root: filter, sort, mark, open, compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from analyze.answers import SessionSummary
from analyze.findings import names_by_session
from analyze.tui.figures import counted, mark
from analyze.tui.lines import Run, join, text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.screens.replay import ReplayScreen
from analyze.tui.session_list import COLUMNS, NEWEST_FIRST, SessionList, named, read_list, sort, tally
from analyze.tui.source import Source
from analyze.tui.widgets.filter_bar import FilterBar
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.painted import Block
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.virtual_table import VirtualTable
from analyze.tui.widgets.welcome import Welcome

FIRST_PAGE = 500
"""Sessions that are read and shown before the rest."""
HINT = "region:eastus2 outcome:failed finding:transcription* since:2h"


class SessionsScreen(SourceScreen[None]):
    """A virtual table of sessions under a filter."""

    CSS_PATH = "sessions.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="Open the session under the cursor"),
        Binding("space", "mark", "mark", tooltip="Mark or unmark the session for a comparison"),
        Binding("d", "diff", "diff", tooltip="Compare the two marked sessions, or the marked with the current"),
        Binding("slash", "filter", "filter", tooltip="Filter the sessions"),
        Binding("s", "sort", "sort", tooltip="Sort by the next column"),
        Binding("S", "turn_order", "Turn the order round", show=False),
        Binding("r", "replay", "replay", tooltip="Send the session again: choose targets and changes first"),
        Binding("f", "app.switch_mode('failures')", "failures", tooltip="Go to the failures"),
        Binding("colon", "app.switch_mode('sql')", "sql", tooltip="Ask in SQL"),
        Binding("tab", "app.switch_mode('failures')", "Failures", show=False),
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("f5", "reload", "Look at the root again", show=False),
        Binding("escape", "clear", "Clear filter and marks", show=False),
        Binding("q", "app.quit", "quit", tooltip="Leave wiretape"),
    ]

    class SessionChosen(Message):
        """A session shall be opened."""

        def __init__(self, session_id: str) -> None:
            super().__init__()
            self.session_id = session_id

    class DiffChosen(Message):
        """Two sessions shall be compared."""

        def __init__(self, left_id: str, right_id: str) -> None:
            super().__init__()
            self.left_id = left_id
            self.right_id = right_id

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.filter_text = ""
        self.only: frozenset[str] | None = None
        """Sessions of a cell of the failure matrix; None for all."""
        self.only_name = ""
        self.order = NEWEST_FIRST
        self.marked: list[str] = []
        self.names: Mapping[str, tuple[str, ...]] | None = None
        """What was found in each session; None until it is known."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield FilterBar("filter", HINT)
        yield Block(id="notice")
        yield VirtualTable(COLUMNS, key=lambda session: session.session_id, empty_text="reading …")
        yield Welcome()
        yield Block(id="tally")
        yield KeyLine()

    @property
    def table(self) -> VirtualTable[SessionSummary]:
        """The list."""
        return self.query_one(VirtualTable)

    def on_mount(self) -> None:
        """Read the newest sessions first."""
        self.query_one(TopLine).tab = "Sessions"
        self.place()
        self.table.focus()
        self.table.sorted_by = self.order
        self.read(limit=FIRST_PAGE)

    def read(self, *, limit: int | None = None) -> None:
        """Ask for the sessions of filter and cell; the rest follow where only the newest were asked for."""
        filter_text, order, only, names = self.filter_text, self.order, self.only, self.names
        self.ask(
            lambda: read_list(self.source, filter_text, order=order, only=only, limit=limit, names=names),
            self._show,
            kind="sessions",
        )

    def narrow(self, filter_text: str | None, session_ids: tuple[str, ...], name: str) -> None:
        """Show the sessions of a cell, whatever was filtered before: by a filter, else by their ids."""
        self.filter_text = filter_text or ""
        self.only, self.only_name = (frozenset(session_ids), name) if filter_text is None else (None, "")
        self.query_one(FilterBar).fill(self.filter_text)
        self.read()

    def _show(self, answer: SessionList) -> None:
        self.complain(left_out(answer.unreadable))
        self.set_class(answer.total == 0, "-empty")
        self.query_one(Welcome).welcome(f"{self.source.root.path}/")
        self.table.empty_text = "no session matches; escape clears the filter"
        self.table.show(answer.rows)
        live = (mark("live"), Run(f" {answer.live} live", "live")) if answer.live else ()
        self.place(text(counted(answer.total, "session")), live)
        self.query_one("#tally", Block).lines = ((Run(" "), *answer.tally),)
        self._count(answer)
        if answer.cut:
            self.read()
        if answer.named:
            return
        if self.names is not None:
            self._show_names(self.names)
        else:
            self.ask(lambda: names_by_session(self.source.findings()), self._show_names, kind="findings")

    def _show_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self.names = names
        rows, order = self.table.rows, self.order

        def show(found: list[SessionSummary]) -> None:
            self.table.show(found)
            self.query_one("#tally", Block).lines = ((Run(" "), *tally(found)),)

        self.ask(lambda: sort(named(rows, names), order), show, kind="sort")

    def _count(self, answer: SessionList) -> None:
        cell = text(self.only_name, "strong") if self.only is not None else ()
        count = text(f"{len(answer.rows):,} of {answer.total:,}", "muted")
        failed = (Run(f"{answer.failed:,} failed ", "failed" if answer.failed else "muted"),)
        self.query_one(FilterBar).found = (Run("  "), *join([cell, count, failed], " · "))

    @on(FilterBar.Typed)
    def _filter(self, event: FilterBar.Typed) -> None:
        if event.content != self.filter_text:
            self.filter_text = event.content
            self.read()
        if event.accepted:
            self.table.focus()

    @on(FilterBar.Left)
    def _leave_filter(self) -> None:
        self.table.focus()

    @on(RowList.Opened)
    def action_open(self) -> None:
        """Open the session under the cursor."""
        if self.table.current is not None:
            self.post_message(self.SessionChosen(self.table.current.session_id))

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterBar).enter()

    def action_sort(self) -> None:
        """Sort by the next column that is in sight."""
        names = [column.name for column, _ in self.table.shown_columns() if column.order]
        at = names.index(self.order[0]) if self.order[0] in names else -1
        name = names[(at + 1) % len(names)]
        # Times and figures are looked at from the top, names from the beginning.
        numeric = next(column.align == "right" or name == "started UTC" for column in COLUMNS if column.name == name)
        self._reorder((name, numeric or name == "finding"))

    def action_turn_order(self) -> None:
        """Turn the order round."""
        self._reorder((self.order[0], not self.order[1]))

    def _reorder(self, order: tuple[str, bool]) -> None:
        self.order = self.table.sorted_by = order
        rows = self.table.rows
        self.ask(lambda: sort(rows, order), lambda ordered: self.table.show(ordered, keep_cursor=False), kind="sort")

    def action_mark(self) -> None:
        """Mark or unmark the current session and go on to the next."""
        current = self.table.current
        if current is None:
            return
        if current.session_id in self.marked:
            self.marked.remove(current.session_id)
        else:
            self.marked = [*self.marked[-1:], current.session_id]
        self.table.mark(self.marked)
        self.table.action_move(1)

    def action_diff(self) -> None:
        """Compare the two marked sessions, or the marked one with the current."""
        current = self.table.current
        pair = list(self.marked)
        if len(pair) == 1 and current is not None and current.session_id not in pair:
            pair.append(current.session_id)
        if len(pair) == 2:
            self.post_message(self.DiffChosen(pair[0], pair[1]))
        else:
            self.hint("mark a session with space, go to another, then press d")

    def action_replay(self) -> None:
        """Open the form that sends the current session again."""
        if self.table.current is not None:
            self.app.push_screen(ReplayScreen(self.source, self.table.current.session_id))

    def action_reload(self) -> None:
        """Look at the root again."""
        self.names = None
        self.ask(self.source.reload, lambda _: self.read(limit=FIRST_PAGE), kind="sessions")

    def action_clear(self) -> None:
        """Clear marks first, then filter and cell."""
        if self.marked:
            self.marked = []
            self.table.mark(())
        elif self.filter_text or self.only is not None:
            self.filter_text, self.only = "", None
            self.query_one(FilterBar).fill("")
            self.read()
        self.complain("")


def left_out(unreadable: Mapping[Path, str]) -> str:
    """Say which files could not be read; nothing where all could."""
    if not unreadable:
        return ""
    path, reason = next(iter(unreadable.items()))
    others = f", and {counted(len(unreadable) - 1, 'other file')}" if len(unreadable) > 1 else ""
    return f"left out: {path.name} ({reason}){others}"
