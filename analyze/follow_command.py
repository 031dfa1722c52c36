"""What `wiretape analyze follow` does: the messages of a session in flight as they come, until it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

from rich.text import Text

from analyze.answers import TimelineRow
from analyze.live_timeline import MOST_ROWS, LiveTimeline, event_of
from analyze.plain_values import plain_value
from analyze.printing.session import arrow, detail_words, event_words
from capture.errors import UsageProblem
from capture.following import FollowedSession, Look
from capture.listing import LEFT_BEHIND
from capture.live import ids_in_flight
from capture.narration import print_line, tell
from capture.plain_text import escape_unseen
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.rows import Row
from replay.printing.page import print_all

_LOOK_S = 0.5
"""How often the journal is read on."""
_TIME_WIDTH = 12


def resolve_in_flight(root: Root, text: str) -> str:
    """Find the session in flight that an id, a unique prefix of one, or `last` means.

    Raises `UsageProblem` that names those there are.
    """
    root.check_readable()
    ids = ids_in_flight(root)
    found = ids[-1:] if text == "last" else [each for each in ids if each.startswith(text)]
    if len(found) == 1:
        return found[0]
    if text in list_session_ids(root):
        shows = root.command(f"wiretape analyze show {text}")
        raise UsageProblem(f"session {text} is over: `{shows}` shows its recording")
    there = f"in flight: {', '.join(ids)}" if ids else "no session is in flight"
    raise UsageProblem(f"{text!r} begins {len(found)} sessions: give more of the id; {there}" if found else there)


def follow(
    root: Root, session_id: str, *, every: bool, as_json: bool, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Print what comes until the session is over; `every` folds no runs, JSON has a line a message."""
    show = _print_messages if as_json else _Lines(fold=not every).print
    told: str | None = None
    for look in _looks(FollowedSession(root, session_id), sleep):
        if look.hidden not in (None, told):
            told = look.hidden
            tell(f"its messages are not shown: {told}")
        show(look)
    tell(f"{session_id} is over: {_what_is_left(root, session_id)}")


def _looks(followed: FollowedSession, sleep: Callable[[float], None]) -> Iterator[Look]:
    while (look := followed.look()).session is not None:
        yield look
        if look.is_behind:
            continue
        # Of a recorder that was killed nothing more will come.
        if look.session.is_left_behind:
            return
        sleep(_LOOK_S)


class _Lines:
    """A line for each row of the timeline, when it begins."""

    def __init__(self, *, fold: bool) -> None:
        self._is_folded = fold
        self._begin()

    def _begin(self) -> None:
        self._timeline = LiveTimeline(fold=self._is_folded, most=MOST_ROWS)
        self._last_seq = -1

    def print(self, look: Look) -> None:
        """Print the rows that have begun since the last look."""
        if look.begins_anew:
            self._begin()
        # So many at once and no more: of a journal that is long already, rows would make room before they are printed.
        for start in range(0, len(look.rows), MOST_ROWS):
            self._timeline.add(map(event_of, look.rows[start : start + MOST_ROWS]))
            self._print_fresh()

    def _print_fresh(self) -> None:
        fresh = [entry.row for entry in self._timeline.rows if entry.row.first_seq > self._last_seq]
        if fresh:
            self._last_seq = fresh[-1].first_seq
            print_all(*map(_line, fresh))


def _line(row: TimelineRow) -> Text:
    at = "" if row.offset_ms is None else f"{row.offset_ms:,.1f}"
    line = Text("  ").join([Text(at.rjust(_TIME_WIDTH)), arrow(row.sender), event_words(row), detail_words(row)])
    line.rstrip()
    return line


def _print_messages(look: Look) -> None:
    for row in look.rows:
        print_line(_message(row))


def _message(row: Row) -> str:
    """Write a message as one line of JSON, with the columns of the events table that it has."""
    known = {name: plain_value(value) for name, value in row.items() if value is not None}
    return escape_unseen(json.dumps(known, ensure_ascii=False, allow_nan=False))


def _what_is_left(root: Root, session_id: str) -> str:
    if session_id in list_session_ids(root):
        return root.command(f"wiretape analyze show {session_id}")
    if root.quarantined(session_id).exists():
        return "it could not be sealed, and its journal is in quarantine"
    return LEFT_BEHIND if root.journal_of(session_id).exists() else "by its keep rule nothing is kept of it"
