"""Play the trials of a run, each when its slot is free and its target may be sent to; keep the run's file up to date.

A trial that the endpoint throttles is no evidence. Its target is left alone for as long as it asked, other targets
go on, and then the trial is tried again; each attempt is a recording of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from capture.errors import UsageProblem
from capture.realtime.outcomes import COMPLETED
from capture.recording.facts import ReplayFacts, TrialKind
from capture.sealing import SealingFailed
from replay.budget import Budget
from replay.client import Played, Upgrade, play
from replay.estimate import sent_audio_ms
from replay.plan import Plan
from replay.player import WAIT_TIMEOUT_NS
from replay.refusals import read_refusals
from replay.runs import Run, RunCell, Trial, TrialOutcome, encode_run, save_run
from replay.source import Source
from replay.throttling import (
    LONGEST_WAIT_S,
    RETRIES,
    Pauses,
    Refusals,
    Told,
    guess_wait_s,
    read_wait,
)

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


@dataclass(frozen=True, slots=True)
class Pause:
    """A target that is left alone, because it throttled a trial."""

    job: Job
    session_id: str
    wait_s: float
    told_by: str
    """Where the endpoint said so; empty where it did not, and the pause is a guess."""
    retry: int
    """How often the trial has been tried, with this time."""
    retries: int
    goes_on: bool
    """Whether the trial is tried again."""
    ends_target: bool
    """Whether the target gets nothing more in this run, for the pause is longer than is waited for."""


OnProgress = Callable[[Job, Trial | None], None]
"""Called with None when a trial starts, and with its outcome when it is over."""
OnPause = Callable[[Pause], None]
Slots = Callable[[Job], asyncio.Semaphore]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One session of a trial, and what it says of waiting."""

    trial: Trial
    told: Told | None = None
    """Of a throttled one: how long to wait."""
    is_hopeless: bool = False
    """Of a throttled one: whether waiting does not help, as with a quota that is paid for."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A session that is over, and what it comes to once it is sealed."""

    judged: Awaitable[Attempt]
    throttled_upgrade: Refusals | None = None
    """What an endpoint said that refused it with HTTP 429: known at once."""


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How trials are played, and who is told."""

    timeout_ns: int = WAIT_TIMEOUT_NS
    redact: Sequence[str] = ()
    """What must not be kept of the trials, as `--redact` names it."""
    as_recorded: bool = False
    retries: int = RETRIES
    """How often a throttled trial is tried again."""
    budget: Budget = field(default_factory=Budget)
    """What was spent before; trials that are handed over are counted when they begin, retries only if they fit."""
    on_progress: OnProgress = lambda _job, _trial: None
    on_pause: OnPause = lambda _pause: None


class TrialPlayer:
    """Plays trials of one run; its pauses last from one batch of trials to the next."""

    def __init__(
        self,
        run: Run,
        root: Root,
        recorder: Recorder,
        how: Playing,
        *,
        slot_of: Slots,
        run_session: Callable[[Job], Awaitable[Ran]] | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self.pauses = pauses or Pauses()
        self._run = run
        self._root = root
        self._recorder = recorder
        self._how = how
        self._slot_of = slot_of
        self._run_session = run_session or self._play
        self._one_writer = asyncio.Lock()
        self._sent_ms: dict[tuple[str, str], float] = {}

    async def play(self, jobs: Iterable[Job]) -> int:
        """Play trials; gives how many were left out because their target wants to be left alone for too long."""
        to_play = list(jobs)
        for job in to_play:
            self._how.budget.take(self.planned_ms(job))
        async with asyncio.TaskGroup() as tasks:
            playing = [tasks.create_task(self._play_job(job), name=f"{job.cell.cell} {job.trial}") for job in to_play]
        return sum(not task.result() for task in playing)

    async def _play_job(self, job: Job) -> bool:
        throttled: list[str] = []
        sent_ms = 0.0
        while True:
            number = len(throttled) + 1
            ran = await self._run_when_free(job, number)
            if ran is None:
                return False
            attempt = await ran.judged
            sent_ms += attempt.trial.sent_ms
            self._how.budget.correct(self.planned_ms(job), attempt.trial.sent_ms)
            if attempt.trial.outcome == "throttled" and self._may_retry(job, ran, attempt, number):
                self._how.budget.take(self.planned_ms(job))
                throttled.append(attempt.trial.session_id)
                continue
            attempt.trial.throttled, attempt.trial.sent_ms = throttled, sent_ms
            await self._keep(job, attempt.trial)
            return True

    async def _run_when_free(self, job: Job, number: int) -> Ran | None:
        name = job.target.name
        while True:
            # Outside the slot: other targets go on meanwhile.
            if (left_s := self.pauses.left_s(name)) > 0:
                await asyncio.sleep(left_s)
                continue
            async with self._slot_of(job):
                if name in self.pauses.given_up:
                    return None
                if self.pauses.left_s(name) > 0:
                    continue
                if number == 1:
                    self._how.on_progress(job, None)
                ran = await self._run_session(job)
                if ran.throttled_upgrade is not None:
                    # Before anything else can begin: a pause that comes late is one that was not kept.
                    self._pause(name, read_wait(ran.throttled_upgrade), number)
                return ran

    def planned_ms(self, job: Job) -> float:
        """Measure the audio that a trial is planned to send."""
        # Trials of one cell share a plan.
        key = job.cell.session_id, job.cell.cell
        if key not in self._sent_ms:
            self._sent_ms[key] = sent_audio_ms(job.plan)
        return self._sent_ms[key]

    def _pause(self, target: str, told: Told | None, number: int) -> None:
        wait_s = told.wait_s if told is not None else guess_wait_s(number)
        if wait_s > LONGEST_WAIT_S:
            self.pauses.give_up(target, wait_s)
        else:
            self.pauses.pause(target, wait_s)

    def _may_retry(self, job: Job, ran: Ran, attempt: Attempt, number: int) -> bool:
        if attempt.is_hopeless:
            return False
        name, told = job.target.name, attempt.told
        if ran.throttled_upgrade is not None:
            told = read_wait(ran.throttled_upgrade)
        else:
            self._pause(name, told, number)
        has_room = not self._how.budget.would_exceed([self.planned_ms(job)])
        goes_on = number <= self._how.retries and has_room and name not in self.pauses.given_up
        told = told or Told(guess_wait_s(number), "")
        pause = Pause(
            job=job,
            session_id=attempt.trial.session_id,
            wait_s=told.wait_s,
            told_by=told.by,
            retry=number,
            retries=self._how.retries,
            goes_on=goes_on,
            ends_target=name in self.pauses.given_up,
        )
        self._how.on_pause(pause)
        return goes_on

    async def _keep(self, job: Job, trial: Trial) -> None:
        job.cell.trials.append(trial)
        async with self._one_writer:
            # Waiting for the disk would make the other trials late.
            await asyncio.to_thread(save_run, self._root, self._run.run_id, encode_run(self._run))
        self._how.on_progress(job, trial)

    async def _play(self, job: Job) -> Ran:
        played = await play(
            job.plan,
            job.target,
            self._recorder,
            replay=_facts(self._run, job),
            upgrade=job.upgrade,
            as_recorded=self._how.as_recorded,
            speed=self._run.speed,
            timeout_ns=self._how.timeout_ns,
            redact=self._how.redact,
        )
        refused = played.refusal
        if refused is None or refused.status != HTTPStatus.TOO_MANY_REQUESTS:
            return Ran(self._judge(job, played))
        return Ran(self._judge(job, played), Refusals(refused.headers, [refused.body]))

    async def _judge(self, job: Job, played: Played) -> Attempt:
        outcome: TrialOutcome = "not_run"
        note = "" if played.end_reason == COMPLETED else played.end_reason
        sent_ms, pacing_us = 0.0, None
        try:
            sealed = await asyncio.wrap_future(played.sealed)
            outcome = cast("TrialOutcome", sealed.trial_outcome or "not_run")
            note = note or (sealed.first_error or "" if outcome == "failed_otherwise" else "")
            sent_ms, pacing_us = sealed.audio_in_ms or 0.0, sealed.pacing_p50_us
        except SealingFailed as failure:
            note = str(failure)
        trial = Trial(
            trial=job.trial,
            block=job.block,
            session_id=played.session_id,
            outcome=outcome,
            kind=job.kind,
            note=note,
            sent_ms=sent_ms,
            pacing_us=pacing_us,
        )
        return await asyncio.to_thread(self._read_throttled, trial) if outcome == "throttled" else Attempt(trial)

    def _read_throttled(self, trial: Trial) -> Attempt:
        try:
            said, is_hopeless = read_refusals(self._root, trial.session_id)
        except UsageProblem:
            return Attempt(trial)
        return Attempt(trial, read_wait(said), is_hopeless)


def _facts(run: Run, job: Job) -> ReplayFacts:
    return ReplayFacts(
        run_id=run.run_id,
        replay_of=job.source.recording.session_id,
        cell=job.cell.cell,
        trial=job.trial,
        block=job.block,
        trial_kind=job.kind,
        overrides=json.dumps(job.cell.overrides, ensure_ascii=False),
        expected_failure_keys=job.source.recording.failure_keys,
    )
