"""Show sessions that are no recordings yet: beside recordings, refreshed every second, or where one is asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from capture.errors import UsageProblem
from capture.narration import counted, print_line, size
from capture.plain_text import escape_unseen, shorten, visible
from capture.recording.reader import list_session_ids, resolve_session
from capture.recording.root import Root

if TYPE_CHECKING:
    from rich.table import Table

    from capture.live import LiveSession

NOTHING_LIVE: dict[str, Any] = {"age_s": None, "bytes": None, "events": None, "last_error": None}
"""These columns of a session that is sealed."""
LEFT_BEHIND = "left behind: run wiretape capture recover"

_NEXT_STEP = "; `wiretape capture list --watch` shows it until it is sealed, `wiretape analyze follow` event by event"
_REFRESH_S = 1.0
_SHOWN_ERROR_CHARACTERS = 120
_ID_CELLS, _STATE_CELLS, _LEAST_TARGET_CELLS = 24, 42, 8
"""What every state without an error fits in; the target gets what is left of a line."""


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
    words += [counted(session.events, "event"), size(session.bytes)]
    if session.lost_bytes:
        words.append(f"{session.lost_bytes:,} bytes lost")
    if session.last_error:
        words.append(f"last error: {shorten(session.last_error, _SHOWN_ERROR_CHARACTERS)}")
    return visible(" · ".join(words))


def resolve_recording(root: Root, text: str) -> str:
    """Find the recording that an id, a unique prefix of one, or `last` means, as `resolve_session` does.

    Where it means a session that is no recording yet, the `UsageProblem` says how that stands.
    """
    root.check_readable()
    try:
        return resolve_session(root, text)
    except UsageProblem:
        session = _session_in_flight(root, text)
        if session is None:
            raise
        # What came first is no news: it named recordings that were not asked for.
        stands = describe(session) + ("" if session.is_left_behind else _NEXT_STEP)
        raise UsageProblem(f"session {session.session_id} is no recording yet: {stands}") from None


def _session_in_flight(root: Root, text: str) -> LiveSession | None:
    from capture.live import LiveJournals, ids_in_flight

    in_flight, recorded = ids_in_flight(root), list_session_ids(root)
    # Before the first recording the last session is one of these.
    is_first = text == "last" and not recorded
    ids = in_flight[-1:] if is_first else [each for each in in_flight if each.startswith(text)]
    # Short of an id, it may be one of the recordings that is meant.
    if text not in ids and (len(ids) != 1 or any(each.startswith(text) for each in recorded)):
        return None
    wanted = text if text in ids else ids[0]
    return next((each for each in LiveJournals(root).refresh(only=wanted)), None)


def watch(root: Root, *, as_json: bool = False) -> None:
    """Show the live sessions of a root on stdout, every second, until Ctrl-C.

    A terminal has a table that is drawn anew; a pipe or a file gets a line a session each time, or one of JSON.
    """
    from rich.console import Console
    from rich.live import Live

    from capture.live import LiveJournals

    journals, screen = LiveJournals(root), Console(highlight=False)
    if as_json or not screen.is_terminal:
        show = _print_tick if as_json else _print_lines
        while True:
            show(journals.refresh())
            time.sleep(_REFRESH_S)
    with Live(console=screen, auto_refresh=False, transient=True) as shown:
        while True:
            shown.update(table(journals.refresh(), screen.width), refresh=True)
            time.sleep(_REFRESH_S)


def live_line(session: LiveSession) -> str:
    """Write a session that is not sealed in a line, as one that is has it."""
    row = live_row(session)
    told = "  ".join(str(row[name] or "-") for name in ("session_id", "started_at", "target"))
    return f"{told}  {describe(session)}"


def _print_lines(sessions: Iterable[LiveSession]) -> None:
    for session in sessions:
        print_line(live_line(session))


def _print_tick(sessions: Iterable[LiveSession]) -> None:
    # Where none is live too: who reads it learns which have ended since.
    tick = {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "sessions": [*map(live_row, sessions)]}
    print_line(escape_unseen(json.dumps(tick, ensure_ascii=False, allow_nan=False)))


def table(sessions: Iterable[LiveSession], width: int) -> Table:
    """Lay sessions out, a line each where the terminal is 80 cells wide and nothing failed."""
    from rich.table import Table
    from rich.text import Text

    laid_out = Table(box=None, pad_edge=False)
    laid_out.add_column("session", no_wrap=True, min_width=_ID_CELLS)
    laid_out.add_column(
        "target", no_wrap=True, max_width=max(_LEAST_TARGET_CELLS, width - _ID_CELLS - _STATE_CELLS - 4)
    )
    laid_out.add_column("state")
    for session in sessions:
        # What is left behind grows no more: what to do is all there is to say in a line of a terminal.
        state = LEFT_BEHIND if session.is_left_behind else describe(session)
        laid_out.add_row(session.session_id, Text(visible(session.target or "-")), Text(state))
    if not laid_out.row_count:
        laid_out.add_row("no live sessions")
    return laid_out


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
