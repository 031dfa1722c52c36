"""Replay recordings over targets x variations x trials, and keep the run's file up to date."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from capture.recording.facts import TrialKind
from replay.adaptation import adapt_for
from replay.attempts import Job, SessionRunner
from replay.budget import Budget
from replay.deadlines import Deadlines
from replay.estimate import Cost, cost_of, total
from replay.player import WAIT_TIMEOUT_NS
from replay.run_claim import being_played, claimed
from replay.runs import Run, RunCell
from replay.source import Source
from replay.throttling import RETRIES
from replay.trials import OnPause, OnProgress, Playing, TrialPlayer

if TYPE_CHECKING:
    from capture.recorder import Recorder
    from capture.recording.root import Root
    from capture.targets import Target


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


def unplayed(run: Run, jobs: Sequence[Job]) -> list[Job]:
    """List the trials of a run that have no outcome yet, or one that says nothing: throttled, not run.

    Those are set aside in the run, to be made again.
    """
    for cell in run.cells:
        cell.remade += [trial for trial in cell.trials if trial.says_nothing]
        cell.trials = [trial for trial in cell.trials if not trial.says_nothing]
    done = {(cell.key, trial.trial) for cell in run.cells for trial in cell.trials}
    return [job for job in jobs if (job.cell.key, job.trial) not in done]


def estimate_run(jobs: Sequence[Job], *, speed: float = 1.0) -> Cost:
    """Estimate what jobs cost before they are played: sessions, minutes of audio, tokens, minutes at a concurrency.

    Pure; reads the audio of each cell's plan once (a second for an hour of it), so a screen does it in a worker.
    """
    each = {job.cell.key: job for job in jobs}
    costs = {key: cost_of(job.source, job.plan, speed=speed) for key, job in each.items()}
    return total(costs[job.cell.key] for job in jobs)


async def run_matrix(
    run: Run,
    jobs: Sequence[Job],
    root: Root,
    recorder: Recorder,
    *,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    redact: Sequence[str] = (),
    as_recorded: bool = False,
    retries: int = RETRIES,
    budget: Budget | None = None,
    on_progress: OnProgress = lambda _job, _trial: None,
    on_pause: OnPause = lambda _pause: None,
) -> None:
    """Play the trials, so many at a time as the run says; the run's file is replaced after each.

    Knows of no terminal, so that a screen can run it: `on_progress` and `on_pause` are called on the event loop and
    must return at once. Cancelled, it keeps what was done and marks the run interrupted; `estimate_run` says before
    what it costs.

    `redact` names what must not be kept of the trials, as `--redact` does; `as_recorded` is as a `Player` takes it.
    A throttled trial is tried again up to `retries` times, where the `budget`, which has the jobs in it, has room. A
    target that wants to be left alone for longer than is waited for leaves trials undone: the run is then marked
    interrupted too, and `unplayed` gives what a resumed run has to play.
    """
    how = Playing(retries=retries, budget=budget or Budget(), on_progress=on_progress, on_pause=on_pause)
    slots = asyncio.Semaphore(run.concurrency)
    with claimed(root, run.run_id), being_played(run, root), Deadlines() as deadlines:
        run_session = SessionRunner(
            run, recorder, deadlines, timeout_ns=timeout_ns, redact=redact, as_recorded=as_recorded
        )
        player = TrialPlayer(run, root, how, run_session=run_session, slot_of=lambda _: slots)
        if not await player.play(jobs):
            run.status = "done"
