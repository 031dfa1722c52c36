"""`wiretape capture …`: record sessions, through a proxy or by placing a call, and keep the recordings whole."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture import drop_command, housekeeping, import_command
from capture.completion import offer_targets
from capture.ending import while_read
from capture.narration import console, counted, print_json, print_line, tell
from capture.options import AsJson, Recordings

if TYPE_CHECKING:
    from capture.call import CallPlan, CallProgress, CallResult
    from capture.recording.root import Root
    from capture.targets import Target

app = typer.Typer(no_args_is_help=True, help="Record realtime sessions: through a proxy, or by placing a call.")

Redact = Annotated[
    list[str] | None,
    typer.Option(
        "--redact",
        metavar="WHAT",
        help="Not to be kept, with its length left: transcripts, audio, emails, phones, cards or /REGEX/; repeatable.",
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="TARGET|URL", help="A target of wiretape.toml, or a URL.", autocompletion=offer_targets
    ),
]


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
            metavar="SECONDS", min=0, help="How long live sessions may go on after a signal; else SIGTERM 5, Ctrl-C 0."
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
    metrics: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve figures for Prometheus: /metrics, and /healthz for probes."),
    ] = None,
    recordings: Recordings = None,
) -> None:
    """Listen for clients, carry each of them to one target, and record every session.

    Prints the address that clients connect to. SIGTERM drains: no new sessions, live ones may go on for --drain
    seconds; then they are closed and all are sealed. Ctrl-C does the same, with no time to go on where --drain gives
    none; a terminal that closes is a SIGTERM. A second signal ends the draining.
    Example: wiretape capture proxy --to wss://api.openai.com
    """
    from capture.arguments import check_seconds, parse_redactions
    from capture.keeping import parse_keep
    from capture.policy import RecordingPolicy
    from capture.proxy_program import ProxyOptions, become_proxy
    from capture.recording.root import open_root
    from capture.targets import resolve_target

    policy = RecordingPolicy(
        tags=dict(map(_parse_tag, tag or [])),
        redact=parse_redactions(redact or []),
        conversation_tag=conversation_tag,
        keep_rule=parse_keep(keep, pre, post),
        is_strict=strict,
    )
    drain_s = None if drain is None else check_seconds("--drain", drain)
    certificate = _listening_certificate(tls_cert, tls_key, listen, is_self_signed=tls_self_signed)
    root = open_root(recordings).path
    target = resolve_target(to)
    become_proxy(
        ProxyOptions(
            target, root, listen, policy, certificate, drain_s, metrics=metrics, is_self_signed=tls_self_signed
        )
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
    from capture.arguments import check_seconds, parse_redactions, parse_setting
    from capture.call import CallPlan
    from capture.recording.root import open_root
    from capture.targets import resolve_target

    plan = CallPlan(
        clip=audio,
        transcription=transcription,
        turns=turns.value,
        settings=dict(map(parse_setting, settings or [])),
        model=model,
        timeout_s=check_seconds("--timeout", timeout),
        redact=parse_redactions(redact or []),
    )
    result = _place_call(resolve_target(to), plan, open_root(recordings), as_json=as_json)
    with while_read():
        _print_call(result, as_json=as_json)
    if result.refusal is not None:
        raise result.refusal
    raise typer.Exit(0 if result.began else 1)


def _place_call(target: Target, plan: CallPlan, root: Root, *, as_json: bool) -> CallResult:
    import asyncio

    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from capture.call import place_call
    from capture.queued_output import queued_output
    from capture.recorder import Recorder

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    session_id, screen = "", console()
    progress_bar = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
    task = progress_bar.add_task("calling", total=None)

    def show(progress: CallProgress) -> None:
        nonlocal session_id
        session_id = progress.session_id
        clip_ms = progress.clip_ms or None
        progress_bar.update(task, description=progress.phase, completed=progress.spoken_ms, total=clip_ms)

    with queued_output(), Recorder(root) as recorder:
        try:
            with progress_bar:
                return asyncio.run(place_call(target, plan, recorder, on_progress=show))
        except KeyboardInterrupt:
            # Recorded all the same: the id is what the caller came for.
            if session_id and as_json:
                print_json({"session_id": session_id})
            elif session_id:
                print_line(session_id)
            raise


def _print_call(result: CallResult, *, as_json: bool) -> None:
    sealed = result.sealed
    if as_json:
        told = {"notes": result.notes, "heard": result.heard, "answers": result.answers}
        print_json(asdict(sealed) | told)
        return
    if result.refusal is not None:
        # The error line says the rest.
        print_line(sealed.session_id)
        return
    for who, texts in (("heard", result.heard), ("answer", result.answers)):
        for text in texts:
            tell(f"{who}: {text}")
    for note in result.notes:
        tell(f"note: {note}")
    first_error = f" · {sealed.first_error}" if sealed.first_error else ""
    tell(f"{sealed.outcome} · {counted(sealed.turns, 'turn')} · {sealed.duration_ms / 1000:.1f} s{first_error}")
    print_line(sealed.session_id)


def _listening_certificate(
    certificate: Path | None, key: Path | None, listen: str, *, is_self_signed: bool
) -> tuple[Path, Path] | None:
    from capture.errors import UsageProblem

    if is_self_signed and (certificate or key):
        raise UsageProblem("give either --tls-self-signed, or --tls-cert and --tls-key")
    if (certificate is None) != (key is None):
        raise UsageProblem("--tls-cert and --tls-key go together: give both")
    if certificate and key:
        return certificate, key
    if not is_self_signed:
        return None
    from capture.arguments import parse_listen
    from capture.tls import keep_certificate, trust_advice

    made = keep_certificate(parse_listen(listen)[0])
    for line in trust_advice(made).splitlines():
        tell(line)
    return made.path, made.key_path


def _parse_tag(text: str) -> tuple[str, str]:
    from capture.errors import UsageProblem

    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise UsageProblem(f"--tag takes KEY=VALUE, such as --tag team=voice, not {text!r}")
    return name.strip(), value


app.add_typer(housekeeping.app)
app.add_typer(drop_command.app)
app.add_typer(import_command.app)
