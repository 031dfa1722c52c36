"""What is asked of `wiretape replay run`, and how it is read: sessions, targets, settings, variations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from capture.arguments import parse_setting, parse_values
from capture.errors import UsageProblem
from capture.listing import resolve_recording
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.targets import Target, load_targets, resolve_target
from replay.attempts import Job
from replay.audio_choice import AUDIO_AXIS, AudioChoice
from replay.cells import Variation, plan_run
from replay.matrix import plan_jobs
from replay.resuming import describe_targets, digest_clips, keep_request, mapping_homes
from replay.runs import ClockKind, OnNewTool, Run
from replay.source import Source, check_not_empty, prepare, recorded_target, shortened
from replay.throttling import RETRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How trials are played, as the command lines of `run` and `isolate` say it."""

    concurrency: int = 1
    speed: float = 1.0
    clock: ClockKind | None = None
    """None: anchored, and absolute where nothing may be changed."""
    on_new_tool: OnNewTool | None = None
    """None: recorded; where nothing may be changed such a call stays unanswered."""
    timeout_s: float = 15.0
    seed: int = 0
    redact: Sequence[str] = ()
    max_sessions: int | None = None
    max_minutes: float | None = None
    retries: int = RETRIES


@dataclass(frozen=True, slots=True)
class RunRequest(Manner):
    """The command line, unread."""

    sessions: list[str]
    to: list[str]
    vary: list[str]
    settings: list[str]
    trials: int = 5
    concurrency: int = field(default=8, kw_only=True)
    expect: Sequence[str] = ()
    junit: Path | None = None
    audio: Path | None = None
    """A clip in the place of the recorded speech."""
    silence: bool = False
    noise_snr_db: float | None = None
    until_turn: int | None = None
    longest_idle_s: float | None = None
    unset: Sequence[str] = ()
    as_recorded: bool = False


@dataclass(frozen=True)
class Planned:
    """A run that can be played."""

    run: Run
    sources: list[Source]
    targets: list[Target]
    jobs: list[Job]


def plan_request(request: RunRequest, root: Root) -> Planned:
    """Read the recordings and lay out the run, without sending anything.

    Raises `UsageProblem` for what cannot be done as asked.
    """
    targets = find_targets(request.to)
    recorded = [prepare(open_recording(root, find_recording(root, text))) for text in request.sessions]
    _check_sources(recorded)
    sources = [
        shortened(source, until_turn=request.until_turn, longest_idle_s=request.longest_idle_s) for source in recorded
    ]
    return lay_out(request, sources, targets)


def lay_out(request: RunRequest, sources: Sequence[Source], targets: Sequence[Target]) -> Planned:
    """Lay out the run of recordings and targets that are read already; `wiretape.toml` says what was deployed where.

    Raises `UsageProblem` as `plan_request`.
    """
    here = [*targets, *load_targets().values()]
    # Also where it is not replayed to: it says which model a deployment's name stood for.
    sources = [replace(source, home=recorded_target(source, here)) for source in sources]
    run = plan_run(
        sources,
        targets,
        variations=[parse_variation(text) for text in request.vary],
        settings=read_settings(request),
        unset=[path.strip() for path in request.unset],
        trials=request.trials,
        seed=request.seed,
        concurrency=request.concurrency,
        speed=request.speed,
    )
    run.until_turn, run.longest_idle_s = request.until_turn, request.longest_idle_s
    run.clock = read_clock(request.clock, as_recorded=request.as_recorded)
    run.on_new_tool = read_on_new_tool(request.on_new_tool, as_recorded=request.as_recorded)
    run.targets, run.clips = describe_targets([*mapping_homes(sources), *targets]), digest_clips(run.cells)
    run.request = keep_request(request, {"sessions": [source.recording.session_id for source in sources]})
    return Planned(run, list(sources), list(targets), plan_jobs(run, sources, targets))


def find_recording(root: Root, text: str) -> str:
    """Resolve an id, a unique prefix, or `last`: here the newest session that is no replay itself.

    A second `replay run last`, or `replay serve last`, means the same call as the first, and not one of the trials in
    between.
    """
    if text == "last":
        for session_id in reversed(list_session_ids(root)):
            # One that cannot be read is no candidate.
            with suppress(UsageProblem):
                if open_recording(root, session_id).session["role"] != "replayed":
                    return session_id
    return resolve_recording(root, text)


def read_settings(request: RunRequest) -> dict[str, Any]:
    """Read what is put in every cell; `--audio`, `--silence` and `--noise` set the audio.

    Raises `UsageProblem` where something is set, or the audio chosen, more than once.
    """
    settings: dict[str, Any] = {}
    for path, value in map(parse_setting, request.settings):
        if path in settings:
            raise UsageProblem(f"{path} is set twice: leave one out, or try both with --vary {path}=A,B")
        settings[path] = value
    chosen = [AudioChoice("clip", clip=request.audio)] if request.audio is not None else []
    chosen += [AudioChoice("silence")] if request.silence else []
    chosen += [AudioChoice("noise", snr_db=request.noise_snr_db)] if request.noise_snr_db is not None else []
    if len(chosen) + (AUDIO_AXIS in settings) > 1:
        raise UsageProblem("the audio is chosen twice: give one of --audio, --silence, --noise and --set audio=…")
    return settings | ({AUDIO_AXIS: str(chosen[0])} if chosen else {})


def read_clock(asked: ClockKind | None, *, as_recorded: bool = False) -> ClockKind:
    """Tell by which clock trials go.

    Raises `UsageProblem` for an anchored one that is to change nothing: it adds silence, or leaves some out.
    """
    if as_recorded and asked == "anchored":
        raise UsageProblem("--as-recorded sends everything at its recorded time: leave --clock anchored out")
    return asked or ("absolute" if as_recorded else "anchored")


def read_on_new_tool(asked: OnNewTool | None, *, as_recorded: bool = False) -> OnNewTool:
    """Tell what a function call gets that the recording does not have.

    Raises `UsageProblem` where nothing is to be changed: then it gets nothing.
    """
    if as_recorded and asked is not None:
        raise UsageProblem("--as-recorded answers no call that the recording does not have: leave --on-new-tool out")
    return asked or "recorded"


def find_targets(names: Sequence[str]) -> list[Target]:
    """Resolve the names or URLs given with `--to`."""
    known = load_targets()
    return [resolve_target(name, known) for name in names]


def parse_variation(text: str) -> Variation:
    """Read `PATH=A,B`: values are JSON, or bare strings.

    Raises `UsageProblem` without a path or values, and for a value given twice.
    """
    path, separator, listed = text.partition("=")
    if not separator or not path.strip() or not listed.strip():
        raise UsageProblem(f"{text!r} varies nothing: write PATH=A,B with a path, or audio, dialect, model …")
    values = parse_values(listed)
    if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
        raise UsageProblem(f"{text!r} gives a value twice: for more trials use --trials")
    return Variation(path.strip(), tuple(values))


def _check_sources(sources: Sequence[Source]) -> None:
    ids = [source.recording.session_id for source in sources]
    twice = {session_id for session_id in ids if ids.count(session_id) > 1}
    if twice:
        raise UsageProblem(f"recording {', '.join(sorted(twice))} is given twice: for more trials use --trials")
    for source in sources:
        check_not_empty(source)
