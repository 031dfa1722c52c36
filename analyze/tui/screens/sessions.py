"""All sessions of the root: filter, sort, mark, open, compare; those in flight above them, as they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from analyze.findings import names_by_session
from analyze.session_order import FINDING, NEWEST_FIRST, Order
from analyze.tui.lines import Line, Run, join, text
from analyze.tui.memory import Memory
from analyze.tui.screens.choose import Choice, ChooseScreen, Chosen
from analyze.tui.screens.filtering import HINT
from analyze.tui.screens.in_flight import LOOK_S, InFlightScreen
from analyze.tui.session_list import COLUMNS, SessionList, glance, read_list, tally_lines
from analyze.tui.source import Source
from analyze.tui.widgets.filter_bar import FilterBar
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.live_list import LiveList
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.row_list import READING, RowList
from analyze.tui.widgets.virtual_table import VirtualTable
from analyze.tui.widgets.welcome import Welcome
from capture.narration import counted
from capture.recording.root import Root

FIRST_PAGE = 100
"""Sessions that are read and shown before the rest."""
REREAD_S = 10.0
"""How long a root is left alone after it was read, however many sessions end meanwhile."""


class Tally(Block):
    """What the sessions sum up to."""

    def lines_at(self, width: int) -> Sequence[Line]:
        """Take two lines where one is too narrow."""
        return [(Run(" "), *line) for line in tally_lines(self.lines, width - 1)]


class SessionsScreen(InFlightScreen):
    """A virtual table of sessions under a filter."""

    NAME = "sessions"
    CSS_PATH = "sessions.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="Open the session under the cursor"),
        Binding("space", "mark", "mark", tooltip="Mark or unmark the session for a comparison"),
        Binding("d", "diff", "diff", tooltip="Compare the marked sessions, or the marked one with the current"),
        Binding("slash", "filter", "filter", tooltip="Filter the sessions"),
        Binding("v", "values", "values", tooltip="Narrow by a value that sessions have, with counts"),
        Binding("l", "saved", "Saved filters", show=False),
        Binding("s", "sort", "sort", tooltip="Sort by the next column"),
        Binding("S", "turn_order", "Turn the order round", show=False),
        Binding("o", "order", "Choose a column to sort by", show=False),
        Binding("t", "annotate", "tag", tooltip="Give the marked sessions, or this one, tags and a note"),
        Binding("r", "replay", "replay", tooltip="Send the session again: choose targets and changes first"),
        Binding("y", "copy_id", "Copy the ids of the marked sessions, or of this one", show=False),
        Binding("f", "app.switch_mode('failures')", "failures", tooltip="Go to the failures"),
        Binding("colon", "app.switch_mode('sql')", "sql", tooltip="Ask in SQL"),
        Binding("tab", "app.switch_mode('failures')", "Failures", show=False),
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("f5", "reload", "Look at the root again", show=False),
        Binding("escape", "clear", "Clear filter and marks", show=False),
        Binding("q", "app.quit", "quit", tooltip="Leave wiretape"),
    ]

    def __init__(self, source: Source, memory: Memory | None = None) -> None:
        super().__init__(source, memory)
        self.only: frozenset[str] | None = None
        """Sessions of a cell of the failure matrix; None for all."""
        self.only_name = ""
        kept = self.memory.recall(self.NAME)
        self.order = remembered_order(kept.get("order", ""))
        self._selected = kept.get("selected")
        """Session that the cursor goes to with the first answer."""
        self._at: str | None = None
        """Session under the cursor, while there is a screen and after it."""
        self._shown: tuple[str, frozenset[str] | None] | None = None
        """Filter and cell of the list that is shown; None before the first."""
        self._read_at = 0.0
        self._is_behind = False
        """Sessions have come or gone since the list was read."""
        self._total: int | None = None
        """Sessions in the root; None until they are counted."""
        self._has_folder = True
        """Whether there was a root when it was read."""
        self.names: Mapping[str, tuple[str, ...]] | None = None
        """What was found in each session; None until it is known."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield FilterBar("filter", HINT)
        yield Notice(id="notice")
        yield LiveList()
        yield VirtualTable(COLUMNS, key=lambda session: session.session_id, empty_text=READING)
        yield Welcome()
        yield Tally()
        yield KeyLine()

    def on_mount(self) -> None:
        """Read the newest sessions first."""
        self.query_one(TopLine).tab = "Sessions"
        self.table.focus()
        self._show_order()
        self.open_bar()
        self._glance()
        self.set_interval(LOOK_S, self.look_at_live)
        self.look_at_live()

    def on_unmount(self) -> None:
        """Remember where the cursor stands."""
        self._remember()

    def on_screen_resume(self) -> None:
        """Take in what was recorded while another screen was in front: such a call was never seen in flight."""
        self.ask(self.source.is_behind, self._fall_behind, kind="behind")

    def _fall_behind(self, is_behind: bool) -> None:
        self._is_behind |= is_behind
        self._reread_when_due()

    def on_screen_suspend(self) -> None:
        """Remember where the cursor stands, for the program may end on another screen."""
        self._remember()

    @on(RowList.Moved)
    def _note_place(self) -> None:
        if self.table.current is not None:
            self._at = self.table.current.session_id

    def _remember(self) -> None:
        # Without a row nothing was read yet, and what was remembered stays.
        if self._at is not None:
            self.memory.remember(self.NAME, selected=self._at)

    def session_ended(self, *, is_selected: bool) -> None:
        """Read the list again: at once for the session under the cursor, else when it is due."""
        self._is_behind = True
        if is_selected:
            self.action_reload()
        else:
            self._reread_when_due()

    def look_at_live(self) -> None:
        """Ask what is in flight, and read the list again where sessions have ended since it was read."""
        super().look_at_live()
        if self.is_current:
            self._reread_when_due()

    def _reread_when_due(self) -> None:
        is_reading = any(worker.group in ("sessions", "findings") for worker in self.workers)
        # A busy proxy ends a call a second: the list must not be read without end.
        if self._is_behind and not is_reading and monotonic() - self._read_at > REREAD_S:
            self.action_reload()

    def read(self, *, keep_cursor: bool = True) -> None:
        """Ask for the sessions of filter and cell, in their order."""
        self._read_at = monotonic()
        self.looked = self.source.looks
        filter_text, order, only, names = self.filter_text, self.order, self.only, self.names

        def show(answer: SessionList) -> None:
            # Of what another filter picks the first is looked at first; where one was is kept in the same list.
            stay_near, self._shown = self._shown == (filter_text, only), (filter_text, only)
            self._show(answer, keep_cursor=keep_cursor, stay_near=stay_near)

        self.ask(
            lambda: read_list(self.source, filter_text, order=order, only=only, names=names), show, kind="sessions"
        )

    def _glance(self) -> None:
        """Show the newest sessions while the root is opened; then all of them."""

        def show(newest: SessionList | None) -> None:
            if newest is None:
                self.read()
            else:
                self._show(newest)

        self.ask(lambda: glance(self.source, FIRST_PAGE), show, kind="sessions")

    def narrow(self, filter_text: str | None, session_ids: tuple[str, ...], name: str) -> None:
        """Show the sessions of a cell, whatever was filtered before: by a filter, else by their ids."""
        self.only, self.only_name = (frozenset(session_ids), name) if filter_text is None else (None, "")
        self.set_filter(filter_text or "")

    def filter_changed(self) -> None:
        """Read the list of another filter."""
        self.read()

    def leave_filter(self) -> None:
        """Go to the list."""
        self.table.focus()

    def _show(self, answer: SessionList, *, keep_cursor: bool = True, stay_near: bool = False) -> None:
        self.complain(left_out(answer.unreadable, self.source.root))
        if answer.slow:
            # No complaint: it is gone with the next answer.
            self.query_one("#notice", Notice).lines = ((Run(" "), *text(answer.slow, "muted")),)
        self.set_class(answer.total == 0, "-empty")
        self._has_folder = answer.has_folder
        self.table.empty_text = "no session matches; escape clears the filter"
        self.table.show(answer.rows, keep_cursor=keep_cursor, stay_near=stay_near)
        if self._selected is not None:
            self.table.go_to(self._selected)
            # Where only the newest are there, it may be among the others.
            self._selected = self._selected if answer.cut else None
        self.follow_to_recording()
        self._total = answer.total
        self.show_place()
        self.query_one(Tally).lines = tuple(answer.tally)
        self._count(answer)
        if answer.cut:
            # The newest of all, whatever the filter.
            if self.filter_text or self.only is not None:
                self.wait_for_count()
            self.read()
        if answer.cut or answer.named:
            return
        if self.names is not None:
            self._show_names(self.names)
        else:
            self.ask(lambda: names_by_session(self.source.findings()), self._show_names, kind="findings")

    def show_place(self) -> None:
        """Say in the first line how many sessions there are, and how many are in flight; where there are none, why."""
        # A proxy makes the folder with its first call.
        has_folder = self._has_folder or bool(self.live.sessions)
        self.query_one(Welcome).welcome(f"{self.source.root.path}/", has_folder=has_folder)
        self.place(() if self._total is None else text(counted(self._total, "session")), self.live_words())

    def _show_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self.names = names
        self.read()

    def _count(self, answer: SessionList) -> None:
        cell = text(self.only_name, "strong") if self.only is not None else ()
        count = text(f"{len(answer.rows):,} of {answer.total:,}", "muted")
        failed = (Run(f"{answer.failed:,} failed ", "failed" if answer.failed else "muted"),)
        self.query_one(FilterBar).found = (Run("  "), *join([cell, count, failed], " · "))

    def action_filter(self) -> None:
        """Type a filter, where there is something to filter."""
        if self._total == 0:
            self.hint("no recordings yet to filter")
        else:
            super().action_filter()

    @on(RowList.Opened)
    def action_open(self) -> None:
        """Open the session under the cursor; one in flight is followed."""
        if self.in_flight is not None:
            self.post_message(self.FollowChosen(self.in_flight.session_id))
        elif self.table.current is not None:
            self.post_message(self.SessionChosen(self.table.current.session_id))

    def action_sort(self) -> None:
        """Sort by the next column that is in sight."""
        names = [column.order for column, _ in self.table.shown_columns() if column.order]
        at = names.index(self.order[0]) if self.order[0] in names else -1
        self._reorder(first_order(names[(at + 1) % len(names)]))

    @on(VirtualTable.HeadingClicked)
    def _sort_by_click(self, event: VirtualTable.HeadingClicked) -> None:
        again = event.order == self.order[0]
        self._reorder((event.order, not self.order[1]) if again else first_order(event.order))

    def action_order(self) -> None:
        """Choose the column to sort by, also one that is not in sight."""

        def sort_by(chosen: Chosen | None) -> None:
            if chosen is not None:
                self._reorder(first_order(chosen.value))

        # The column of signs has no name.
        names = {each.order: each.name or each.order for each in COLUMNS if each.order}
        choices = [Choice(order, name, text(name)) for order, name in names.items()]
        self.app.push_screen(ChooseScreen("Sort by", choices), sort_by)

    def action_turn_order(self) -> None:
        """Turn the order round."""
        self._reorder((self.order[0], not self.order[1]))

    def _reorder(self, order: Order) -> None:
        self.order = order
        self.memory.remember(self.NAME, order=f"{order[0]}|{'down' if order[1] else 'up'}")
        self._show_order()
        self.read(keep_cursor=False)

    def _show_order(self) -> None:
        name, descends = self.order
        heading = next((column.name for column in COLUMNS if column.order == name), "")
        self.table.sorted_by = (heading, descends)

    def action_replay(self) -> None:
        """Open the form that sends the current session again."""
        if not self.refuses() and self.table.current is not None:
            self.post_message(self.ReplayChosen(self.table.current.session_id))

    def action_reload(self) -> None:
        """Look at the root again."""
        self._is_behind = False
        self.ask(self.source.reload, lambda _: self.root_changed(), kind="sessions")

    def root_changed(self) -> None:
        """Read the list again, and what was found in it."""
        self.names = None
        self.unmark_gone()
        self.read()

    def action_clear(self) -> None:
        """Clear marks first, then filter and cell."""
        if self.marks:
            self.unmark()
        elif self.filter_text or self.only is not None:
            self.only = None
            self.set_filter("")
        self.complain("")


def first_order(name: str) -> Order:
    """Give the order in which a column is looked at first: times and figures from the top, names from the beginning."""
    is_figure = any(column.order == name and column.align == "right" for column in COLUMNS)
    return name, is_figure or name in ("started", FINDING)


def remembered_order(kept: str) -> Order:
    """Read an order that was remembered; the usual one where it names nothing that sorts."""
    name, _, direction = kept.rpartition("|")
    return (name, direction == "down") if any(column.order == name for column in COLUMNS) else NEWEST_FIRST


def left_out(unreadable: Mapping[Path, str], root: Root) -> str:
    """Say which files could not be read; nothing where all could."""
    if not unreadable:
        return ""
    path, reason = next(iter(unreadable.items()))
    others = len(unreadable) - 1
    names_them = root.command("wiretape analyze sessions")
    more = f", and {counted(others, 'other file')}: {names_them} names them" if others else ""
    # Files of all tables bear the session's name.
    return f"left out: {'/'.join(path.parts[-3:])} ({reason}){more}"
