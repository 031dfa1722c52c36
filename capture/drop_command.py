"""`wiretape capture drop`: remove recordings by name, as somebody who was recorded may ask for."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from capture.ending import while_read
from capture.errors import UsageProblem
from capture.housekeeping import AsJson, Recordings, tell_passed_over
from capture.narration import narrate, print_json, print_line, tell

if TYPE_CHECKING:
    from capture.recording.root import Root

app = typer.Typer()


@app.command("drop")
def drop_command(
    sessions: Annotated[list[str], typer.Argument(metavar="SESSION…", help="Ids, or unique beginnings of them.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Remove recordings by name, wherever they lie, with their tags and notes. Prints the sessions' ids.

    Replays of them hold the same caller's audio: they are named on stderr, and stay unless they are given too.
    Example: wiretape capture drop 20260212T083055-1f2e3d4c --dry-run
    """
    from capture.recording.root import open_root

    narrate()
    root = open_root(recordings)
    wanted = _named(root, sessions)
    replays = replays_of(root, wanted)
    dropped = wanted if dry_run else _drop(root, wanted)
    with while_read():
        if as_json:
            print_json({"dry_run": dry_run, "sessions": dropped, "replays": replays})
        else:
            for session_id in dropped:
                print_line(session_id)
    if replays:
        tell(f"the same caller is heard in replays, which stay unless they are named too: {' '.join(replays)}")
    if left := [session_id for session_id in wanted if session_id not in dropped]:
        raise UsageProblem(f"not removed, for they stand in files that Wiretape did not write: {', '.join(left)}")


def replays_of(root: Root, session_ids: Collection[str]) -> list[str]:
    """List the replays of sessions, and those of these, oldest first, without the sessions themselves."""
    from capture.recording.all_sessions import read_all_sessions

    rows = read_all_sessions(root, ["replay_of"], tell_passed_over)
    heard = set(session_ids)
    # A replay of a replay may have come first where a clock went back.
    while more := {session_id for session_id, row in rows.items() if row["replay_of"] in heard} - heard:
        heard |= more
    return sorted(heard.difference(session_ids))


def _named(root: Root, texts: Collection[str]) -> list[str]:
    from capture.recording.reader import resolve_session

    if "last" in texts:
        raise UsageProblem("give the id of what is to go: `last` may be another session by now")
    wanted = sorted({resolve_session(root, text) for text in texts})
    for session_id in wanted:
        if root.journal_of(session_id).exists():
            raise UsageProblem(
                f"{session_id} is being sealed, or was left by a crash: `wiretape capture recover`, then drop"
            )
    return wanted


def _drop(root: Root, session_ids: Collection[str]) -> list[str]:
    from capture.dropping import drop_sessions
    from capture.recording.root import date_of

    dropped: list[str] = []
    for date, ids in groupby(session_ids, key=date_of):
        dropped += sorted(drop_sessions(root, date, list(ids)))
    return dropped
