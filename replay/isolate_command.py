"""What `wiretape replay isolate` does: read the request, run the experiment, tell of it, print the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capture.arguments import parse_redactions
from capture.ending import while_read
from capture.errors import UsageProblem
from capture.event_loop import choose_loop
from capture.journal.spooled import open_journals
from capture.narration import counted, tell
from capture.queued_output import queued_output
from capture.recorder import Recorder
from capture.recording.reader import open_recording
from capture.recording.root import Root, open_root
from capture.targets import Target, load_targets, resolve_target
from capture.upstream import check_way
from replay.adaptation import asks_as_recorded
from replay.axes import Known, list_choices, parse_axis
from replay.budget import Caps, spent_by
from replay.experiment import Ending
from replay.isolate import Isolation, plan_isolation, run_isolation
from replay.isolate_output import IsolationNarrator, print_plan, print_verdict, say_estimate
from replay.resuming import describe_targets, digest_clips, keep_request, mapping_homes
from replay.run_request import Manner, find_recording, find_targets, read_clock, read_on_new_tool
from replay.source import Source, check_not_empty, is_home, nearness, prepare, recorded_target
from replay.trial_command import INTERRUPTED, raise_if_refused, take_up, tell_beforehand
from replay.verdict import read_verdict

_ENDINGS: dict[Ending, str] = {
    "not_reproduced": "stopped: the failure did not come again",
    "no_baseline": "stopped: too many trials at the recorded target do not count",
    "cleared": "stopped: the failure is gone at the recorded target",
    "max_trials": "stopped: --max-trials",
    "decided": "stopped: nothing more to decide",
    "max_sessions": "stopped: --max-sessions, the rest is open",
    "max_minutes": "stopped: --max-minutes, the rest is open",
    "throttled": "stopped: a target throttles for too long, the rest is open",
}


@dataclass(frozen=True, slots=True)
class IsolateRequest(Manner):
    """The command line, unread."""

    session: str
    to: Sequence[str]
    baseline: str | None = None
    axes: Sequence[str] = ()
    max_trials: int = 300


def isolate(request: IsolateRequest, recordings: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Do what was asked; the exit status is 130 after Ctrl-C, else 0, whatever was found.

    Raises `UsageProblem`, and `EndpointRefused` where no target took a single session.
    """
    root = open_root(recordings)
    return _play_planned(request, _plan(request, root), root, dry_run=dry_run, as_json=as_json)


def resume(
    text: str, request: IsolateRequest, given: Collection[str], recordings: Path | None, *, dry_run: bool, as_json: bool
) -> int:
    """Go on with a run, from the trials that it has.

    `given` names the fields of `request` that were given on the command line. Otherwise as `isolate`.
    """
    root = open_root(recordings)
    request, isolation = take_up(text, request, given, root, "adaptive", _plan)
    return _play_planned(request, isolation, root, dry_run=dry_run, as_json=as_json)


def _play_planned(request: IsolateRequest, isolation: Isolation, root: Root, *, dry_run: bool, as_json: bool) -> int:
    # Before anything is sent.
    redact = parse_redactions(request.redact)
    known, run = isolation.known, isolation.run
    targets = [known.baseline, *known.targets]
    sent = ((target, plan) for plan, target, _ in map(isolation.plan_for, run.cells))
    tell_beforehand(run, [known.source], targets, sent)
    if dry_run:
        print_plan(isolation, as_json=as_json)
        return 0
    for target in targets:
        check_way(target)
    with queued_output() as output:
        finished = _play(isolation, root, request, redact)
        if not finished:
            output.hurry()
        with while_read():
            print_verdict(run, read_verdict(run), root, as_json=as_json)
        if run.status != "done":
            tell("go on with: " + root.command(f"wiretape replay isolate --resume {run.run_id}"))
    if not finished:
        return INTERRUPTED
    raise_if_refused(run)
    return 0


def find_baseline(source: Source, targets: Sequence[Target], named: str | None) -> Target:
    """Find the recorded target: as named, among those given, or in wiretape.toml, by its name, or else by its URL.

    A target at the recorded URL that asks for another model, or in another dialect, is a variation and no baseline.
    Raises `UsageProblem` where it is not known.
    """
    known = load_targets()
    if named is not None:
        return resolve_target(named, known)
    recorded = source.recording.target
    here = [*targets, *known.values()]
    by_name = (target for target in here if target.name == recorded)
    by_url = (target for target in here if is_home(target, source) and asks_as_recorded(source, target))
    if (found := next(by_name, None) or next(by_url, None)) is not None:
        return found
    if recorded is not None and "://" in recorded:
        return resolve_target(recorded, known)
    nearest = max(targets, key=lambda target: nearness(target, source), default=None)
    if nearest is not None and nearness(nearest, source):
        return nearest
    where = (
        f"the recorded target {recorded} is not known here" if recorded else "the recording does not tell its target"
    )
    raise UsageProblem(f"{where}: name it with --baseline")


def find_home(source: Source, baseline: Target) -> Target:
    """Find the target that says how models are called at the baseline: itself, or what wiretape.toml has of its URL."""
    here = [baseline, *load_targets().values()]
    return (recorded_target(source, here) if is_home(baseline, source) else None) or baseline


def _plan(request: IsolateRequest, root: Root) -> Isolation:
    targets = find_targets(request.to)
    source = prepare(open_recording(root, find_recording(root, request.session)))
    session_id = source.recording.session_id
    check_not_empty(source)
    if not source.recording.failure_keys:
        raise UsageProblem(f"recording {session_id} did not fail: there is nothing to isolate")
    asked: dict[str, tuple[Any, ...]] = {}
    for text in request.axes:
        name, values = parse_axis(text)
        asked[name] = (*asked.get(name, ()), *values)
    baseline = find_baseline(source, targets, request.baseline)
    known = Known(replace(source, home=find_home(source, baseline)), baseline, targets, asked)
    isolation = plan_isolation(
        known,
        list_choices(known),
        max_trials=request.max_trials,
        seed=request.seed,
        concurrency=request.concurrency,
        speed=request.speed,
    )
    run = isolation.run
    run.clock, run.on_new_tool = read_clock(request.clock), read_on_new_tool(request.on_new_tool)
    run.targets = describe_targets([*mapping_homes([known.source]), known.baseline, *targets])
    run.clips = digest_clips(run.cells)
    run.request = keep_request(request, {"session": session_id})
    return isolation


def _play(isolation: Isolation, root: Root, request: IsolateRequest, redact: Sequence[str]) -> bool:
    run = isolation.run
    tell(
        f"run {run.run_id} isolates {run.recordings[0].session_id}: {counted(len(run.cells) - 1, 'single change')};"
        f" {say_estimate(isolation)}"
    )
    try:
        with IsolationNarrator(isolation) as narrator, Recorder(root, journals=open_journals) as recorder:
            playing = run_isolation(
                isolation,
                root,
                recorder,
                timeout_ns=int(request.timeout_s * 1e9),
                redact=redact,
                retries=request.retries,
                budget=spent_by(run, Caps(request.max_sessions, request.max_minutes)),
                on_batch=narrator.note_batch,
                on_progress=narrator.note,
                on_pause=narrator.note_pause,
            )
            with asyncio.Runner(loop_factory=choose_loop()) as runner:
                stopped = runner.run(playing)
            narrator.note_decisions()
    except KeyboardInterrupt:
        tell(f"interrupted: {run.finished_trials} trials were done and are kept in run {run.run_id}")
        return False
    tell(f"{_ENDINGS[stopped.ending]}, after {counted(run.finished_trials, 'trial')}")
    return True
