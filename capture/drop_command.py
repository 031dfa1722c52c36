"""`wiretape capture drop`: remove recordings by name, as somebody who was recorded may ask for.

Whatever is on disk of a session can be named, so that a removal that was interrupted is finished by doing it again.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from capture.completion import offer_recordings
from capture.ending import while_read
from capture.errors import UsageProblem, WiretapeError
from capture.housekeeping import tell_passed_over
from capture.narration import narrate, print_json, print_line, progress_told, tell
from capture.options import AsJson, Recordings

if TYPE_CHECKING:
    from capture.recording.root import Root

app = typer.Typer()


@app.command("drop")
def drop_command(
    sessions: Annotated[
        list[str],
        typer.Argument(metavar="SESSION…", help="Ids, or unique beginnings of them.", autocompletion=offer_recordings),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Remove recordings by name, wherever they lie, with their tags and notes. Prints the sessions' ids.

    Journals in quarantine, and what an interrupted removal left, go by their session's id too. Replays of a session
    hold the same caller's audio: they are named on stderr, and stay unless they are given too.
    Example: wiretape capture drop 20260212T083055-1f2e3d4c --dry-run
    """
    from capture.recording.root import open_root

    narrate()
    root = open_root(recordings)
    wanted = _named(root, sessions)
    replays = replays_of(root, wanted)
    problems = [] if dry_run else _drop(root, wanted)
    foreign, left = _left(root, wanted, dry_run=dry_run)
    dropped = [session_id for session_id in wanted if session_id not in left]
    with while_read():
        if as_json:
            print_json({"dry_run": dry_run, "sessions": dropped, "replays": replays})
        else:
            for session_id in dropped:
                print_line(session_id)
    if replays:
        tell(f"the same caller is heard in replays, which stay unless they are named too: {' '.join(replays)}")
    if foreign:
        problems.append(f"not removed, for they stand in files that Wiretape did not write: {', '.join(foreign)}")
    if left and not problems:
        problems.append(f"not removed, for something is writing them: {', '.join(left)}; do it again once it is done")
    if problems:
        raise WiretapeError("; ".join(problems))


def replays_of(root: Root, session_ids: Collection[str]) -> list[str]:
    """List the replays of sessions, and those of these, oldest first, without the sessions themselves."""
    from capture.recording.all_sessions import read_all_sessions

    with progress_told("looking for replays") as show:
        rows = read_all_sessions(root, ["replay_of"], tell_passed_over, show)
    heard = set(session_ids)
    # A replay of a replay may have come first where a clock went back.
    while more := {session_id for session_id, row in rows.items() if row["replay_of"] in heard} - heard:
        heard |= more
    return sorted(heard.difference(session_ids))


def _named(root: Root, texts: Collection[str]) -> list[str]:
    from capture.dropping import sessions_on_disk
    from capture.recording.reader import find_session, list_session_ids

    for text in texts:
        if not text.strip() or text == "last":
            raise UsageProblem(f"give the id of what is to go: {text!r} may be any session")
    ids = sorted({*list_session_ids(root), *sessions_on_disk(root)})
    wanted = sorted({find_session(root, ids, text) for text in texts})
    for session_id in wanted:
        if root.journal_of(session_id).exists():
            raise UsageProblem(
                f"{session_id} is in flight or being sealed, or was left by a crash: when its call has ended,"
                " `wiretape capture recover`, then drop"
            )
    return wanted


def _drop(root: Root, session_ids: Collection[str]) -> list[str]:
    """Remove sessions, and say of which days that could not be done, and why."""
    from capture.dropping import drop_whole, why_not_dropped
    from capture.recording.root import date_of

    problems: list[str] = []
    for date, ids in groupby(session_ids, key=date_of):
        try:
            drop_whole(root, date, list(ids))
        except OSError as error:
            problems.append(f"{why_not_dropped(date, error)}; mend that, and do it again")
        except WiretapeError as problem:
            problems.append(str(problem))
    return problems


def _left(root: Root, session_ids: Collection[str], *, dry_run: bool) -> tuple[list[str], list[str]]:
    """Give what stands in files of others, and all that is left once the rest has gone."""
    from capture.dropping import sessions_of_others, sessions_on_disk
    from capture.recording.reader import list_session_ids

    foreign = sorted(sessions_of_others(root).intersection(session_ids))
    there = set() if dry_run else {*list_session_ids(root), *sessions_on_disk(root)}
    return foreign, sorted({*foreign, *there.intersection(session_ids)})
