"""What `wiretape replay run` does: lay out what was asked, play it, print the table and the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

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
from capture.upstream import check_way
from replay.as_recorded import obstacles, refuse
from replay.attempts import Job
from replay.budget import Budget, Caps, spent_by
from replay.gates import Gate, GateResult, check_gates, needs_latencies, parse_gates
from replay.junit import check_writable, write_junit
from replay.latency import first_audio_ms, heard_ms
from replay.matrix import estimate_run, run_matrix, unplayed
from replay.narrator import Narrator
from replay.run_output import first_of_each_cell, print_plan, print_result
from replay.run_request import Planned, RunRequest, plan_request
from replay.runs import Run
from replay.trial_command import INTERRUPTED, raise_if_refused, take_up, tell_beforehand
from replay.verdict import read_verdicts


def run(request: RunRequest, recordings: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Do what was asked; the exit status is 1 where a gate failed.

    Raises `UsageProblem`, and `EndpointRefused` where no target took a single session.
    """
    root = open_root(recordings)
    return _play_planned(request, plan_request(request, root), root, dry_run=dry_run, as_json=as_json)


def resume(
    text: str, request: RunRequest, given: Collection[str], recordings: Path | None, *, dry_run: bool, as_json: bool
) -> int:
    """Go on with a run: make the trials that it lacks, or that were throttled or not run.

    `given` names the fields of `request` that were given on the command line. Otherwise as `run`.
    """
    root = open_root(recordings)
    request, planned = take_up(text, request, given, root, "factorial", plan_request)
    jobs = unplayed(planned.run, planned.jobs)
    rest = Planned(planned.run, planned.sources, planned.targets, jobs)
    return _play_planned(request, rest, root, dry_run=dry_run, as_json=as_json)


def _play_planned(request: RunRequest, planned: Planned, root: Root, *, dry_run: bool, as_json: bool) -> int:
    # Before anything is sent.
    redact = parse_redactions(request.redact)
    gates = parse_gates(request.expect)
    if request.junit is not None:
        check_writable(request.junit)
    run, jobs = planned.run, planned.jobs
    if request.as_recorded:
        refuse(_obstacles(jobs))
    sent = ((job.target, job.plan) for job in first_of_each_cell(jobs))
    tell_beforehand(run, planned.sources, planned.targets, sent)
    cost = estimate_run(jobs, speed=run.speed)
    if dry_run:
        print_plan(planned, cost, as_json=as_json)
    budget = spent_by(run, Caps(request.max_sessions, request.max_minutes))
    budget.check(cost)
    if dry_run:
        return 0
    for target in planned.targets:
        # A missing key is the user's to fix, before the first trial and not in each.
        check_way(target)
    with queued_output() as output:
        if jobs:
            tell(
                f"run {run.run_id} of {', '.join(recording.session_id for recording in run.recordings)}:"
                f" {counted(len(run.cells), 'cell')} x {counted(run.trials, 'trial')}, {run.concurrency} at a time;"
                f" {cost.in_words}; {cost.time_in_words(run.concurrency)}"
            )
        # One that was killed after its last trial has only to be marked done.
        is_over = not jobs and run.status == "done"
        finished = is_over or _play(planned, root, request, redact, budget)
        if not finished:
            output.hurry()
        return _conclude(run, gates, root, request, finished=finished, as_json=as_json)


def _conclude(
    run: Run, gates: Sequence[Gate], root: Root, request: RunRequest, *, finished: bool, as_json: bool
) -> int:
    waits_ms = read_latencies(run, root) if needs_latencies(gates) else {}
    expectations = check_gates(run, gates, waits_ms)
    unwritten = _try_report(run, request.junit, expectations)
    # A gate that is missed is missed, whoever has stopped reading.
    with while_read():
        print_result(run, read_verdicts(run), root, expectations, as_json=as_json)
    if run.status != "done":
        tell("go on with: " + root.command(f"wiretape replay run --resume {run.run_id}"))
    if unwritten is not None:
        raise unwritten
    if not finished:
        return INTERRUPTED
    raise_if_refused(run)
    return 0 if all(each.is_met for each in expectations) else 1


def _try_report(run: Run, path: Path | None, expectations: Sequence[GateResult]) -> UsageProblem | None:
    try:
        if path is not None:
            write_junit(run, path, expectations)
    except UsageProblem as problem:
        # The trials were paid for: what they came to is printed first.
        return problem
    return None


def read_latencies(run: Run, root: Root) -> dict[str, list[float]]:
    """Read the wait for the first audio of each turn, in milliseconds, from the recordings of a run's trials."""
    found: dict[str, list[float]] = {}
    for trial in run.all_trials:
        try:
            recording = open_recording(root, trial.session_id)
            measured = recording.session["turn_latencies"]
            found[trial.session_id] = first_audio_ms(recording.messages()) if measured is None else heard_ms(measured)
        except UsageProblem as missing:
            tell(f"trial {trial.session_id} cannot be read: {missing}")
    return found


def _obstacles(jobs: Sequence[Job]) -> list[tuple[str, list[str]]]:
    return [
        (job.cell.cell, obstacles(job.plan, job.upgrade.changes_for(job.target))) for job in first_of_each_cell(jobs)
    ]


def _play(planned: Planned, root: Root, request: RunRequest, redact: Sequence[str], budget: Budget) -> bool:
    run = planned.run
    total = run.finished_trials + len(planned.jobs)
    try:
        with Narrator(run, total) as narrator, Recorder(root, journals=open_journals) as recorder:
            playing = run_matrix(
                run,
                planned.jobs,
                root,
                recorder,
                timeout_ns=int(request.timeout_s * 1e9),
                redact=redact,
                as_recorded=request.as_recorded,
                retries=request.retries,
                budget=budget,
                on_progress=narrator.note,
                on_pause=narrator.note_pause,
            )
            with asyncio.Runner(loop_factory=choose_loop()) as runner:
                runner.run(playing)
    except KeyboardInterrupt:
        tell(f"interrupted: {run.finished_trials} of {total} trials were done and are kept in run {run.run_id}")
        return False
    return True
