"""A session in flight: every event that its journal holds so far, as it grows, until its recording is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from analyze.answers import SessionSummary
from analyze.live_timeline import LiveRow, LiveTimeline, event_of
from analyze.tui.lines import Line, Run, join, text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.source import Source
from analyze.tui.widgets.follow_head import NOT_KEPT, QUARANTINED, FollowHead, sealed_line
from analyze.tui.widgets.followed_events import FollowedEvents
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.painted import Block, Notice
from analyze.tui.widgets.row_list import RowList
from capture.narration import counted

if TYPE_CHECKING:
    from capture.following import Look

LOOK_S = 0.5
"""How often the journal is read on."""


class Shown(NamedTuple):
    """The rows of a timeline at one moment."""

    rows: Sequence[LiveRow]
    passed: int


class FollowScreen(SourceScreen[None]):
    """Follows one session; its head, and its events with the newest at the bottom."""

    CSS_PATH = "follow.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="Show the message under the cursor; once sealed, open the session"),
        Binding("end,G", "follow", "follow", tooltip="Go to the newest event, and follow again"),
        Binding("n", "next_error(1)", "next error", tooltip="Go to the next event that failed"),
        Binding("N", "next_error(-1)", "Error before", show=False),
        Binding("a", "all", "all events", tooltip="Give each event a row; again: fold runs of one streaming type"),
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("q,escape", "back", "back"),
    ]

    def __init__(self, source: Source, session_id: str) -> None:
        super().__init__(source)
        self.session_id = session_id
        self._followed = source.follow(session_id)
        self._is_folded = True
        self._timelines = self._new_timelines()
        self._shown = {True: Shown((), 0), False: Shown((), 0)}
        self._is_behind = False
        """There is more in the journal than was read."""
        self._is_over = False
        self.summary: SessionSummary | None = None
        """The recording, once there is one."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield FollowHead()
        yield Notice(id="notice")
        yield FollowedEvents()
        yield Block(id="tally")
        yield KeyLine()

    def on_mount(self) -> None:
        """Read what there is, then what comes."""
        self.place(text("in flight", "live"), text(self.session_id))
        self.events.focus()
        self.set_interval(LOOK_S, self.look)
        self.look()

    @property
    def events(self) -> FollowedEvents:
        """The events so far."""
        return self.query_one(FollowedEvents)

    @staticmethod
    def _new_timelines() -> dict[bool, LiveTimeline]:
        return {is_folded: LiveTimeline(fold=is_folded) for is_folded in (True, False)}

    def look(self) -> None:
        """Read on, unless the last look still lasts or the session is over."""
        if not self._is_over and not any(worker.group == "follow" for worker in self.workers):
            self._read_on()

    def _read_on(self) -> None:
        self.ask(self._read, self._show, kind="follow")

    def _read(self) -> tuple[Look, dict[bool, Shown]]:
        # In a thread, and never in two: what is shown is a copy.
        look = self._followed.look()
        if look.begins_anew:
            self._timelines = self._new_timelines()
        events = [event_of(row) for row in look.rows]
        for timeline in self._timelines.values():
            timeline.add(events)
        return look, {way: Shown(tuple(each.rows), each.passed) for way, each in self._timelines.items()}

    def _show(self, answer: tuple[Look, dict[bool, Shown]]) -> None:
        look, self._shown = answer
        if look.session is None:
            self._is_over = True
            self.ask(self._recording, self._show_end, kind="recording")
            return
        self._is_behind = look.is_behind
        self.query_one(FollowHead).show(look.session)
        if look.hidden is not None:
            self.complain(f"its messages are not shown: {look.hidden}")
        self.events.grow(*self._shown[self._is_folded])
        if look.is_behind:
            self._read_on()

    def _recording(self) -> tuple[SessionSummary | None, Line]:
        root = self.source.root
        self.source.reload()
        found = self.source.sessions_by_id([self.session_id])
        if found:
            return found[0], sealed_line(found[0])
        return None, QUARANTINED if root.quarantined(self.session_id).exists() else NOT_KEPT

    def _show_end(self, answer: tuple[SessionSummary | None, Line]) -> None:
        self.summary, end = answer
        self.query_one(FollowHead).show_end(end)
        self.place(text(self.session_id))
        self._show_tally()

    @on(RowList.Moved)
    def _show_tally(self) -> None:
        rows, passed = self._shown[self._is_folded]
        below = len(rows) - 1 - self.events.cursor
        session = self.query_one(FollowHead).session
        if self._is_over:
            way: Line = ()
        elif session is not None and session.is_left_behind:
            way = text("its recorder is gone: nothing more comes", "incomplete")
        elif self._is_behind:
            way = text("catching up …", "live")
        elif self.events.follows:
            way = (Run("following", "live"), Run(" · newest at the bottom", "muted"))
        else:
            way = (Run(f"{counted(below, 'row')} below", "strong"), Run(" · end follows again", "live"))
        older = (
            text(f"{counted(passed, 'older row')} left out: the recording will have them", "muted") if passed else ()
        )
        self.query_one("#tally", Block).lines = ((Run(" "), *join([way, older], "    ")),)

    def action_follow(self) -> None:
        """Go to the newest event and follow."""
        self.events.action_edge(1)

    def action_all(self) -> None:
        """Give each event a row, or fold runs of one streaming type."""
        self._is_folded = not self._is_folded
        self.events.exchange(*self._shown[self._is_folded])

    def action_next_error(self, step: int) -> None:
        """Go to the next event that failed, or the one before."""
        if not self.events.go_to_error(step):
            self.hint(f"no failure {'after' if step > 0 else 'before'} this event")

    def action_open(self) -> None:
        """Show the message under the cursor; once there is a recording, open that in place of this screen."""
        from analyze.tui.screens.session import SessionScreen

        if self.summary is not None:
            self.app.switch_screen(SessionScreen(self.source, self.session_id))
        else:
            self._show_message()

    @on(RowList.Opened)
    def _show_message(self) -> None:
        from analyze.tui.screens.record import RecordScreen

        entry = self.events.current
        if entry is not None:
            self.app.push_screen(RecordScreen(*zip(*message_of(entry), strict=True)))

    def action_back(self) -> None:
        """Leave the screen."""
        self.app.pop_screen()


def message_of(entry: LiveRow) -> list[tuple[str, object]]:
    """Give what is known of a row's first event, name by name."""
    row = entry.row
    facts: list[tuple[str, object]] = [
        ("event", row.type or f"({row.kind})"),
        ("from", row.sender),
        ("after", f"{row.offset_ms or 0.0:,.1f} ms"),
        ("size", f"{entry.wire_bytes:,} bytes on the wire"),
    ]
    if row.count > 1:
        facts.append(("row", f"the first of {row.count:,}, seq {row.first_seq} to {row.last_seq}"))
    if row.error:
        facts.append(("error", row.error))
    if entry.payload is None and row.kind not in ("event", "text"):
        return facts
    gone = "not held here: the recording will have it"
    return [*facts, ("message", gone if entry.payload is None else entry.payload)]
