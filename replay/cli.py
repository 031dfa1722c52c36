"""`wiretape replay …`: run a recorded session again, or serve a simulated endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capture.completion import offer_sessions, offer_targets
from capture.options import AsJson, Recordings
from replay.completion import offer_scenarios
from replay.options import (
    A_DAY_S,
    Clock,
    DryRun,
    MaxMinutes,
    MaxSessions,
    OnNewTool,
    Redact,
    Resume,
    Retries,
    Seed,
    Speed,
    Timeout,
    finite,
    given_options,
)

app = typer.Typer(no_args_is_help=True, help="Run recorded sessions again, against other endpoints or options.")


@app.command("run")
def run_command(
    context: typer.Context,
    sessions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SESSION…", help="Recordings: an id, a unique prefix, or `last`.", autocompletion=offer_sessions
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="TARGET|URL", help="Where to replay; may be repeated.", autocompletion=offer_targets
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="PATH=A,B",
            help="Try each of these values at a path (session.…, response.…, connection.…), audio, dialect.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=JSON", help="Put a value at such a path, or name, in every cell."),
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Say this clip in the place of each recorded turn.")
    ] = None,
    silence: Annotated[
        bool, typer.Option("--silence", help="Send silence in the place of the recorded audio.")
    ] = False,
    noise_snr_db: Annotated[
        float | None,
        typer.Option(
            "--noise", metavar="SNR", callback=finite, help="Add white noise, so many dB below the recorded speech."
        ),
    ] = None,
    until_turn: Annotated[
        int | None, typer.Option("--until", metavar="TURN", help="Stop after this recorded turn.")
    ] = None,
    longest_idle_s: Annotated[
        float | None,
        typer.Option(
            "--skip-idle",
            metavar="S",
            min=0.5,
            max=A_DAY_S,
            callback=finite,
            help="Shorten pauses with nothing due to so many seconds.",
        ),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="PATH", help="Take what stands at a path out in every cell."),
    ] = None,
    as_recorded: Annotated[
        bool, typer.Option("--as-recorded", help="Change nothing; say what stands in the way, and exit 2.")
    ] = False,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="Trials a cell.")] = 5,
    concurrency: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 8,
    speed: Speed = "1",
    clock: Clock = None,
    on_new_tool: OnNewTool = None,
    timeout_s: Timeout = 15.0,
    seed: Seed = 0,
    max_sessions: MaxSessions = None,
    max_minutes: MaxMinutes = None,
    retries: Retries = 4,
    resume: Resume = None,
    dry_run: DryRun = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="WHAT",
            help="Exit 1 unless this holds: ok, failed, no-failures, same-outcome or max-latency-ms=N; repeatable.",
        ),
    ] = None,
    redact: Redact = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the trials as JUnit XML too.")] = None,
    json_output: AsJson = False,
    recordings: Recordings = None,
) -> None:
    """Replay recordings over targets x variations x trials, record every trial, and say what that proves.

    Example: wiretape replay run last --to eastus2 --to swedencentral
    --vary session.audio.input.transcription.model=gpt-4o-transcribe,whisper-1
    """
    from capture.arguments import parse_speed
    from replay import run_command as command
    from replay.run_request import RunRequest

    request = RunRequest(
        sessions=sessions or [],
        to=to or [],
        vary=vary or [],
        settings=settings or [],
        trials=trials,
        concurrency=concurrency,
        speed=parse_speed(speed),
        clock=clock.value if clock else None,
        on_new_tool=on_new_tool.value if on_new_tool else None,
        timeout_s=timeout_s,
        seed=seed,
        expect=expect or [],
        junit=junit,
        redact=redact or [],
        audio=audio,
        silence=silence,
        noise_snr_db=noise_snr_db,
        until_turn=until_turn,
        longest_idle_s=longest_idle_s,
        unset=unset or [],
        as_recorded=as_recorded,
        max_sessions=max_sessions,
        max_minutes=max_minutes,
        retries=retries,
    )
    if resume is not None:
        given = given_options(context)
        raise typer.Exit(command.resume(resume, request, given, recordings, dry_run=dry_run, as_json=json_output))
    if not sessions or not to:
        raise typer.BadParameter("name a recording, and where to replay it with --to; or a run to --resume")
    raise typer.Exit(command.run(request, recordings, dry_run=dry_run, as_json=json_output))


@app.command("isolate")
def isolate_command(
    context: typer.Context,
    session: Annotated[
        str | None,
        typer.Argument(
            metavar="SESSION", help="Recording: an id, a unique prefix, or `last`.", autocompletion=offer_sessions
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="TARGET|URL", help="Another place to try; may be repeated.", autocompletion=offer_targets
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET|URL",
            help="Where it was recorded; found by itself if it is known.",
            autocompletion=offer_targets,
        ),
    ] = None,
    axes: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="NAME=A,B",
            help="Values to try of model, transcription_model, options, audio, dialect, a path; `none` leaves out.",
        ),
    ] = None,
    max_trials: Annotated[int, typer.Option(min=1, help="Trials at most, in all.")] = 300,
    concurrency: Annotated[int, typer.Option(min=1, help="Trials at a time, at each endpoint.")] = 1,
    speed: Speed = "1",
    clock: Clock = None,
    on_new_tool: OnNewTool = None,
    timeout_s: Timeout = 15.0,
    seed: Seed = 0,
    max_sessions: MaxSessions = None,
    max_minutes: MaxMinutes = None,
    retries: Retries = 4,
    resume: Resume = None,
    dry_run: DryRun = False,
    redact: Redact = None,
    json_output: AsJson = False,
    recordings: Recordings = None,
) -> None:
    """Find what a failure depends on: reproduce it, change one thing at a time, stop when that is decided.

    Example: wiretape replay isolate last --to eastus2 --to swedencentral
    --axis transcription_model=whisper-1 --max-trials 120
    """
    from capture.arguments import parse_speed
    from replay import isolate_command as command
    from replay.isolate_command import IsolateRequest

    request = IsolateRequest(
        session=session or "",
        to=to or [],
        baseline=baseline,
        axes=axes or [],
        max_trials=max_trials,
        concurrency=concurrency,
        speed=parse_speed(speed),
        clock=clock.value if clock else None,
        on_new_tool=on_new_tool.value if on_new_tool else None,
        timeout_s=timeout_s,
        seed=seed,
        redact=redact or [],
        max_sessions=max_sessions,
        max_minutes=max_minutes,
        retries=retries,
    )
    if resume is not None:
        given = given_options(context)
        raise typer.Exit(command.resume(resume, request, given, recordings, dry_run=dry_run, as_json=json_output))
    if session is None:
        raise typer.BadParameter("name a recording, or a run to --resume")
    raise typer.Exit(command.isolate(request, recordings, dry_run=dry_run, as_json=json_output))


@app.command("stage")
def stage_command(
    scenarios: Annotated[
        list[str],
        typer.Argument(metavar="SCENARIO…", help="Names, or paths of .toml files.", autocompletion=offer_scenarios),
    ],
    seed: Annotated[int, typer.Option(help="The same seed gives the same faults and the same ids.")] = 0,
    speed: Annotated[
        float,
        typer.Option(min=0.1, max=100, callback=finite, help="How fast time passes at best; recordings look as at 1."),
    ] = 1.0,
    json_output: AsJson = False,
    recordings: Recordings = None,
) -> None:
    """Play scenarios end to end: simulated endpoint, recording proxy and scripted client; print the sessions' ids.

    Needs no key and no network. Exit status 1 where a step of a script could not be done.
    Example: wiretape replay stage commit_empty --speed 8
    """
    from replay.stage_command import run_stage

    raise typer.Exit(run_stage(scenarios, recordings, seed=seed, speed=speed, as_json=json_output))


@app.command("serve")
def serve_command(
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION", help="A recording: an id, a unique prefix, or `last`.", autocompletion=offer_sessions
        ),
    ],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Port 0 takes a free one.")] = "127.0.0.1:0",
    speed: Annotated[str, typer.Option(metavar="X|max", help="1 is the recorded pace.")] = "1",
    timeout: Annotated[
        float,
        typer.Option(min=0.1, max=A_DAY_S, callback=finite, help="Seconds until a message awaited in vain is told."),
    ] = 15.0,
    once: Annotated[bool, typer.Option("--once", help="End when the first client is gone.")] = False,
    recordings: Recordings = None,
) -> None:
    """Serve a recording as an endpoint: a client gets the recorded server's side, each message after what it followed.

    Needs no key and no network. What the client does otherwise than the recorded one is told on stderr.
    Example: wiretape replay serve last --listen 127.0.0.1:8901
    """
    from replay.serve_command import run_serve

    run_serve(session, recordings, listen=listen, speed=speed, timeout_s=timeout, once=once)


@app.command("simulate")
def simulate_command(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO…]", help="What fails where; none: nothing fails.", autocompletion=offer_scenarios
        ),
    ] = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="A region to serve; may be repeated.")] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT")] = "127.0.0.1:8900",
    seed: Annotated[int, typer.Option(help="The same seed gives the same ids.")] = 0,
    separate_origins: Annotated[
        bool, typer.Option("--separate-origins", help="Give each region a port of its own, from the first one on.")
    ] = False,
    list_only: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
) -> None:
    """Serve a simulated Realtime endpoint, with regions, that needs no key and no network."""
    from replay.simulator.command import list_scenarios, run_simulator

    if list_only:
        for name, summary in list_scenarios():
            typer.echo(f"{name}\t{summary}")
        return
    run_simulator(scenarios or [], region or [], listen, seed, separate_origins)
