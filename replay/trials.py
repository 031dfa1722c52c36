"""Play the trials of a run, each when its slot is free and its target may be sent to; keep the run's file up to date.

A trial that the endpoint throttles is no evidence. Its target is left alone for as long as it asked, other targets
go on, and then the trial is tried again; each attempt is a recording of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

from capture.event_loop import pass_over_the_heap
from replay.attempts import Attempt, Job, Ran
from replay.budget import Budget
from replay.runs import Run, Trial, encode_run, save_run
from replay.throttling import LONGEST_WAIT_S, RETRIES, Pauses, Told, guess_wait_s, read_wait

if TYPE_CHECKING:
    from capture.recording.root import Root

_LONGEST_KEPT_S = 7 * 86_400
"""No date is made of what an endpoint asks beyond that."""


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


T = TypeVar("T")
OnProgress = Callable[[Job, Trial | None], None]
"""Called with None when a trial starts, and with its outcome when it is over."""
OnPause = Callable[[Pause], None]
Slots = Callable[[Job], asyncio.Semaphore]


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How trials are played, and who is told."""

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
        how: Playing,
        *,
        run_session: Callable[[Job], Awaitable[Ran]],
        slot_of: Slots,
        pauses: Pauses | None = None,
    ) -> None:
        self.pauses = pauses or Pauses()
        self._run = run
        self._root = root
        self._how = how
        self._slot_of = slot_of
        self._run_session = run_session
        self._one_writer = asyncio.Lock()
        self._throttling: set[str] = set()
        """Targets whose last word was to be left alone."""
        self._probes: dict[str, asyncio.Lock] = {}
        for name, until in run.paused_until.items():
            # What was asked for before the run was stopped holds for what goes on.
            if (left_s := (until - datetime.now(UTC)).total_seconds()) > 0:
                self._leave_alone(name, left_s)

    async def play(self, jobs: Iterable[Job]) -> int:
        """Play trials; gives how many were left out because their target wants to be left alone for too long."""
        to_play = list(jobs)
        for job in to_play:
            self._how.budget.take(job.plan.audio_ms)
        try:
            with pass_over_the_heap():
                async with asyncio.TaskGroup() as tasks:
                    playing = [
                        tasks.create_task(self._play_job(job), name=f"{job.cell.cell} {job.trial}") for job in to_play
                    ]
        except ExceptionGroup as failed:
            # The first has ended the others; a command and a screen each tell one.
            raise failed.exceptions[0] from None
        return sum(not task.result() for task in playing)

    async def _play_job(self, job: Job) -> bool:
        throttled: list[str] = []
        sent_ms = 0.0
        while True:
            number = len(throttled) + 1
            attempt = await self._attempt(job, number)
            if attempt is None:
                return False
            sent_ms += attempt.trial.sent_ms
            if attempt.trial.outcome == "throttled" and self._may_retry(job, attempt, number):
                self._how.budget.take(job.plan.audio_ms)
                throttled.append(attempt.trial.session_id)
                continue
            attempt.trial.throttled, attempt.trial.sent_ms = throttled, sent_ms
            await self._keep(job, attempt.trial)
            return True

    async def _attempt(self, job: Job, number: int) -> Attempt | None:
        name = job.target.name
        while True:
            if name not in self._throttling:
                attempt = await self._attempt_when_free(job, number, is_probe=False)
            else:
                # One at a time until one gets through: all at once they would only be throttled again.
                async with self._probes.setdefault(name, asyncio.Lock()):
                    attempt = await self._attempt_when_free(job, number, is_probe=True)
            if attempt != "held back":
                return attempt

    async def _attempt_when_free(
        self, job: Job, number: int, *, is_probe: bool
    ) -> Attempt | Literal["held back"] | None:
        name = job.target.name
        # Outside the slot: other targets go on meanwhile.
        if (left_s := self.pauses.left_s(name)) > 0:
            await asyncio.sleep(left_s)
        async with self._slot_of(job):
            if name in self.pauses.given_up:
                return None
            if is_probe != (name in self._throttling) or self.pauses.left_s(name) > 0:
                return "held back"
            if number == 1:
                self._how.on_progress(job, None)
            try:
                ran = await self._run_session(job)
            except asyncio.CancelledError:
                self._run.cut_short_ms.append(job.plan.audio_ms)
                raise
            if ran.throttled_upgrade is not None:
                # Before anything else can begin: a pause that comes late is one that was not kept.
                self._pause(name, read_wait(ran.throttled_upgrade), number)
        # Sealing takes its time, and needs no slot.
        attempt = await _to_its_end(ran.judged)
        self._how.budget.correct(job.plan.audio_ms, attempt.trial.sent_ms)
        if attempt.trial.outcome != "throttled":
            if is_probe and ran.throttled_upgrade is None:
                self._throttling.discard(name)
        elif ran.throttled_upgrade is None and not attempt.is_hopeless:
            self._pause(name, attempt.told, number)
        return attempt

    def _pause(self, target: str, told: Told | None, number: int) -> None:
        self._leave_alone(target, told.wait_s if told is not None else guess_wait_s(number))

    def _leave_alone(self, target: str, wait_s: float) -> None:
        self._throttling.add(target)
        until = datetime.now(UTC) + timedelta(seconds=min(wait_s, _LONGEST_KEPT_S))
        self._run.paused_until[target] = max(until, self._run.paused_until.get(target, until))
        if wait_s > LONGEST_WAIT_S:
            self.pauses.give_up(target, wait_s)
        else:
            self.pauses.pause(target, wait_s)

    def _may_retry(self, job: Job, attempt: Attempt, number: int) -> bool:
        if attempt.is_hopeless:
            return False
        name, told = job.target.name, attempt.told or Told(guess_wait_s(number), "")
        has_room = not self._how.budget.would_exceed([job.plan.audio_ms])
        goes_on = number <= self._how.retries and has_room and name not in self.pauses.given_up
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
            await _to_its_end(asyncio.to_thread(save_run, self._root, self._run.run_id, encode_run(self._run)))
        self._how.on_progress(job, trial)


async def _to_its_end(begun: Awaitable[T]) -> T:
    """Wait for what must not be left half done, also where this is cancelled meanwhile: it ends with it, not before.

    A session that is over has been paid for, and what it comes to is kept, or it would be made again; and a file that
    is still being written would take the place of the one that says how the run ended.
    """
    doing = asyncio.ensure_future(begun)  # noqa: TID251 - awaited here in any case
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        done = await doing
        if (task := asyncio.current_task()) is not None:
            task.cancel()
        return done
