"""Pick the session that another one is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from analyze.answers import SessionSummary
from analyze.filters import is_open, narrowed
from analyze.findings import names_by_session
from analyze.tui.filter_completion import term_of
from analyze.tui.lines import text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.session_list import COLUMNS, named
from analyze.tui.source import Source
from analyze.tui.widgets.filter_bar import FilterBar
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.painted import Notice
from analyze.tui.widgets.row_list import READING, RowList
from analyze.tui.widgets.virtual_table import VirtualTable

_NEWEST = 2_000
"""Sessions that are offered besides the related ones."""


def _began(session: SessionSummary) -> tuple[float, str]:
    return (session.started_at.timestamp() if session.started_at else 0.0, session.session_id)


def nearness(session: SessionSummary, other: SessionSummary) -> int:
    """Rank how closely another session is related: 0 the same recording replayed, up to 3 unrelated."""
    origin = session.replay_of or session.session_id
    if origin in (other.session_id, other.replay_of):
        return 0
    if session.run_id is not None and session.run_id == other.run_id:
        return 1
    return 2 if session.model == other.model else 3


class PickScreen(SourceScreen[str | None]):
    """The other sessions, related ones first; gives back the id of the one that was picked."""

    CSS_PATH = "pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pick", "compare"),
        Binding("slash", "filter", "filter"),
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("escape,q", "dismiss(None)", "back"),
    ]

    def __init__(self, source: Source, session: SessionSummary) -> None:
        super().__init__(source)
        self.session = session
        self._names: Mapping[str, tuple[str, ...]] | None = None
        """What was found in each session; None until it is known."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield FilterBar("filter", "region:swedencentral outcome:ok")
        yield Notice(id="notice")
        yield VirtualTable(COLUMNS, key=lambda session: session.session_id, empty_text=READING)
        yield KeyLine()

    @property
    def table(self) -> VirtualTable[SessionSummary]:
        """The list."""
        return self.query_one(VirtualTable)

    def on_mount(self) -> None:
        """Show all other sessions."""
        self.place(text(self.session.session_id), text("compare with …", "strong"))
        self.table.focus()
        self._read("")

    def _read(self, filter_text: str) -> None:
        self.ask(lambda: self._related_and_newest(filter_text), self._show, kind="sessions")

    def _related_and_newest(self, filter_text: str) -> Sequence[SessionSummary]:
        session = self.session
        origin = session.replay_of or session.session_id
        related = {"session_id": origin, "replay_of": origin, "run_id": session.run_id}
        terms = [term_of(field, value) for field, value in related.items() if value]
        found = [row for term in terms if term for row in self.source.sessions(narrowed(filter_text, term))]
        found += self.source.sessions(filter_text, limit=_NEWEST)
        return sorted({row.session_id: row for row in found}.values(), key=_began, reverse=True)

    def _show(self, rows: Sequence[SessionSummary]) -> None:
        self.complain("")
        others = [row for row in rows if row.session_id != self.session.session_id]
        self.query_one(FilterBar).found = text(f" {len(others):,} ", "muted")
        self.table.empty_text = "no other session"
        others.sort(key=lambda other: nearness(self.session, other))
        self.table.show(others if self._names is None else named(others, self._names))
        if self._names is None:
            self.ask(lambda: names_by_session(self.source.findings()), self._show_names, kind="findings")

    def _show_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self._names = names
        self.table.show(named(self.table.rows, names))

    @on(FilterBar.Typed)
    def _filter(self, event: FilterBar.Typed) -> None:
        if event.accepted or not is_open(event.content):
            self._read(event.content)
        if event.accepted:
            self.table.focus()

    @on(FilterBar.Left)
    def _leave_filter(self) -> None:
        self.table.focus()

    @on(RowList.Opened)
    def action_pick(self) -> None:
        """Give back the session under the cursor."""
        if self.table.current is not None:
            self.dismiss(self.table.current.session_id)

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterBar).enter()
