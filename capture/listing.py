"""Show sessions that are no recordings yet: as rows beside those of recordings, or refreshed every second."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from capture.live import LiveJournals, LiveSession
from capture.narration import printable
from capture.recording.root import Root

if TYPE_CHECKING:
    from rich.table import Table

NOTHING_LIVE: dict[str, Any] = {"age_s": None, "bytes": None, "events": None, "last_error": None}
"""These columns of a session that is sealed."""
LEFT_BEHIND = "left behind: run wiretape capture recover"

_REFRESH_S = 1.0
_SHOWN_ERROR_CHARACTERS = 120


def live_row(session: LiveSession) -> dict[str, Any]:
    """Give the row of a session that is not sealed, with the columns of one that is."""
    started_at = session.started_at and session.started_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "session_id": session.session_id,
        "started_at": started_at,
        "target": session.target,
        "outcome": None,
        "state": session.state,
        "age_s": None if session.age_s is None else round(session.age_s, 1),
        "bytes": session.bytes,
        "events": session.events,
        "last_error": session.last_error,
    }


def describe(session: LiveSession) -> str:
    """Say how a session stands, in a few words that steer no terminal."""
    words = [LEFT_BEHIND if session.is_left_behind else session.state]
    if session.age_s is not None and not session.is_left_behind:
        words.append(_age(session.age_s))
    words += [f"{session.events} events", f"{session.bytes:,} bytes"]
    if session.lost_bytes:
        words.append(f"{session.lost_bytes:,} bytes lost")
    if session.last_error:
        words.append(f"last error: {session.last_error[:_SHOWN_ERROR_CHARACTERS]}")
    return printable(" · ".join(words))


def watch(root: Root) -> None:
    """Show the live sessions of a root on stdout, refreshed every second, until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    journals = LiveJournals(root)
    with Live(console=Console(highlight=False), auto_refresh=False, transient=True) as screen:
        while True:
            screen.update(table(journals.refresh()), refresh=True)
            time.sleep(_REFRESH_S)


def table(sessions: Iterable[LiveSession]) -> Table:
    """Lay sessions out, a line each."""
    from rich.table import Table
    from rich.text import Text

    laid_out = Table("session", "target", "state", box=None, pad_edge=False)
    for session in sessions:
        laid_out.add_row(session.session_id, Text(printable(session.target or "-")), Text(describe(session)))
    if not laid_out.row_count:
        laid_out.add_row("no live sessions")
    return laid_out


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
