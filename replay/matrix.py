"""Replay recordings over targets x variations x trials, and keep the run's file up to date."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from capture.event_loop import pass_over_the_heap
from capture.realtime.outcomes import COMPLETED
from capture.recording.facts import ReplayFacts, TrialKind
from capture.sealing import SealingFailed
from replay.adaptation import adapt_for
from replay.cells import Variation, plan_run
from replay.client import Played, Upgrade, play
from replay.deadlines import Deadlines
from replay.plan import Plan
from replay.player import WAIT_TIMEOUT_NS
from replay.runs import Run, RunCell, Trial, TrialOutcome, encode_run, save_run, write_overrides
from replay.source import Source, nearness, prepare, shortened

if TYPE_CHECKING:
    from capture.recorder import Recorder
    from capture.recording.root import Root
    from capture.targets import Target


@dataclass(frozen=True, slots=True)
class Job:
    """One trial to play."""

    cell: RunCell
    source: Source
    target: Target
    plan: Plan
    upgrade: Upgrade
    trial: int
    block: int
    kind: TrialKind


OnProgress = Callable[[Job, Trial | None], None]
"""Called with None when a trial starts, and with its outcome when it is over."""


def plan_jobs(run: Run, sources: Sequence[Source], targets: Sequence[Target]) -> list[Job]:
    """Put a run's trials in order: in blocks of one trial a cell, each block shuffled by the run's seed.

    What changes while the run lasts then meets all cells alike.
    """
    by_session = {source.recording.session_id: source for source in sources}
    by_name = {target.name: target for target in targets}
    order = random.Random(run.seed)  # noqa: S311 - an order of trials, repeatable, and no secret
    first = [_first_job(cell, by_session[cell.session_id], by_name, seed=run.seed) for cell in run.cells]
    jobs: list[Job] = []
    for trial in range(1, run.trials + 1):
        block = [replace(job, trial=trial, block=trial) for job in first]
        order.shuffle(block)
        jobs += block
    return jobs


def _first_job(cell: RunCell, source: Source, targets: Mapping[str, Target], *, seed: int) -> Job:
    kind: TrialKind = "baseline" if cell.baseline else "variation"
    adapted = adapt_for(cell, source, targets, seed=seed)
    return Job(cell, source, adapted.target, adapted.plan, adapted.upgrade, trial=1, block=1, kind=kind)


async def run_matrix(
    run: Run,
    jobs: Iterable[Job],
    root: Root,
    recorder: Recorder,
    *,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    redact: Sequence[str] = (),
    as_recorded: bool = False,
    on_progress: OnProgress = lambda _job, _trial: None,
) -> None:
    """Play the trials, so many at a time as the run says; the run's file is replaced after each.

    `redact` names what must not be kept of the trials, as `--redact` does; `as_recorded` is as a `Player` takes it.

    Cancelled, it keeps what was done and marks the run interrupted.
    """
    save_run(root, run.run_id, encode_run(run))
    slots = asyncio.Semaphore(run.concurrency)
    try:
        await play_jobs(
            run,
            jobs,
            root,
            recorder,
            slot_of=lambda _: slots,
            timeout_ns=timeout_ns,
            redact=redact,
            as_recorded=as_recorded,
            on_progress=on_progress,
        )
        run.status = "done"
    finally:
        end_run(run, root)


async def play_jobs(
    run: Run,
    jobs: Iterable[Job],
    root: Root,
    recorder: Recorder,
    *,
    slot_of: Callable[[Job], asyncio.Semaphore],
    timeout_ns: int,
    redact: Sequence[str],
    as_recorded: bool = False,
    on_progress: OnProgress,
) -> None:
    """Play trials, each when its slot is free; the run's file is replaced after each."""
    one_writer = asyncio.Lock()

    async def save() -> None:
        async with one_writer:
            # Waiting for the disk would make the other trials late.
            await asyncio.to_thread(save_run, root, run.run_id, encode_run(run))

    async def play_job(job: Job) -> None:
        async with slot_of(job):
            on_progress(job, None)
            played = await _play(job, run, recorder, timeout_ns, redact, as_recorded=as_recorded, deadlines=deadlines)
        trial = await _judge(job, played)
        job.cell.trials.append(trial)
        await save()
        on_progress(job, trial)

    with pass_over_the_heap(), Deadlines() as deadlines:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(play_job(job), name=f"{job.cell.cell} {job.trial}")


def end_run(run: Run, root: Root) -> None:
    """Write down that a run is over: interrupted, unless it is marked done."""
    run.status = "done" if run.status == "done" else "interrupted"
    run.ended_at = datetime.now(UTC)
    for cell in run.cells:
        cell.trials.sort(key=lambda trial: trial.trial)
    save_run(root, run.run_id, encode_run(run))


async def _play(
    job: Job,
    run: Run,
    recorder: Recorder,
    timeout_ns: int,
    redact: Sequence[str],
    *,
    as_recorded: bool,
    deadlines: Deadlines,
) -> Played:
    facts = ReplayFacts(
        run_id=run.run_id,
        replay_of=job.source.recording.session_id,
        cell=job.cell.cell,
        trial=job.trial,
        block=job.block,
        trial_kind=job.kind,
        overrides=write_overrides(job.cell),
        expected_failure_keys=job.source.recording.failure_keys,
    )
    return await play(
        job.plan,
        job.target,
        recorder,
        replay=facts,
        upgrade=job.upgrade,
        as_recorded=as_recorded,
        speed=run.speed,
        clock=run.clock,
        on_new_tool=run.on_new_tool,
        timeout_ns=timeout_ns,
        redact=redact,
        deadlines=deadlines,
    )


async def _judge(job: Job, played: Played) -> Trial:
    outcome: TrialOutcome = "not_run"
    note = "" if played.end_reason == COMPLETED else played.end_reason
    try:
        sealed = await asyncio.wrap_future(played.sealed)
        outcome = cast("TrialOutcome", sealed.trial_outcome or "not_run")
        note = note or (sealed.first_error or "" if outcome == "failed_otherwise" else "")
    except SealingFailed as failure:
        note = str(failure)
    return Trial(
        trial=job.trial,
        block=job.block,
        session_id=played.session_id,
        outcome=outcome,
        kind=job.kind,
        note=note,
    )


__all__ = [
    "Job",
    "OnProgress",
    "Source",
    "Variation",
    "adapt_for",
    "end_run",
    "nearness",
    "plan_jobs",
    "plan_run",
    "play_jobs",
    "prepare",
    "run_matrix",
    "shortened",
]
