"""Sessions in flight, a row each, as they grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events

from analyze.tui.figures import age, mark, shorten_type
from analyze.tui.lines import Line, Run, fit, join, pad, text, width_of
from analyze.tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from capture.live import LiveSession
from capture.narration import size

SHOWN = 5
"""Rows that sessions in flight take at most; the rest is scrolled to."""
_TARGET_CELLS = 18
_ERROR_CELLS = 40
"""Where less of an error would be in sight, the sizes make way: following the session shows them too."""


class LiveList(RowList):
    """The sessions in flight, the newest first; not there while there are none."""

    DEFAULT_CSS = f"""
    LiveList {{ height: auto; max-height: {SHOWN}; display: none; }}
    """
    HEADING_LINES = 0

    def __init__(self) -> None:
        super().__init__()
        self.set_reactive(RowList.is_pointing, False)
        self.sessions: Sequence[LiveSession] = ()
        self._has_just_come = False
        """Whether no click was made since the keys came here: a first one opens nothing, for no cursor was seen."""

    def on_focus(self) -> None:
        """Take note that the next click may be the one that brought the keys here."""
        self._has_just_come = True

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the first click was, whatever stood there."""
        if self._has_just_come:
            self._has_just_come = False
            event.prevent_default()
            self.cursor = self.scroll_offset.y + event.y

    def show(self, sessions: Sequence[LiveSession]) -> None:
        """Show what is in flight now; the cursor stays on its session while that is there."""
        kept, before = self.current, len(self.sessions)
        self.sessions = sorted(sessions, key=lambda session: session.session_id, reverse=True)
        if not before and not sessions:
            return
        self.go_to("" if kept is None else kept.session_id)
        self.display = bool(sessions)
        if len(sessions) != before:
            self.rows_changed(self.cursor)
        self.refresh(layout=len(sessions) != before)

    def go_to(self, session_id: str) -> None:
        """Put the cursor on a session, if it is in flight."""
        found = (at for at, session in enumerate(self.sessions) if session.session_id == session_id)
        self.cursor = next(found, self.cursor)

    def show_cursor(self) -> None:
        """Scroll to the cursor, unless the keys move another list's."""
        if self.is_pointing:
            super().show_cursor()

    def watch_is_pointing(self) -> None:
        """Bring the cursor into sight when it is drawn."""
        self.show_cursor()

    @property
    def current(self) -> LiveSession | None:
        """The session under the cursor, whether that is drawn or not."""
        return self.sessions[self.cursor] if self.cursor < len(self.sessions) else None

    @property
    def row_count(self) -> int:
        """How many sessions are in flight."""
        return len(self.sessions)

    def row_at(self, index: int, width: int) -> Line:
        """Write one session, after the cursor's sign."""
        sign = Run("› " if self.is_at_cursor(index) else "  ", "strong")
        return (sign, *live_line(self.sessions[index], width - len(sign.text)))

    def heading(self, width: int) -> Line:
        """Give no heading: the rows stand as part of the list below."""
        del width
        return ()


def live_line(session: LiveSession, width: int) -> Line:
    """Write a session in flight: since when, where to, how much of it there is, and the last thing that failed."""
    began = text(f"{session.started_at:%m-%d %H:%M:%S}" if session.started_at else session.session_id)
    where = pad(text(session.target or ""), _TARGET_CELLS)
    sizes = text(f"{session.events:,} events · {size(session.bytes)}", "muted")
    facts = [began, where, state_of(session), sizes, lost_of(session)]
    error = _error(session)
    sign = (sign_of(session), Run("  "))
    too_wide = width_of((*sign, *join([*facts, error]))) - width
    if too_wide > 0 and width_of(error) - too_wide < _ERROR_CELLS:
        facts.remove(sizes)
    return fit((*sign, *join([*facts, error])), width)


def _error(session: LiveSession) -> Line:
    if not session.last_error:
        return ()
    event_type, colon, words = session.last_error.partition(": ")
    return (Run("▲ ", "failed"), *text(f"{shorten_type(event_type)}{colon}{words}", "failed"))


def sign_of(session: LiveSession) -> Run:
    """Give the sign of a session that is no recording yet."""
    return mark("incomplete" if session.is_left_behind else "live")


def state_of(session: LiveSession) -> Line:
    """Say how long a session has been in flight, or what is to become of it."""
    if session.is_left_behind:
        # Its recorder is gone: nothing of it grows, and nothing seals it but a recovery.
        return text("left behind: wiretape capture recover", "incomplete")
    if session.state == "waiting":
        return text("being sealed", "live")
    return text("" if session.age_s is None else age(session.age_s), "live")


def lost_of(session: LiveSession) -> Line:
    """Say how much of a session is missing from its journal; nothing where all is there."""
    return text(f"{session.lost_bytes:,} bytes lost", "incomplete") if session.lost_bytes else ()
