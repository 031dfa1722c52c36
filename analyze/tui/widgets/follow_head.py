"""The first lines about a session in flight: how it stands, what went each way, the last thing that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyze.answers import SessionSummary
from analyze.tui.figures import mark
from analyze.tui.lines import Line, Run, join, spread, text, width_of, wrap_short
from analyze.tui.widgets.live_list import lost_of, sign_of, state_of
from analyze.tui.widgets.painted import Block
from capture.narration import counted, size

if TYPE_CHECKING:
    from capture.live import LiveSession


ERROR_LINES = 3
"""Lines that the last error takes at most."""
END_LINES = 2
"""Lines that the end takes at most."""


class FollowHead(Block):
    """What the journal tells of the session as a whole, and what became of it."""

    def __init__(self) -> None:
        super().__init__([()])
        self.session: LiveSession | None = None
        self._end: Line = ()

    def show(self, session: LiveSession) -> None:
        """Show how the session stands now."""
        self.session = session
        self.refresh(layout=True)

    def show_end(self, end: Line) -> None:
        """Say that there is no journal any more, and what is there instead."""
        self._end = end
        self.refresh(layout=True)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write the facts, the bytes, the last error, and the end."""
        end = wrap_short((Run(" "), *self._end), width, 3, END_LINES) if self._end else []
        if self.session is None:
            return end or [()]
        facts = _facts(self.session, width, self._end[0] if self._end else None)
        return [facts, _bytes(self.session, is_over=bool(end)), *_error(self.session, width), *end]


def _facts(session: LiveSession, width: int, over: Run | None) -> Line:
    began = text(f"since {session.started_at:%m-%d %H:%M:%S} UTC") if session.started_at else ()
    names = [text(session.session_id, "strong"), text(session.target or "")]
    left, dated = ((Run(" "), over or sign_of(session), Run(" "), *join(each)) for each in (names, [*names, began]))
    state = () if over or session.is_left_behind else state_of(session)
    right = (Run(" "), *join([state, text(counted(session.events, "event"))], " · "), Run(" "))
    # The id tells the start, too, to the second and in UTC.
    fits = width_of(dated) + width_of(right) < width
    return spread(dated if fits else left, right, width)


def _error(session: LiveSession, width: int) -> list[Line]:
    if not session.last_error:
        return []
    return wrap_short((Run(" ▲ ", "failed"), *text(session.last_error, "failed")), width, 3, ERROR_LINES)


def _bytes(session: LiveSession, *, is_over: bool) -> Line:
    sent = (Run("▸ ", "client"), *text(f"{size(session.sent_bytes)} sent", "muted"))
    received = (Run("◂ ", "server"), *text(f"{size(session.bytes - session.sent_bytes)} received", "muted"))
    left_behind = state_of(session) if session.is_left_behind and not is_over else ()
    return (Run("   "), *join([sent, received, lost_of(session), left_behind]))


def sealed_line(summary: SessionSummary) -> Line:
    """Say that there is a recording now, and how to get there."""
    over = f" over and sealed: {summary.outcome}"
    return (mark(summary.outcome), Run(over, "strong"), Run(" · enter opens the session", "live"))


NOT_KEPT: Line = (
    Run("·", "muted"),
    Run(" over: no recording is left of it, by its keep rule or because it was removed", "strong"),
)
QUARANTINED: Line = (
    Run("◐", "incomplete"),
    Run(
        " over, and could not be sealed: its journal is in journal/quarantine/; see wiretape capture recover", "strong"
    ),
)
