"""`wiretape capture recover|list|prune|compact`: look after a root."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.ending import while_read
from capture.narration import counted, narrate, print_json, print_line, progress_told, tell
from capture.options import AsJson, Recordings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capture.pruning import PrunePlan
    from capture.recording.root import Root
    from capture.recording.tables import TableDamaged
    from capture.recovery import Recovery
    from capture.sealing import SealedSession

app = typer.Typer()


@app.command("recover")
def recover_command(recordings: Recordings = None, as_json: AsJson = False) -> None:
    """Seal the sessions that a crash left in the journal.

    Exit status 0: all recovered, or nothing was left; 3: recovered with loss; 1: none could be recovered.
    """
    from capture.recovery import recover

    narrate()
    root = _root_that_is_there(recordings)
    recovery = recover(root)
    _narrate_recovery(root, recovery)
    # What was lost is what the status says, whoever has stopped reading.
    with while_read():
        _print_recovery(recovery, as_json=as_json)
    raise typer.Exit(recovery.exit_status)


def _print_recovery(recovery: Recovery, *, as_json: bool) -> None:
    if as_json:
        failed = [{"session_id": one.session_id, "reason": str(one)} for one in recovery.failed]
        print_json({"recovered": [asdict(one) for one in recovery.sealed], "failed": failed})
        return
    for one in recovery.sealed:
        if one.kept == "none":
            tell(f"{one.session_id} {one.outcome}: not kept, as the proxy's --keep says")
        else:
            print_line(one.session_id)


@app.command("list")
def list_command(
    recordings: Recordings = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show live sessions only, refreshed every second.")] = False,
) -> None:
    """List the recordings of a root, oldest first: id, start (UTC), target, outcome; then what is live.

    A live session's age, events, bytes and last error come from its journal, while the call goes on. With --watch a
    pipe gets a line for each of them every second; with --json one line of JSON for all.
    """
    from capture import listing
    from capture.live import LiveJournals
    from capture.recording.root import open_root

    narrate()
    root = open_root(recordings)
    root.check_readable()
    if watch:
        with while_read():
            listing.watch(root, as_json=as_json)
        return
    # Before the recordings: a session that is sealed meanwhile then shows up there, and is not missed.
    live = {session.session_id: session for session in LiveJournals(root).refresh()}
    rows = list(_listed(root))
    for row in rows:
        live.pop(row["session_id"], None)
    if not rows and not live:
        tell(f"no recordings in {root.path} yet{root.why_empty()}")
    if as_json:
        print_json(rows + [listing.live_row(session) for session in live.values()])
        return
    for row in rows:
        print_line("  ".join(str(row[name] or "-") for name in ("session_id", "started_at", "target", "outcome")))
    for session in live.values():
        print_line(listing.live_line(session))


@app.command("prune")
def prune_command(
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Recordings that began longer ago: 30d, 12h, 2w.")
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The oldest ones, while all take more: 50G, 500M.")
    ] = None,
    journals_older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Journals in quarantine or abandoned; 7d where nothing else is said."),
    ] = None,
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Spare sessions that failed or are incomplete.")
    ] = False,
    include_runs: Annotated[
        bool, typer.Option("--include-runs", help="Take sessions too that a run of replay names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Remove recordings by age or size, oldest first, and journals past their age. Prints the sessions' ids.

    Example: wiretape capture prune --older-than 30d --max-bytes 50G --keep-failed --dry-run
    """
    from capture.errors import UsageProblem, WiretapeError
    from capture.pruning import (
        JOURNALS_OLDER_THAN,
        PruneRule,
        parse_age,
        parse_size,
        plan_pruning,
        prune_by,
    )

    narrate()
    if not (older_than or max_bytes or journals_older_than):
        raise UsageProblem("say what is to go: --older-than AGE, --max-bytes SIZE or --journals-older-than AGE")
    rule = PruneRule(
        older_than=parse_age(older_than) if older_than else None,
        max_bytes=parse_size(max_bytes) if max_bytes else None,
        keep_failed=keep_failed,
        include_runs=include_runs,
        journals_older_than=parse_age(journals_older_than) if journals_older_than else JOURNALS_OLDER_THAN,
    )
    root = _root_that_is_there(recordings)
    with progress_told("reading outcomes") as show:
        plan = plan_pruning(root, rule, on_progress=show)
    problem: WiretapeError | None = None
    try:
        if not dry_run:
            prune_by(rule, plan)
    except WiretapeError as error:
        # Of one day: what has gone of the others is told all the same.
        problem = error
    with while_read():
        _print_pruned(plan, dry_run=dry_run, as_json=as_json)
    if problem is not None:
        raise problem


def _print_pruned(plan: PrunePlan, *, dry_run: bool, as_json: bool) -> None:
    from capture.pruning import sum_up, summary

    if as_json:
        print_json({"dry_run": dry_run} | summary(plan))
        return
    for removal in plan.recordings:
        print_line(removal.name)
    for line in sum_up(plan, dry_run=dry_run):
        tell(line)


@app.command("compact")
def compact_command(
    dates: Annotated[
        list[str] | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Only this day (UTC); repeatable.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Today's sessions too.")] = False,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long files that were merged stay for other readers.")
    ] = 600,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Merge the sessions of past days into few files; recording and reading may go on meanwhile.

    Merged files stay for the grace period and go with the next compaction after it, or at once with --grace 0.
    Example: wiretape capture compact --date 2026-02-12
    """
    from capture.arguments import check_seconds
    from capture.compaction import LONGEST_GRACE_S, dates_to_compact

    narrate()
    grace_s = check_seconds("--grace", grace, LONGEST_GRACE_S)
    root = _root_that_is_there(recordings)
    chosen = dates_to_compact(root, dates or (), everything=everything)
    # A day that was asked for by name is compacted for the sake of one session too.
    done, failed = _compact(root, chosen, at_least=1 if dates else 2, grace_s=grace_s)
    with while_read():
        if as_json:
            print_json({"dates": done, "failed": failed})
        else:
            for one in done:
                if one["sessions"]:
                    print_line(_compacted_line(one))
    if done or not failed:
        tell(_compacted_summary(done))
    if failed:
        raise typer.Exit(2)


def _root_that_is_there(recordings: Path | None) -> Root:
    """Open the root; say so where it is not there: nothing was recorded yet, or its path is another."""
    from capture.recording.root import open_root

    root = open_root(recordings)
    root.check_readable()
    if not root.path.exists():
        tell(f"there is no folder {root.path}: nothing was recorded to it yet, or --recordings is to name another")
    return root


def _narrate_recovery(root: Root, recovery: Recovery) -> None:
    from capture.recovery import journals_in_use, quarantined

    for failure in recovery.failed:
        tell(str(failure))
    for one in recovery.sealed:
        if one.has_loss:
            tell(f"{one.session_id}: {_say_loss(one)}")
    in_use, aside = len(journals_in_use(root)), quarantined(root)
    if in_use:
        tell(f"left alone: {in_use} that are still being recorded or sealed")
    if aside:
        tell(
            f"in quarantine: {len(aside)} that could not be sealed twice; to try again, with another version of"
            f" wiretape or more memory, move them from {root.quarantine} to {root.journal}"
        )


def _say_loss(session: SealedSession) -> str:
    counts = f"{session.lost_bytes} bytes are lost, {session.undecodable_bytes} could not be decoded"
    if not session.damages:
        return counts
    return f"its journal is damaged: how much is lost there is not known; apart from that {counts}"


def tell_passed_over(damage: TableDamaged) -> None:
    """Say of which file nothing is read, and why."""
    tell(f"{damage.path} is passed over: {damage.reason}")


def _listed(root: Root) -> Iterator[dict[str, Any]]:
    from capture.listing import NOTHING_LIVE
    from capture.recording.all_sessions import read_all_sessions

    with progress_told("reading") as show:
        sessions = read_all_sessions(root, ["started_at", "target", "outcome"], tell_passed_over, show)
    for session_id, session in sessions.items():
        # An imported session's may not be known.
        started_at = session["started_at"] and session["started_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
        yield {
            "session_id": session_id,
            "started_at": started_at,
            "target": session["target"],
            "outcome": session["outcome"],
            "state": "sealed",
            **NOTHING_LIVE,
        }


def _compact(
    root: Root, dates: list[str], *, at_least: int, grace_s: float
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    from capture.compaction import compact_date
    from capture.errors import UsageProblem

    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for number, date in enumerate(dates, start=1):
        day = date if len(dates) == 1 else f"{date}, day {number:,} of {len(dates):,}"
        try:
            # One line, which a terminal always has: below a line for each day the last ones would be out of sight.
            with progress_told(day, after_s=0) as show:
                one = compact_date(root, date, at_least=at_least, grace_s=grace_s, on_progress=show)
        except (UsageProblem, OSError) as problem:
            # The other days are to be compacted all the same; of this one nothing was changed.
            failed.append({"date": date, "reason": str(problem)})
            tell(f"{date} is left as it is: {problem}")
            continue
        for path, reason in one.left_alone.items():
            tell(f"{path} is left as it is: {reason}")
        if one.waits:
            tell(f"{date} is not compacted now: {one.waits}")
        done.append(asdict(one))
    return done, failed


def _compacted_line(one: dict[str, Any]) -> str:
    sizes = f"{one['bytes_before'] / 1e6:.1f} -> {one['bytes_after'] / 1e6:.1f} MB"
    sessions, files = counted(one["sessions"], "session"), counted(one["files_after"], "file")
    return f"{one['date']}  {sessions}  {one['files_before']} -> {files}  {sizes}"


def _compacted_summary(done: list[dict[str, Any]]) -> str:
    merged = [one for one in done if one["sessions"]]
    if not merged:
        return "nothing to compact"
    sessions = sum(one["sessions"] for one in merged)
    return f"compacted {counted(sessions, 'session')} of {counted(len(merged), 'day')}"
