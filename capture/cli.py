"""`wiretape capture …`: record sessions, through a proxy or by placing a call, and keep the recordings whole."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from capture.call import CallPlan, CallProgress, CallResult
    from capture.recording.root import Root
    from capture.recovery import Recovery
    from capture.sealing import SealedSession
    from capture.targets import Target

app = typer.Typer(no_args_is_help=True, help="Record realtime sessions: through a proxy, or by placing a call.")

Recordings = Annotated[Path | None, typer.Option("--recordings", metavar="ROOT", help="Folder of recordings.")]
Redact = Annotated[
    list[str] | None,
    typer.Option(
        "--redact",
        metavar="WHAT",
        help="Not to be kept, with its length left: transcripts, audio, emails, phones, cards or /REGEX/; repeatable.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
To = Annotated[str, typer.Option("--to", metavar="TARGET|URL", help="A target of wiretape.toml, or a URL.")]


class TurnTaking(StrEnum):
    """Who ends a turn."""

    SERVER_VAD = "server_vad"
    SEMANTIC_VAD = "semantic_vad"
    MANUAL = "manual"


@app.command("proxy")
def proxy_command(
    to: To,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Port 0 takes a free one.")] = "127.0.0.1:8765",
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="K=V", help="Tag every session.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End a call that cannot be recorded whole; otherwise the call comes first.")
    ] = False,
    conversation_tag: Annotated[
        str,
        typer.Option(metavar="NAME", help="The tag that joins one call's sockets; clients send it in a header."),
    ] = "conversation",
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="F", help="Serve wss with this certificate (chain, PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="F", help="The certificate's key (PEM).")] = None,
    tls_self_signed: Annotated[
        bool, typer.Option("--tls-self-signed", help="Serve wss with a certificate made here; says how to trust it.")
    ] = False,
    drain: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long live sessions may go on after a signal: SIGTERM 5, Ctrl-C 0."
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(metavar="all|failed|sample:P", help="Which sessions to keep; failed ones always are."),
    ] = "all",
    pre: Annotated[
        float | None, typer.Option(metavar="S", help="Of long failed sessions keep S seconds before each failure.")
    ] = None,
    post: Annotated[float | None, typer.Option(metavar="S", help="And S seconds after it.")] = None,
    redact: Redact = None,
    recordings: Recordings = None,
) -> None:
    """Listen for clients, carry each of them to one target, and record every session.

    Prints the address that clients connect to. SIGTERM drains: no new sessions, live ones may go on for --drain
    seconds; then, and on Ctrl-C, they are closed and all are sealed. A second signal ends the draining.
    Example: wiretape capture proxy --to wss://api.openai.com
    """
    import asyncio

    from capture.arguments import parse_redactions
    from capture.event_loop import choose_loop, spare_the_loop
    from capture.keeping import parse_keep
    from capture.open_files import raise_open_files_limit
    from capture.policy import RecordingPolicy
    from capture.proxy import run_proxy
    from capture.recorder import Recorder
    from capture.recording.root import open_root
    from capture.targets import resolve_target

    _narrate()
    target, root = resolve_target(to), open_root(recordings)
    policy = RecordingPolicy(
        tags=dict(map(_parse_tag, tag or [])),
        redact=parse_redactions(redact or []),
        conversation_tag=conversation_tag,
        keep_rule=parse_keep(keep, pre, post),
        is_strict=strict,
    )
    tls = _listening_tls(tls_cert, tls_key, listen, is_self_signed=tls_self_signed)
    raise_open_files_limit()
    spare_the_loop()
    with Recorder(root) as recorder, asyncio.Runner(loop_factory=choose_loop()) as runner:
        runner.run(
            run_proxy(target, recorder, listen=listen, tls=tls, policy=policy, drain_s=drain, on_listening=_print_line)
        )


@app.command("call")
def call_command(
    to: To,
    audio: Annotated[Path, typer.Option("--audio", metavar="FILE", help="Speech: WAV, FLAC or OGG, any rate.")],
    transcription: Annotated[
        str | None, typer.Option("--transcription", metavar="MODEL", help="Have the input transcribed by this model.")
    ] = None,
    turns: Annotated[TurnTaking, typer.Option("--turns", help="Who ends a turn.")] = TurnTaking.SERVER_VAD,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=JSON", help="Further configuration: session.audio.output.voice=marin"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Realtime model; without one anywhere, gpt-realtime.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for what is due.")] = 30,
    redact: Redact = None,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Place a call: say an audio file to a target at real time, wait for every answer, and record the session.

    Prints the session's id. Exit status 1 where the endpoint refused the session.
    Example: wiretape capture call --to ws://127.0.0.1:8900 --audio question.flac --transcription whisper-1
    """
    from capture.arguments import parse_redactions, parse_setting
    from capture.call import CallPlan
    from capture.recording.root import open_root
    from capture.targets import resolve_target

    plan = CallPlan(
        clip=audio,
        transcription=transcription,
        turns=turns.value,
        settings=dict(map(parse_setting, settings or [])),
        model=model,
        timeout_s=timeout,
        redact=parse_redactions(redact or []),
    )
    result = _place_call(resolve_target(to), plan, open_root(recordings), as_json=as_json)
    _print_call(result, as_json=as_json)
    raise typer.Exit(0 if result.began else 1)


@app.command("recover")
def recover_command(recordings: Recordings = None, as_json: AsJson = False) -> None:
    """Seal the sessions that a crash left in the journal.

    Exit status 0: all recovered, or nothing was left; 3: recovered with loss; 1: none could be recovered.
    """
    from capture.recording.root import open_root
    from capture.recovery import recover

    _narrate()
    root = open_root(recordings)
    recovery = recover(root)
    _narrate_recovery(root, recovery)
    if as_json:
        failed = [{"session_id": one.session_id, "reason": str(one)} for one in recovery.failed]
        _print_json({"recovered": [_summary(one) for one in recovery.sealed], "failed": failed})
    else:
        for one in recovery.sealed:
            if one.kept == "none":
                _tell(f"{one.session_id} {one.outcome}: not kept, as the proxy's --keep says")
            else:
                _print_line(one.session_id)
    raise typer.Exit(recovery.exit_status)


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
    from capture.errors import UsageProblem
    from capture.pruning import (
        JOURNALS_OLDER_THAN,
        PruneRule,
        parse_age,
        parse_size,
        plan_pruning,
        prune,
        sum_up,
        summary,
    )
    from capture.recording.root import open_root

    _narrate()
    if not (older_than or max_bytes or journals_older_than):
        raise UsageProblem("say what is to go: --older-than AGE, --max-bytes SIZE or --journals-older-than AGE")
    rule = PruneRule(
        older_than=parse_age(older_than) if older_than else None,
        max_bytes=parse_size(max_bytes) if max_bytes else None,
        keep_failed=keep_failed,
        include_runs=include_runs,
        journals_older_than=parse_age(journals_older_than) if journals_older_than else JOURNALS_OLDER_THAN,
    )
    plan = plan_pruning(open_root(recordings), rule)
    if not dry_run:
        prune(plan)
    if as_json:
        _print_json({"dry_run": dry_run} | summary(plan))
        return
    for removal in plan.recordings:
        _print_line(removal.name)
    for line in sum_up(plan, dry_run=dry_run):
        _tell(line)


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
    from capture.compaction import dates_to_compact
    from capture.recording.root import open_root

    _narrate()
    root = open_root(recordings)
    chosen = dates_to_compact(root, dates or (), everything=everything)
    # A day that was asked for by name is compacted for the sake of one session too.
    done, failed = _compact(root, chosen, at_least=1 if dates else 2, grace_s=grace)
    if as_json:
        _print_json({"dates": done, "failed": failed})
    else:
        for one in done:
            if one["sessions"]:
                _print_line(_compacted_line(one))
    _tell(_compacted_summary(done))
    if failed:
        raise typer.Exit(2)


@app.command("list")
def list_command(
    recordings: Recordings = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show live sessions only, refreshed every second.")] = False,
) -> None:
    """List the recordings of a root, oldest first: id, start (UTC), target, outcome; then what is live.

    A live session's age, events, bytes and last error come from its journal, while the call goes on.
    """
    from capture import listing
    from capture.live import LiveJournals
    from capture.recording.root import open_root

    _narrate()
    root = open_root(recordings)
    if watch:
        listing.watch(root)
    # Before the recordings: a session that is sealed meanwhile then shows up there, and is not missed.
    live = {session.session_id: session for session in LiveJournals(root).refresh()}
    rows = list(_listed(root))
    for row in rows:
        live.pop(row["session_id"], None)
    if not rows and not live:
        _tell(f"no recordings in {root.path} yet")
    if as_json:
        _print_json(rows + [listing.live_row(session) for session in live.values()])
        return
    for row in rows:
        _print_line("  ".join(str(row[name] or "-") for name in ("session_id", "started_at", "target", "outcome")))
    for session in live.values():
        row = listing.live_row(session)
        told = "  ".join(str(row[name] or "-") for name in ("session_id", "started_at", "target"))
        _print_line(f"{listing.printable(told)}  {listing.describe(session)}")


def _place_call(target: Target, plan: CallPlan, root: Root, *, as_json: bool) -> CallResult:
    import asyncio

    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from capture.call import place_call
    from capture.errors import EndpointRefused
    from capture.recorder import Recorder

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    session_id, console = "", _console()
    progress_bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with Recorder(root) as recorder, progress_bar as bar:
        task = bar.add_task("calling", total=None)

        def show(progress: CallProgress) -> None:
            nonlocal session_id
            session_id = progress.session_id
            clip_ms = progress.clip_ms or None
            bar.update(task, description=progress.phase, completed=progress.spoken_ms, total=clip_ms)

        try:
            return asyncio.run(place_call(target, plan, recorder, on_progress=show))
        except (EndpointRefused, KeyboardInterrupt):
            # Recorded all the same: the id is what the caller came for.
            if session_id and as_json:
                _print_json({"session_id": session_id})
            elif session_id:
                _print_line(session_id)
            raise


def _print_call(result: CallResult, *, as_json: bool) -> None:
    if as_json:
        told = {"notes": result.notes, "heard": result.heard, "answers": result.answers}
        _print_json(_summary(result.sealed) | told)
        return
    sealed = result.sealed
    for who, texts in (("heard", result.heard), ("answer", result.answers)):
        for text in texts:
            _tell(f"{who}: {text}")
    for note in result.notes:
        _tell(f"note: {note}")
    first_error = f" · {sealed.first_error}" if sealed.first_error else ""
    turns = "1 turn" if sealed.turns == 1 else f"{sealed.turns} turns"
    _tell(f"{sealed.outcome} · {turns} · {sealed.duration_ms / 1000:.1f} s{first_error}")
    _print_line(sealed.session_id)


def _narrate_recovery(root: Root, recovery: Recovery) -> None:
    from capture.recovery import journals_in_use, quarantined

    for failure in recovery.failed:
        _tell(str(failure))
    for one in recovery.sealed:
        if one.has_loss:
            _tell(f"{one.session_id}: {one.lost_bytes} bytes are lost, {one.undecodable_bytes} could not be decoded")
    in_use, aside = len(journals_in_use(root)), quarantined(root)
    if in_use:
        _tell(f"left alone: {in_use} that are still being recorded or sealed")
    if aside:
        _tell(
            f"in quarantine: {len(aside)} that could not be sealed twice; to try again, with another version of"
            f" wiretape or more memory, move them from {root.quarantine} to {root.journal}"
        )


def _compact(
    root: Root, dates: list[str], *, at_least: int, grace_s: float
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    from dataclasses import asdict

    from rich.progress import Progress

    from capture.compaction import compact_date
    from capture.errors import UsageProblem

    console = _console()
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for date in dates:
            task = bar.add_task(date)

            def show(merged: int, total: int, task: Any = task) -> None:
                bar.update(task, completed=merged, total=total)

            try:
                one = compact_date(root, date, at_least=at_least, grace_s=grace_s, on_progress=show)
            except (UsageProblem, OSError) as problem:
                # The other days are to be compacted all the same; of this one nothing was changed.
                failed.append({"date": date, "reason": str(problem)})
                _tell(f"{date} is left as it is: {problem}")
                continue
            for path, reason in one.left_alone.items():
                _tell(f"{path} is left as it is: {reason}")
            if one.waits:
                _tell(f"{date} is not compacted now: {one.waits}")
            done.append(asdict(one))
    return done, failed


def _compacted_line(one: dict[str, Any]) -> str:
    sizes = f"{one['bytes_before'] / 1e6:.1f} -> {one['bytes_after'] / 1e6:.1f} MB"
    return f"{one['date']}  {one['sessions']} sessions  {one['files_before']} -> {one['files_after']} files  {sizes}"


def _compacted_summary(done: list[dict[str, Any]]) -> str:
    merged = [one for one in done if one["sessions"]]
    if not merged:
        return "nothing to compact"
    sessions = sum(one["sessions"] for one in merged)
    return f"compacted {sessions} sessions of {len(merged)} {'day' if len(merged) == 1 else 'days'}"


def _listed(root: Root) -> Iterator[dict[str, Any]]:
    from capture.errors import UsageProblem
    from capture.listing import NOTHING_LIVE
    from capture.recording.reader import list_session_ids, open_recording

    for session_id in list_session_ids(root):
        try:
            session = open_recording(root, session_id).session
        except UsageProblem as problem:
            _tell(str(problem))
            continue
        started_at = session["started_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
        yield {
            "session_id": session_id,
            "started_at": started_at,
            "target": session["target"],
            "outcome": session["outcome"],
            "state": "sealed",
            **NOTHING_LIVE,
        }


def _listening_tls(
    certificate: Path | None, key: Path | None, listen: str, *, is_self_signed: bool
) -> ssl.SSLContext | None:
    from capture.errors import UsageProblem

    if is_self_signed and (certificate or key):
        raise UsageProblem("give either --tls-self-signed, or --tls-cert and --tls-key")
    if (certificate is None) != (key is None):
        raise UsageProblem("--tls-cert and --tls-key go together: give both")
    if not is_self_signed and certificate is None:
        return None
    from capture.arguments import parse_listen
    from capture.tls import keep_certificate, load_tls, trust_advice

    if certificate and key:
        return load_tls(certificate, key)
    made = keep_certificate(parse_listen(listen)[0])
    for line in trust_advice(made).splitlines():
        _tell(line)
    return load_tls(made.path, made.key_path)


def _parse_tag(text: str) -> tuple[str, str]:
    from capture.errors import UsageProblem

    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise UsageProblem(f"--tag takes KEY=VALUE, such as --tag team=voice, not {text!r}")
    return name.strip(), value


def _summary(sealed: SealedSession) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(sealed)


def _narrate() -> None:
    """Send the log to stderr, for people."""
    import logging

    from rich.logging import RichHandler

    handler = RichHandler(console=_console(), show_path=False, show_level=False, markup=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])


def _tell(text: str) -> None:
    # Endpoints are quoted here: what they say must not steer the terminal.
    _console().print("".join(c if c.isprintable() else "�" for c in text), markup=False, soft_wrap=True)


def _console() -> Any:
    import sys

    from rich.console import Console

    # A log file has no width to fold lines at.
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)


def _print_line(text: str) -> None:
    typer.echo(text)


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
