"""Run the adaptive experiment: ask what to try next, play it, until nothing more is to be tried."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from capture.recording.facts import TrialKind
from replay.adaptation import Adapted, adapt_for
from replay.arms import Changes, Phase
from replay.attempts import Job, SessionRunner
from replay.axes import Choice, Known, choose_target
from replay.budget import Budget
from replay.deadlines import Deadlines
from replay.experiment import Batch, Stop
from replay.isolation import find_changes, read_experiment
from replay.player import WAIT_TIMEOUT_NS
from replay.run_claim import being_played, claimed
from replay.runs import CONNECTION_MODEL, TARGET_AXIS, Axis, Run, RunCell, new_run_id
from replay.source import check_protocol, check_target
from replay.throttling import RETRIES
from replay.trials import OnPause, OnProgress, Playing, TrialPlayer

if TYPE_CHECKING:
    from capture.recorder import Recorder
    from capture.recording.root import Root
    from capture.targets import Target
    from replay.client import Upgrade
    from replay.plan import Plan

_KINDS: Mapping[Phase, TrialKind] = {"opening": "baseline", "blocks": "variation", "control": "control"}


@dataclass(frozen=True)
class Isolation:
    """What is to be isolated, and how."""

    known: Known
    choices: Sequence[Choice]
    run: Run
    _adapted: dict[str, Adapted] = field(default_factory=dict)

    def cell_for(self, changes: Changes) -> RunCell:
        """Find the cell that changes just this, or make it."""
        home = self.run.cells[0]
        for cell in self.run.cells:
            if find_changes(self.run, cell, home) == changes:
                return cell
        cell = _make_cell(self.known, self._choices_of(changes), home.values)
        self.run.cells.append(cell)
        return cell

    def plan_for(self, cell: RunCell) -> tuple[Plan, Target, Upgrade]:
        """Give what a cell sends, where, and with what handshake."""
        if cell.cell not in self._adapted:
            known = {each.name: each for each in (*self.known.targets, self.known.baseline)}
            self._adapted[cell.cell] = adapt_for(cell, self.known.source, known, seed=self.run.seed)
        adapted = self._adapted[cell.cell]
        return adapted.plan, adapted.target, adapted.upgrade

    def jobs(self, batch: Batch) -> list[Job]:
        """Lay out the trials of a batch."""
        # A run that was killed may lack trials in between: their numbers are not given again.
        made = {cell.cell: max((trial.trial for trial in cell.trials), default=0) for cell in self.run.cells}
        jobs = []
        for number, block in enumerate(batch.blocks):
            for changes in block:
                cell = self.cell_for(changes)
                plan, target, upgrade = self.plan_for(cell)
                made[cell.cell] = made.get(cell.cell, 0) + 1
                kind = "baseline" if cell.baseline and batch.phase == "blocks" else _KINDS[batch.phase]
                trial, at = made[cell.cell], batch.first_block + number
                jobs.append(Job(cell, self.known.source, target, plan, upgrade, trial, block=at, kind=kind))
        return jobs

    def _choices_of(self, changes: Changes) -> list[Choice]:
        return [choice for change in changes for choice in self.choices if (choice.axis, choice.value) == change]


def plan_isolation(
    known: Known,
    choices: Sequence[Choice],
    *,
    max_trials: int,
    seed: int = 0,
    concurrency: int = 1,
    speed: float = 1.0,
) -> Isolation:
    """Lay out an adaptive run: the baseline and every single change, without a trial yet.

    Raises `UsageProblem` for a protocol that is not replayed.
    """
    check_protocol(known.source)
    for target in (known.baseline, *known.targets):
        check_target(target)
    axes = list(dict.fromkeys(choice.axis for choice in choices))
    recorded = {axis: known.recorded(axis) for axis in axes}
    started_at = datetime.now(UTC)
    home = _make_cell(known, [], recorded)
    home.baseline = True
    run = Run(
        run_id=new_run_id(started_at),
        started_at=started_at,
        recordings=[known.source.recording],
        axes=[
            Axis(axis=axis, values=[recorded[axis], *(choice.value for choice in choices if choice.axis == axis)])
            for axis in axes
        ],
        cells=[home, *(_make_cell(known, [choice], recorded) for choice in choices)],
        trials=max_trials,
        design="adaptive",
        seed=seed,
        concurrency=concurrency,
        speed=speed,
    )
    return Isolation(known, choices, run)


async def run_isolation(
    isolation: Isolation,
    root: Root,
    recorder: Recorder,
    *,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    redact: Sequence[str] = (),
    retries: int = RETRIES,
    budget: Budget | None = None,
    on_batch: Callable[[Batch], None] = lambda _: None,
    on_progress: OnProgress = lambda _job, _trial: None,
    on_pause: OnPause = lambda _pause: None,
) -> Stop:
    """Make the trials, so many at a time per target as the run says; the run's file is replaced after each.

    Goes on from the trials that the run has already. A throttled trial is tried again up to `retries` times. What
    would go beyond the `budget` is not begun: it stops there, and what is undecided is open. Cancelled, it keeps what
    was done and marks the run interrupted. The callbacks are called on the event loop and must return at once.
    """
    run = isolation.run
    slots: dict[str, asyncio.Semaphore] = {}

    def slot_of(job: Job) -> asyncio.Semaphore:
        # Too many at one endpoint at a time make failures of our own: its quota.
        return slots.setdefault(job.target.origin, asyncio.Semaphore(run.concurrency))

    budget = budget or Budget()
    how = Playing(retries=retries, budget=budget, on_progress=on_progress, on_pause=on_pause)
    with claimed(root, run.run_id), being_played(run, root), Deadlines() as deadlines:
        run_session = SessionRunner(run, recorder, deadlines, timeout_ns=timeout_ns, redact=redact)
        player = TrialPlayer(run, root, how, run_session=run_session, slot_of=slot_of)
        while isinstance(step := read_experiment(run).decide_next(), Batch):
            batch, cap = _within(budget, isolation, step)
            if batch is None:
                return Stop("max_sessions" if cap.startswith("--max-sessions") else "max_minutes")
            on_batch(batch)
            for jobs in _in_step(isolation.jobs(batch), run.concurrency):
                if await player.play(jobs):
                    return Stop("throttled")
        run.status = "done"
    return step


def _in_step(jobs: Sequence[Job], concurrency: int) -> Iterator[list[Job]]:
    """Part jobs into whole blocks that are played at a time, as many as every endpoint has room for.

    An endpoint with few trials in a block would be done with all of its blocks while others are at their first: a
    failure that comes and goes would then meet one of them alone.
    """
    begun: list[Job] = []
    for _, trials in groupby(jobs, key=lambda job: job.block):
        block = list(trials)
        busiest = max(Counter(job.target.origin for job in (*begun, *block)).values())
        if begun and busiest > concurrency:
            yield begun
            begun = []
        begun += block
    yield begun


def _within(budget: Budget, isolation: Isolation, batch: Batch) -> tuple[Batch | None, str]:
    """Take as many whole blocks of a batch as there is room for, and name the cap where there is room for none."""
    cap = ""
    for count in range(len(batch.blocks), 0, -1):
        fewer = replace(batch, blocks=batch.blocks[:count])
        cap = budget.would_exceed(job.plan.audio_ms for job in isolation.jobs(fewer))
        if not cap:
            return fewer, ""
    return None, cap


def _make_cell(known: Known, choices: Sequence[Choice], recorded: Mapping[str, str]) -> RunCell:
    target = choose_target(known, choices)
    names = [choice.label for choice in choices]
    overrides = {path: value for choice in choices for path, value in choice.overrides.items()}
    if not any(choice.axis == TARGET_AXIS for choice in choices):
        names.insert(0, target.name)
    return RunCell(
        cell=" · ".join(names),
        session_id=known.source.recording.session_id,
        target=target.name,
        region=target.region,
        model=overrides.get(CONNECTION_MODEL, target.model),
        values={**recorded, **{choice.axis: choice.value for choice in choices}},
        overrides=overrides,
        unset=[path for choice in choices for path in choice.unset],
    )
