"""Sessions in flight above the list of recordings: looked at each second, walked up into, followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events, on

from analyze.tui.figures import mark
from analyze.tui.lines import Line, Run
from analyze.tui.screens.marking import MarkingScreen
from analyze.tui.widgets.live_list import LiveList
from analyze.tui.widgets.row_list import RowList
from capture.narration import counted
from capture.plain_text import visible

if TYPE_CHECKING:
    from capture.live import LiveSession

LOOK_S = 1.0
"""How often the sessions in flight are looked at."""


class InFlightScreen(MarkingScreen):
    """A table of recordings and a list of what is in flight, with one cursor for both."""

    AUTO_FOCUS = "VirtualTable"
    """What gets the keys when one comes back; Textual would take the first field, in sight or not."""
    _ending: LiveSession | None = None
    """The session under the cursor, over by now: its row stays until the recording takes its place."""

    @property
    def live(self) -> LiveList:
        """The sessions in flight."""
        return self.query_one(LiveList)

    @property
    def in_flight(self) -> LiveSession | None:
        """The session in flight that keys are about; None while they are about a recording."""
        return self.live.current if self._is_at_live else None

    @property
    def _is_at_live(self) -> bool:
        # While another window has the keys nothing has the focus here, and what had it gets it back.
        return self.live.is_pointing if self._is_away else self.focused is self.live

    @property
    def _is_away(self) -> bool:
        return self.focused is None and not self.app.app_focus

    def session_ended(self, *, is_selected: bool) -> None:
        """Take note that a session is no longer in flight; `is_selected` where the cursor stands on it."""
        raise NotImplementedError

    def show_place(self) -> None:
        """Say in the first line where this is."""
        raise NotImplementedError

    def live_words(self) -> Line:
        """Count the sessions in flight; nothing where there are none."""
        live = sum(session.state == "live" for session in self.live.sessions)
        return (mark("live"), Run(f" {live:,} live", "live")) if live else ()

    def look_at_live(self) -> None:
        """Ask what is in flight, unless the last look still lasts: the first one of long calls takes seconds."""
        if self.is_current and not any(worker.group == "live" for worker in self.workers):
            self.ask(self.source.live, self._show_live, kind="live")

    def _show_live(self, sessions: Sequence[LiveSession]) -> None:
        selected, ended = self.in_flight, {session.session_id for session in self.live.sessions}
        ended -= {session.session_id for session in sessions}
        is_selected = selected is not None and selected.session_id in ended
        if is_selected and self._ending is None:
            self._ending = selected
        elif self._ending is not None and not is_selected:
            # Whoever moved on meanwhile is left where they are.
            self._ending = None
        self.live.show(sessions if self._ending is None else [*sessions, self._ending])
        self.show_place()
        if ended:
            self.session_ended(is_selected=is_selected)
        self._keep_focus()

    def follow_to_recording(self) -> None:
        """Move the cursor from a session that ended to its recording; for when the table was read again."""
        ending, self._ending = self._ending, None
        if ending is not None:
            is_selected = self.in_flight is not None and self.in_flight.session_id == ending.session_id
            self.live.show([session for session in self.live.sessions if session.session_id != ending.session_id])
            if is_selected and self.table.go_to(ending.session_id):
                self.table.focus()
        self._keep_focus()

    def _keep_focus(self) -> None:
        # What is not drawn can have no cursor: one of the two lists may be away, or both. Then the table waits with the
        # keys for its first row: what was hidden has lost them. A filter that is being typed waits for its window.
        if self._is_away:
            return
        if self.focused is None or (self.focused is self.live and not self.live.display):
            self.table.focus()
        if self.focused in (None, self.table) and not self.table.display and self.live.display:
            self.live.focus()

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _point(self) -> None:
        # Asked of the screen: which of the two messages comes first is not said.
        at_live = self._is_at_live
        self.live.is_pointing, self.table.is_pointing = at_live, not at_live

    @on(RowList.Beyond)
    def _cross(self, event: RowList.Beyond) -> None:
        if event.row_list is self.table and event.way < 0 and self.live.display:
            self.live.focus()
            self.live.cursor = self.live.row_count - 1
        elif event.row_list is self.live and event.way > 0 and self.table.display:
            self.table.focus()
            self.table.cursor = 0

    def refuses(self) -> bool:
        """Say why nothing can be done yet with the session under the cursor; False where it is a recording."""
        if self.in_flight is None:
            return False
        self.hint("this session is in flight: mark, compare, tag or replay it once it is sealed; enter follows it")
        return True

    def action_mark(self) -> None:
        """Mark or unmark the current recording and go on to the next."""
        if not self.refuses():
            super().action_mark()

    def action_diff(self) -> None:
        """Compare the marked recordings, or the marked one with the current."""
        if len(self.marks) > 1 or not self.refuses():
            super().action_diff()

    def action_annotate(self) -> None:
        """Give the marked recordings, or else the current one, tags and a note."""
        if self.marks or not self.refuses():
            super().action_annotate()

    def action_copy_id(self) -> None:
        """Put the ids of the marked recordings, or else the id under the cursor, on the clipboard."""
        current = self.in_flight or self.table.current
        ids = list(self.marks) or ([current.session_id] if current is not None else [])
        if ids:
            self.copy(ids[0] if len(ids) == 1 else counted(len(ids), "id"), visible(" ".join(ids)))
