"""One session: what failed leads, then levels, turns, and every event with its payload."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from analyze.answers import EventDetail, SessionDetail, TimelineRow
from analyze.findings import Finding
from analyze.timeline import columns_of
from analyze.tui.lines import Line, text
from analyze.tui.marks import marks_of
from analyze.tui.payload import event_lines, first_found
from analyze.tui.screens.configuration import ConfigurationScreen
from analyze.tui.screens.pick import PickScreen
from analyze.tui.screens.session_audio import SessionAudio
from analyze.tui.screens.waterfall import WaterfallScreen
from analyze.tui.source import Source
from analyze.tui.time_axis import ZOOM
from analyze.tui.widgets.event_view import EventView
from analyze.tui.widgets.frame import KeyLine, TopLine
from analyze.tui.widgets.levels import Levels, bins_for
from analyze.tui.widgets.painted import Notice
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.search_bar import SearchBar
from analyze.tui.widgets.session_head import SessionHead
from analyze.tui.widgets.timeline import Timeline
from analyze.tui.widgets.turn_bars import TurnBars
from capture.narration import counted
from capture.plain_text import escape_unseen, visible

COPIED_CHARACTERS = 100_000
"""Of a message at most: many terminals take no more, and all have to read it."""
WAVEFORM_CELLS = 18
"""Of an event's audio; with its length and peak it fits the narrowest detail."""


class SessionScreen(SessionAudio):
    """Everything about one session, on one time axis."""

    CSS_PATH = "session.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual declares it without ClassVar
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_error(1)", "next error", tooltip="Go to the next event that failed"),
        Binding("N", "next_error(-1)", "Error before", show=False),
        Binding("e", "next_evidence", "evidence", tooltip="Go to the next row that a finding rests on"),
        Binding("enter", "unfold", "unfold", tooltip="Unfold a run of events, or open the event"),
        Binding("j", "search", "search", tooltip="Search in the payloads"),
        Binding("J", "next_match", "Next match", show=False),
        Binding("plus,equals_sign", "zoom(1)", "zoom", key_display="+ -", tooltip="Zoom in on the time axis"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False),
        Binding("0", "zoom(0)", "Show the whole session", show=False),
        Binding("right", "along(1)", "Later", show=False),
        Binding("left", "along(-1)", "Earlier", show=False),
        Binding("l", "latencies", "latencies", tooltip="How long each step of each turn took"),
        Binding("c", "configuration", "configuration", tooltip="What was asked for, and what was echoed"),
        Binding("d", "diff", "diff with …", tooltip="Compare with another session"),
        *SessionAudio.KEYS,
        Binding("r", "replay", "replay", tooltip="Send the session again: choose targets and changes first"),
        Binding("y", "copy_id", "Copy the session's id", show=False),
        Binding("Y", "copy_message", "Copy the message under the cursor", show=False),
        Binding("question_mark", "app.help", "help", tooltip="Keys and signs"),
        Binding("q,escape", "back", "back"),
    ]

    def __init__(self, source: Source, session_id: str) -> None:
        super().__init__(source, session_id)
        self.detail: SessionDetail | None = None
        self.rows: Sequence[TimelineRow] = ()
        self.evidence: Sequence[int] = ()
        """seqs of the rows that the findings rest on."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield TopLine()
        yield SessionHead()
        yield Notice(id="notice")
        yield Levels()
        yield TurnBars()
        with Horizontal(id="events"):
            yield Timeline()
            yield EventView(id="detail")
        yield SearchBar()
        yield KeyLine()

    def on_mount(self) -> None:
        """Ask for everything at once; each part shows when its answer comes."""
        self.place(text(self.session_id))
        self.timeline.focus()
        source, session_id = self.source, self.session_id
        # The events first: a source answers one question after the other, and the cursor is among these.
        self.ask(lambda: source.timeline(session_id), self._show_timeline, kind="timeline")
        self.ask(lambda: source.session(session_id), self._show_session, kind="session")
        self.ask(lambda: source.session_findings(session_id), self._show_findings, kind="findings")

    @property
    def timeline(self) -> Timeline:
        """The events."""
        return self.query_one(Timeline)

    @property
    def side_at_cursor(self) -> str:
        """Whose event the cursor is on."""
        entry = self.timeline.current
        return "client" if entry is None else entry.row.sender

    @property
    def levels(self) -> Levels:
        """The time axis."""
        return self.query_one(Levels)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the signs of the zoom to the search while it is typed: Textual does not see that they are typed."""
        del parameters
        return not (action == "zoom" and isinstance(self.focused, Input))

    def _show_session(self, detail: SessionDetail) -> None:
        self.detail = detail
        self.query_one(SessionHead).show(detail)
        self.query_one(TurnBars).show(detail.turns)
        self._mark_levels()
        # How finely levels are measured depends on how long the session is.
        bins, session_id = bins_for(detail.summary.duration_ms or 0.0), self.session_id
        self.ask(
            lambda: [self.source.levels(session_id, track, bins) for track in ("client", "server")],
            lambda levels: self.levels.show_levels(*levels),
            kind="levels",
        )

    def _show_findings(self, findings: Sequence[Finding]) -> None:
        self.evidence = sorted({seq for finding in findings for seq in finding.evidence})
        self.query_one(SessionHead).show_findings(findings)

    def _show_timeline(self, rows: Sequence[TimelineRow]) -> None:
        self.rows = rows
        self.timeline.empty_text = "no events"
        self.timeline.show_rows(rows)
        self._mark_levels()

    def _mark_levels(self) -> None:
        if self.detail is not None and self.rows:
            duration_ms = self.detail.summary.duration_ms or 0.0
            show = partial(self.levels.show_marks, duration_ms=duration_ms)
            self.ask(partial(marks_of, self.detail.turns, self.rows), show, kind="marks")

    @on(RowList.Moved, "Timeline")
    def _show_event(self) -> None:
        entry = self.timeline.current
        if entry is None:
            return
        row, needle = entry.row, self.query_one(SearchBar).needle

        def read() -> tuple[list[Line], int | None]:
            levels = self.source.event_levels(self.session_id, row, WAVEFORM_CELLS) if row.audio_ms else ()
            events = self.source.events(self.session_id, row.first_seq, row.first_seq)
            lines = [line for event in events for line in event_lines(event, row, needle, levels)]
            return lines, first_found(lines) if needle else None

        def show(answer: tuple[list[Line], int | None]) -> None:
            self.query_one("#detail", EventView).show(*answer)

        self.query_one(TurnBars).follow(row.offset_ms)
        self.levels.follow(row.offset_ms)
        self.ask(read, show, kind="event")

    def action_next_error(self, step: int) -> None:
        """Go to the next event that failed, or the one before."""
        way = "after" if step > 0 else "before"
        if self.evidence and not self.timeline.has_errors:
            # A connection that broke, an answer that never came: what there is to see is what a finding rests on.
            self.hint("no event tells of a failure: e goes to what was found")
        elif not self.timeline.go_to_error(step):
            self.hint(f"no failure {way} this event")

    @on(RowList.Opened, "Timeline")
    def action_unfold(self) -> None:
        """Unfold or fold a run; open the detail of a single event."""
        entry = self.timeline.current
        if entry is None:
            return
        if entry.unfolded:
            self.timeline.fold(entry.row)
        elif entry.row.count > 1:
            self._unfold([entry.row])
        else:
            self.add_class("-reading")
            self.query_one("#detail").focus()

    def _unfold(self, runs: Sequence[TimelineRow], seq: int | None = None) -> None:
        """Unfold the run of an event, of those that it may be one of; without an event the first."""

        def read() -> tuple[TimelineRow, Sequence[TimelineRow]]:
            for run in runs:
                events = self.source.run(self.session_id, run)
                if seq is None or seq in columns_of(events).first_seqs:
                    break
            return run, events

        def show(found: tuple[TimelineRow, Sequence[TimelineRow]]) -> None:
            self.timeline.unfold(*found)
            if seq is not None:
                self.timeline.go_to_seq(seq)

        self.ask(read, show, kind="unfold")

    @on(RowList.Opened, "EventView")
    def _fold(self) -> None:
        self.query_one("#detail", EventView).action_fold()

    def action_search(self) -> None:
        """Type what to look for."""
        self.add_class("-searching")
        bar = self.query_one(SearchBar)
        # A new search replaces the last one: its text is short, and seldom the beginning of the next.
        bar.clear()
        bar.fill("")
        bar.enter()

    @on(SearchBar.Typed)
    def _search(self, event: SearchBar.Typed) -> None:
        words = event.content
        if not event.accepted or not words or not self.rows:
            return

        def show(matches: Sequence[int]) -> None:
            self.query_one(SearchBar).show_matches(matches)
            if matches:
                self.timeline.focus()
                self.action_next_match()

        self.ask(lambda: self.source.find(self.session_id, words), show, kind="search")

    @on(SearchBar.Left)
    def _leave_search(self) -> None:
        self.timeline.focus()
        if not self.query_one(SearchBar).needle:
            self.remove_class("-searching")

    def action_next_match(self) -> None:
        """Go to the next event that holds what was searched for; after the last, to the first."""
        entry = self.timeline.current
        seq = self.query_one(SearchBar).next_after(entry.row.first_seq) if entry is not None else None
        if seq is None:
            self.hint("nothing is searched for yet: j searches")
        else:
            self._go_to(seq)

    def action_next_evidence(self) -> None:
        """Go to the next row that a finding rests on; after the last, to the first."""
        entry = self.timeline.current
        if entry is None or not self.evidence:
            self.hint("no finding rests on a row of this session")
            return
        self._go_to(next((seq for seq in self.evidence if seq > entry.row.first_seq), self.evidence[0]))

    def _go_to(self, seq: int) -> None:
        runs = [] if self.timeline.holds(seq) else self.timeline.runs_around(seq)
        if runs:
            self._unfold(runs, seq)
        else:
            self.timeline.go_to_seq(seq)
            self._show_event()

    def action_zoom(self, step: int) -> None:
        """Show less (1) or more (-1) of the session on the time axis, or all of it (0)."""
        axis = self.levels.axis
        self.levels.zoom(ZOOM**step if step else axis.span_ms / (axis.duration_ms or 1.0))

    def action_along(self, step: int) -> None:
        """Go along the time axis by an eighth of what is in sight; the timeline follows."""
        entry = self.timeline.current
        if entry is not None and entry.row.offset_ms is not None:
            self.timeline.go_to_time(entry.row.offset_ms + step * self.levels.axis.span_ms / 8, step)

    def action_latencies(self) -> None:
        """Show how long each step of each turn took."""
        if self.detail is not None:
            self.app.push_screen(WaterfallScreen(self.detail))

    def action_configuration(self) -> None:
        """Show what was asked for beside what was echoed."""
        if self.detail is not None:
            self.app.push_screen(ConfigurationScreen(self.detail))

    def action_diff(self) -> None:
        """Pick a session to compare this one with."""

        def picked(session_id: str | None) -> None:
            if session_id is not None:
                self.post_message(self.DiffChosen([self.session_id, session_id]))

        if self.detail is not None:
            self.app.push_screen(PickScreen(self.source, self.detail.summary), picked)

    def action_replay(self) -> None:
        """Open the form that sends this session again."""
        if self.detail is not None:
            self.post_message(self.ReplayChosen(self.detail.summary.session_id))

    def action_copy_id(self) -> None:
        """Put the id on the clipboard."""
        self.copy(self.session_id, visible(self.session_id))

    def action_copy_message(self) -> None:
        """Put the message under the cursor on the clipboard: of a run the first, its audio cut out."""
        entry = self.timeline.current
        if entry is None:
            return
        seq = entry.row.first_seq

        def copy(events: Sequence[EventDetail]) -> None:
            message = "".join(event.payload for event in events)
            if len(message) > COPIED_CHARACTERS:
                size = counted(len(message), "character")
                self.hint(f"{size} are too much for a terminal's clipboard: ask SQL for events.payload of seq {seq}")
            else:
                self.copy(f"message {seq}", escape_unseen(message))

        self.ask(lambda: self.source.events(self.session_id, seq, seq), copy, kind="copy")

    def action_back(self) -> None:
        """Leave the detail, then the search, then the screen."""
        if self.has_class("-reading"):
            self.remove_class("-reading")
            self.timeline.focus()
        elif self.has_class("-searching"):
            self.query_one(SearchBar).clear()
            self.remove_class("-searching")
            self._show_event()
        else:
            self.app.pop_screen()
