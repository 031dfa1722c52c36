"""Sessions in flight, a line each, as they grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyze.tui.figures import mark
from analyze.tui.lines import Line, Run, fit, join, pad, text
from analyze.tui.widgets.painted import Block

if TYPE_CHECKING:
    from capture.live import LiveSession

SHOWN = 5
"""Lines that sessions in flight take at most; the rest is counted."""
_TARGET_CELLS = 18


class LiveList(Block):
    """The sessions in flight, the newest first."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: Sequence[LiveSession] = ()

    def show(self, sessions: Sequence[LiveSession]) -> None:
        """Show what is in flight now."""
        if sessions or self.sessions:
            self.sessions = sorted(sessions, key=lambda session: session.session_id, reverse=True)
            self.refresh(layout=True)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write the newest, and count the others."""
        shown = self.sessions if len(self.sessions) <= SHOWN else self.sessions[: SHOWN - 1]
        lines = [live_line(session, width) for session in shown]
        if rest := len(self.sessions) - len(shown):
            lines.append((Run("  ", "muted"), mark("live"), Run(f" and {rest:,} more in flight", "live")))
        return lines


def live_line(session: LiveSession, width: int) -> Line:
    """Write a session in flight: since when, where to, how much of it there is, and the last thing that failed."""
    began = f"{session.started_at:%m-%d %H:%M:%S}" if session.started_at else session.session_id
    if session.is_left_behind:
        # Its recorder is gone: nothing of it grows, and nothing seals it but a recovery.
        state: Line = text("left behind: wiretape capture recover", "incomplete")
    elif session.state == "waiting":
        state = text("being sealed", "live")
    else:
        state = text(f"{session.age_s:,.0f} s" if session.age_s is not None else "", "live")
    sizes = text(f"{session.events:,} events · {_size(session.bytes)}", "muted")
    lost = text(f"{session.lost_bytes:,} bytes lost", "incomplete") if session.lost_bytes else ()
    error = (Run("▲ ", "failed"), *text(session.last_error, "failed")) if session.last_error else ()
    where = pad(text(session.target or ""), _TARGET_CELLS)
    sign = mark("incomplete" if session.is_left_behind else "live")
    return fit((Run("  "), sign, Run("  "), *join([text(began, "plain"), where, state, sizes, lost, error])), width)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1_000_000 else f"{count / 1e3:,.0f} kB"
